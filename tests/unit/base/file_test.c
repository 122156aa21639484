/* Files: durable publishing keeps its promises; folders; limits. */
#include "base/file.h"
#include "base/buf.h"
#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../support/test.h"

static int folder(void)
{
	return open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int entries(int dirfd)
{
	DIR *d = fdopendir(dup(dirfd));
	int n = 0;

	rewinddir(d);
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	return n;
}

TEST(publish_replaces_and_leaves_no_trace)
{
	int dir = folder();
	char name[64];
	struct buf b;

	buf_init(&b, 0);
	CHECK_INT(file_publish(dir, "x", "one", 3), 0);
	CHECK_INT(file_read(dir, "x", 10, &b), 0);
	CHECK_INT(buf_len(&b), 3);
	CHECK_MEM(buf_data(&b), "one", 3);
	CHECK_INT(file_publish(dir, "x", "three", 5), 0);
	buf_consume(&b, 3);
	CHECK_INT(file_read(dir, "x", 10, &b), 0);
	CHECK_MEM(buf_data(&b), "three", 5);
	CHECK_INT(file_read(dir, "x", 4, &b), -EFBIG);
	CHECK_INT(file_publish(dir, "no/such/folder", "x", 1), -ENOENT);
	CHECK_INT(entries(dir), 1);
	/* Files of another container's process, which has our number. */
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), ".tmp-%d-%d", (int)getpid(), i);
		close(openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
	CHECK_INT(file_publish(dir, "x", "four", 4), 0);
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), ".tmp-%d-%d", (int)getpid(), i);
		unlinkat(dir, name, 0);
	}
	buf_done(&b);
	unlinkat(dir, "x", 0);
	close(dir);
}

/* What the C library has under these names is hidden by these, so that they can fail. */
static int rename_error, unlink_error;

int renameat2(int fromfd, const char *from, int tofd, const char *to, unsigned int flags)
{
	if (rename_error) {
		errno = rename_error;
		return -1;
	}
	return (int)syscall(SYS_renameat2, fromfd, from, tofd, to, flags);
}

int unlinkat(int fd, const char *path, int flags)
{
	if (unlink_error) {
		errno = unlink_error;
		unlink_error = 0; /* the next works */
		return -1;
	}
	return (int)syscall(SYS_unlinkat, fd, path, flags);
}

TEST(rename_excl_overwrites_nothing)
{
	/* The system call, and its replacement where a file system or a kernel has none. */
	const int errors[] = {0, EINVAL, ENOSYS};
	int dir = folder();

	CHECK_INT(file_publish(dir, "old", "old", 3), 0);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		rename_error = errors[i];
		CHECK_INT(file_publish(dir, "from", "new", 3), 0);
		CHECK_INT(file_rename_excl(dir, "from", "old"), -EEXIST);
		CHECK_INT(entries(dir), 2);
		CHECK_INT(file_rename_excl(dir, "from", "to"), 0);
		CHECK_INT(file_rename_excl(dir, "from", "to"), -ENOENT);
		CHECK_INT(faccessat(dir, "from", F_OK, 0), -1);
		CHECK_INT(entries(dir), 2);
		unlinkat(dir, "to", 0);
	}
	rename_error = EIO;
	CHECK_INT(file_rename_excl(dir, "old", "to"), -EIO);
	rename_error = EINVAL;
	unlink_error = EPERM;
	CHECK_INT(file_rename_excl(dir, "old", "to"), -EPERM);
	rename_error = 0;
	CHECK_INT(faccessat(dir, "old", F_OK, 0), 0);
	CHECK_INT(entries(dir), 1); /* not under both names */
	unlinkat(dir, "old", 0);
	close(dir);
}

TEST(what_cannot_be_refreshed_is_marked_as_current)
{
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct rlimit was, none;
	int dir = folder();
	struct stat st;

	CHECK_INT(file_refresh(dir, "m", "one", 3), 0);
	CHECK_INT(utimensat(dir, "m", old, 0), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	none = (struct rlimit){0, was.rlim_max};
	setrlimit(RLIMIT_FSIZE, &none);
	int ret = file_refresh(dir, "m", "two", 3);
	int first = file_refresh(dir, "first", "two", 3);
	setrlimit(RLIMIT_FSIZE, &was);
	CHECK_INT(ret, -EFBIG);
	CHECK_INT(first, -EFBIG);
	CHECK(fstatat(dir, "m", &st, 0) == 0 && st.st_size == 3 && st.st_mtim.tv_sec > 1000);
	CHECK(fstatat(dir, "first", &st, 0) == 0 && st.st_size == 0);
	CHECK_INT(entries(dir), 2);
	unlinkat(dir, "m", 0);
	unlinkat(dir, "first", 0);
	close(dir);
}

TEST(a_file_is_opened_and_named_by_its_descriptor)
{
	int dir = folder();
	int fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	char got[8] = "";

	CHECK(fd >= 0);
	CHECK_INT(file_write_all(fd, "one", 3), 0);
	int again = file_reopen(fd, O_RDONLY);
	CHECK_INT(read(again, got, sizeof(got)), 3);
	CHECK_STR(got, "one");
	CHECK(fcntl(again, F_GETFD) & FD_CLOEXEC);
	close(again);
	CHECK_INT(file_link(fd, dir, "named"), 0);
	CHECK_INT(file_link(fd, dir, "named"), -EEXIST);
	CHECK_INT(faccessat(dir, "named", F_OK, 0), 0);
	unlinkat(dir, "named", 0);
	close(fd);
	CHECK_INT(file_reopen(fd, O_RDONLY), -ENOENT);
	close(dir);
}

TEST(folders_are_made_with_parents)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/a/b/c", test_dir());
	CHECK_INT(file_mkdirs(path), 0);
	CHECK_INT(file_mkdirs(path), 0);
	CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
	snprintf(path, sizeof(path), "%s/f", test_dir());
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	CHECK_INT(file_mkdirs(path), -ENOTDIR);
}

TEST(times_are_rfc3339)
{
	char t[CLOCK_RFC3339_SIZE];

	clock_rfc3339(0, t);
	CHECK_STR(t, "1970-01-01T00:00:00.000000Z");
	clock_rfc3339(1700000000123456, t);
	CHECK_STR(t, "2023-11-14T22:13:20.123456Z");
	clock_rfc3339(INT64_MIN, t);
	CHECK_STR(t, "1970-01-01T00:00:00.000000Z");
	clock_rfc3339(INT64_MAX, t);
	CHECK_STR(t, "9999-12-31T23:59:59.999999Z");
}
