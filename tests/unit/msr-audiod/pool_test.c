/*
 * The pool against workers that lie: this program is also the worker that the pool starts, honest
 * or as a test asks in MSR_TEST_WORKER. Whatever a worker writes, the front answers every job once,
 * replaces the liar, and the next worker does its work.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../cmd/msr-audiod/pool.h"
#include "../../../cmd/msr-audiod/segment.h"
#include "../../../cmd/msr-audiod/worker.h"
#include "../../support/test.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "event/event.h"
#include "frame/ring.h"
#include "loop/loop.h"

#define BUFFER	1024
#define TIMEOUT 1500000			/* us that a job may take */
#define DAWDLE	100000			/* us that a slow worker takes for a job */
#define LATE	(TIMEOUT + TIMEOUT / 2) /* us, the same for one that has to share a processor */
#define HOW	"MSR_TEST_WORKER"

/* ---- workers that lie ---- */

static void put(struct segment *g, struct result r, size_t text)
{
	uint8_t *p = ring_reserve(g->out, sizeof(r) + text);

	if (!p)
		_exit(3);
	memcpy(p, &r, sizeof(r));
	memset(p + sizeof(r), 'x', text);
	ring_publish(g->out, sizeof(r) + text);
}

/* The next job, without a word about it in the slot. */
static struct job take_job(struct segment *g)
{
	const uint8_t *p;
	struct job j;

	while (ring_peek(g->in, &p) < (long)sizeof(j))
		ring_wait(g->in, -1);
	memcpy(&j, p, sizeof(j));
	ring_advance(g->in, sizeof(j));
	ring_commit(g->in, ring_cursor(g->in));
	return j;
}

static struct result answer_to(const struct job *j)
{
	return (struct result){.session = j->session,
			       .number = j->number,
			       .slot = j->slot,
			       .kind = RESULT_DATA,
			       .len = j->len};
}

/* Writes over the control page of its ring: what stands there leads nowhere. */
static void break_ring(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/dev/shm/msr-%s-out", name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		_exit(3);
	memset(page, 0xa5, 4096);
}

/* Honest, but each job takes its time. */
static void dawdle(struct segment *g)
{
	for (;;) {
		struct job j = take_job(g);
		usleep(DAWDLE);
		put(g, answer_to(&j), 0);
	}
}

/* Honest, and computes all the while, as far as it may. */
static void toil(struct segment *g)
{
	for (;;) {
		struct job j = take_job(g);
		struct mono end = mono_add_us(mono_now(), LATE);
		while (mono_diff_us(end, mono_now()) > 0)
			;
		put(g, answer_to(&j), 0);
	}
}

static void lie(struct segment *g, const char *name, const char *how)
{
	struct job j = take_job(g);
	struct result r = answer_to(&j);

	if (!strcmp(how, "long")) {
		r.len = 4000000000u;
		put(g, r, 0);
	} else if (!strcmp(how, "short")) {
		r.len = 1;
		put(g, r, 0);
	} else if (!strcmp(how, "kind")) {
		r.kind = 77;
		put(g, r, 0);
	} else if (!strcmp(how, "event")) {
		r.kind = RESULT_EVENT;
		r.len = 4000000000u;
		put(g, r, 0);
	} else if (!strcmp(how, "cut")) { /* an event whose text was never written */
		r.kind = RESULT_EVENT;
		r.len = EVENT_TEXT_MAX;
		put(g, r, 8);
	} else if (!strcmp(how, "strangers")) { /* for places and sessions that are not there */
		for (uint32_t i = 0; i < 100; i++) {
			r.slot = i * 1000003;
			r.session = i;
			r.number = i;
			put(g, r, 0);
		}
		r = answer_to(&j);
		for (int i = 0; i < 3; i++) /* and the right one three times */
			put(g, r, 0);
	} else if (!strcmp(how, "flood")) {
		r.kind = RESULT_EVENT;
		r.len = 16;
		for (;;)
			if (ring_room(g->out) > 4096)
				put(g, r, 16);
	} else if (!strcmp(how, "ring")) {
		break_ring(name);
	} else if (!strcmp(how, "slots")) { /* scribbles over everything but the ring */
		memset(g->mem, 0xa5, g->size);
		put(g, r, 0);
	}
	for (;;) /* "silent" does nothing else */
		pause();
}

/* Runs before main, which is test.c's. */
__attribute__((constructor)) static void be_worker(int argc, char **argv)
{
	static const struct exec_list execs;
	struct segment g;

	if (argc < 3 || strcmp(argv[1], "worker") != 0)
		return;
	const char *how = getenv(HOW);
	if (!how || !strcmp(how, "honest"))
		_exit(worker_main(argv[2], &execs));
	if (segment_join(&g, argv[2]) < 0)
		_exit(3);
	if (!strcmp(how, "slow"))
		dawdle(&g);
	if (!strcmp(how, "toil"))
		toil(&g);
	lie(&g, argv[2], how);
}

