/*
 * The pool of worker processes, seen from the front process: seats for sessions, one job at a time
 * on each, and workers that are replaced when they die or hang.
 *
 *	pool_take ─> seat ── write into seat_input, seat_submit ──> (worker) ──> data handler
 *	pool_flush once a turn hands over everything submitted in it
 */
#ifndef MSR_AUDIOD_POOL_H
#define MSR_AUDIOD_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "chain.h"

#define POOL_WORKERS_MAX 256

struct events;
struct loop;
struct metrics;
struct pool;
struct seat;

struct pool_opts {
	struct loop *loop;	 /* lent */
	struct metrics *metrics; /* lent */
	struct events *events;	 /* lent */
	unsigned workers;	 /* 1 to POOL_WORKERS_MAX */
	uint32_t seats;		 /* in all; spread evenly */
	uint32_t buffer;	 /* bytes of a seat's input and of its output buffer */
	int64_t data_timeout_us;
	const struct exec_list *execs; /* lent */

	/* The job of a seat is done: status 0 and its output (lent), or -errno. */
	void (*data)(void *owner, const uint8_t *out, size_t len, int status);
	/* A processor tells the client something. */
	void (*event)(void *owner, const char *json, size_t len);
};

/* Starts the workers. 0 or -errno, logged. */
int pool_new(struct pool **pp, const struct pool_opts *opts);
/* Ends them and removes their shared memory. Accepts NULL. */
void pool_free(struct pool *p);

/* A seat with fresh processors; `chain` is lent until pool_leave. 0, -ENOSPC (all taken) or
 * -ENOMEM. */
int pool_take(struct pool *p, const struct chain_spec *chain, void *owner, struct seat **out);
/* The handlers are not called any more. What lay in its buffers is wiped before the next. */
void pool_leave(struct seat *s);

bool seat_busy(const struct seat *s);
unsigned seat_worker(const struct seat *s);
/* Where the next job's bytes go: `buffer` of them. Only while not busy. */
uint8_t *seat_input(struct seat *s);
void seat_submit(struct seat *s, size_t len);

/* Wakes the workers that have new jobs; call once a turn. */
void pool_flush(struct pool *p);
/*
 * The same, and waits up to `us` for results, which may submit the next jobs. False when none came:
 * for sessions with more than a seat takes at once, between the turns of the loop.
 */
bool pool_round(struct pool *p, int64_t us);
/* The process of a worker, 0 while it is being replaced. */
pid_t pool_worker_pid(const struct pool *p, unsigned worker);
/* Jobs under way. */
size_t pool_busy(const struct pool *p);

#endif
