/* From packets to frames with a time. */
#include "rtp_track.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame/frame.h"
#include "rtp/depack.h"
#include "rtp/jitter.h"
#include "rtp/packet.h"

#define REORDER_PACKETS 1024
#define REORDER_US	2200000 /* as long as msr-sfu asks again, and some time on the way */
#define START_US	100000
#define HOLD_US		500000
#define HOLD_MAX	(4u << 20) /* bytes */
#define SILENT_US	2000000	   /* of the stream under way: an earlier one may come back */

struct held {
	struct held *next;
	struct depack_frame f; /* data leads behind the structure */
	int64_t arrival_us;    /* in file time */
};

int rtp_track_init(struct rtp_track *t, enum rtp_codec codec, int64_t origin_us)
{
	struct jitter_limits limits = {REORDER_PACKETS, REORDER_US, START_US};

	*t = (struct rtp_track){.codec = codec, .origin_us = origin_us};
	t->time.clock = rtp_codec_clock(codec);
	t->held_end = &t->held;
	int r = jitter_new(&t->jitter, &limits);
	if (r == 0)
		r = depack_new(&t->depack, codec);
	if (r < 0)
		rtp_track_done(t);
	return r;
}

void rtp_track_done(struct rtp_track *t)
{
	while (t->held) {
		struct held *h = t->held;
		t->held = h->next;
		free(h);
	}
	jitter_free(t->jitter);
	depack_free(t->depack);
	t->jitter = NULL;
	t->depack = NULL;
}

/* ---- frames in doubt ---- */

static int hold(struct rtp_track *t, const struct depack_frame *f, int64_t arrival_us)
{
	struct held *h = malloc(sizeof(*h) + f->len);

	if (!h)
		return -ENOMEM;
	*h = (struct held){.f = *f, .arrival_us = arrival_us};
	h->f.data = memcpy(h + 1, f->data, f->len);
	if (!t->held)
		t->held_since_us = arrival_us;
	*t->held_end = h;
	t->held_end = &h->next;
	t->held_bytes += f->len;
	return 0;
}

static int give(struct rtp_track *t, const struct depack_frame *f, rtp_track_sink sink, void *arg)
{
	int64_t at_us = timeline_at(&t->time, f->ts);

	/* Never before what is in the file already; times of blocks are whole milliseconds. */
	if (at_us < t->time.end_us)
		at_us = t->time.end_us;
	int r = sink(arg, at_us, f);
	t->time.end_us = at_us + (f->samples ? (int64_t)f->samples * 1000000 / 48000 : 1000);
	return r;
}

static int release(struct rtp_track *t, rtp_track_sink sink, void *arg)
{
	int r = 0;

	while (t->held) {
		struct held *h = t->held;
		int failed = give(t, &h->f, sink, arg);
		r = r ? r : failed;
		t->held = h->next;
		free(h);
	}
	t->held_end = &t->held;
	t->held_bytes = 0;
	return r;
}

/* Time stood still at the sender: what is held lies where it arrived. */
static int anchor_held(struct rtp_track *t, rtp_track_sink sink, void *arg)
{
	if (t->held)
		timeline_anchor(&t->time, t->held->f.ts, t->held->arrival_us);
	return release(t, sink, arg);
}

static int place(struct rtp_track *t, const struct depack_frame *f, int64_t arrival_us,
		 rtp_track_sink sink, void *arg)
{
	int r = 0;

	if (!t->time.anchored)
		timeline_anchor(&t->time, f->ts, arrival_us);
	enum timeline_verdict v = timeline_judge(&t->time, f->ts, arrival_us);
	if (v == TIMELINE_OFF) {
		r = anchor_held(t, sink, arg);
		/* Unless that has made it right. */
		if (timeline_judge(&t->time, f->ts, arrival_us) == TIMELINE_OFF)
			timeline_anchor(&t->time, f->ts, arrival_us);
	} else if (v == TIMELINE_LATE || t->held) {
		if (timeline_late_us(&t->time, f->ts, arrival_us) > TIMELINE_NEAR_US) {
			r = hold(t, f, arrival_us);
			if (arrival_us - t->held_since_us >= HOLD_US || t->held_bytes > HOLD_MAX)
				r = r ? r : anchor_held(t, sink, arg);
			return r;
		}
		r = release(t, sink, arg); /* the delay came from the network */
	}
	timeline_learn(&t->time, f->ts, arrival_us);
	int failed = give(t, f, sink, arg);
	return r ? r : failed;
}

/* ---- packets ---- */

/* Frames are dropped until they can be decoded: a player would show garbage, or stop. */
static bool decodable(struct rtp_track *t, const struct depack_frame *f)
{
	if (!rtp_codec_is_video(t->codec))
		return true;
	t->decodable = f->key || (t->decodable && !f->damaged);
	return t->decodable;
}

/* Frames that end with the packet of RTP time `ts`, which is the latest, or with the one before. */
static int take_frames(struct rtp_track *t, uint32_t ts, int64_t arrival_us, rtp_track_sink sink,
		       void *arg)
{
	struct depack_frame f;
	int r = 0;

	while (depack_next(t->depack, &f)) {
		if (!decodable(t, &f))
			continue;
		int failed = place(t, &f, f.ts == ts ? arrival_us : t->taken_us, sink, arg);
		r = r ? r : failed;
	}
	t->taken_us = arrival_us;
	return r;
}

