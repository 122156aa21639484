/*
 * Part files: writes at positions of our own, so that a write that failed half-way is just redone.
 */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

void part_init(struct part *p)
{
	*p = (struct part){.fd = -1};
	buf_init(&p->gathered, PART_GATHER_MAX);
}

int part_create(struct part *p, int dirfd, const char *path)
{
	part_init(p);
	p->fd = openat(dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	return p->fd < 0 ? -errno : 0;
}

int part_resume(struct part *p, int dirfd, const char *path, uint64_t length)
{
	struct stat st;

	part_init(p);
	p->fd = openat(dirfd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (p->fd < 0)
		return -errno;
	if (fstat(p->fd, &st) < 0)
		return -errno;
	p->written = length < (uint64_t)st.st_size ? length : (uint64_t)st.st_size;
	return ftruncate(p->fd, (off_t)p->written) < 0 ? -errno : 0;
}

void part_close(struct part *p)
{
	if (p->fd >= 0)
		close(p->fd);
	buf_done(&p->gathered);
	part_init(p);
}

uint64_t part_length(const struct part *p)
{
	return p->written + buf_len(&p->gathered);
}

/* Writes the `n` vectors at `at`, going on after short writes; changes them. 0 or -errno. */
static int write_at(int fd, struct iovec *v, int n, uint64_t at)
{
	while (n) {
		ssize_t w = v->iov_len ? pwritev(fd, v, n, (off_t)at) : 0;
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		at += (uint64_t)w;
		while (n && (size_t)w >= v->iov_len) {
			w -= (ssize_t)v->iov_len;
			v++;
			n--;
		}
		if (n) {
			v->iov_base = (char *)v->iov_base + w;
			v->iov_len -= (size_t)w;
		}
	}
	return 0;
}

/* Writes what gathered and then `data`. */
static int write_out(struct part *p, const void *data, size_t n)
{
	size_t len = buf_len(&p->gathered);
	struct iovec v[2] = {{.iov_base = len ? buf_data(&p->gathered) : NULL, .iov_len = len},
			     {.iov_base = (void *)(uintptr_t)data, .iov_len = n}};
	int ret = write_at(p->fd, len ? v : v + 1, len ? 2 : 1, p->written);

	if (ret)
		return ret;
	p->written += len + n;
	buf_consume(&p->gathered, len);
	return 0;
}

int part_append(struct part *p, const void *data, size_t n)
{
	if (buf_append(&p->gathered, data, n) == 0)
		return 0;
	return write_out(p, data, n); /* does not fit, or no memory: then at once */
}

int part_flush(struct part *p)
{
	return buf_len(&p->gathered) ? write_out(p, NULL, 0) : 0;
}

int part_fill(struct part *p, uint8_t byte, uint64_t n)
{
	uint8_t block[4096];
	int ret = part_flush(p);

	if (ret)
		return ret;
	if (!byte) {
		if (ftruncate(p->fd, (off_t)(p->written + n)) < 0)
			return -errno;
		p->written += n;
		return 0;
	}
	memset(block, byte, sizeof(block));
	for (uint64_t done = 0; done < n && !ret;) {
		size_t len = n - done < sizeof(block) ? (size_t)(n - done) : sizeof(block);
		struct iovec v = {.iov_base = block, .iov_len = len};
		ret = write_at(p->fd, &v, 1, p->written + done);
		done += len;
	}
	if (!ret)
		p->written += n;
	return ret;
}

void part_cut(struct part *p)
{
	buf_consume(&p->gathered, buf_len(&p->gathered));
	if (ftruncate(p->fd, (off_t)p->written) < 0)
		return; /* the journal says how much counts */
}

int part_patch(struct part *p, const void *data, size_t n)
{
	struct iovec v = {.iov_base = (void *)(uintptr_t)data, .iov_len = n};

	return write_at(p->fd, &v, 1, 0);
}

void part_rest(struct part *p)
{
	if (!buf_len(&p->gathered))
		buf_done(&p->gathered);
}
