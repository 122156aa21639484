/* Layers: see layer.h. */
#include "layer.h"

#include <string.h>

#include "rtp/codec/vp8.h"
#include "stream.h"
#include "track.h"

#define US	     1000000
#define TS_STEP_HZ   1000 /* a step between pictures that must not be at one time: 1 ms */
#define RATE_MARGIN  4	  /* a stream with 3/4 of another's rate is the lower one */
#define NTP_MAX_DIFF (3600ll << 32)

/* ---- the streams of a track ---- */

void layers_init(struct layers *l, unsigned n)
{
	*l = (struct layers){.n = (uint8_t)n};
	for (unsigned i = 0; i < n; i++)
		l->order[i] = (uint8_t)i;
}

static uint8_t living(const struct stream *s, unsigned n)
{
	int64_t newest_us = 0;
	uint8_t alive = 0;

	for (unsigned i = 0; i < n; i++)
		if (s[i].media_us > newest_us)
			newest_us = s[i].media_us;
	/* Held against each other, not the clock: a track that is muted has no dead layer. */
	for (unsigned i = 0; i < n; i++)
		if (s[i].media_us && newest_us - s[i].media_us < LAYER_SILENT_US)
			alive |= (uint8_t)(1u << i);
	return alive;
}

static bool lower(const struct stream *a, const struct stream *b, int64_t now_us)
{
	uint32_t pixels_a = (uint32_t)a->width * a->height;
	uint32_t pixels_b = (uint32_t)b->width * b->height;

	if (pixels_a && pixels_b && pixels_a != pixels_b)
		return pixels_a < pixels_b;
	uint64_t bps_a = stream_bps(a, now_us), bps_b = stream_bps(b, now_us);
	return bps_a && bps_a * RATE_MARGIN < bps_b * (RATE_MARGIN - 1);
}

bool layers_update(struct layers *l, const struct stream *s, int64_t now_us)
{
	struct layers before = *l;

	l->alive = living(s, l->n);
	for (unsigned i = 1; i < l->n; i++)
		for (unsigned k = i; k && lower(&s[l->order[k]], &s[l->order[k - 1]], now_us);
		     k--) {
			uint8_t moved = l->order[k];
			l->order[k] = l->order[k - 1];
			l->order[k - 1] = moved;
		}
	return memcmp(&before, l, sizeof(before)) != 0;
}

int layers_wanted(const struct layers *l, enum media_level level)
{
	switch (level) {
	case MEDIA_OFF:
		return LAYER_NONE;
	case MEDIA_LOW:
		return 0;
	case MEDIA_MID:
		return l->n / 2; /* of two the better one */
	default:
		return l->n - 1;
	}
}

int layers_best(const struct layers *l, int layer)
{
	for (int i = layer; i >= 0; i--)
		if (l->alive & 1u << l->order[i])
			return l->order[i];
	for (int i = layer + 1; i < l->n; i++)
		if (l->alive & 1u << l->order[i])
			return l->order[i];
	return LAYER_NONE;
}

int layers_of(const struct layers *l, int stream)
{
	int i = 0;

	while (i < l->n - 1 && l->order[i] != stream)
		i++;
	return i;
}

/* ---- one receiver ---- */

void layer_init(struct layer *l, enum media_level level, uint16_t first)
{
	*l = (struct layer){.current = LAYER_NONE,
			    .target = LAYER_NONE,
			    .granted = MEDIA_LAYERS_MAX,
			    .level = level,
			    .first = first};
}

static int cap(const struct layer *l, const struct track *t)
{
	int wanted = layers_wanted(&t->layers, l->level);

	return wanted < l->granted ? wanted : l->granted;
}

void layer_leave(const struct layer *l, struct layer_past *p)
{
	if (!l->rewrite.started)
		return;
	*p = (struct layer_past){.highest = rewrite_next(&l->rewrite) - 1,
				 .last_us = l->last_us,
				 .last_ts = l->rewrite.last_ts,
				 .picture = l->picture,
				 .tl0 = l->tl0,
				 .pictured = l->pictured};
}

void layer_resume(struct layer *l, const struct layer_past *p)
{
	if (!p->highest)
		return;
	l->rewrite.started = true;
	l->rewrite.highest = p->highest;
	l->rewrite.last_ts = p->last_ts;
	l->last_us = p->last_us;
	l->picture = p->picture;
	l->tl0 = p->tl0;
	l->pictured = p->pictured;
}

bool layer_aim(struct layer *l, struct track *t, enum media_reason reason)
{
	int layer = cap(l, t), target = LAYER_NONE;

	if (layer >= 0) {
		target = layers_best(&t->layers, layer);
		/* Before anything has come: what is to come. */
		if (target == LAYER_NONE)
			target = t->layers.order[layer];
	}
	if (target == l->target)
		return false;
	l->target = (int8_t)target;
	l->reason = reason;
	l->waiting_since_us = 0;
	if (target != LAYER_NONE)
		return true;
	l->current = LAYER_NONE;
	l->changed = true;
	return true;
}

void layer_stop(struct layer *l)
{
	if (l->target != l->current)
		l->current = LAYER_NONE;
}

void layer_rewrite_vp8(uint8_t *payload, const struct vp8_desc *d, const struct rewrite_cut *c)
{
	vp8_rewrite(payload, d, (uint16_t)(d->picture_id + c->picture),
		    (uint8_t)(d->tl0picidx + c->tl0), d->keyidx);
}