/* The frame of which nobody knew whether it is complete: nothing more of it has come. */
static int take_last(struct rtp_track *t, rtp_track_sink sink, void *arg)
{
	struct depack_frame f;
	int r = 0;

	depack_flush(t->depack);
	while (depack_next(t->depack, &f))
		if (decodable(t, &f))
			r = place(t, &f, t->taken_us, sink, arg);
	return r;
}

static void count_lost(struct rtp_track *t, uint64_t n)
{
	t->lost += n;
	if (n)
		t->lost_us = t->origin_us + t->time.end_us;
}

static int take_packet(struct rtp_track *t, const struct jitter_packet *jp, rtp_track_sink sink,
		       void *arg)
{
	struct rtp_packet p;
	bool lost = jp->lost || jp->reset || t->hole;

	t->hole = false;
	count_lost(t, jp->lost);
	if (rtp_parse(&p, jp->data, jp->len, NULL) < 0)
		return -EBADMSG;
	int r = depack_push(t->depack, &p, lost);
	if (r == -ENOMEM)
		return r;
	/* Padding is of no frame, and may go on long behind the latest. */
	int64_t arrival_us = p.payload_len ? jp->arrival_us - t->origin_us : t->taken_us;
	return take_frames(t, p.ts, arrival_us, sink, arg);
}

static bool is_past(const struct rtp_track *t, uint32_t ssrc)
{
	for (unsigned i = 0; i < t->n_past && i < RTP_TRACK_PAST; i++)
		if (t->past[i] == ssrc)
			return true;
	return false;
}

/* Another stream takes the track's place: a camera that was replaced, a page that was reloaded. */
static int change_stream(struct rtp_track *t, uint32_t ssrc, rtp_track_sink sink, void *arg)
{
	int r = t->started ? rtp_track_drain(t, sink, arg) : 0;

	if (t->started && !is_past(t, t->ssrc))
		t->past[t->n_past++ % RTP_TRACK_PAST] = t->ssrc;
	/* Its sequence numbers have nothing to do with those of the last one. */
	jitter_begin(t->jitter);
	depack_begin(t->depack);
	t->started = true;
	t->ssrc = ssrc;
	t->decodable = false;
	t->time.anchored = t->time.reported = false;
	return r;
}

/* What is in order, and what has waited long enough. */
static int take_ripe(struct rtp_track *t, rtp_track_sink sink, void *arg)
{
	struct jitter_packet jp;
	int r = 0, failed;

	while (jitter_get(t->jitter, t->now_us, &jp)) {
		failed = take_packet(t, &jp, sink, arg);
		r = r ? r : failed;
	}
	return r;
}

int rtp_track_tick(struct rtp_track *t, int64_t now_us, rtp_track_sink sink, void *arg)
{
	if (now_us > t->now_us)
		t->now_us = now_us;
	int r = take_ripe(t, sink, arg), failed;

	if (t->now_us - t->origin_us - t->taken_us >= REORDER_US) {
		failed = take_last(t, sink, arg);
		r = r ? r : failed;
	}
	if (t->held && t->now_us - t->origin_us - t->held_since_us >= HOLD_US) {
		failed = anchor_held(t, sink, arg);
		r = r ? r : failed;
	}
	return r == -EBADMSG ? 0 : r;
}

/* All packets that are there, without waiting for those that are not. */
static int take_rest(struct rtp_track *t, rtp_track_sink sink, void *arg)
{
	struct jitter_packet jp;
	int r = 0;

	while (jitter_drain(t->jitter, &jp)) {
		int failed = take_packet(t, &jp, sink, arg);
		r = r ? r : failed;
	}
	return r;
}

/*
 * The sender's numbers alone do not tell of a long gap: they have 16 bits, and after a large jump
 * are taken for those of a sender that has started again. Those of the frames do, within a stream:
 * each is numbered by itself.
 */
static int note_gap(struct rtp_track *t, const struct frame *f, rtp_track_sink sink, void *arg)
{
	uint64_t before = t->part;

	if (f->part <= before)
		return 0;
	t->part = f->part;
	if (!(f->flags & FRAME_GAP) || f->part == before + 1)
		return 0;
	int r = take_rest(t, sink, arg);
	jitter_begin(t->jitter);
	t->hole = true;
	count_lost(t, f->part - before - 1);
	return r;
}

int rtp_track_put(struct rtp_track *t, const struct frame *f, rtp_track_sink sink, void *arg)
{
	struct rtp_packet p;
	int r = rtp_parse(&p, f->body, f->body_len, NULL), failed;

	if (r < 0)
		return r;
	if (f->time_us > t->now_us)
		t->now_us = f->time_us;
	if (t->started && p.ssrc == t->ssrc) {
		r = note_gap(t, f, sink, arg);
	} else {
		if (is_past(t, p.ssrc) && t->now_us - t->heard_us < SILENT_US)
			return 0;
		r = change_stream(t, p.ssrc, sink, arg);
		t->part = f->part;
	}
	t->heard_us = t->now_us;
	/* Late packets and duplicates are nobody's fault. */
	if (jitter_put(t->jitter, p.seq, f->body, f->body_len, t->now_us) == -ENOMEM)
		return -ENOMEM;
	failed = take_ripe(t, sink, arg);
	r = r ? r : failed;
	return r == -EBADMSG ? 0 : r;
}

int rtp_track_drain(struct rtp_track *t, rtp_track_sink sink, void *arg)
{
	int r = take_rest(t, sink, arg), failed;

	failed = take_last(t, sink, arg);
	r = r ? r : failed;
	failed = anchor_held(t, sink, arg);
	return r ? r : failed;
}
