/*
 * What pool.c (seats, jobs, results) and crew.c (worker processes) share. Nothing else includes it.
 */
#ifndef MSR_AUDIOD_POOL_INT_H
#define MSR_AUDIOD_POOL_INT_H

#include <sys/types.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/metrics.h"
#include "loop/loop.h"
#include "pool.h"
#include "segment.h"

#define WORKER_NAME_SIZE 64

struct loop_child;
struct loop_io;

struct worker {
	struct pool *pool;
	unsigned number;
	char name[WORKER_NAME_SIZE]; /* of its segment */
	struct segment seg;
	pid_t pid; /* 0: none now */
	struct loop_child *child;
	struct loop_io *results;
	struct list busy;	 /* seats with a job under way, the oldest first */
	struct loop_timer watch; /* armed while there are some, by crew_watch; */
	struct mono watched;	 /* since when, */
	int64_t cpu_us;		 /* and what the process had had of processors then */
	struct loop_timer restart;
	struct loop_timer more; /* results were left for the next turn */
	struct mono started;
	struct list free; /* seats */
	size_t n_taken;
	bool flush;   /* jobs published and not handed over yet */
	bool damaged; /* its rings hold nonsense: the next worker gets new ones */
};

struct seat {
	struct list link; /* in worker.free or worker.busy, or alone */
	struct worker *worker;
	uint32_t slot;
	void *owner;			/* NULL: nobody sits here */
	const struct chain_spec *chain; /* the owner's, until it leaves */
	uint64_t session;		/* its number; what the slot says is the worker's word */
	uint64_t number;		/* of the last job */
	struct mono since; /* when its worker can have begun the job: jobs are done in order */
	unsigned hangs;	   /* workers that were killed because this job waited, */
	unsigned waits;	   /* times that one was not, for it had no processor, */
	int64_t had_us;	   /* but this much of one */
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

/* ---- pool.c ---- */

/* Takes results, a bounded number; the rest comes with the next turn. */
void pool_results(struct worker *w);
/* The job of a seat is done: its output's length and 0, or -errno. May begin the next. */
void pool_finish(struct seat *s, size_t len, int status);

/* ---- crew.c ---- */

/* Makes the worker's segment, with `n_slots` free seats out of the pool's, and starts it. */
int crew_join(struct pool *p, unsigned number, uint32_t n_slots);
void crew_done(struct worker *w);
/* Looks again in `us` whether it hangs. */
void crew_watch(struct worker *w, int64_t us);
/* Nonsense was found in what it shares: it is killed, and all that it shares is replaced. */
void crew_damaged(struct worker *w);

#endif
