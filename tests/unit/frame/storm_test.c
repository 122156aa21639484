/*
 * Rings under kill -9: producer and consumer die at random moments and are started again, and
 * every published record still arrives exactly once, whole and in order.
 *
 * The stream is a function of the position: size and content of the record at a position are
 * known to everybody, so no process has to remember anything, and whatever is lost, repeated or
 * torn shows. "Safe" is a page that the consumers share: what stands there survives them.
 */
#include "frame/ring.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#include "../../support/test.h"

#define RING_SIZE (1 << 16)
#define WORDS_MAX 400	   /* of 8 bytes in a record */
#define PATIENCE  20000000 /* us until something is called stuck */

static int rounds(void)
{
	const char *n = getenv("MSR_STORM_ROUNDS");

	return n ? atoi(n) : 500;
}

/* What the consumers have made safe, and how the children failed. */
struct safe {
	_Atomic uint64_t
	    pos; /* everything before it is stored; one word, so that kills cannot split it */
	_Atomic uint64_t again; /* records seen again after a restart, not stored twice */
	_Atomic int failed;	/* line of the check that failed in a child */
};

static struct safe *safe;

static _Noreturn void fail_child(int line)
{
	atomic_store(&safe->failed, line);
	_exit(1);
}

#define MUST(e)                               \
	do {                                  \
		if (!(e))                     \
			fail_child(__LINE__); \
	} while (0)

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15u;
	return x ^ x >> 29;
}

static size_t words_at(uint64_t pos)
{
	return 1 + mix(pos) % WORDS_MAX;
}

static void produce(void)
{
	struct ring *r;

	MUST(ring_open(&r, "storm", RING_PRODUCER, RING_SIZE) == 0);
	for (uint64_t i = 0;; i++) {
		uint64_t pos = ring_head(r);
		size_t n = words_at(pos);
		uint64_t *p = (uint64_t *)(void *)ring_reserve(r, n * 8);
		if (!p) {
			MUST(ring_error(r) == 0);
			MUST(ring_wait(r, PATIENCE / 1000) == 1);
			continue;
		}
		for (size_t k = 0; k < n; k++)
			p[k] = mix(pos + k);
		if (i % 5)
			ring_publish(r, n * 8);
		else
			ring_publish_more(r, n * 8);
		/*
		 * Often enough idle, so that the consumer sleeps and is woken, and sometimes with
		 * records that it has not been told of: a kill there must wake it as well.
		 */
		if (mix(pos) % 32 == 0)
			poll(NULL, 0, 1);
		if (mix(pos) % 64 == 0) {
			ring_flush(r);
			poll(NULL, 0, 1);
		}
	}
}

/* Stores one record, or knows it already. */
static size_t consume_one(uint64_t pos, const uint8_t *data, size_t have)
{
	const uint64_t *p = (const uint64_t *)(const void *)data;
	size_t n = words_at(pos);

	MUST(have >= n * 8);
	for (size_t k = 0; k < n; k++)
		MUST(p[k] == mix(pos + k));
	uint64_t stored = atomic_load(&safe->pos);
	if (pos < stored) {
		atomic_fetch_add(&safe->again, 1);
	} else {
		MUST(pos == stored);
		atomic_store(&safe->pos, pos + n * 8);
	}
	return n * 8;
}

static void consume(void)
{
	const uint8_t *p;
	struct ring *r;

	MUST(ring_open(&r, "storm", RING_CONSUMER, RING_SIZE) == 0);
	MUST(ring_cursor(r) <=
	     atomic_load(&safe->pos)); /* nothing is committed before it is safe */
	for (;;) {
		long have = ring_peek(r, &p);
		MUST(have >= 0);
		if (!have) {
			int ret = ring_wait(r, -1);
			MUST(ret == 1);
			continue;
		}
		for (size_t n; have > 0; have -= (long)n, p += n) {
			n = consume_one(ring_cursor(r), p, (size_t)have);
			ring_advance(r, n);
			if (mix(ring_cursor(r)) % 4 == 0)
				ring_commit(r, ring_cursor(r));
		}
		ring_commit(r, ring_cursor(r));
	}
}

