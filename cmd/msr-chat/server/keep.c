/* Links or copies into the storage. */
#include "keep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"

enum {
	NAME_MAX_ = 100,
	RANDOM_BYTES = 16,
	KEPT_SIZE = NAME_MAX_ + 64,
	COPY_STEP = 1 << 20, /* bytes a turn: others are served from the same thread */
};

struct keep {
	int dirfd;
	mode_t mode; /* of files: what the umask leaves */
};

int keep_open(struct keep **kp, const char *storage)
{
	char dir[PATH_MAX];
	struct keep *k;

	if (snprintf(dir, sizeof(dir), "%s/chat", storage) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	int ret = file_mkdirs(dir);
	if (ret < 0)
		return ret;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->dirfd < 0) {
		ret = -errno;
		free(k);
		return ret;
	}
	mode_t mask = umask(0);
	umask(mask);
	k->mode = 0666 & ~mask;
	*kp = k;
	return 0;
}

void keep_close(struct keep *k)
{
	if (!k)
		return;
	close(k->dirfd);
	free(k);
}

/* Random bits and the last bytes of the name that a URL and an id may have, others as '_'. */
static void make_name(const char *name, char *out, size_t size)
{
	size_t used, len = 0;

	while (name[len])
		len++;
	if (len > NAME_MAX_)
		name += len - NAME_MAX_; /* the end, for the extension */
	random_hex(out, RANDOM_BYTES);
	used = 2 * RANDOM_BYTES;
	out[used++] = '-';
	for (; *name && used + 1 < size; name++) {
		char c = *name;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '.' || c == '-';
		out[used++] = plain ? c : '_';
	}
	out[used] = '\0';
}

/*
 * Gives the nameless file a name where both are on one file system. The spool's are for the server
 * alone, kept ones for those who may read recordings.
 */
static int link_file(const struct keep *k, const char *name, int fd)
{
	return fchmod(fd, k->mode) < 0 ? -errno : file_link(fd, k->dirfd, name);
}

struct keep_copy {
	struct keep *keep; /* lent */
	int from, to;	   /* `from` is lent */
	off_t at;
	size_t left;
	char name[KEPT_SIZE];
};

/* Ends a copy: 0 with its name, or `ret`, leaving nothing. */
static int copy_end(struct keep_copy *c, int ret)
{
	if (close(c->to) < 0 && !ret)
		ret = -errno;
	if (ret)
		unlinkat(c->keep->dirfd, c->name, 0);
	free(c);
	return ret;
}

int keep_go_on(struct keep_copy *c)
{
	/* Not copy_file_range(2), which refuses two file systems of different kinds. */
	ssize_t got = sendfile(c->to, c->from, &c->at, c->left < COPY_STEP ? c->left : COPY_STEP);

	if (got < 0 && errno == EINTR)
		return 1;
	if (got <= 0)
		return copy_end(c, got < 0 ? -errno : -EIO);
	c->left -= (size_t)got;
	return c->left ? 1 : copy_end(c, 0);
}

void keep_give_up(struct keep_copy *c)
{
	if (c)
		copy_end(c, -ECANCELED);
}

int keep_file(struct keep_copy **cp, struct keep *k, const char *name, const void *data, size_t n,
	      int fd, char *url, size_t size)
{
	struct keep_copy *c = malloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct keep_copy){.keep = k, .from = fd, .left = n};
	make_name(name, c->name, sizeof(c->name));
	snprintf(url, size, "/recordings/chat/%s", c->name);
	if (fd >= 0 && link_file(k, c->name, fd) == 0) {
		free(c);
		return 0;
	}
	c->to = openat(k->dirfd, c->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (c->to < 0) {
		int err = -errno;
		free(c);
		return err;
	}
	if (fd < 0)
		return copy_end(c, file_write_all(c->to, data, n));
	*cp = c;
	return 1;
}
