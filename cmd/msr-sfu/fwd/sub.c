/* A subscription: see sub.h. */
#include "sub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "track.h"

#define US 1000000

/* ---- life ---- */

static void shape(struct rewrite_shape *s, const struct sub *sub, uint32_t ssrc, uint8_t pt)
{
	memset(s, 0, sizeof(*s));
	s->ssrc = ssrc;
	s->pt = pt;
	s->ext = sub->to->extmap;
	memcpy(s->mid, sub->config.mid, sizeof(s->mid));
	if (!sub->config.twcc)
		s->ext.id[RTP_EXT_TWCC] = 0;
	/*
	 * Without RTX a lost packet is sent again as it was, bit by bit: under AES-GCM the same
	 * number must never carry other bytes. So nothing in it may depend on the time.
	 */
	if (!sub->config.rtx_ssrc || !sub->config.rtx_pt)
		s->ext.id[RTP_EXT_TWCC] = s->ext.id[RTP_EXT_ABS_SEND_TIME] = 0;
	rewrite_shape_done(s);
}

void sub_change(struct sub *s, const struct media_sub_config *c)
{
	s->config = *c;
	shape(&s->shape, s, c->ssrc, c->pt);
	shape(&s->rtx_shape, s, c->rtx_ssrc, c->rtx_pt);
}

int sub_new(struct sub **out, struct track *t, struct endpoint *to, media_id id,
	    const struct media_sub_config *c)
{
	struct sub *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->to = to;
	s->track = t;
	s->id = id;
	int ret = to->sub_map ? map_put(to->sub_map, &s->node, &s->id, sizeof(s->id)) : 0;
	if (!ret && (ret = track_add_sub(t, s)) < 0 && to->sub_map)
		map_remove(to->sub_map, &s->node);
	if (ret < 0) {
		free(s);
		return ret;
	}
	s->rtt_us = -1;
	/* Numbers start anywhere in the lower half, so that libraries can tell a roll-over. */
	s->rtx_next = 1 + (c->rtx_ssrc & 0x3fff);
	list_init(&s->link);
	list_push(&to->subs, &s->link);
	sub_change(s, c);
	*out = s;
	return 0;
}

void sub_free(struct sub *s)
{
	if (!s)
		return;
	track_remove_sub(s->track, s);
	if (s->to->sub_map)
		map_remove(s->to->sub_map, &s->node);
	list_remove(&s->link);
	free(s);
}

/* ---- layer: which stream, from where on ---- */

void sub_want_key(struct sub *s)
{
	stream_want_key(s->source ? s->source : &s->track->stream[0]);
}

void sub_wake(struct sub *s, int64_t now_us)
{
	s->waiting_since_us = now_us;
	if (!s->source && rtp_codec_is_video(s->track->config.codec))
		sub_want_key(s);
}

/* RTP time goes on at the clock's pace over a change of streams. */
static uint32_t ts_distance_for(const struct sub *s, const struct burst_packet *b, int64_t now_us)
{
	if (!s->rewrite.started)
		return 0;
	int64_t since_us = now_us - s->last_us;
	uint32_t next = s->rewrite.last_ts + (uint32_t)(since_us * b->stream->clock / US);
	return next - b->p.ts;
}

static bool may_begin(struct sub *s, const struct burst_packet *b, int64_t now_us)
{
	if (b->key || !rtp_codec_is_video(s->track->config.codec))
		return b->p.payload_len > 0;
	if (!s->waiting_since_us)
		s->waiting_since_us = now_us;
	if (now_us - s->waiting_since_us > SUB_KEY_WAIT_US)
		return true; /* encrypted end to end, say: key frames cannot be told */
	stream_want_key(b->stream);
	return false;
}

/* Whether a packet is for this receiver at all; moves over to its stream where it may. */
static bool choose(struct sub *s, const struct burst_packet *b, int64_t now_us)
{
	if (s->source == b->stream && !b->reset)
		return true;
	if (s->source && s->source != b->stream)
		return false;
	if (!may_begin(s, b, now_us)) {
		s->source = NULL;
		return false;
	}
	rewrite_begin(&s->rewrite, b->seq, ts_distance_for(s, b, now_us),
		      (uint16_t)(1 + (s->config.ssrc & 0x3fff)));
	s->source = b->stream;
	return true;
}

/* ---- egress ---- */

static void send(struct sub *s, const struct rewrite_shape *shape, const struct rtp_packet *p,
		 bool own, int64_t number, uint32_t ts, int64_t now_us)
{
	struct endpoint *e = s->to;
	uint8_t *out = e->wire->out(e->wire_arg);
	struct rewrite_values v = {
	    .seq = (uint16_t)number, .ts = ts, .twcc = e->twcc_next, .now_us = now_us};
	size_t len = rewrite_header(shape, out, p, own, &v);

	if (shape->twcc_off)
		e->twcc_next++;
	e->wire->send_rtp(e->wire_arg, len, rtp_payload(p), p->payload_len, (uint64_t)number);
	s->packets++;
	s->bytes += p->payload_len;
}

