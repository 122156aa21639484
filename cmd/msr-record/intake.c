/* Batches, commits and standing still. All decisions about frames are made in session.c. */
#include "intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/opt.h"
#include "event/event.h"
#include "finish.h"
#include "frame/source.h"
#include "loop/loop.h"
#include "mixer.h"
#include "recorder.h"
#include "recording.h"
#include "session.h"

#define BATCH_US    20000	/* between two batches under load */
#define BATCH_BYTES (16u << 20) /* of frames; then they are written before more is read */
#define TURN_BYTES  (1u << 20)	/* of one source before the next has its turn */
#define TURN_FRAMES 1024
#define TIME_MAX_US 253402300799999999 /* the end of the year 9999 */
#define RETRY_US    1000000	       /* while the disk is full */

struct feed {
	struct intake *in;
	struct source *source; /* owned; NULL when it has ended */
	const char *spec;      /* lent by argv */
	uint32_t number;       /* from 1 */
	bool ready;	       /* may have more */
	bool busy;	       /* gave frames in this batch */
	bool follow, ending;   /* ending: at its end, its sessions still to be ended */
	bool has_held;	       /* `held` was refused for want of space */
	struct frame held;
	uint64_t handled; /* position behind the last frame in a recording */
	uint64_t flushed; /* behind the last one whose journal is written */
	uint64_t committed;
	uint64_t left; /* position behind what producers before the present one may have left */
	struct source_stats last; /* as counted already */
};

struct intake {
	struct recorder *r;
	struct feed feeds[OPT_LIST_MAX];
	int n_feeds, n_open;
	struct loop_timer batch, sync, retry, limit;
	struct mono last_batch;
	bool paused; /* the disk is full */
	bool stopping, ended, failed;
	void (*end)(void *arg);
	void *arg;
};

/* ---- commit ---- */

/* What is flushed is safe: producers may forget it, and what ended may be finished. */
static void commit(struct intake *in)
{
	struct recorder *r = in->r;

	for (int i = 0; i < in->n_feeds; i++) {
		struct feed *f = &in->feeds[i];
		if (f->source && f->flushed != f->committed) {
			source_commit(f->source, f->flushed);
			f->committed = f->flushed;
		}
	}
	list_each_safe (i, &r->ended)
		finisher_add(r->finisher, container_of(i, struct recording, link));
}

static void on_sync(void *arg)
{
	struct intake *in = arg;

	if (syncfs(in->r->store.dirfd) < 0) {
		log_error("cannot sync '%s': %s; nothing is acknowledged", in->r->store.path,
			  strerror(errno));
		loop_timer_in_us(&in->sync, in->r->set.sync_ms * 1000);
		return;
	}
	commit(in);
}

static void commit_soon(struct intake *in)
{
	if (!in->r->set.sync_ms)
		commit(in);
	else if (!loop_timer_armed(&in->sync))
		loop_timer_in_us(&in->sync, in->r->set.sync_ms * 1000);
}

/* ---- standing still ---- */

static void hold_sources(struct intake *in, bool hold)
{
	for (int i = 0; i < in->n_feeds; i++)
		if (in->feeds[i].source)
			source_pause(in->feeds[i].source, hold);
}

static void stand_still(struct intake *in, int err)
{
	struct event ev;

	loop_timer_in_us(&in->retry, RETRY_US);
	if (in->paused)
		return;
	in->paused = true;
	hold_sources(in, true);
	loop_timer_stop(&in->batch);
	metric_add(&in->r->n.disk_full, 1);
	metric_set(&in->r->n.paused, 1);
	log_error("cannot write to '%s': %s; recording stands still until there is space",
		  in->r->store.path, strerror(-err));
	event_start(&ev, in->r->events, "disk-full", NULL, NULL);
	json_str(&ev.json, "message", strerror(-err));
	event_send(&ev, in->r->events);
}

