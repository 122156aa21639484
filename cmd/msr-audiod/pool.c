/*
 * Seats, jobs and results. The front never trusts what a worker has written: lengths, numbers and
 * the rings' positions are checked, and a worker whose ring holds nonsense is replaced.
 */
#include "pool.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "frame/ring.h"
#include "pool_int.h"

#define RESULTS_A_TURN 16384 /* of one worker: one that writes without end stops nobody else */

/* ---- seats ---- */

/* Tells the worker to close the session's chain, and with it its programs. */
static void send_leave(struct seat *s)
{
	struct worker *w = s->worker;
	size_t spare = 2 * w->seg.n_slots * sizeof(struct job); /* never in the way of sound */

	if (w->damaged || ring_room(w->seg.in) < spare)
		return; /* then the chain goes with the next session in this place */
	struct job *job = (struct job *)ring_reserve(w->seg.in, sizeof(*job));
	if (!job)
		return;
	*job = (struct job){.session = s->session, .slot = s->slot, .len = JOB_LEAVE};
	ring_publish_more(w->seg.in, sizeof(*job));
	w->flush = true;
}

/* Takes away what the last session left, so that nobody ever sees a byte of another's. */
static void vacate(struct seat *s)
{
	struct worker *w = s->worker;
	struct slot *slot = segment_slot(&w->seg, s->slot);

	memset(slot_in(&w->seg, s->slot), 0, w->seg.buffer);
	memset(slot_out(&w->seg, s->slot), 0, w->seg.buffer);
	memset(&slot->chain, 0, sizeof(slot->chain));
	atomic_store(&slot->session, 0);
	send_leave(s);
	s->owner = NULL;
	s->leaving = false;
	w->n_taken--;
	w->pool->n_taken--;
	list_remove(&s->link);
	list_push_front(&w->free, &s->link);
}

int pool_take(struct pool *p, const struct chain_spec *chain, void *owner, struct seat **out)
{
	struct worker *best = NULL;

	for (unsigned i = 0; i < p->opts.workers; i++) {
		struct worker *w = &p->worker[i];
		if (!list_empty(&w->free) && (!best || w->n_taken < best->n_taken))
			best = w;
	}
	if (!best || p->n_taken >= p->opts.seats) {
		metric_add(&p->n_refused, 1);
		return -ENOSPC;
	}
	struct seat *s = container_of(list_first(&best->free), struct seat, link);
	struct slot *slot = segment_slot(&best->seg, s->slot);
	list_remove(&s->link);
	best->n_taken++;
	p->n_taken++;
	s->owner = owner;
	s->chain = chain;
	s->session = ++p->last_session;
	s->number = 0;
	slot->chain = *chain;
	atomic_store(&slot->at, 0);
	atomic_store(&slot->done, 0);
	atomic_store(&slot->given_up, 0);
	atomic_store(&slot->session, s->session);
	*out = s;
	return 0;
}

void pool_leave(struct seat *s)
{
	if (s->busy)
		s->leaving = true; /* its worker may still write there: wait for the answer */
	else
		vacate(s);
}

bool seat_busy(const struct seat *s)
{
	return s->busy;
}

unsigned seat_worker(const struct seat *s)
{
	return s->worker->number;
}

uint8_t *seat_input(struct seat *s)
{
	return slot_in(&s->worker->seg, s->slot);
}

void pool_finish(struct seat *s, size_t len, int status)
{
	struct worker *w = s->worker;
	struct pool *p = w->pool;
	bool oldest = list_first(&w->busy) == &s->link;

	list_remove(&s->link);
	if (oldest && !list_empty(&w->busy))
		container_of(list_first(&w->busy), struct seat, link)->since = mono_now();
	s->busy = false;
	p->n_busy--;
	metric_add(status ? &p->n_failed : &p->n_jobs, 1);
	if (s->leaving)
		vacate(s);
	else
		p->opts.data(s->owner, slot_out(&w->seg, s->slot), len, status);
}

void seat_submit(struct seat *s, size_t len)
{
	struct worker *w = s->worker;
	struct job *job = NULL; /* a damaged ring is not there, or gets lost with its jobs */

	s->busy = true;
	s->hangs = s->waits = 0;
	s->had_us = 0;
	s->since = mono_now();
	list_push(&w->busy, &s->link);
	w->pool->n_busy++;
	s->number++;
	if (!loop_timer_armed(&w->watch))
		crew_watch(w, w->pool->opts.data_timeout_us);
	if (!w->damaged)
		job = (struct job *)ring_reserve(w->seg.in, sizeof(*job));
	if (!job) { /* it has room for four jobs a seat */
		crew_damaged(w);
		return;
	}
	*job = (struct job){s->session, s->number, s->slot, (uint32_t)len};
	ring_publish_more(w->seg.in, sizeof(*job));
	w->flush = true;
}

void pool_flush(struct pool *p)
{
	for (unsigned i = 0; i < p->opts.workers; i++) {
		struct worker *w = &p->worker[i];
		if (w->flush && !w->damaged)
			ring_flush(w->seg.in);
		w->flush = false;
	}
}

pid_t pool_worker_pid(const struct pool *p, unsigned worker)
{
	return p->worker[worker].pid;
}

size_t pool_busy(const struct pool *p)
{
	return p->n_busy;
}

/* ---- results ---- */

/* The seat that a result is for, or NULL when it is nobody's any more. */
static struct seat *seat_of(struct worker *w, const struct result *r)
{
	if (r->slot >= w->seg.n_slots)
		return NULL;
	struct seat *s = &w->pool->seat[w->number + (size_t)r->slot * w->pool->opts.workers];
	return s->owner && s->session == r->session ? s : NULL;
}

