/* Rings: order, wrap-around, roles, damage, sleeping and waking. */
#include "frame/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../support/test.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

static struct ring *producer, *consumer;

/* Before every case: an empty folder's worth of rings, and nothing left open by a failed case. */
static void start(size_t size)
{
	setenv("MSR_RING_DIR", test_dir(), 1);
	ring_close(producer);
	ring_close(consumer);
	producer = consumer = NULL;
	ring_unlink("t");
	if (!size)
		return;
	CHECK_INT(ring_open(&producer, "t", RING_PRODUCER, size), 0);
	CHECK_INT(ring_open(&consumer, "t", RING_CONSUMER, 0), 0);
}

static bool readable(const struct ring *r)
{
	struct pollfd p = {.fd = ring_fd(r), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* A record of `n` bytes that all tell its number. */
static bool put(uint64_t number, size_t n)
{
	uint8_t *p = ring_reserve(producer, n);

	if (!p)
		return false;
	memset(p, (int)(number % 251), n);
	ring_publish(producer, n);
	return true;
}

static bool take(uint64_t number, size_t n)
{
	const uint8_t *p;

	if (ring_peek(consumer, &p) < (long)n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] != number % 251)
			return false;
	ring_advance(consumer, n);
	return true;
}

TEST(what_is_published_arrives_at_every_offset)
{
	size_t n = 264; /* does not divide a page: every multiple of 8 becomes a start */

	start(1);
	for (uint64_t i = 0; i < 4 * PAGE; i++) {
		CHECK(put(i, n));
		CHECK(take(i, n));
		ring_commit(consumer, ring_cursor(consumer));
		CHECK_INT(ring_tail(producer), (i + 1) * n);
	}
}

TEST(a_full_ring_refuses_and_goes_on)
{
	uint64_t sent = 0, got = 0;
	struct ring_stats st;

	start(1);
	for (int round = 0; round < 100; round++) {
		while (put(sent, 1000))
			sent++;
		CHECK_INT(sent - got, PAGE / 1000);
		for (; got < sent; got++)
			CHECK(take(got, 1000));
		CHECK(!put(sent, 1000)); /* read is not safe yet */
		ring_commit(consumer, ring_cursor(consumer));
	}
	CHECK(!ring_reserve(producer, ring_record_max(producer) + 1));
	ring_stats(producer, &st);
	CHECK_INT(st.records, sent);
	CHECK_INT(st.full, 200);
	CHECK_INT(st.high_water, PAGE / 1000 * 1000);
}

TEST(a_restarted_consumer_goes_on_with_what_is_not_safe)
{
	start(1 << 16);
	for (uint64_t i = 0; i < 10; i++)
		CHECK(put(i, 800));
	for (uint64_t i = 0; i < 5; i++)
		CHECK(take(i, 800));
	ring_commit(consumer, 3 * 800);
	ring_close(consumer);
	CHECK_INT(ring_open(&consumer, "t", RING_CONSUMER, 0), 0);
	for (uint64_t i = 3; i < 10; i++)
		CHECK(take(i, 800));
}

TEST(a_restarted_producer_leaves_what_it_published)
{
	start(1 << 16);
	CHECK(put(0, 800));
	memset(ring_reserve(producer, 800), 9, 800); /* never published */
	ring_close(producer);
	CHECK_INT(ring_open(&producer, "t", RING_PRODUCER, 0), 0);
	CHECK(put(1, 800));
	CHECK(take(0, 800) && take(1, 800));
	const uint8_t *p;
	CHECK_INT(ring_peek(consumer, &p), 0);
}

TEST(a_second_live_side_is_refused)
{
	struct ring *second;
	int status;

	start(1 << 16);
	CHECK_INT(ring_open(&second, "t", RING_PRODUCER, 0), -EBUSY);
	CHECK_INT(ring_open(&second, "t", RING_CONSUMER, 0), -EBUSY);
	pid_t pid = fork();
	if (!pid)
		_exit(ring_open(&second, "t", RING_CONSUMER, 0) == -EBUSY ? 0 : 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	ring_close(consumer);
	CHECK_INT(ring_open(&consumer, "t", RING_CONSUMER, 0), 0);
}

TEST(a_consumer_is_told_whether_there_is_a_producer)
{
	start(1 << 16);
	CHECK(ring_has_producer(consumer));
	ring_close(producer);
	CHECK(!ring_has_producer(consumer));
	CHECK_INT(ring_open(&producer, "t", RING_PRODUCER, 0), 0);
	CHECK(ring_has_producer(consumer));
}

TEST(names_are_checked)
{
	static const char *const bad[] = {"", "../x", "a/b", ".x", "x.bell", "x.room"};
	struct ring *r;

	start(0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK_INT(ring_open(&r, bad[i], RING_PRODUCER, 0), -EINVAL);
}

static void ring_file(char *path, size_t size)
{
	snprintf(path, size, "%s/msr-t", test_dir());
}

TEST(a_ring_is_private_and_keeps_its_size)
{
	char path[128];
	struct ring *other;
	struct stat st;

	start(3 * PAGE - 1);
	ring_file(path, sizeof(path));
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	CHECK_INT(st.st_size, 4 * PAGE);
	CHECK(st.st_blocks * 512 >= st.st_size);
	ring_close(producer);
	CHECK_INT(ring_open(&producer, "t", RING_PRODUCER, 64 * PAGE), 0);
	CHECK_INT(ring_record_max(producer), 3 * PAGE / 2);
	CHECK_INT(ring_unlink("t"), 0);
	CHECK_INT(ring_unlink("t"), -ENOENT);
	CHECK(ring_id(producer) && ring_id(producer) == ring_id(consumer));
	CHECK(put(0, 8) && take(0, 8));
	CHECK_INT(ring_open(&other, "t", RING_PRODUCER, PAGE), 0);
	CHECK(ring_id(other) && ring_id(other) != ring_id(producer));
	ring_close(other);
}

TEST(a_foreign_or_damaged_file_is_refused)
{
	/* Offsets in the control page with something wrong each: see msr-frame(5). */
	static const struct {
		off_t at;
		uint8_t byte;
	} damage[] = {{0, 'X'},	 {8, 2},   {12, 1},  {16, 1},  {20, 1},
		      {23, 255}, {128, 4}, {135, 1}, {256, 8}, {263, 128}};
	char path[128];

	start(0);
	ring_file(path, sizeof(path));
	for (size_t i = 0; i < sizeof(damage) / sizeof(*damage); i++) {
		start(PAGE);
		ring_close(producer);
		producer = NULL;
		ring_close(consumer);
		consumer = NULL;
		int fd = open(path, O_RDWR);
		CHECK(fd >= 0 && pwrite(fd, &damage[i].byte, 1, damage[i].at) == 1);
		close(fd);
		CHECK_INT(ring_open(&producer, "t", RING_PRODUCER, PAGE), -EBADMSG);
		CHECK_INT(ring_open(&consumer, "t", RING_CONSUMER, PAGE), -EBADMSG);
	}
	start(PAGE);
	ring_close(producer);
	producer = NULL;
	CHECK_INT(truncate(path, (off_t)PAGE), 0);
	CHECK_INT(ring_open(&producer, "t", RING_PRODUCER, PAGE), -EBADMSG);
	CHECK_INT(truncate(path, 0), 0);
	CHECK_INT(ring_open(&producer, "t", RING_PRODUCER, PAGE), -EBADMSG);
	CHECK_INT(unlink(path), 0);
	CHECK_INT(symlink("/dev/null", path), 0);
	CHECK_INT(ring_open(&producer, "t", RING_PRODUCER, PAGE), -EBADMSG);
}

/* Positions that turn bad while both sides live. */
TEST(damage_while_running_stops_both_sides)
{
	static const uint64_t bad_heads[] = {4, 1 << 20, UINT64_MAX, 1ull << 63};
	static const uint64_t bad_tails[] = {4, 808, UINT64_MAX - 7, 1ull << 63};
	const uint8_t *p;
	char path[128];

	ring_file(path, sizeof(path));
	for (int i = 0; i < 4; i++) {
		start(PAGE);
		CHECK(put(0, 800));
		int fd = open(path, O_RDWR);
		CHECK_INT(pwrite(fd, &bad_heads[i], 8, 128), 8);
		CHECK_INT(ring_peek(consumer, &p), -EBADMSG);
		CHECK_INT(ring_error(consumer), -EBADMSG);
		CHECK(!ring_arm(consumer)); /* else "until nothing is there" would never end */
		CHECK_INT(ring_wait(consumer, -1), -EBADMSG);
		CHECK_INT(pwrite(fd, &bad_tails[i], 8, 256), 8);
		CHECK_INT(ring_tail(producer), 0);
		CHECK_INT(ring_error(producer), -EBADMSG);
		CHECK(!ring_reserve(producer, 8));
		close(fd);
	}
}

TEST(the_bell_rings_only_for_a_sleeper)
{
	struct ring_stats st;

	start(1 << 16);
	ring_disarm(consumer); /* opening rings once */
	ring_disarm(producer);
	for (uint64_t i = 0; i < 3; i++)
		CHECK(put(i, 8));
	CHECK(!readable(consumer));
	CHECK(ring_arm(consumer));
	for (uint64_t i = 0; i < 3; i++)
		CHECK(take(i, 8));
	CHECK(!ring_arm(consumer));
	CHECK(!readable(consumer));
	for (uint64_t i = 3; i < 6; i++)
		CHECK(put(i, 8));
	CHECK(readable(consumer));
	ring_disarm(consumer);
	CHECK(!readable(consumer));
	ring_stats(consumer, &st);
	CHECK_INT(st.wakeups, 1);

	CHECK(!ring_arm(producer));
	ring_commit(consumer, ring_cursor(consumer));
	CHECK(readable(producer));
	ring_disarm(producer);
	CHECK_INT(ring_tail(producer), 24);
}

TEST(a_full_ring_wakes_its_producer_when_there_is_good_room)
{
	start(1 << 16);
	uint64_t n = 0;
	while (put(n, 1024))
		n++;
	ring_disarm(producer);
	CHECK(!ring_arm(producer));
	for (uint64_t i = 0; i < 7; i++) {
		CHECK(take(i, 1024));
		ring_commit(consumer, ring_cursor(consumer));
		CHECK(!readable(producer));
	}
	CHECK(take(7, 1024));
	ring_commit(consumer, ring_cursor(consumer));
	CHECK(readable(producer));
	ring_disarm(producer);
	CHECK(put(n, 1024));
}

TEST(the_death_of_the_other_side_wakes_once)
{
	start(1 << 16);
	ring_disarm(consumer);
	CHECK(!ring_arm(consumer) && !readable(consumer));
	ring_close(producer);
	producer = NULL;
	CHECK(readable(consumer));
	ring_disarm(consumer);
	CHECK(!readable(consumer)); /* else a loop would spin until somebody comes */
	CHECK(!ring_arm(consumer));
	/* And the next one is noticed, whatever it does first. */
	CHECK_INT(ring_open(&producer, "t", RING_PRODUCER, 0), 0);
	CHECK(readable(consumer));
	ring_disarm(consumer);
	CHECK(!ring_arm(consumer) && !readable(consumer));
	CHECK(put(0, 8));
	CHECK(readable(consumer));
	ring_disarm(consumer);
	ring_close(producer);
	producer = NULL;
	CHECK(readable(consumer));
}

TEST(waiting_times_out)
{
	start(1 << 16);
	CHECK_INT(ring_wait(consumer, 0), 0);
	CHECK_INT(ring_wait(consumer, 5), 0);
	CHECK(put(0, 8));
	CHECK_INT(ring_wait(consumer, -1), 1);
}

/* ---- two sides that really run at once ---- */

#define THREAD_RECORDS 200000

static size_t record_size(uint64_t i)
{
	return 8 + (i * 2654435761u >> 7) % 60 * 8;
}

static void *produce(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < THREAD_RECORDS;) {
		size_t n = record_size(i);
		uint8_t *p = ring_reserve(producer, n);
		if (!p) {
			ring_wait(producer, -1);
			continue;
		}
		memset(p, (int)(i % 251), n);
		memcpy(p, &i, 8);
		/* One at a time and in batches, so that both ways to wake are taken. */
		if (i / 1000 % 2)
			ring_publish_more(producer, n);
		else
			ring_publish(producer, n);
		if (++i % 16 == 0)
			ring_flush(producer);
	}
	ring_flush(producer);
	return NULL;
}

TEST(two_threads_lose_neither_records_nor_wakeups)
{
	pthread_t thread;
	uint64_t i = 0;

	start(1 << 16);
	CHECK_INT(pthread_create(&thread, NULL, produce, NULL), 0);
	while (i < THREAD_RECORDS) {
		const uint8_t *p;
		long have = ring_peek(consumer, &p);
		if (!have && ring_wait(consumer, 20000) != 1)
			break;
		while (have > 0) {
			size_t n = record_size(i);
			uint64_t got;
			memcpy(&got, p, 8);
			if (got != i || p[n - 1] != (n > 8 ? i % 251 : p[7]))
				goto wrong;
			p += n;
			have -= (long)n;
			ring_advance(consumer, n);
			if (i++ % 3 == 0)
				ring_commit(consumer, ring_cursor(consumer));
		}
		ring_commit(consumer, ring_cursor(consumer));
	}
wrong:
	CHECK_INT(i, THREAD_RECORDS);
	pthread_join(thread, NULL);
	start(0);
}