/* ---- the front ---- */

static struct {
	struct loop *loop;
	struct metrics *metrics;
	struct events *events;
	struct pool *pool;
} f;

struct owner {
	int n_answers, status;
	size_t len, n_events;
	uint8_t out[BUFFER];
};

static void on_data(void *arg, const uint8_t *out, size_t len, int status)
{
	struct owner *o = arg;

	o->n_answers++;
	o->status = status;
	o->len = len;
	memcpy(o->out, out, BUFFER);
}

static void on_event(void *arg, const char *json, size_t len)
{
	struct owner *o = arg;

	o->n_events += len > 0 && json[0];
}

static void begin(const char *how, uint32_t seats)
{
	static const struct exec_list execs;

	setenv(HOW, how, 1);
	CHECK_INT(loop_new(&f.loop), 0);
	CHECK_INT(metrics_new(&f.metrics), 0);
	CHECK_INT(events_open(&f.events, "/dev/null", "test"), 0);
	struct pool_opts o = {.loop = f.loop,
			      .metrics = f.metrics,
			      .events = f.events,
			      .workers = 1,
			      .seats = seats,
			      .buffer = BUFFER,
			      .data_timeout_us = TIMEOUT,
			      .execs = &execs,
			      .data = on_data,
			      .event = on_event};
	CHECK_INT(pool_new(&f.pool, &o), 0);
	setenv(HOW, "honest", 1); /* the next */
}

static void end(void)
{
	pool_free(f.pool);
	events_close(f.events);
	metrics_free(f.metrics);
	loop_free(f.loop);
}

static void turn(void)
{
	pool_flush(f.pool);
	loop_turn(f.loop, 20);
}

static void until_answers(const struct owner *o, int n)
{
	struct mono late = mono_add_us(mono_now(), 20000000);

	while (o->n_answers < n && mono_diff_us(late, mono_now()) > 0)
		turn();
	CHECK_INT(o->n_answers, n);
}

static struct seat *sit(struct owner *o)
{
	static const struct chain_spec copy = {.format = SAMPLE_U8, .rate = 48000, .channels = 1};
	struct seat *s = NULL;

	*o = (struct owner){0};
	CHECK_INT(pool_take(f.pool, &copy, o, &s), 0);
	return s;
}

static void submit(struct seat *s, int fill, size_t len)
{
	memset(seat_input(s), fill, len);
	seat_submit(s, len);
}

