/*
 * Frames are gathered in one of three buffers: a packet with a new timestamp can end one frame,
 * begin another and, with its marker, end that as well, so that up to two finished ones wait for
 * the caller while a third is under way.
 */
#include "depack.h"

#include <errno.h>
#include <stdlib.h>

#include "rtp/codec/depack_codec.h"
#include "rtp/packet.h"

#define WORKS 3

static const struct depack_codec *const codecs[RTP_CODECS] = {
    [RTP_CODEC_OPUS] = &depack_opus, [RTP_CODEC_VP8] = &depack_vp8, [RTP_CODEC_VP9] = &depack_vp9,
    [RTP_CODEC_H264] = &depack_h264, [RTP_CODEC_AV1] = &depack_av1,
};

struct depack {
	enum rtp_codec id;
	const struct depack_codec *codec;
	struct depack_work work[WORKS];
	struct depack_work *now;	 /* the frame under way */
	struct depack_work *done[WORKS]; /* finished, oldest first */
	bool done_damaged[WORKS];
	unsigned n_done, n_taken;
	bool damaged; /* frames were lost since the last key frame */
	enum { MARKER_UNPROVED, MARKER_TRUE, MARKER_FALSE } marker;
	bool ended;	   /* a frame was ended by its marker, and no other has begun */
	uint32_t ended_ts; /* its time */
	struct depack_params params;
};

int depack_new(struct depack **out, enum rtp_codec codec)
{
	if (codec >= RTP_CODECS || !codecs[codec])
		return -EINVAL;
	struct depack *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->id = codec;
	d->codec = codecs[codec];
	d->now = &d->work[0];
	for (unsigned i = 0; i < WORKS; i++) {
		buf_init(&d->work[i].data, DEPACK_FRAME_MAX);
		buf_init(&d->work[i].part, DEPACK_FRAME_MAX);
	}
	*out = d;
	return 0;
}

void depack_free(struct depack *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < WORKS; i++) {
		buf_done(&d->work[i].data);
		buf_done(&d->work[i].part);
	}
	free(d);
}

static void begin(struct depack_work *w, uint32_t ts)
{
	struct buf data = w->data, part = w->part;

	buf_consume(&data, buf_len(&data));
	buf_consume(&part, buf_len(&part));
	*w = (struct depack_work){.data = data, .part = part, .ts = ts, .active = true};
}

static void finish(struct depack *d)
{
	struct depack_work *w = d->now;

	if (!w->active)
		return;
	w->active = false;
	if (!w->broken && d->codec->end && d->codec->end(w, &d->params) < 0)
		w->broken = true;
	if (w->broken) {
		d->damaged = true;
		return;
	}
	if (!buf_len(&w->data)) /* nothing but parameter sets or delimiters */
		return;
	if (w->key)
		d->damaged = false;
	d->done_damaged[d->n_done] = d->damaged;
	d->done[d->n_done++] = w;
	/* The next free one: at most two are finished here. */
	for (unsigned i = 0; i < WORKS; i++) {
		d->now = &d->work[i];
		if (d->now != d->done[0] && (d->n_done < 2 || d->now != d->done[1]))
			break;
	}
}

/*
 * The marker is no more than a hint: there are senders that set it on every packet, or at the end
 * of each slice or layer. What is sure is that another timestamp is another frame. So until a frame
 * of several packets has had its marker on the last one only, and for ever after a frame went on
 * behind its marker, frames wait for the packet behind them.
 */
static void judge_marker(struct depack *d, const struct rtp_packet *p)
{
	const struct depack_work *w = d->now;

	if (w->active && w->marked && w->ts == p->ts)
		d->marker = MARKER_FALSE;
	else if (w->active && w->marked && w->many && d->marker == MARKER_UNPROVED)
		d->marker = MARKER_TRUE;
}

/* Whether a frame that was given out goes on after all: what the caller has is a part of it. */
static bool goes_on(struct depack *d, const struct rtp_packet *p)
{
	bool same = d->ended && d->ended_ts == p->ts;

	d->ended = false;
	return same;
}

/* The frame under way is complete by its marker, and waits only because that may be false. */
static void end_marked(struct depack *d)
{
	d->ended = true;
	d->ended_ts = d->now->ts;
	finish(d);
}

/*
 * Whether a frame without its marker ends for good with the packet behind it. Where that begins a
 * key frame the stream is another now (a forwarder changed the layer, between two packets of a
 * frame, with no number missing), and the rest of the frame will never come.
 */
static bool cut_off(const struct depack *d, const struct rtp_packet *p)
{
	struct rtp_payload_info info;

	rtp_payload_look(d->id, p, &info);
	return info.key && info.frame_start;
}

int depack_push(struct depack *d, const struct rtp_packet *p, bool lost)
{
	struct depack_work *w = d->now;

	d->n_done = d->n_taken = 0;
	if (p->payload_len)
		judge_marker(d, p);
	/* What is lost behind a marker is of another frame. */
	if (lost && w->active && w->marked && d->marker != MARKER_FALSE)
		end_marked(d);
	if (lost) {
		d->damaged = true;
		d->now->broken |= d->now->active;
	}
	if (!p->payload_len) /* padding for bandwidth probes belongs to no frame */
		return 0;
	w = d->now;
	if (w->active && w->ts != p->ts) {
		w->broken |= !w->marked && cut_off(d, p);
		finish(d);
	}
	w = d->now;
	if (!w->active) {
		begin(w, p->ts);
		if (goes_on(d, p)) {
			d->marker = MARKER_FALSE;
			d->damaged = w->broken = true;
		}
		w->broken |= d->damaged && !d->codec->starts(p);
	}
	int r = w->broken ? 0 : d->codec->add(w, &d->params, p);
	if (r < 0)
		w->broken = true;
	w->marked = p->marker;
	w->many |= !p->marker;
	if (d->codec->every_packet)
		finish(d);
	else if (p->marker && d->marker == MARKER_TRUE)
		end_marked(d);
	return r;
}

void depack_flush(struct depack *d)
{
	d->n_done = d->n_taken = 0;
	if (d->now->active && d->now->marked)
		end_marked(d);
}

void depack_begin(struct depack *d)
{
	d->n_done = d->n_taken = 0;
	d->now->active = d->ended = false;
	d->damaged = false;
	d->marker = MARKER_UNPROVED;
	d->params = (struct depack_params){0};
}

int depack_next(struct depack *d, struct depack_frame *f)
{
	if (d->n_taken == d->n_done)
		return 0;
	const struct depack_work *w = d->done[d->n_taken];
	*f = (struct depack_frame){
	    .data = buf_data(&w->data),
	    .len = buf_len(&w->data),
	    .ts = w->ts,
	    .key = w->key,
	    .damaged = d->done_damaged[d->n_taken],
	    .width = w->width,
	    .height = w->height,
	    .samples = w->samples,
	};
	d->n_taken++;
	return 1;
}

const uint8_t *depack_private(struct depack *d, size_t *len)
{
	*len = d->codec->private ? d->codec->private(&d->params) : 0;
	return *len ? d->params.out : NULL;
}
