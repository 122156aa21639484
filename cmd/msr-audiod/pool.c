/*
 * Workers and seats. Who died over what is decided from the slot alone (segment.h): a job that its
 * worker had begun is answered with an error, one that it had finished is delivered, one that it
 * had not seen waits in the ring for the next worker.
 */
#include "pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/opt.h"
#include "base/proc.h"
#include "event/event.h"
#include "frame/ring.h"
#include "loop/loop.h"
#include "segment.h"

#define RESTART_PAUSE_US 50000 /* when a worker dies within the first second, again and again */
#define NAME_SIZE	 64

struct worker {
	struct pool *pool;
	unsigned number;
	char name[NAME_SIZE]; /* of its segment */
	struct segment seg;
	pid_t pid; /* 0: none now */
	struct loop_child *child;
	struct loop_io *results;
	struct list busy;	 /* seats with a job under way, the oldest first */
	struct loop_timer watch; /* armed while there are some */
	struct loop_timer restart;
	struct mono started;
	struct list free; /* seats */
	size_t n_taken;
	bool flush; /* jobs published and not handed over yet */
};

struct seat {
	struct list link; /* in worker.free or worker.busy, or alone */
	struct worker *worker;
	uint32_t slot;
	void *owner;	 /* NULL: nobody sits here */
	uint64_t number; /* of the last job */
	struct mono since;
	bool busy, leaving;
};

struct pool {
	struct pool_opts opts;
	struct worker *worker; /* opts.workers of them */
	struct seat *seat;     /* all seats of all workers */
	uint64_t last_session;
	size_t n_taken; /* seats, over all workers */
	size_t n_busy;
	bool ending;
	metric_t n_jobs, n_failed, n_deaths, n_hangs, n_refused;
};

/* ---- seats ---- */

/* Takes away what the last session left, so that nobody ever sees a byte of another's. */
static void vacate(struct seat *s)
{
	struct worker *w = s->worker;
	struct slot *slot = segment_slot(&w->seg, s->slot);

	atomic_store(&slot->session, 0);
	memset(slot_in(&w->seg, s->slot), 0, w->seg.buffer);
	memset(slot_out(&w->seg, s->slot), 0, w->seg.buffer);
	memset(&slot->chain, 0, sizeof(slot->chain));
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
	s->number = 0;
	slot->chain = *chain;
	atomic_store(&slot->at, 0);
	atomic_store(&slot->done, 0);
	atomic_store(&slot->given_up, 0);
	atomic_store(&slot->session, ++p->last_session);
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

/* The job's answer, from wherever it came. */
static void finish(struct seat *s, size_t len, int status)
{
	struct pool *p = s->worker->pool;

	list_remove(&s->link);
	s->busy = false;
	p->n_busy--;
	metric_add(status ? &p->n_failed : &p->n_jobs, 1);
	if (s->leaving)
		vacate(s);
	else
		p->opts.data(s->owner, slot_out(&s->worker->seg, s->slot), len, status);
}

void seat_submit(struct seat *s, size_t len)
{
	struct worker *w = s->worker;
	struct slot *slot = segment_slot(&w->seg, s->slot);
	struct job *job = (struct job *)ring_reserve(w->seg.in, sizeof(*job));

	s->busy = true;
	s->since = mono_now();
	list_push(&w->busy, &s->link);
	w->pool->n_busy++;
	s->number++;
	if (!job) { /* only when the ring was damaged: it has room for four jobs a seat */
		finish(s, 0, -EIO);
		return;
	}
	*job = (struct job){atomic_load(&slot->session), s->number, s->slot, (uint32_t)len};
	ring_publish_more(w->seg.in, sizeof(*job));
	w->flush = true;
	if (!loop_timer_armed(&w->watch))
		loop_timer_in_us(&w->watch, w->pool->opts.data_timeout_us);
}

void pool_flush(struct pool *p)
{
	for (unsigned i = 0; i < p->opts.workers; i++) {
		struct worker *w = &p->worker[i];
		if (w->flush)
			ring_flush(w->seg.in);
		w->flush = false;
	}
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
	bool same = atomic_load(&segment_slot(&w->seg, r->slot)->session) == r->session;
	return s->owner && same ? s : NULL;
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
		finish(s, r->len <= w->seg.buffer ? r->len : 0,
		       r->len <= w->seg.buffer ? r->status : -EIO);
	}
}

/* Everything that is there. The ring is the worker's, so lengths are checked. */
static void drain(struct worker *w)
{
	const uint8_t *p;
	long n;

	while ((n = ring_peek(w->seg.out, &p)) > 0) {
		size_t at = 0;
		while (at + sizeof(struct result) <= (size_t)n) {
			/* A copy: the handlers must not see it change. */
			_Alignas(8) uint8_t copy[sizeof(struct result) + EVENT_TEXT_MAX];
			memcpy(copy, p + at, sizeof(struct result));
			struct result *r = (struct result *)copy;
			size_t text = r->kind == RESULT_EVENT ? (r->len + 7u) & ~7u : 0;
			if (text > EVENT_TEXT_MAX || at + sizeof(*r) + text > (size_t)n) {
				at = (size_t)n; /* nonsense: nothing behind it can be trusted */
				break;
			}
			memcpy(copy + sizeof(*r), p + at + sizeof(*r), text);
			at += sizeof(*r) + text;
			take_result(w, r);
		}
		ring_advance(w->seg.out, at);
		ring_commit(w->seg.out, ring_cursor(w->seg.out));
	}
}

