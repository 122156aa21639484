/* Congestion control of one receiver: see congest.h. */
#include "congest.h"

#include <stdlib.h>

#include "allocate.h"
#include "endpoint.h"
#include "sub.h"
#include "track.h"

#define US	       1000000
#define LOSS_FULL      85 /* of 256, a third: no more than what passed is sent */
#define LOSS_HIGH      26 /* of 256, 10 %: less is sent */
#define LOSS_LOW       5  /* 2 %: more may be */
#define LOSS_SETTLE_US 3000000
#define AGAIN_PART     2 /* retransmissions may have, and are left room for, half of the estimate */
#define LOSES	       0.01	/* loss of the path, or just now: more is some */
#define LOSES_US       10000000 /* for which such a path is taken to lose on */
#define REPEAT_US      120000	/* in which a full queue makes room for a key frame */
#define REPEAT_SOON_US 80000	/* the same for one of several: it need not be all room */
#define LOSSY	       0.1 /* loss of the path: above, what is sent again is lost again too often */
#define LOSSY_RTT_US   150000 /* response time: above, pictures stand still while asking again */
#define FEEDBACK_US    100000 /* that receivers collect feedback: no part of an answer's time */
#define AGAIN_BURST    4      /* of a second's worth of that, at once */
#define AGAIN_MIN      4000   /* bytes at once in any case: a packet must fit */
#define BESIDES	       3      /* halves: with what else is sent meanwhile */
#define LEAST	       12     /* tenths of the lowest layers, with the margin to take them */
#define FLOOD	       14     /* tenths of the estimate */
#define PAD_MIN	       50     /* bytes: less padding is not worth a packet */
#define PAD_PACKETS    64     /* at once */

void congest_done(struct congest *c)
{
	free(c->bwe);
	*c = (struct congest){0};
}

/* ---- what is known ---- */

static bool has_feedback(const struct congest *c)
{
	return c->bwe && c->bwe->feedback_us;
}

void congest_sent(struct congest *c, uint16_t seq, size_t bytes, int64_t now_us)
{
	if (!c->bwe) {
		c->bwe = malloc(sizeof(*c->bwe));
		if (!c->bwe)
			return; /* the next one tries again; till then nothing is limited */
		bwe_init(c->bwe, CONGEST_START_BPS, CONGEST_MIN_BPS, CONGEST_MAX_BPS);
	}
	bwe_sent(c->bwe, seq, (unsigned)bytes + CONGEST_TAG, now_us);
}

void congest_feedback(struct congest *c, const struct rtcp_msg *m, int64_t now_us)
{
	if (!c->bwe || bwe_feedback(c->bwe, m, now_us) < 0)
		return;
	if (c->bwe->loss.own > LOSES || c->bwe->loss.now > LOSES)
		c->lost_us = now_us;
}

/* Of what may be sent again, `rate` bytes a second; what is spare leaves half of it to the rest. */
static bool pay_again(struct congest *c, double rate, double bytes, bool spare, int64_t now_us)
{
	double most = rate / AGAIN_BURST > AGAIN_MIN ? rate / AGAIN_BURST : AGAIN_MIN;

	c->again_tokens += rate * (double)(now_us - c->again_us) / 1e6;
	c->again_us = now_us;
	if (c->again_tokens > most)
		c->again_tokens = most;
	if (c->again_tokens < bytes + (spare ? most / 2 : 0))
		return false;
	c->again_tokens -= bytes;
	return true;
}

bool congest_again(struct congest *c, size_t bytes, bool spare, int64_t now_us)
{
	double rate = (double)congest_bps(c, now_us) / 8 / AGAIN_PART;

	if (rate > 0 && !pay_again(c, rate, (double)bytes, spare, now_us))
		return false;
	c->again += bytes;
	return true;
}

int64_t congest_answer_us(const struct congest *c)
{
	const struct rtt *r = c->bwe ? &c->bwe->rtt : NULL;

	if (!r)
		return 0;
	return r->us - FEEDBACK_US > r->min_us ? r->us - FEEDBACK_US : r->min_us;
}

bool congest_loses(const struct congest *c, int64_t now_us)
{
	return c->lost_us && now_us - c->lost_us < LOSES_US;
}

bool congest_lossy(const struct congest *c)
{
	return has_feedback(c) && c->bwe->loss.own > LOSSY && c->bwe->rtt.us > LOSSY_RTT_US;
}