static void go_on(struct intake *in)
{
	struct event ev;

	if (!in->paused)
		return;
	in->paused = false;
	metric_set(&in->r->n.paused, 0);
	log_info("recording continues");
	event_start(&ev, in->r->events, "disk-ok", NULL, NULL);
	json_str(&ev.json, "message", "recording continues");
	event_send(&ev, in->r->events);
}

/* ---- taking frames ---- */

/* Times are the peer's: those that no date has would overflow wherever they are added up. */
static void bound_time(struct frame *f)
{
	if (f->time_us < 0)
		f->time_us = 0;
	if (f->time_us > TIME_MAX_US)
		f->time_us = TIME_MAX_US;
}

static int handle(struct feed *f, const struct frame *frame)
{
	struct recorder *r = f->in->r;
	uint64_t pos = source_pos(f->source);
	struct origin from = {source_ring_id(f->source), pos, f->number, pos <= f->left};
	int ret = session_frame(r, &from, frame);

	if (ret) {
		f->held = *frame;
		f->has_held = true;
		return ret;
	}
	f->has_held = false;
	f->handled = from.pos;
	return 0;
}

static void feed_over(struct feed *f, int ret)
{
	struct event ev;

	f->ready = false;
	f->ending = true;
	if (ret == 0)
		return;
	f->in->failed = true;
	log_error("cannot read '%s': %s", f->spec, strerror(-ret));
	event_start(&ev, f->in->r->events, "input-error", NULL, NULL);
	json_str(&ev.json, "input", f->spec);
	json_str(&ev.json, "message", strerror(-ret));
	event_send(&ev, f->in->r->events);
}

/* See feed.left. What the first producer has written already is its own, while it is there. */
static uint64_t left_at(const struct feed *f, const struct source_stats *now)
{
	return now->producer_starts == 1 && source_has_producer(f->source) ? 0 : now->head;
}

static void look_at(struct feed *f)
{
	struct counters *n = &f->in->r->n;
	struct source_stats now;

	source_stats(f->source, &now);
	metric_add(&n->resyncs, (int64_t)(now.resyncs - f->last.resyncs));
	metric_add(&n->skipped, (int64_t)(now.skipped - f->last.skipped));
	if (now.skipped != f->last.skipped)
		log_warn("'%s': skipped %llu bytes that were not valid frames", f->spec,
			 (unsigned long long)(now.skipped - f->last.skipped));
	if (now.producer_starts != f->last.producer_starts) {
		log_info("'%s' has a new producer", f->spec);
		sessions_orphan(f->in->r, f->number);
		f->left = left_at(f, &now);
	}
	f->last = now;
}

/* One source's turn. The bytes taken, or -errno of a write. */
static long take_turn(struct feed *f)
{
	struct frame frame;
	long bytes = 0;

	look_at(f); /* before sessions of a new producer come, which nobody has left */
	if (f->has_held) {
		frame = f->held;
		int ret = handle(f, &frame);
		if (ret)
			return ret;
	}
	for (int n = 0; n < TURN_FRAMES && bytes < (long)TURN_BYTES; n++) {
		source_mute(f->source, f->busy);
		int ret = source_next(f->source, &frame);
		if (ret == -EAGAIN) {
			f->ready = false;
			break;
		}
		if (ret <= 0) {
			feed_over(f, ret);
			break;
		}
		f->busy = true;
		bound_time(&frame);
		bytes += (long)frame_size(&frame);
		metric_add(&f->in->r->n.frames, 1);
		metric_add(&f->in->r->n.bytes, (int64_t)frame_size(&frame));
		if ((ret = handle(f, &frame)))
			return ret;
	}
	return bytes;
}

/* Takes turns until nothing is left or the batch is full. 0 or -errno of a write. */
static int take_all(struct intake *in)
{
	size_t total = 0;
	bool more = true;

	while (more && total < BATCH_BYTES) {
		more = false;
		for (int i = 0; i < in->n_feeds; i++) {
			struct feed *f = &in->feeds[i];
			if (!f->source || !f->ready)
				continue;
			long bytes = take_turn(f);
			if (bytes < 0)
				return (int)bytes;
			total += (size_t)bytes;
			more |= f->ready;
		}
	}
	return 0;
}