static void on_results(void *arg, int events)
{
	struct worker *w = arg;

	(void)events;
	ring_disarm(w->seg.out);
	do
		drain(w);
	while (ring_arm(w->seg.out));
}

/* ---- life and death of workers ---- */

static void spawn(struct worker *w);

static void settle(struct worker *w)
{
	list_each_safe (i, &w->busy) {
		struct seat *s = container_of(i, struct seat, link);
		struct slot *slot = segment_slot(&w->seg, s->slot);
		if (atomic_load(&slot->done) == s->number) {
			finish(s, 0, -EIO); /* its length went with the result */
		} else if (atomic_load(&slot->at) == s->number) {
			atomic_store(&slot->given_up, s->number);
			finish(s, 0, -EIO);
		} else {
			s->since = mono_now(); /* the next worker's time starts now */
		}
	}
}

static void on_death(void *arg, pid_t pid, int status)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	struct event ev;

	w->child = NULL;
	w->pid = 0;
	drain(w);
	if (p->ending)
		return;
	settle(w);
	metric_add(&p->n_deaths, 1);
	log_warn("worker %u (pid %d) ended: %s %d; it is replaced", w->number, (int)pid,
		 WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	event_start(&ev, p->opts.events, "worker-died", NULL, NULL);
	json_uint(&ev.json, "worker", w->number);
	json_int(&ev.json, "signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	event_send(&ev, p->opts.events);
	if (mono_diff_us(mono_now(), w->started) < RESTART_PAUSE_US)
		loop_timer_in_us(&w->restart, RESTART_PAUSE_US);
	else
		spawn(w);
}

static void on_restart(void *arg)
{
	spawn(arg);
}

/* Hung: the oldest job has waited for longer than it may. */
static void on_watch(void *arg)
{
	struct worker *w = arg;

	if (list_empty(&w->busy))
		return;
	struct seat *oldest = container_of(list_first(&w->busy), struct seat, link);
	struct mono due = mono_add_us(oldest->since, w->pool->opts.data_timeout_us);
	if (mono_diff_us(due, mono_now()) > 0) {
		loop_timer_at(&w->watch, due);
		return;
	}
	if (w->pid) {
		log_warn("worker %u (pid %d) hangs; it is killed", w->number, (int)w->pid);
		metric_add(&w->pool->n_hangs, 1);
		kill(w->pid, SIGKILL);
	}
	loop_timer_in_us(&w->watch, w->pool->opts.data_timeout_us);
}

static void spawn(struct worker *w)
{
	const struct exec_list *execs = w->pool->opts.execs;
	const char *argv[4 + 2 * OPT_LIST_MAX] = {"/proc/self/exe", "worker", w->name};
	struct proc_opts o = {.in = -1, .out = -1, .err = STDERR_FILENO, .die_with_parent = 1};
	size_t n = 3;

	for (size_t i = 0; i < execs->n && i < OPT_LIST_MAX; i++)
		argv[n++] = execs->allowed[i];
	w->started = mono_now();
	int ret = proc_spawn(argv, &o, &w->pid);
	if (!ret)
		ret = loop_child_new(&w->child, w->pool->opts.loop, w->pid, on_death, w);
	if (ret < 0) {
		log_error("cannot start worker %u: %s; trying again", w->number, strerror(-ret));
		w->pid = 0;
		loop_timer_in_us(&w->restart, RESTART_PAUSE_US);
	}
}

/* ---- the pool ---- */

static int worker_init(struct pool *p, unsigned i, uint32_t n_slots)
{
	struct worker *w = &p->worker[i];

	*w = (struct worker){.pool = p, .number = i};
	list_init(&w->busy);
	list_init(&w->free);
	loop_timer_init(&w->watch, p->opts.loop, on_watch, w);
	loop_timer_init(&w->restart, p->opts.loop, on_restart, w);
	snprintf(w->name, sizeof(w->name), "audiod-%d-%u", (int)getpid(), i);
	int ret = segment_make(&w->seg, w->name, n_slots, p->opts.buffer);
	if (ret < 0)
		return ret;
	for (uint32_t k = 0; k < n_slots; k++) {
		struct seat *s = &p->seat[i + (size_t)k * p->opts.workers];
		*s = (struct seat){.worker = w, .slot = k};
		list_init(&s->link);
		list_push(&w->free, &s->link);
	}
	ret = loop_io_new(&w->results, p->opts.loop, ring_fd(w->seg.out), LOOP_IN, on_results, w);
	if (ret < 0)
		return ret;
	on_results(w, 0); /* arms the doorbell */
	spawn(w);
	return 0;
}

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
	segment_sweep();
	for (unsigned i = 0; i < opts->workers && !ret; i++)
		ret = worker_init(p, i, each);
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

static void worker_done(struct worker *w)
{
	loop_timer_stop(&w->watch);
	loop_timer_stop(&w->restart);
	loop_io_free(w->results);
	if (w->pid) {
		loop_child_forget(w->child);
		kill(w->pid, SIGKILL);
		while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	segment_done(&w->seg);
	segment_unlink(w->name);
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	p->ending = true;
	for (unsigned i = 0; p->worker && i < p->opts.workers; i++)
		if (p->worker[i].pool)
			worker_done(&p->worker[i]);
	free(p->worker);
	free(p->seat);
	free(p);
}
