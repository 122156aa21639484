/*
 * The worker processes: started, watched, replaced. Results that a worker published before it died
 * are delivered. What its death means for its other jobs is decided from the slot alone
 * (segment.h): one that it had begun, or even finished, is answered with an error, one that it had
 * not seen waits in the ring for the next worker.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/opt.h"
#include "base/proc.h"
#include "event/event.h"
#include "frame/ring.h"
#include "pool_int.h"

#define RESTART_PAUSE_US 50000 /* before the next of one that lived no longer than this */
#define HANGS_MAX	 2     /* workers that one job may cost, also when none says it had it */
#define NAMES_MAX	 64    /* tried for the memory of a worker */
#define WAITS_MAX	 10    /* timeouts that a job may take while its worker gets no processor */

static void spawn(struct worker *w);

static void on_results(void *arg, int events)
{
	struct worker *w = arg;

	(void)events;
	if (!w->damaged) {
		ring_disarm(w->seg.out);
		pool_results(w);
	}
}

static void on_more(void *arg)
{
	on_results(arg, 0);
}

static void give_up(struct seat *s)
{
	atomic_store(&segment_slot(&s->worker->seg, s->slot)->given_up, s->number);
	pool_finish(s, 0, -EIO);
}

/* The worker is gone: which of its jobs went with it? */
static void settle(struct worker *w)
{
	list_each_safe (i, &w->busy) {
		struct seat *s = container_of(i, struct seat, link);
		struct slot *slot = segment_slot(&w->seg, s->slot);
		/* One that is done has lost its length, which went with the result. */
		if (atomic_load(&slot->done) == s->number || atomic_load(&slot->at) == s->number ||
		    s->hangs >= HANGS_MAX)
			give_up(s);
		else
			s->since = mono_now(); /* the next worker's time starts now */
	}
}

void crew_damaged(struct worker *w)
{
	if (w->damaged)
		return;
	w->damaged = true;
	log_error("worker %u (pid %d) corrupted its shared memory; replacing it", w->number,
		  (int)w->pid);
	if (w->pid)
		kill(w->pid, SIGKILL);
}

/* New rings in place of damaged ones; the jobs in the old are lost. */
static int renew(struct worker *w)
{
	struct list lost = LIST_INIT(lost);

	loop_io_free(w->results);
	w->results = NULL;
	int ret = segment_renew_rings(&w->seg, w->name);
	if (!ret)
		ret = loop_io_new(&w->results, w->pool->opts.loop, ring_fd(w->seg.out), LOOP_IN,
				  on_results, w);
	if (ret < 0)
		return ret;
	w->damaged = false;
	pool_results(w); /* arms the doorbell */
	while (!list_empty(&w->busy)) {
		struct list *i = list_first(&w->busy);
		list_remove(i);
		list_push(&lost, i);
	}
	/* These may submit the next, which the new ring takes. */
	while (!list_empty(&lost))
		give_up(container_of(list_first(&lost), struct seat, link));
	return 0;
}