void congest_repeat(const struct congest *c, int64_t now_us, int64_t *from_us, int64_t *until_us)
{
	const struct bwe *b = c->bwe;

	*from_us = *until_us = 0;
	if (!has_feedback(c))
		return;
	bool lossy = b->loss.own > LOSSY;
	if (rtt_queue_likely(&b->rtt, b->trend.noise_ms))
		*from_us = now_us + (lossy ? REPEAT_SOON_US : REPEAT_US);
	else if (b->loss.own > LOSES || b->loss.now > LOSES)
		*from_us = now_us;
	if (lossy)
		*until_us = now_us + rtt_us(&b->rtt);
}

int64_t congest_takes_us(const struct congest *c, size_t bytes, int64_t now_us)
{
	uint64_t bps = congest_bps(c, now_us);

	return bps ? (int64_t)(bytes * 8 * US * BESIDES / 2 / bps) : 0;
}

void congest_remb(struct congest *c, uint64_t bps, int64_t now_us)
{
	c->remb_bps = bps;
	c->remb_us = now_us;
}

void congest_report(struct congest *c, uint8_t fraction_lost)
{
	c->loss.reported = true;
	if (fraction_lost > c->loss.worst)
		c->loss.worst = fraction_lost;
}

static uint64_t clamp(uint64_t bps)
{
	return bps < CONGEST_MIN_BPS   ? CONGEST_MIN_BPS
	       : bps > CONGEST_MAX_BPS ? CONGEST_MAX_BPS
				       : bps;
}

/*
 * No limit until much is lost; then a little below what was sent, or what passed of it. Reports of
 * the time before that has an effect are left alone.
 */
static void limit_step(struct congest_loss *l, uint64_t granted_bps, uint64_t wanted_bps,
		       int64_t now_us)
{
	if (!l->reported || now_us - l->step_us < CONGEST_LOSS_US)
		return;
	uint64_t from = l->bps && l->bps < granted_bps ? l->bps : granted_bps;
	bool settled = now_us - l->lowered_us >= LOSS_SETTLE_US;
	if (l->worst > LOSS_HIGH && settled) {
		unsigned part = l->worst > LOSS_FULL ? 2u * l->worst : l->worst;
		l->bps = clamp(from * (512 - part) / 512);
		l->lowered_us = now_us;
	} else if (l->worst < LOSS_LOW && l->bps) {
		l->bps = clamp(l->bps + l->bps * 5 / 100 + 1000);
	}
	if (l->bps > 2 * wanted_bps)
		l->bps = 0;
	l->worst = 0;
	l->reported = false;
	l->step_us = now_us;
}

static bool has_remb(const struct congest *c, int64_t now_us)
{
	return c->remb_us && now_us - c->remb_us < CONGEST_REMB_US;
}

uint64_t congest_bps(const struct congest *c, int64_t now_us)
{
	if (has_feedback(c))
		return bwe_bps(c->bwe);
	if (!has_remb(c, now_us))
		return c->loss.bps;
	return clamp(c->loss.bps && c->loss.bps < c->remb_bps ? c->loss.bps : c->remb_bps);
}

/* ---- what is sent ---- */

/* What the estimate does not count is not weighed against it. */
static bool counts(const struct congest *c, const struct sub *s)
{
	return !has_feedback(c) || s->shape.twcc_off;
}

static unsigned gather(struct endpoint *e, struct allocate_item *item, struct sub **sub,
		       int64_t now_us)
{
	unsigned n = 0;

	list_each (i, &e->subs) {
		struct sub *s = container_of(i, struct sub, link);
		struct track *t = s->track;
		if (n == MEDIA_SUBS_MAX)
			break;
		sub[n] = s;
		item[n] = (struct allocate_item){
		    .audio = !rtp_codec_is_video(t->config.codec),
		    .speaks = t->from->speaks,
		    .wanted = sub_wanted(s),
		    .n_layers = t->layers.n,
		    .grant = &s->grant,
		};
		unsigned times = sub_repeats_sound(s, now_us) ? 2 : 1;
		for (unsigned k = 0; k < t->layers.n && counts(&e->congest, s); k++)
			if (t->n_streams == 1 || t->layers.alive & 1u << t->layers.order[k])
				item[n].bps[k] = times * stream_bps(track_layer(t, k), now_us);
		n++;
	}
	return n;
}

/* Recent retransmissions, so that pictures leave room for them. */
static uint64_t step_again(struct congest *c, uint64_t bps, int64_t passed_us)
{
	if (passed_us > 0)
		c->again_bps += ((double)c->again * 8e6 / (double)passed_us - c->again_bps) / 10;
	c->again = 0;
	uint64_t again = (uint64_t)c->again_bps;
	return again < bps / AGAIN_PART ? again : bps / AGAIN_PART;
}

