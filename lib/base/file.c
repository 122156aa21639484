/* Whole-file helpers and durable publishing. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "random.h"

#define READ_STEP  65536 /* bytes a read(2) */
#define TEMP_BYTES 8	 /* of randomness in a temporary name */

int file_write_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int file_mkdirs(const char *path)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (!len)
		return -ENOENT;
	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0777) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (mkdir(part, 0777) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	struct stat st;
	if (stat(part, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_read(int dirfd, const char *path, size_t max, struct buf *b)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	size_t total = 0;
	int ret = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		uint8_t *p = buf_reserve(b, READ_STEP);
		if (!p) {
			ret = -ENOMEM;
			break;
		}
		ssize_t n = read(fd, p, READ_STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			ret = n < 0 ? -errno : 0;
			break;
		}
		total += (size_t)n;
		if (total > max) {
			ret = -EFBIG;
			break;
		}
		buf_commit(b, (size_t)n);
	}
	close(fd);
	return ret;
}

int file_sync_dir(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0 && errno != EINVAL)
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * "folder/.tmp-RANDOM" beside `path`, so that the rename stays in one file system. Nobody else has
 * that name: process ids are the same in several containers, and again after a crash.
 */
static int temp_name(const char *path, char out[PATH_MAX])
{
	char unique[2 * TEMP_BYTES + 1];
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path + 1) : 0;

	random_hex(unique, TEMP_BYTES);
	int n = snprintf(out, PATH_MAX, "%.*s.tmp-%s", folder, path, unique);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int file_rename_excl(int dirfd, const char *from, const char *to)
{
	if (renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* The file system, or the kernel, has not got that flag. link(2) refuses an existing name
	 * as well. */
	if (linkat(dirfd, from, dirfd, to, 0) < 0)
		return -errno;
	if (unlinkat(dirfd, from, 0) < 0) {
		int err = -errno;
		unlinkat(dirfd, to, 0);
		return err;
	}
	return 0;
}

int file_publish(int dirfd, const char *path, const void *data, size_t n)
{
	char temp[PATH_MAX], folder[PATH_MAX];
	int ret = temp_name(path, temp);

	if (ret < 0)
		return ret;
	int fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	ret = file_write_all(fd, data, n);
	if (!ret && fsync(fd) < 0)
		ret = -errno;
	if (close(fd) < 0 && !ret)
		ret = -errno;
	if (!ret && renameat(dirfd, temp, dirfd, path) < 0)
		ret = -errno;
	if (ret) {
		unlinkat(dirfd, temp, 0);
		return ret;
	}
	const char *slash = strrchr(path, '/');
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path + 1) : 1,
		 slash ? path : ".");
	return file_sync_dir(dirfd, folder);
}

int file_refresh(int dirfd, const char *path, const void *data, size_t n)
{
	int ret = file_publish(dirfd, path, data, n);

	if (ret) {
		int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);
		if (fd >= 0) {
			futimens(fd, NULL);
			close(fd);
		}
	}
	return ret;
}

#define FD_PATH_SIZE 32 /* "/proc/self/fd/" and an int */

static void fd_path(int fd, char out[static FD_PATH_SIZE])
{
	snprintf(out, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
}

int file_reopen(int fd, int flags)
{
	char path[FD_PATH_SIZE];

	fd_path(fd, path);
	int new = open(path, flags | O_CLOEXEC);
	return new < 0 ? -errno : new;
}

int file_link(int fd, int dirfd, const char *path)
{
	char self[FD_PATH_SIZE];

	fd_path(fd, self);
	return linkat(AT_FDCWD, self, dirfd, path, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int add_flag(int fd, int get, int set, int flag)
{
	int flags = fcntl(fd, get);

	if (flags < 0 || fcntl(fd, set, flags | flag) < 0)
		return -errno;
	return 0;
}

int file_set_cloexec(int fd)
{
	return add_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC);
}

int file_set_nonblock(int fd)
{
	return add_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK);
}