static void take_result(struct worker *w, const struct result *r)
{
	struct seat *s = seat_of(w, r);

	if (!s)
		return;
	if (r->kind == RESULT_EVENT) {
		if (!s->leaving)
			w->pool->opts.event(s->owner, (const char *)(r + 1), r->len);
	} else if (r->kind == RESULT_DATA && s->busy && r->number == s->number) {
		pool_finish(s, r->len <= w->seg.buffer ? r->len : 0,
			    r->len <= w->seg.buffer ? r->status : -EIO);
	}
}

/* One result out of `n` bytes. Returns the bytes it took, or 0: nonsense. */
static size_t take_one(struct worker *w, const uint8_t *p, size_t n)
{
	/* A copy: the handlers must not see it change. */
	_Alignas(8) uint8_t copy[sizeof(struct result) + EVENT_TEXT_MAX];
	struct result *r = (struct result *)copy;

	if (n < sizeof(*r))
		return 0;
	memcpy(copy, p, sizeof(*r));
	if (r->kind != RESULT_DATA && r->kind != RESULT_EVENT)
		return 0;
	if (r->kind == RESULT_EVENT && r->len > EVENT_TEXT_MAX)
		return 0;
	size_t text = r->kind == RESULT_EVENT ? (r->len + 7u) & ~7u : 0;
	if (sizeof(*r) + text > n)
		return 0;
	memcpy(copy + sizeof(*r), p + sizeof(*r), text);
	take_result(w, r);
	return sizeof(*r) + text;
}

/* True: all of it was taken. */
static bool drain(struct worker *w)
{
	const uint8_t *p;
	size_t left = RESULTS_A_TURN, took;
	long n = 0;

	while (left && !w->damaged && (n = ring_peek(w->seg.out, &p)) > 0) {
		size_t at = 0;
		for (took = 1; left && took && at < (size_t)n; left--, at += took)
			took = take_one(w, p + at, (size_t)n - at);
		if (!took) {
			crew_damaged(w);
			return true;
		}
		ring_advance(w->seg.out, at);
		ring_commit(w->seg.out, ring_cursor(w->seg.out));
	}
	if (n < 0)
		crew_damaged(w);
	return left > 0;
}

void pool_results(struct worker *w)
{
	do
		if (!drain(w)) {
			loop_timer_in_us(&w->more, 0);
			return;
		}
	while (!w->damaged && ring_arm(w->seg.out));
}

bool pool_round(struct pool *p, int64_t us)
{
	struct pollfd fds[POOL_WORKERS_MAX];
	struct timespec t = {.tv_nsec = us * 1000};
	nfds_t n = 0;
	bool ready = false;

	pool_flush(p);
	for (unsigned i = 0; i < p->opts.workers && !ready; i++) {
		struct worker *w = &p->worker[i];
		if (w->damaged || list_empty(&w->busy))
			continue;
		fds[n++] = (struct pollfd){.fd = ring_fd(w->seg.out), .events = POLLIN};
		ready = ring_arm(w->seg.out);
	}
	if (!ready && (!n || ppoll(fds, n, &t, NULL) <= 0))
		return false;
	for (unsigned i = 0; i < p->opts.workers; i++) {
		struct worker *w = &p->worker[i];
		if (w->damaged || list_empty(&w->busy))
			continue;
		ring_disarm(w->seg.out);
		pool_results(w);
	}
	return true;
}

/* ---- the pool ---- */

static void list_metrics(struct pool *p)
{
	struct metrics *m = p->opts.metrics;

	metrics_counter(m, "msr_audiod_jobs_total", NULL, "Slices processed", &p->n_jobs);
	metrics_counter(m, "msr_audiod_jobs_failed_total", NULL, "Slices answered with an error",
			&p->n_failed);
	metrics_counter(m, "msr_audiod_worker_deaths_total", NULL,
			"Workers that had to be replaced", &p->n_deaths);
	metrics_counter(m, "msr_audiod_worker_hangs_total", NULL,
			"Workers killed because they hung", &p->n_hangs);
	metrics_counter(m, "msr_audiod_refused_total", NULL, "Receivers refused: all seats taken",
			&p->n_refused);
}

/* The workers, each with seats of its own. */
static int make_crew(struct pool *p, uint32_t seats)
{
	int ret = 0, guard = segment_guard();

	if (guard < 0)
		return guard;
	segment_sweep();
	for (unsigned i = 0; i < p->opts.workers && !ret; i++)
		ret = crew_join(p, i, seats);
	close(guard);
	return ret;
}

int pool_new(struct pool **pp, const struct pool_opts *opts)
{
	struct pool *p = calloc(1, sizeof(*p));
	uint32_t each = (opts->seats + opts->workers - 1) / opts->workers;
	int ret = 0;

	if (!p)
		return -ENOMEM;
	p->opts = *opts;
	p->worker = calloc(opts->workers, sizeof(*p->worker));
	p->seat = calloc((size_t)each * opts->workers, sizeof(*p->seat));
	if (!p->worker || !p->seat)
		ret = -ENOMEM;
	if (!ret)
		ret = make_crew(p, each);
	if (ret < 0) {
		log_error("cannot make the workers' shared memory: %s; /dev/shm needs room for %zu "
			  "MiB",
			  strerror(-ret),
			  ((size_t)each * opts->workers * 2 * opts->buffer >> 20) + 1);
		pool_free(p);
		return ret;
	}
	list_metrics(p);
	*pp = p;
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	p->ending = true;
	for (unsigned i = 0; p->worker && i < p->opts.workers; i++)
		if (p->worker[i].pool)
			crew_done(&p->worker[i]);
	free(p->worker);
	free(p->seat);
	free(p);
}