static int flush_dirty(struct recorder *r)
{
	list_each_safe (i, &r->dirty) {
		int ret = recording_flush(container_of(i, struct recording, dirty));
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- ends ---- */

static void close_feed(struct feed *f)
{
	look_at(f);
	source_close(f->source);
	f->source = NULL;
	f->in->n_open--;
}

/*
 * Ends what the sources at their end have begun. A ring has no end: when it is closed, its
 * recordings wait for the next start.
 */
static int end_feeds(struct intake *in)
{
	for (int i = 0; i < in->n_feeds; i++) {
		struct feed *f = &in->feeds[i];
		if (!f->source || !f->ending)
			continue;
		int ret = source_is_ring(f->source) ? 0 : sessions_end_of(in->r, f->number, "eof");
		if (ret)
			return ret;
	}
	return 0;
}

bool intake_has_rings(const struct intake *in)
{
	for (int i = 0; i < in->n_feeds; i++)
		if (!strncmp(in->feeds[i].spec, "shm:", 4))
			return true;
	return false;
}

/* After a batch: sources at their end, positions and all, are closed. */
static int close_ended(struct intake *in)
{
	int ret;

	for (int i = 0; i < in->n_feeds; i++)
		if (in->feeds[i].source && in->feeds[i].ending)
			close_feed(&in->feeds[i]);
	if (in->n_open || in->ended)
		return 0;
	/* Recordings of an earlier run, too, have nobody left to continue them. */
	if (!intake_has_rings(in)) {
		if ((ret = sessions_end_all(in->r, "eof")))
			return ret;
		commit(in);
	}
	in->ended = true;
	in->end(in->arg);
	return 0;
}

/* ---- batches ---- */

static void batch_at(struct intake *in, int64_t after_last_us)
{
	struct mono at = mono_add_us(in->last_batch, after_last_us);

	if (!in->paused && !loop_timer_armed(&in->batch))
		loop_timer_at(&in->batch, at);
}

/* When stopping: rings that have nothing more are done, and so are FIFOs without an end. */
static void stop_feeds(struct intake *in)
{
	for (int i = 0; i < in->n_feeds; i++) {
		struct feed *f = &in->feeds[i];
		if (f->source && !f->ready && (source_is_ring(f->source) || f->follow))
			f->ending = true;
	}
}

/* Whether all that is still to be read stays where it is for the next start. */
static bool all_stays(const struct intake *in)
{
	for (int i = 0; i < in->n_feeds; i++)
		if (in->feeds[i].source && !source_is_ring(in->feeds[i].source))
			return false;
	return true;
}

/* Stops although not all is written: what is not stays for the next start. */
static void leave(struct intake *in)
{
	loop_timer_stop(&in->retry);
	in->ended = true;
	in->end(in->arg);
}

/* 0 or -errno of a write. */
static int batch(struct intake *in)
{
	int ret = take_all(in);

	if (!ret && in->stopping)
		stop_feeds(in);
	if (!ret)
		ret = end_feeds(in);
	if (!ret)
		ret = flush_dirty(in->r);
	if (ret)
		return ret;
	metric_add(&in->r->n.batches, 1);
	for (int i = 0; i < in->n_feeds; i++)
		in->feeds[i].flushed = in->feeds[i].handled;
	if (in->stopping && in->r->set.sync_ms)
		on_sync(in);
	else
		commit_soon(in);
	return close_ended(in);
}

static void run_batch(void *arg)
{
	struct intake *in = arg;
	int ret = batch(in);

	in->last_batch = mono_now();
	if (ret) {
		stand_still(in, ret);
		if (in->stopping && all_stays(in))
			leave(in);
		return;
	}
	go_on(in);
	bool more = false, busy = false;
	for (int i = 0; i < in->n_feeds; i++) {
		struct feed *f = &in->feeds[i];
		if (!f->source)
			continue;
		more |= f->ready;
		if (f->busy && source_is_ring(f->source))
			busy = f->ready = true;
		f->busy = false;
		source_pause(f->source, f->ready);
	}
	if (more || busy)
		batch_at(in, more ? 0 : BATCH_US);
}

/*
 * Pipes are small: they are emptied at once. Rings are large, and gather until the next batch; one
 * that gave something is looked at again then in any case, so that nobody has to ring for it.
 */
static void on_ready(void *arg)
{
	struct feed *f = arg;
	struct intake *in = f->in;

	f->ready = true;
	if (in->paused)
		return;
	if (source_is_ring(f->source)) {
		source_pause(f->source, true);
	} else {
		long bytes = take_turn(f);
		if (bytes < 0) {
			stand_still(in, (int)bytes);
			return;
		}
	}
	batch_at(in, BATCH_US);
}

/* ---- life ---- */

static void on_limit(void *arg)
{
	struct intake *in = arg;

	log_warn("input has not ended; leaving it");
	for (int i = 0; i < in->n_feeds; i++)
		if (in->feeds[i].source) {
			in->feeds[i].ready = false;
			in->feeds[i].ending = true;
		}
	if (batch(in) < 0 && !in->ended)
		leave(in);
}

int intake_new(struct intake **ip, struct recorder *r, void (*end)(void *arg), void *arg)
{
	struct intake *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in->r = r;
	in->end = end;
	in->arg = arg;
	loop_timer_init(&in->batch, r->loop, run_batch, in);
	loop_timer_init(&in->sync, r->loop, on_sync, in);
	loop_timer_init(&in->retry, r->loop, run_batch, in);
	loop_timer_init(&in->limit, r->loop, on_limit, in);
	*ip = in;
	return 0;
}

int intake_add(struct intake *in, const char *spec, bool follow)
{
	struct feed *f = &in->feeds[in->n_feeds];
	struct source_opts o = {.loop = in->r->loop, .follow = follow, .ready = on_ready, .arg = f};

	*f = (struct feed){
	    .in = in, .spec = spec, .follow = follow, .number = (uint32_t)in->n_feeds + 1};
	int ret = source_open(&f->source, spec, &o);
	if (ret)
		return ret;
	/* Positions begin where the ring's reader was. */
	f->handled = f->flushed = f->committed = source_pos(f->source);
	source_stats(f->source, &f->last);
	f->left = left_at(f, &f->last);
	f->ready = true;
	in->n_feeds++;
	in->n_open++;
	return 0;
}

void intake_start(struct intake *in)
{
	loop_timer_in_us(&in->batch, 0);
}

void intake_stop(struct intake *in, int64_t limit_us)
{
	in->stopping = true;
	for (int i = 0; i < in->n_feeds; i++)
		in->feeds[i].ready |= in->feeds[i].source && source_is_ring(in->feeds[i].source);
	loop_timer_in_us(&in->limit, limit_us);
	loop_timer_stop(&in->batch);
	run_batch(in);
}

void intake_free(struct intake *in)
{
	if (!in)
		return;
	for (int i = 0; i < in->n_feeds; i++)
		source_close(in->feeds[i].source);
	loop_timer_stop(&in->batch);
	loop_timer_stop(&in->sync);
	loop_timer_stop(&in->retry);
	loop_timer_stop(&in->limit);
	free(in);
}

bool intake_failed(const struct intake *in)
{
	return in->failed;
}

void intake_tick(struct intake *in)
{
	for (int i = 0; i < in->n_feeds; i++) {
		struct feed *f = &in->feeds[i];
		if (!f->source)
			continue;
		look_at(f);
		/* Each time: what it has left in the ring is still being read. */
		if (!source_has_producer(f->source))
			sessions_orphan(in->r, f->number);
	}
	if (in->paused || in->ended)
		return;
	int ret = sessions_sweep(in->r);
	if (!ret)
		ret = mixer_tick(in->r->mixer);
	if (ret)
		stand_still(in, ret);
	else if (!list_empty(&in->r->ended))
		commit_soon(in);
}