static pid_t spawn(void (*run)(void))
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run();
	_exit(0);
}

static void nap_us(uint64_t us)
{
	nanosleep(&(struct timespec){.tv_nsec = (long)us * 1000}, NULL);
}

/* Kills, and checks that it was the kill that ended it. */
static void slay(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(atomic_load(&safe->failed), 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* With the producer dead: the living consumer stores everything that was published. */
static void check_drained(void)
{
	struct mono end = mono_add_us(mono_now(), PATIENCE);
	struct ring_stats st = {0};
	int ret;

	do {
		ret = ring_inspect("storm", &st);
		/* The producer may have died before the ring was made: the consumer makes it. */
		CHECK(!ret || ret == -ENOENT);
		CHECK(mono_diff_us(end, mono_now()) > 0);
		CHECK_INT(atomic_load(&safe->failed), 0);
		nap_us(20);
	} while (ret || st.tail != st.head);
	CHECK_INT(atomic_load(&safe->pos), st.head);
}

static void start(void)
{
	setenv("MSR_RING_DIR", test_dir(), 1);
	ring_unlink("storm");
	safe = mmap(NULL, sizeof(*safe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(safe != MAP_FAILED);
	srandom((unsigned)getpid());
}

TEST(kills_lose_repeat_and_tear_nothing)
{
	struct ring_stats st;
	uint64_t n = 0;

	start();
	pid_t producer = spawn(produce), consumer = spawn(consume);
	for (int i = 0; i < rounds(); i++) {
		nap_us((uint64_t)random() % 700);
		switch (random() % 4) {
		case 0:
			slay(consumer);
			consumer = spawn(consume);
			break;
		case 1:
			slay(producer);
			slay(consumer);
			consumer = spawn(consume);
			producer = spawn(produce);
			break;
		case 2: /* the last word of a killed producer reaches a sleeping consumer */
			slay(producer);
			check_drained();
			producer = spawn(produce);
			break;
		default:
			slay(producer);
			producer = spawn(produce);
		}
	}
	slay(producer);
	check_drained();
	slay(consumer);
	CHECK_INT(ring_inspect("storm", &st), 0);
	CHECK(!st.producer_live && !st.consumer_live);
	for (uint64_t pos = 0; pos < st.head; pos += words_at(pos) * 8)
		n++;
	CHECK_INT(atomic_load(&safe->pos), st.head);
	CHECK(n > (uint64_t)rounds());
	printf("# %d kills, %llu records, %llu seen again, %llu wake-ups\n", rounds(),
	       (unsigned long long)n, (unsigned long long)atomic_load(&safe->again),
	       (unsigned long long)st.wakeups);
	ring_unlink("storm");
}

/* ---- both sides make the ring at once ---- */

static void say(void)
{
	struct ring *r;

	MUST(ring_open(&r, "storm", RING_PRODUCER, RING_SIZE) == 0);
	uint8_t *p = ring_reserve(r, 8);
	if (p)
		memcpy(p, "greeting", 8);
	MUST(p);
	ring_publish(r, 8);
}

static void hear(void)
{
	const uint8_t *p;
	struct ring *r;

	MUST(ring_open(&r, "storm", RING_CONSUMER, RING_SIZE) == 0);
	MUST(ring_wait(r, PATIENCE / 1000) == 1);
	MUST(ring_peek(r, &p) == 8 && !memcmp(p, "greeting", 8));
}

TEST(either_side_may_make_the_ring)
{
	start();
	for (int i = 0; i < rounds() / 10; i++) {
		int status;
		pid_t a = spawn(i % 2 ? say : hear), b = spawn(i % 2 ? hear : say);
		CHECK(waitpid(a, &status, 0) == a && waitpid(b, &status, 0) == b);
		CHECK_INT(atomic_load(&safe->failed), 0);
		CHECK_INT(ring_unlink("storm"), 0);
	}
}
