/*
 * A worker: takes jobs from its ring, runs each through the session's chain, puts the answer into
 * the slot and a result into the other ring. It holds no socket and knows no client.
 *
 *	job ─ slot.at = number ─ off the ring ─ in → chain → out ─ slot.done = number ─ result
 *
 * The chains are its own memory: a worker that replaces another opens them again.
 */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "frame/ring.h"
#include "segment.h"

#define BATCH	 256 /* jobs between two hand-overs of results, */
#define BATCH_US 500 /* or this long */

/* What the worker has for a slot. */
struct place {
	uint64_t session; /* whose chain it is */
	uint32_t slot;
	struct chain *chain;
	struct worker_state *state;
};

struct worker_state {
	struct segment seg;
	const struct exec_list *execs;
	struct place *place; /* seg.n_slots of them */
};

/* Waits for room: the front takes results whenever it turns. */
static uint8_t *reserve(struct worker_state *w, size_t n)
{
	uint8_t *p;

	while (!(p = ring_reserve(w->seg.out, n))) {
		if (ring_error(w->seg.out) < 0)
			return NULL;
		ring_flush(w->seg.out);
		ring_wait(w->seg.out, -1);
	}
	return p;
}

static void on_event(void *arg, const char *json, size_t len)
{
	struct place *pl = arg;
	size_t padded = (len + 7) & ~(size_t)7;

	if (len > EVENT_TEXT_MAX)
		return;
	uint8_t *p = reserve(pl->state, sizeof(struct result) + padded);
	if (!p)
		return;
	struct result r = {
	    .session = pl->session, .slot = pl->slot, .kind = RESULT_EVENT, .len = (uint32_t)len};
	memcpy(p, &r, sizeof(r));
	memcpy(p + sizeof(r), json, len);
	memset(p + sizeof(r) + len, 0, padded - len);
	ring_publish_more(pl->state->seg.out, sizeof(r) + padded);
}

/* The chain of the job's session, opened when it is new here. */
static int chain_for(struct worker_state *w, const struct job *j, struct place **out)
{
	struct place *pl = &w->place[j->slot];
	struct slot *slot = segment_slot(&w->seg, j->slot);

	*out = pl;
	if (pl->session == j->session && pl->chain)
		return 0;
	chain_close(pl->chain);
	pl->chain = NULL;
	pl->session = j->session;
	struct chain_spec spec = slot->chain;
	if (atomic_load(&slot->session) != j->session || !chain_valid(&spec))
		return -ESTALE;
	return chain_open(&pl->chain, &spec, w->execs, on_event, pl);
}

static int process(struct worker_state *w, const struct job *j)
{
	struct place *pl;
	int ret = chain_for(w, j, &pl);

	if (ret < 0)
		return ret;
	uint8_t *out = slot_out(&w->seg, j->slot);
	memcpy(out, slot_in(&w->seg, j->slot), j->len);
	ret = chain_process(pl->chain, out, j->len);
	if (ret < 0) { /* the next message starts afresh */
		chain_close(pl->chain);
		pl->chain = NULL;
	}
	return ret;
}

/* The session is over; so are its chain and the programs in it. */
static void leave(struct place *pl, uint64_t session)
{
	if (pl->session != session)
		return;
	chain_close(pl->chain);
	pl->chain = NULL;
	pl->session = 0;
}

static void do_job(struct worker_state *w, const struct job *j)
{
	if (j->slot < w->seg.n_slots && j->len == JOB_LEAVE)
		leave(&w->place[j->slot], j->session);
	if (j->slot >= w->seg.n_slots || j->len > w->seg.buffer)
		return;
	struct slot *slot = segment_slot(&w->seg, j->slot);
	if (atomic_load(&slot->given_up) >= j->number || atomic_load(&slot->session) != j->session)
		return;
	struct result r = {.session = j->session,
			   .number = j->number,
			   .slot = j->slot,
			   .kind = RESULT_DATA,
			   .len = j->len};
	r.status = process(w, j);
	atomic_store(&slot->done, j->number);
	uint8_t *p = reserve(w, sizeof(r));
	if (!p)
		return;
	memcpy(p, &r, sizeof(r));
	ring_publish_more(w->seg.out, sizeof(r));
}

/* Everything that is there now. */
static int work(struct worker_state *w)
{
	const uint8_t *p;
	long n;
	struct mono handed_over = mono_now();

	while ((n = ring_peek(w->seg.in, &p)) >= (long)sizeof(struct job)) {
		for (int i = 0; i < BATCH && n >= (long)sizeof(struct job); i++) {
			struct job j;
			memcpy(&j, p, sizeof(j));
			/* First say so, then take it: a job is never lost between the two. */
			if (j.slot < w->seg.n_slots && j.len != JOB_LEAVE)
				atomic_store(&segment_slot(&w->seg, j.slot)->at, j.number);
			ring_advance(w->seg.in, sizeof(j));
			ring_commit(w->seg.in, ring_cursor(w->seg.in));
			do_job(w, &j);
			p += sizeof(j);
			n -= (long)sizeof(j);
			if (mono_diff_us(mono_now(), handed_over) >= BATCH_US)
				break;
		}
		ring_flush(w->seg.out);
		handed_over = mono_now();
	}
	return n < 0 ? (int)n : 0;
}

int worker_main(const char *name, const struct exec_list *execs)
{
	struct worker_state w = {.execs = execs};
	int ret = segment_join(&w.seg, name);

	if (ret < 0) {
		log_error("worker: cannot open shared memory '%s': %s", name, strerror(-ret));
		return 1;
	}
	signal(SIGPIPE, SIG_IGN); /* filter programs may end */
	/* The front has lowered its own limit before it replaces a worker. */
	proc_raise_nofile();
	w.place = calloc(w.seg.n_slots, sizeof(*w.place));
	if (!w.place)
		return 1;
	for (uint32_t i = 0; i < w.seg.n_slots; i++)
		w.place[i] = (struct place){.slot = i, .state = &w};
	while ((ret = work(&w)) == 0) {
		if (ring_arm(w.seg.in))
			continue;
		ring_wait(w.seg.in, -1);
	}
	log_error("worker: the ring of '%s' is damaged: %s", name, strerror(-ret));
	return 1;
}
