/* The journal: what is written is read again, and whatever interrupts it leaves a whole state. */
#include "../../../cmd/msr-record/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../support/test.h"

static const struct journal_head head = {"room", "session", "storage"};

static struct journal_state sample(void)
{
	struct journal_state s = {.phase = PHASE_OPEN, .n_gaps = 1};

	s.streams[STREAM_AUDIO] = (struct journal_stream){.present = true,
							  .codec = 17,
							  .channels = 2,
							  .rate = 48000,
							  .bytes = 12345678901,
							  .base = 7,
							  .first_part = 1,
							  .next_part = 99,
							  .parts = 90,
							  .missing = 8,
							  .duplicates = 3,
							  .first_us = 1000,
							  .last_us = -5,
							  .first_len = 10,
							  .first_crc = 0xdeadbeef,
							  .chunk_bytes = 3840};
	s.gaps[0] = (struct journal_gap){STREAM_VIDEO, 5, 6, -7};
	return s;
}

static void path_of(char out[256], const char *name)
{
	snprintf(out, 256, "%s/%s", test_dir(), name);
}

TEST(a_state_comes_back_as_written)
{
	struct journal_state s = sample(), got;
	struct journal_head h;
	char path[256];
	int fd, fd2;

	path_of(path, "whole");
	CHECK(journal_set_position(&s, 77, 1000));
	CHECK_INT(journal_create(&fd, AT_FDCWD, path, &head, &s), 0);
	s.phase = PHASE_ENDED;
	CHECK_INT(journal_write(fd, &s), 0);
	CHECK_INT(s.number, 2);
	close(fd);
	CHECK_INT(journal_open(&fd2, AT_FDCWD, path, &h, &got), 0);
	CHECK_STR(h.room, "room");
	CHECK_STR(h.session, "session");
	CHECK_STR(h.storage, "storage");
	CHECK_INT(got.phase, PHASE_ENDED);
	CHECK_INT(got.number, 2);
	CHECK(memcmp(&got.streams, &s.streams, sizeof(s.streams)) == 0);
	CHECK_INT(got.gaps[0].at_us, -7);
	CHECK_INT(journal_position(&got, 77), 1000);
	CHECK_INT(journal_position(&got, 78), 0);
	close(fd2);
}

TEST(a_torn_write_leaves_the_state_before)
{
	struct journal_state s = sample(), got;
	struct journal_head h;
	uint8_t bytes[JOURNAL_SIZE] = {0};

	journal_render_head(&head, bytes);
	for (uint64_t n = 1; n <= 4; n++) {
		s.number = n;
		journal_render_slot(&s, bytes + JOURNAL_HEAD + (n & 1) * JOURNAL_SLOT);
	}
	CHECK_INT(journal_parse(bytes, sizeof(bytes), &h, &got), 0);
	CHECK_INT(got.number, 4);
	/* At every length of the next write. */
	uint8_t next[JOURNAL_SLOT];
	s.number = 5;
	s.streams[STREAM_AUDIO].bytes++;
	s.n_gaps++;
	journal_render_slot(&s, next);
	for (size_t n = 0; n <= JOURNAL_SLOT; n++) {
		uint8_t torn[JOURNAL_SIZE];
		memcpy(torn, bytes, sizeof(torn));
		memcpy(torn + JOURNAL_HEAD + JOURNAL_SLOT, next, n);
		CHECK_INT(journal_parse(torn, sizeof(torn), &h, &got), 0);
		CHECK(got.number == 4 || (got.number == 5 && got.n_gaps == s.n_gaps));
	}
	CHECK_INT(got.number, 5);
}

TEST(damage_is_refused)
{
	struct journal_state s = sample(), got;
	struct journal_head h;
	uint8_t bytes[JOURNAL_SIZE + 1] = {0};

	s.number = 1;
	journal_render_head(&head, bytes);
	CHECK_INT(journal_parse(bytes, JOURNAL_SIZE, &h, &got), -EBADMSG); /* no state yet */
	journal_render_slot(&s, bytes + JOURNAL_HEAD);
	CHECK_INT(journal_parse(bytes, JOURNAL_SIZE, &h, &got), 0);
	CHECK_INT(journal_parse(bytes, JOURNAL_SIZE - 1, &h, &got), -EBADMSG);
	CHECK_INT(journal_parse(bytes, JOURNAL_SIZE + 1, &h, &got), -EBADMSG);
	bytes[20] ^= 1;
	CHECK_INT(journal_parse(bytes, JOURNAL_SIZE, &h, &got), -EBADMSG);
}

TEST(ids_that_are_none_are_refused_even_with_a_right_checksum)
{
	static const struct journal_head bad = {"../x", "session", ""};
	struct journal_state s = sample(), got;
	struct journal_head h;
	uint8_t bytes[JOURNAL_SIZE] = {0};

	s.number = 1;
	journal_render_head(&bad, bytes);
	journal_render_slot(&s, bytes + JOURNAL_HEAD);
	CHECK_INT(journal_parse(bytes, JOURNAL_SIZE, &h, &got), -EBADMSG);
}

TEST(a_journal_is_made_once_and_held_by_one)
{
	struct journal_state s = sample();
	struct journal_head h;
	char path[256];
	int fd, fd2;

	path_of(path, "held");
	CHECK_INT(journal_create(&fd, AT_FDCWD, path, &head, &s), 0);
	CHECK_INT(journal_create(&fd2, AT_FDCWD, path, &head, &s), -EEXIST);
	CHECK_INT(journal_open(&fd2, AT_FDCWD, path, &h, &s), -EBUSY);
	close(fd);
	CHECK_INT(journal_open(&fd2, AT_FDCWD, path, &h, &s), 0);
	close(fd2);
}

TEST(who_looks_into_a_journal_that_is_being_made_keeps_nobody_from_making_it)
{
	struct journal_state s = sample();
	struct journal_head h;
	char path[256];
	int fd, ret = 0;

	path_of(path, "looked_at");
	pid_t parent = getpid(), pid = fork();
	while (!pid && getppid() == parent) /* or nobody would end it */
		if (journal_open(&fd, AT_FDCWD, path, &h, &s) == 0)
			close(fd);
	for (int i = 0; i < 2000 && !ret; i++) {
		ret = journal_create(&fd, AT_FDCWD, path, &head, &s);
		if (!ret)
			close(fd);
		unlink(path);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK_INT(ret, 0);
}

TEST(positions_of_four_rings_and_no_more)
{
	struct journal_state s = {0};

	CHECK(journal_set_position(&s, 0, 5)); /* a pipe has none */
	for (uint64_t ring = 1; ring <= JOURNAL_SOURCES; ring++)
		CHECK(journal_set_position(&s, ring, ring * 10));
	CHECK(!journal_set_position(&s, 9, 90));
	CHECK(journal_set_position(&s, 2, 25));
	CHECK_INT(journal_position(&s, 2), 25);
	CHECK_INT(journal_position(&s, 9), 0);
}