/* What leaves just now: a layer that is to be left goes on until the other one begins. */
static uint64_t leaving_bps(const struct congest *c, struct sub *const *sub, unsigned n,
			    int64_t now_us)
{
	uint64_t bps = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct layer *l = &sub[i]->layer;
		if (l->current != LAYER_NONE && counts(c, sub[i]))
			bps += stream_bps(&sub[i]->track->stream[l->current], now_us);
	}
	return bps;
}

/*
 * A REMB is hardly more than what comes: a picture that paused for it alone could never show that
 * there is more. So the lowest layers are sent in spite of it, until packets are told lost as well.
 */
static uint64_t limit_of(const struct congest *c, const struct allocate_item *item, unsigned n,
			 int64_t now_us)
{
	uint64_t bps = congest_bps(c, now_us);

	if (has_feedback(c) || !has_remb(c, now_us) || c->loss.bps)
		return bps;
	uint64_t least_bps = LEAST * allocate_lowest_bps(item, n) / 10;
	return bps > least_bps ? bps : least_bps;
}

static void decide(struct endpoint *e, int64_t now_us)
{
	static _Thread_local struct allocate_item item[MEDIA_SUBS_MAX];
	static _Thread_local struct sub *sub[MEDIA_SUBS_MAX];
	struct congest *c = &e->congest;
	unsigned n = gather(e, item, sub, now_us);
	uint64_t wanted_bps = allocate_wanted_bps(item, n);

	if (e->max_bps && wanted_bps > e->max_bps)
		wanted_bps = e->max_bps;
	if (!has_feedback(c))
		limit_step(&c->loss, c->granted_bps, wanted_bps, now_us);
	uint64_t bps = limit_of(c, item, n, now_us);
	struct allocate_limits limits = {
	    .estimate_bps = bps,
	    .max_bps = e->max_bps,
	    .other_bps = step_again(c, bps, now_us - c->decided_us),
	    .overloaded = !has_feedback(c) || bwe_overloaded(c->bwe),
	};
	/* With the margin that a higher layer needs before it is taken. */
	if (c->bwe)
		bwe_want(c->bwe, wanted_bps + wanted_bps / 10 + limits.other_bps);
	allocate(item, n, &limits, now_us);
	bool limited = limits.estimate_bps || limits.max_bps;
	/* Far too much: every further packet delays those that still pass. */
	bool flood = bps && leaving_bps(c, sub, n, now_us) > FLOOD * bps / 10;
	c->paused = 0;
	for (unsigned i = 0; i < n; i++) {
		int layer = item[i].grant->layer;
		if (item[i].audio || item[i].wanted < 0)
			continue;
		if (limited || c->limited)
			sub_target(sub[i], limited ? layer : MEDIA_LAYERS_MAX, now_us);
		if (flood)
			sub_stop(sub[i]);
		c->paused += layer < 0;
	}
	c->limited = limited;
	c->granted_bps = allocate_granted_bps(item, n);
}

void congest_tick(struct endpoint *e, int64_t now_us)
{
	struct congest *c = &e->congest;
	bool lowered = c->bwe && c->bwe->n_lowered != c->n_lowered;

	if (lowered || now_us - c->decided_us >= CONGEST_DECIDE_US) {
		decide(e, now_us);
		c->decided_us = now_us;
		c->n_lowered = c->bwe ? c->bwe->n_lowered : 0;
	}
	congest_pad(e, now_us);
}

/* ---- probes ---- */

/* RTX of a picture: receivers take it at any time, and it needs no number of the picture's. */
static struct sub *padder(const struct endpoint *e)
{
	struct sub *paused = NULL;

	list_each (i, &e->subs) {
		struct sub *s = container_of(i, struct sub, link);
		if (!s->rtx_shape.twcc_off || !s->layer.rewrite.started)
			continue;
		if (s->layer.current != LAYER_NONE)
			return s;
		paused = s;
	}
	return paused;
}

bool congest_pad(struct endpoint *e, int64_t now_us)
{
	struct congest *c = &e->congest;

	if (!has_feedback(c))
		return false;
	size_t due = bwe_padding(c->bwe, now_us);
	e->stats->probes += c->bwe->n_probes - c->n_probes;
	c->n_probes = c->bwe->n_probes;
	struct sub *s = due >= PAD_MIN ? padder(e) : NULL;
	unsigned n = 0;
	for (; s && due >= PAD_MIN && n < PAD_PACKETS; n++) {
		size_t sent = sub_pad(s, due, now_us) + CONGEST_TAG;
		e->stats->padding_bytes += sent;
		due -= sent < due ? sent : due;
	}
	if (n)
		e->wire->flush(e->wire_arg);
	return c->bwe->probe.running;
}