static bool all(const uint8_t *p, int value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* After whatever the first worker did with the first job: the second job of the same session. */
static void works_again(struct seat *s, struct owner *o)
{
	int n = o->n_answers;

	submit(s, 'b', 500);
	until_answers(o, n + 1);
	CHECK_INT(o->status, 0);
	CHECK_INT(o->len, 500);
	CHECK(all(o->out, 'b', 500));
}

/* One job for a worker that lies; it costs an error at most, and the next is done. */
static void survive(const char *how)
{
	struct owner o;

	begin(how, 4);
	struct seat *s = sit(&o);
	submit(s, 'a', 100);
	until_answers(&o, 1);
	works_again(s, &o);
	CHECK_INT(o.n_answers, 2);
	CHECK_INT(pool_busy(f.pool), 0);
	pool_leave(s);
	end();
}

TEST(an_honest_worker_answers)
{
	survive("honest");
}

TEST(lengths_beyond_the_buffer_are_errors)
{
	struct owner o;

	begin("long", 4);
	struct seat *s = sit(&o);
	submit(s, 'a', 100);
	until_answers(&o, 1);
	CHECK(o.status < 0);
	CHECK_INT(o.len, 0);
	pool_leave(s);
	end();
}

TEST(another_length_than_the_jobs_is_reported_as_it_is)
{
	struct owner o;

	begin("short", 4);
	struct seat *s = sit(&o);
	submit(s, 'a', 100);
	until_answers(&o, 1);
	CHECK_INT(o.len, 1); /* the session compares it with what it sent */
	pool_leave(s);
	end();
}

TEST(results_of_no_kind_replace_the_worker)
{
	survive("kind");
}

TEST(events_beyond_their_bound_replace_the_worker)
{
	survive("event");
}

TEST(events_that_are_cut_replace_the_worker)
{
	survive("cut");
}

TEST(a_damaged_ring_is_made_anew)
{
	survive("ring");
}

TEST(jobs_wait_while_there_is_no_room_for_rings)
{
	struct owner a, b;

	begin("ring", 4);
	struct seat *s = sit(&a), *t = sit(&b);
	setenv("MSR_RING_DIR", "/nowhere", 1);
	submit(s, 'a', 100);
	struct mono late = mono_add_us(mono_now(), 20000000);
	while (pool_worker_pid(f.pool, 0) && mono_diff_us(late, mono_now()) > 0)
		turn();
	for (late = mono_add_us(mono_now(), 200000); mono_diff_us(late, mono_now()) > 0;)
		turn(); /* the rings are gone, and there are no new ones */
	CHECK_INT(pool_worker_pid(f.pool, 0), 0);
	submit(t, 'b', 100);
	unsetenv("MSR_RING_DIR");
	until_answers(&a, 1);
	until_answers(&b, 1);
	works_again(s, &a);
	works_again(t, &b);
	pool_leave(s);
	pool_leave(t);
	end();
}

TEST(a_scribbled_segment_hurts_nobody_but_its_sessions)
{
	survive("slots");
}

TEST(a_job_that_vanished_costs_two_workers_at_most)
{
	survive("silent");
}

TEST(results_for_strangers_and_twice_are_ignored)
{
	struct owner o;

	begin("strangers", 4);
	struct seat *s = sit(&o);
	submit(s, 'a', 100);
	until_answers(&o, 1);
	for (int i = 0; i < 5; i++)
		turn();
	CHECK_INT(o.n_answers, 1);
	pool_leave(s);
	end();
}

TEST(a_worker_that_talks_without_end_stops_nobody)
{
	struct owner o;

	begin("flood", 4);
	struct seat *s = sit(&o);
	submit(s, 'a', 100);
	struct mono start = mono_now();
	int turns = 0;
	while (o.n_answers < 1 && mono_diff_us(mono_now(), start) < 20000000) {
		turn();
		turns++;
	}
	CHECK_INT(o.n_answers, 1); /* with an error, when it was killed for not answering */
	CHECK(o.status < 0);
	CHECK(o.n_events > 0);
	CHECK(turns > 3); /* the loop turned all the while */
	works_again(s, &o);
	pool_leave(s);
	end();
}

TEST(a_worker_that_has_much_to_do_does_not_hang)
{
	struct owner o[20]; /* so the last waits for longer than a job may take */
	struct seat *s[20];

	begin("slow", 20);
	pid_t pid = pool_worker_pid(f.pool, 0);
	for (int i = 0; i < 20; i++)
		s[i] = sit(&o[i]);
	for (int i = 0; i < 20; i++)
		submit(s[i], i, 100);
	for (int i = 0; i < 20; i++) {
		until_answers(&o[i], 1);
		CHECK_INT(o[i].status, 0);
		pool_leave(s[i]);
	}
	CHECK_INT(pool_worker_pid(f.pool, 0), pid);
	end();
}

/* The first processor that this process may have, for `pid` alone, and beside it one that takes
 * nearly all of it. */
static pid_t crowd_out(pid_t pid)
{
	cpu_set_t all, one;
	int cpu = 0;

	CHECK_INT(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK_INT(sched_setaffinity(pid, sizeof(one), &one), 0);
	CHECK_INT(setpriority(PRIO_PROCESS, (id_t)pid, 19), 0);
	pid_t hog = fork();
	if (hog == 0) {
		sched_setaffinity(0, sizeof(one), &one);
		setpriority(PRIO_PROCESS, 0, 0);
		alarm(60);
		for (;;)
			;
	}
	return hog;
}

TEST(a_worker_without_a_processor_does_not_hang)
{
	struct owner o;

	begin("toil", 4);
	pid_t pid = pool_worker_pid(f.pool, 0), hog = crowd_out(pid);
	CHECK(hog > 0);
	struct seat *s = sit(&o);
	struct mono start = mono_now();
	submit(s, 'a', 100);
	until_answers(&o, 1);
	CHECK(mono_diff_us(mono_now(), start) > TIMEOUT); /* or nothing was shown */
	CHECK_INT(o.status, 0);
	CHECK_INT(pool_worker_pid(f.pool, 0), pid);
	kill(hog, SIGKILL);
	waitpid(hog, NULL, 0);
	pool_leave(s);
	end();
}

TEST(an_answer_does_not_wait_for_those_behind_it)
{
	enum { N = 100 };
	static struct owner o[N];
	struct chain_spec dear = {.format = SAMPLE_U8, .rate = 48000, .channels = 1};
	static const struct exec_list execs;
	struct seat *s[N];
	char why[192];

	for (int i = 0; i < CHAIN_MAX; i++)
		CHECK_INT(chain_add(&dear, "denoise", NULL, 0, &execs, why, sizeof(why)), 0);
	begin("honest", N);
	for (int i = 0; i < N; i++) {
		o[i] = (struct owner){0};
		CHECK_INT(pool_take(f.pool, &dear, &o[i], &s[i]), 0);
		submit(s[i], i, BUFFER);
	}
	until_answers(&o[0], 1);
	CHECK_INT(o[N - 1].n_answers, 0);
	for (int i = 0; i < N; i++) {
		until_answers(&o[i], 1);
		CHECK_INT(o[i].status, 0);
		pool_leave(s[i]);
	}
	end();
}

TEST(places_are_wiped_before_the_next_session)
{
	struct owner o;

	begin("honest", 1);
	for (int i = 0; i < 3; i++) {
		struct seat *s = sit(&o);
		CHECK(all(seat_input(s), 0, BUFFER));
		submit(s, 'a' + i, 1);
		until_answers(&o, 1);
		CHECK(all(o.out, 'a' + i, 1));
		CHECK(all(o.out + 1, 0, BUFFER - 1)); /* nothing of those before */
		submit(s, 's', BUFFER);		      /* the secret */
		until_answers(&o, 2);
		pool_leave(s);
	}
	end();
}

TEST(a_session_that_vanishes_before_its_answer_keeps_its_place_until_then)
{
	static const struct chain_spec copy = {.format = SAMPLE_U8, .rate = 48000, .channels = 1};
	struct owner gone, next;
	struct seat *s;

	begin("honest", 1);
	s = sit(&gone);
	submit(s, 'g', BUFFER);
	pool_leave(s);
	CHECK_INT(pool_take(f.pool, &copy, &next, &s), -ENOSPC);
	struct mono late = mono_add_us(mono_now(), 20000000);
	while (pool_busy(f.pool) && mono_diff_us(late, mono_now()) > 0)
		turn();
	CHECK_INT(gone.n_answers, 0); /* nobody is there to be told */
	s = sit(&next);
	CHECK(all(seat_input(s), 0, BUFFER));
	submit(s, 'n', 10);
	until_answers(&next, 1);
	CHECK_INT(next.status, 0);
	CHECK(all(next.out, 'n', 10) && all(next.out + 10, 0, BUFFER - 10));
	pool_leave(s);
	end();
}

TEST(killed_between_jobs_or_in_one_every_job_is_answered_once)
{
	struct owner o[8];
	struct seat *s[8];

	begin("honest", 8);
	for (int i = 0; i < 8; i++)
		s[i] = sit(&o[i]);
	for (int round = 1; round <= 10; round++) {
		for (int i = 0; i < 8; i++)
			submit(s[i], round, 100);
		pool_flush(f.pool);
		pid_t pid = pool_worker_pid(f.pool, 0);
		if (pid)
			kill(pid, SIGKILL);
		for (int i = 0; i < 8; i++) {
			until_answers(&o[i], round);
			CHECK(o[i].status < 0 || all(o[i].out, round, 100));
		}
	}
	for (int i = 0; i < 8; i++) {
		CHECK_INT(o[i].n_answers, 10);
		pool_leave(s[i]);
	}
	end();
}

/* One of those that want a name at once: holds it, if it got it, until `end` closes. */
static void want_name(const char *name, int begin, int told, int end)
{
	struct segment s;
	char c;

	(void)!read(begin, &c, 1);
	int guard = segment_guard();
	int ret = guard < 0 ? guard : segment_make(&s, name, 4, BUFFER);
	close(guard);
	c = (char)(ret == 0 ? 'y' : ret == -EBUSY ? 'n' : '?');
	(void)!write(told, &c, 1);
	(void)!read(end, &c, 1);
	_exit(0);
}

/* As in containers that share /dev/shm, where each is the same process. */
TEST(of_those_that_want_a_name_at_once_one_has_it)
{
	enum { PEOPLE = 4 };
	char name[64], said[PEOPLE];
	int begin[2], told[2], end[2];

	snprintf(name, sizeof(name), "audiod-%d-900", (int)getpid());
	for (int round = 0; round < 10; round++) {
		struct segment s;
		CHECK(!pipe(begin) && !pipe(told) && !pipe(end));
		for (int i = 0; i < PEOPLE; i++)
			if (fork() == 0) {
				close(begin[1]);
				close(end[1]);
				want_name(name, begin[0], told[1], end[0]);
			}
		close(begin[1]);
		for (int i = 0; i < PEOPLE; i++)
			CHECK_INT(read(told[0], &said[i], 1), 1);
		CHECK_INT(segment_join(&s, name), 0); /* nobody took away what it has */
		segment_done(&s);
		int yes = 0, no = 0;
		for (int i = 0; i < PEOPLE; i++) {
			yes += said[i] == 'y';
			no += said[i] == 'n';
		}
		CHECK_INT(yes, 1);
		CHECK_INT(no, PEOPLE - 1);
		close(end[1]);
		for (int i = 0; i < PEOPLE; i++)
			wait(NULL);
		close(begin[0]);
		close(told[0]);
		close(told[1]);
		close(end[0]);
	}
	segment_unlink(name);
}
