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

enum { NAME_MAX_ = 100, RANDOM_BYTES = 16, COPY_STEP = 1 << 20 };

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

/* With sendfile(2): copy_file_range(2) refuses two file systems of different kinds. */
static int copy_file(int from, int to, size_t n)
{
	off_t at = 0;

	while (n) {
		ssize_t got = sendfile(to, from, &at, n < COPY_STEP ? n : COPY_STEP);
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		n -= (size_t)got;
	}
	return 0;
}

int keep_file(struct keep *k, const char *name, const void *data, size_t n, int fd, char *url,
	      size_t size)
{
	char own[NAME_MAX_ + 64];
	int ret = -EXDEV;

	make_name(name, own, sizeof(own));
	if (fd >= 0)
		ret = link_file(k, own, fd);
	if (ret) {
		int to = openat(k->dirfd, own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (to < 0)
			return -errno;
		ret = fd >= 0 ? copy_file(fd, to, n) : file_write_all(to, data, n);
		if (close(to) < 0 && !ret)
			ret = -errno;
		if (ret)
			unlinkat(k->dirfd, own, 0);
	}
	if (!ret)
		snprintf(url, size, "/recordings/chat/%s", own);
	return ret;
}
