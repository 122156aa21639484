/* Unlinked temporary files and their budget. */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "limits.h"

/* O_TMPFILE where the file system can, otherwise a name for an instant. */
static int open_nameless(const char *dir)
{
	char path[PATH_MAX];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	if (snprintf(path, sizeof(path), "%s/.msr-chat-XXXXXX", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

int spool_open(struct spool *s, struct address *from, bool limited, uint64_t size,
	       struct spool_file **fp)
{
	uint64_t share = limited ? s->max / 2 : s->max;
	struct statvfs st;

	if (s->files >= s->max_files || from->files >= (limited ? s->max_files / 2 : s->max_files))
		return -EMFILE;
	if (size > s->max || s->used > s->max - size)
		return -ENOSPC;
	if (size > share || from->spooled > share - size)
		return -ENOSPC;
	/* Better told now than after half of a long upload. */
	if (statvfs(s->dir, &st) == 0 && size / st.f_frsize >= st.f_bavail)
		return -ENOSPC;
	struct spool_file *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->spool = s;
	f->fd = open_nameless(s->dir);
	if (f->fd < 0) {
		int err = f->fd;
		free(f);
		return err;
	}
	f->from = from;
	f->share = share;
	address_add_file(from);
	s->files++;
	*fp = f;
	return 0;
}

int spool_write(struct spool_file *f, const void *data, size_t n)
{
	if (n > f->spool->max - f->spool->used || f->from->spooled + n > f->share)
		return -ENOSPC;
	int ret = file_write_all(f->fd, data, n);
	if (ret < 0)
		return ret;
	f->size += n;
	f->spool->used += n;
	f->from->spooled += n;
	return 0;
}

void spool_free(struct spool_file *f)
{
	if (!f)
		return;
	f->spool->used -= f->size;
	f->spool->files--;
	f->from->spooled -= f->size;
	address_drop_file(f->spool->addresses, f->from);
	close(f->fd);
	free(f);
}