static void on_death(void *arg, pid_t pid, int status)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	struct event ev;

	w->child = NULL;
	w->pid = 0;
	pool_results(w);
	if (p->ending)
		return;
	settle(w);
	metric_add(&p->n_deaths, 1);
	log_warn("worker %u (pid %d) ended: %s %d; replacing it", w->number, (int)pid,
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

void crew_watch(struct worker *w, int64_t us)
{
	w->watched = mono_now();
	w->cpu_us = w->pid ? proc_cpu_us(w->pid) : 0;
	loop_timer_in_us(&w->watch, us);
}

/*
 * It would work at the job if the machine let it: it has had less than half of a processor since
 * the last look, and little in all. To kill it would cost its sessions their state, and the machine
 * a new process.
 */
static bool starves(const struct worker *w, struct seat *job)
{
	int64_t had = proc_cpu_us(w->pid) - w->cpu_us;

	job->had_us += had;
	return proc_is_runnable(w->pid) && had < mono_diff_us(mono_now(), w->watched) / 2 &&
	       job->had_us < w->pool->opts.data_timeout_us / 2 && job->waits++ < WAITS_MAX;
}

/* Hung: it has been at the oldest job for longer than it may. Having much to do does not count. */
static void on_watch(void *arg)
{
	struct worker *w = arg;
	int64_t timeout = w->pool->opts.data_timeout_us;

	on_results(w, 0); /* this process may be the one that is late */
	if (list_empty(&w->busy))
		return;
	struct seat *oldest = container_of(list_first(&w->busy), struct seat, link);
	int64_t left = timeout - mono_diff_us(mono_now(), oldest->since);
	if (left > 0) {
		crew_watch(w, left);
		return;
	}
	if (w->pid && !starves(w, oldest)) {
		log_warn("worker %u (pid %d) hangs; killing it", w->number, (int)w->pid);
		metric_add(&w->pool->n_hangs, 1);
		kill(w->pid, SIGKILL);
		oldest->hangs++;
	}
	crew_watch(w, timeout);
}

/* The last worker may have written over anything: what the front knows better is told again. */
static void restore(struct worker *w)
{
	segment_restore(&w->seg);
	for (uint32_t i = 0; i < w->seg.n_slots; i++) {
		struct seat *s = &w->pool->seat[w->number + (size_t)i * w->pool->opts.workers];
		struct slot *slot = segment_slot(&w->seg, i);
		atomic_store(&slot->at, 0);
		atomic_store(&slot->done, 0);
		atomic_store(&slot->given_up, s->busy ? s->number - 1 : s->number);
		if (s->owner && !s->leaving)
			slot->chain = *s->chain;
		atomic_store(&slot->session, s->owner ? s->session : 0);
	}
}

static int start(struct worker *w)
{
	const struct exec_list *execs = w->pool->opts.execs;
	const char *argv[4 + OPT_LIST_MAX] = {"/proc/self/exe", "worker", w->name};
	struct proc_opts o = {.in = -1, .out = -1, .err = STDERR_FILENO, .die_with_parent = 1};
	size_t n = 3;

	for (size_t i = 0; i < execs->n && i < OPT_LIST_MAX; i++)
		argv[n++] = execs->allowed[i];
	restore(w);
	w->started = mono_now();
	int ret = proc_spawn(argv, &o, &w->pid);
	if (!ret)
		ret = loop_child_new(&w->child, w->pool->opts.loop, w->pid, on_death, w);
	return ret;
}

static void end(struct worker *w)
{
	kill(w->pid, SIGKILL);
	while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
		;
	w->pid = 0;
}

static void spawn(struct worker *w)
{
	int ret = w->damaged ? renew(w) : 0;

	if (!ret)
		ret = start(w);
	if (ret == 0)
		return;
	log_error("cannot start worker %u: %s; trying again", w->number, strerror(-ret));
	if (w->pid)
		end(w);
	loop_timer_in_us(&w->restart, RESTART_PAUSE_US);
}

int crew_join(struct pool *p, unsigned i, uint32_t n_slots)
{
	struct worker *w = &p->worker[i];

	*w = (struct worker){.pool = p, .number = i};
	list_init(&w->busy);
	list_init(&w->free);
	loop_timer_init(&w->watch, p->opts.loop, on_watch, w);
	loop_timer_init(&w->restart, p->opts.loop, on_restart, w);
	loop_timer_init(&w->more, p->opts.loop, on_more, w);
	int ret = -EBUSY;
	/* In another container another server may have our process id, and the same /dev/shm. */
	for (unsigned k = 0; k < NAMES_MAX && ret == -EBUSY; k++) {
		snprintf(w->name, sizeof(w->name), "audiod-%d-%u", (int)getpid(),
			 i + k * POOL_WORKERS_MAX);
		ret = segment_make(&w->seg, w->name, n_slots, p->opts.buffer);
	}
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
	pool_results(w); /* arms the doorbell */
	spawn(w);
	return 0;
}

void crew_done(struct worker *w)
{
	loop_timer_stop(&w->watch);
	loop_timer_stop(&w->restart);
	loop_timer_stop(&w->more);
	loop_io_free(w->results);
	if (w->pid) {
		loop_child_forget(w->child);
		end(w);
	}
	segment_unlink(w->name); /* while its rings still say whose it is */
	segment_done(&w->seg);
}