void layer_note(struct layer *l, const struct burst_packet *b, const struct rewrite_cut *c)
{
	l->picture = (uint16_t)(b->picture + c->picture);
	l->tl0 = (uint8_t)(b->tl0 + c->tl0);
	l->pictured = true;
}

void layer_want_key(const struct layer *l, struct track *t)
{
	int i = l->current != LAYER_NONE ? l->current : l->target;

	if (i != LAYER_NONE)
		stream_want_key(&t->stream[i]);
}

void layer_ask(const struct layer *l, struct track *t)
{
	if (l->target != LAYER_NONE && l->target != l->current &&
	    rtp_codec_is_video(t->config.codec))
		stream_want_key(&t->stream[l->target]);
}

/* ---- moving over ---- */

uint32_t layer_ts_distance(const struct layer_clock *from, uint32_t distance,
			   const struct layer_clock *to, uint32_t ts, uint32_t expected,
			   uint32_t clock)
{
	int64_t apart = (int64_t)(to->ntp - from->ntp);

	if (!from->ntp || !to->ntp || apart > NTP_MAX_DIFF || apart < -NTP_MAX_DIFF)
		return expected - ts;
	/* At to.ntp the streams showed to.ts and, moved, from.ts + ticks. */
	int64_t ticks = apart * (int64_t)clock / (1ll << 32);
	uint32_t mapped = from->ts + distance + (uint32_t)ticks - to->ts;
	int32_t off = (int32_t)(ts + mapped - expected);
	int64_t most = (int64_t)clock * LAYER_CLOCK_US / US;
	return off > most || off < -most ? expected - ts : mapped;
}

static struct layer_clock clock_of(const struct stream *s)
{
	return (struct layer_clock){s->sr_at_us ? s->sr.ntp : 0, s->sr.ts};
}

/* RTP time continues at the clock's pace over a change, and never goes back. */
static uint32_t follow(struct layer *l, const struct track *t, const struct burst_packet *b,
		       int64_t now_us)
{
	const struct rewrite_cut *last = &l->rewrite.cut[0];
	const struct stream *from = &t->stream[last->stream];
	uint32_t distance = last->ts_distance - l->shift, last_ts = l->rewrite.last_ts;
	bool other_track = !l->rewrite.n_cuts; /* layer_resume */

	if (last->stream != b->index || b->reset || other_track) {
		struct layer_clock a = clock_of(from), z = clock_of(b->stream);
		uint32_t since = (uint32_t)((now_us - l->last_us) * b->stream->clock / US);
		if (b->reset || other_track) /* the reports have nothing to do with each other */
			z.ntp = 0;
		distance =
		    layer_ts_distance(&a, distance, &z, b->p.ts, last_ts + since, b->stream->clock);
	}
	int32_t ahead = (int32_t)(b->p.ts + distance - last_ts);
	l->shift = ahead > 0 ? 0 : b->stream->clock / TS_STEP_HZ - (uint32_t)ahead;
	return distance + l->shift;
}

static void begin(struct layer *l, const struct track *t, const struct burst_packet *b,
		  int64_t now_us)
{
	struct rewrite_cut cut = {.from = b->seq, .stream = b->index};

	if (l->rewrite.started)
		cut.ts_distance = follow(l, t, b, now_us);
	if (l->pictured) {
		cut.picture = (uint16_t)(l->picture + 1 - b->picture);
		cut.tl0 = (uint8_t)(l->tl0 + 1 - b->tl0);
	}
	rewrite_begin(&l->rewrite, cut, l->first);
	l->last_us = now_us; /* the next layer may begin in the same burst */
	l->changed |= l->current != b->index;
	l->current = (int8_t)b->index;
	if (layers_of(&t->layers, b->index) > layers_of(&t->layers, l->target))
		l->target = l->current;
	l->waiting_since_us = 0;
}

/* A stream better than the current one that was not chosen as the target, because it had not come
 * yet, or while the target has not. */
static bool better(const struct layer *l, const struct track *t, int stream)
{
	int layer = layers_of(&t->layers, stream);

	return layer <= cap(l, t) &&
	       (l->current == LAYER_NONE || layer > layers_of(&t->layers, l->current));
}

/* Whether sending may begin with this packet. */
static bool may_begin(struct layer *l, const struct track *t, const struct burst_packet *b,
		      int64_t now_us)
{
	if (b->index != l->target && !(b->key && better(l, t, b->index)))
		return false;
	if (b->key || !rtp_codec_is_video(t->config.codec))
		return b->p.payload_len > 0;
	if (!l->waiting_since_us)
		l->waiting_since_us = now_us;
	/* Encrypted end to end, say: key frames cannot be told. */
	if (l->current == LAYER_NONE && now_us - l->waiting_since_us > LAYER_KEY_WAIT_US)
		return true;
	stream_want_key(b->stream);
	return false;
}

bool layer_consider(struct layer *l, struct track *t, const struct burst_packet *b, int64_t now_us)
{
	if (l->target == LAYER_NONE)
		return false;
	if (b->index == l->current && b->reset)
		l->current = LAYER_NONE;
	if (!may_begin(l, t, b, now_us))
		return false;
	begin(l, t, b, now_us);
	return true;
}