/* Packets that hold only padding carry nothing: they are left out without leaving a hole. */
static void forward(struct sub *s, const struct burst_packet *b, int64_t now_us)
{
	int64_t number;
	uint32_t distance;

	if (!b->p.payload_len && rewrite_skip(&s->rewrite, b->seq))
		return;
	if (!rewrite_map(&s->rewrite, b->seq, &number, &distance))
		return;
	uint32_t ts = b->p.ts + distance;
	if (number == s->rewrite.highest)
		s->rewrite.last_ts = ts;
	send(s, &s->shape, &b->p, b->own, number, ts, now_us);
}

void sub_burst(struct sub *s, const struct burst_packet *b, unsigned n, int64_t now_us)
{
	struct endpoint *e = s->to;

	if (!e->connected)
		return;
	for (unsigned i = 0; i < n; i++)
		if (choose(s, &b[i], now_us))
			forward(s, &b[i], now_us);
	s->last_us = now_us;
	e->wire->flush(e->wire_arg);
	if (!s->sr_us)
		sub_tick(s, now_us); /* lip sync from the start */
}

/* ---- sender reports ---- */

void sub_tick(struct sub *s, int64_t now_us)
{
	uint8_t out[400];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	struct rtcp_sr sr = {.ssrc = s->config.ssrc, .packets = s->packets, .bytes = s->bytes};
	struct endpoint *e = s->to;

	if (!s->source || !e->connected || (s->sr_us && now_us - s->sr_us < SUB_SR_US) ||
	    !stream_clocks(s->source, now_us, &sr.ntp, &sr.ts))
		return;
	/* The publisher's own clock, so that its tracks stay in step; only the numbers are ours. */
	sr.ts += s->rewrite.cut[0].ts_distance;
	s->sr_us = now_us;
	s->sr_middle = rtcp_ntp_middle(sr.ntp);
	if (!rtcp_put_sr(&w, &sr, NULL, 0) && !rtcp_put_sdes(&w, s->config.ssrc, s->config.cname))
		e->wire->send_rtcp(e->wire_arg, out, w.len);
}

void sub_report(struct sub *s, const struct rtcp_report *r, int64_t now_us)
{
	s->fraction_lost = r->fraction_lost;
	if (s->sr_us && r->lsr == s->sr_middle) {
		int64_t held_us = (int64_t)r->dlsr * US / 65536;
		int64_t rtt_us = now_us - s->sr_us - held_us;
		s->rtt_us = rtt_us > 0 ? rtt_us : 0;
	}
}

/* ---- retransmission ---- */

static bool may_resend(struct sub *s, int64_t now_us)
{
	s->resend_tokens += (double)(now_us - s->resend_us) * SUB_RESEND_RATE / US;
	if (s->resend_tokens > SUB_RESEND_MAX)
		s->resend_tokens = SUB_RESEND_MAX;
	s->resend_us = now_us;
	if (s->resend_tokens < 1)
		return false;
	s->resend_tokens--;
	return true;
}

/* RFC 4588: the number it had, then the payload. */
static void send_rtx(struct sub *s, struct rtp_packet *p, int64_t number, uint32_t ts,
		     int64_t now_us)
{
	uint8_t payload[RTP_PACKET_MAX + RTP_RTX_OSN];
	struct rtp_packet rtx = *p;

	put_be16(payload, (uint16_t)number);
	memcpy(payload + RTP_RTX_OSN, rtp_payload(p), p->payload_len);
	/* Extensions stay where they are in the original; only the payload lies elsewhere. */
	struct endpoint *e = s->to;
	uint8_t *out = e->wire->out(e->wire_arg);
	struct rewrite_values v = {
	    .seq = (uint16_t)s->rtx_next, .ts = ts, .twcc = e->twcc_next, .now_us = now_us};
	size_t len = rewrite_header(&s->rtx_shape, out, &rtx, rewrite_has_own(p), &v);
	if (s->rtx_shape.twcc_off)
		e->twcc_next++;
	e->wire->send_rtp(e->wire_arg, len, payload, p->payload_len + (size_t)RTP_RTX_OSN,
			  (uint64_t)s->rtx_next++);
}

static void resend(struct sub *s, uint16_t number16, int64_t now_us)
{
	struct fwd_stats *stats = s->to->stats;
	int64_t seq, number;
	uint32_t distance;
	struct rtp_packet p;
	const struct rtp_kept *kept = NULL;

	if (s->source && rewrite_source(&s->rewrite, number16, &seq, &number, &distance))
		kept = rtp_history_get(&s->source->history, seq);
	if (!kept || rtp_parse(&p, kept->data, kept->len, &s->track->from->extmap) < 0 ||
	    !may_resend(s, now_us)) {
		stats->not_kept++;
		return;
	}
	stats->retransmitted++;
	if (s->config.rtx_ssrc && s->config.rtx_pt) {
		send_rtx(s, &p, number, p.ts + distance, now_us);
		return;
	}
	send(s, &s->shape, &p, rewrite_has_own(&p), number, p.ts + distance, now_us);
}

void sub_nack(struct sub *s, const struct rtcp_msg *m, int64_t now_us)
{
	uint16_t pid, blp;

	s->to->stats->nacks_received++;
	for (unsigned i = 0; !rtcp_get_nack(m, i, &pid, &blp); i++) {
		resend(s, pid, now_us);
		for (unsigned bit = 0; bit < 16; bit++)
			if (blp & 1u << bit)
				resend(s, (uint16_t)(pid + bit + 1), now_us);
	}
	s->to->wire->flush(s->to->wire_arg);
}
