/* Part files: gathering, large appends, silence, going on after a cut; and a full disk. */
#include "../../../cmd/msr-record/part.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../support/test.h"

static void open_part(struct part *p, char path[256], const char *name)
{
	snprintf(path, 256, "%s/%s", test_dir(), name);
	CHECK_INT(part_create(p, AT_FDCWD, path), 0);
}

static long size_of(const char *path)
{
	struct stat st;

	CHECK_INT(stat(path, &st), 0);
	return (long)st.st_size;
}

TEST(appends_gather_until_flushed)
{
	struct part p;
	char path[256], got[16] = {0};

	open_part(&p, path, "gather");
	CHECK_INT(part_append(&p, "abc", 3), 0);
	CHECK_INT(part_append(&p, "def", 3), 0);
	CHECK_INT(size_of(path), 0);
	CHECK_INT(part_length(&p), 6);
	CHECK_INT(part_flush(&p), 0);
	CHECK_INT(pread(p.fd, got, sizeof(got), 0), 6);
	CHECK_STR(got, "abcdef");
	part_close(&p);
}

TEST(a_file_that_is_there_is_not_made_anew)
{
	struct part p, other;
	char path[256];

	open_part(&p, path, "there");
	CHECK_INT(part_append(&p, "abc", 3), 0);
	CHECK_INT(part_flush(&p), 0);
	CHECK_INT(part_create(&other, AT_FDCWD, path), -EEXIST);
	part_close(&other);
	CHECK_INT(size_of(path), 3);
	part_close(&p);
}

TEST(a_large_append_follows_what_gathered)
{
	struct part p;
	char path[256], got[4];
	char *big = calloc(1, PART_GATHER_MAX * 3);

	open_part(&p, path, "large");
	CHECK_INT(part_append(&p, "abc", 3), 0);
	memset(big, 'x', PART_GATHER_MAX * 3);
	CHECK_INT(part_append(&p, big, PART_GATHER_MAX * 3), 0);
	CHECK_INT(size_of(path), 3 + PART_GATHER_MAX * 3);
	CHECK_INT(pread(p.fd, got, 4, 0), 4);
	CHECK_MEM(got, "abcx", 4);
	free(big);
	part_close(&p);
}

TEST(silence_is_as_long_as_asked)
{
	struct part p;
	char path[256];
	uint8_t got[3];

	open_part(&p, path, "silence");
	CHECK_INT(part_append(&p, "a", 1), 0);
	CHECK_INT(part_fill(&p, 0x80, 10000), 0);
	CHECK_INT(part_fill(&p, 0, 10000), 0);
	CHECK_INT(part_append(&p, "b", 1), 0);
	CHECK_INT(part_flush(&p), 0);
	CHECK_INT(size_of(path), 20002);
	CHECK_INT(pread(p.fd, got, 3, 10000), 3);
	CHECK(got[0] == 0x80 && got[1] == 0 && got[2] == 0);
	part_close(&p);
}

TEST(going_on_cuts_what_does_not_count)
{
	struct part p;
	char path[256];

	open_part(&p, path, "resume");
	CHECK_INT(part_append(&p, "0123456789", 10), 0);
	CHECK_INT(part_flush(&p), 0);
	part_close(&p);
	CHECK_INT(part_resume(&p, AT_FDCWD, path, 4), 0);
	CHECK_INT(size_of(path), 4);
	CHECK_INT(part_append(&p, "xy", 2), 0);
	CHECK_INT(part_flush(&p), 0);
	CHECK_INT(size_of(path), 6);
	part_close(&p);
	CHECK_INT(part_resume(&p, AT_FDCWD, path, 100), 0); /* shorter than promised */
	CHECK_INT(part_length(&p), 6);
	part_close(&p);
}

TEST(a_full_disk_takes_nothing_and_the_same_call_works_later)
{
	struct part p;
	char path[256], got[8];
	struct rlimit old, small = {5000, 0};
	char *big = malloc(PART_GATHER_MAX);

	memset(big, 'x', PART_GATHER_MAX);
	open_part(&p, path, "full");
	signal(SIGXFSZ, SIG_IGN);
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
	CHECK_INT(part_append(&p, "abcd", 4), 0);
	int appended = part_append(&p, big, PART_GATHER_MAX);
	int flushed = part_flush(&p);
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
	CHECK_INT(appended, -EFBIG);
	CHECK_INT(part_length(&p), 4);
	CHECK_INT(flushed, 0); /* that much fits */
	CHECK_INT(part_append(&p, big, PART_GATHER_MAX), 0);
	CHECK_INT(part_flush(&p), 0);
	CHECK_INT(size_of(path), 4 + PART_GATHER_MAX);
	CHECK_INT(pread(p.fd, got, 6, 0), 6);
	CHECK_MEM(got, "abcdxx", 6);
	free(big);
	part_close(&p);
}
