/* A subscription: see sub.h. */
#include "sub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "redundant.h"
#include "rtp/codec/vp8.h"
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
	if (!sub->config.feedback.twcc || !ssrc)
		s->ext.id[RTP_EXT_TWCC] = 0;
	/* Its frames are numbered within each layer; without it receivers go by our numbers. */
	if (sub->track->n_streams > 1)
		s->ext.id[RTP_EXT_DEPENDENCY] = 0;
	/*
	 * Without RTX a lost packet is sent again as it was, bit by bit: under AES-GCM the same
	 * number must never carry other bytes. So nothing in it may depend on the time, where it is
	 * sent again at all.
	 */
	if (sub->config.feedback.nack && (!sub->config.rtx_ssrc || !sub->config.rtx_pt))
		s->ext.id[RTP_EXT_TWCC] = s->ext.id[RTP_EXT_ABS_SEND_TIME] = 0;
	rewrite_shape_done(s);
}

void sub_change(struct sub *s, const struct media_sub_config *c)
{
	s->config = *c;
	s->config.want = s->layer.level;
	shape(&s->shape, s, c->ssrc, c->pt);
	shape(&s->rtx_shape, s, c->rtx_ssrc, c->rtx_pt);
}

/* Made at the beginning, so that it cannot be missing at the end. NULL without memory. */
static struct sub_past *past_of(struct endpoint *e, uint32_t ssrc)
{
	for (unsigned i = 0; i < e->n_past; i++)
		if (e->past[i].ssrc == ssrc)
			return &e->past[i];
	struct sub_past *p = realloc(e->past, (e->n_past + 1) * sizeof(*p));
	if (!p)
		return NULL;
	e->past = p;
	p += e->n_past++;
	*p = (struct sub_past){.ssrc = ssrc};
	return p;
}

static void resume(struct sub *s, const struct sub_past *p)
{
	layer_resume(&s->layer, &p->layer);
	if (p->rtx_next)
		s->rtx_next = p->rtx_next;
	s->packets = p->packets;
	s->bytes = p->bytes;
}

static void leave(struct sub *s)
{
	struct sub_past *p = past_of(s->to, s->config.ssrc);

	layer_leave(&s->layer, &p->layer);
	p->rtx_next = s->rtx_next;
	p->packets = s->packets;
	p->bytes = s->bytes;
}

int sub_new(struct sub **out, struct track *t, struct endpoint *to, media_id id,
	    const struct media_sub_config *c)
{
	const struct sub_past *past = c->lasting ? past_of(to, c->ssrc) : NULL;
	struct sub *s = c->lasting && !past ? NULL : calloc(1, sizeof(*s));

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
	/* Numbers start anywhere in the lower half, so that libraries can tell a roll-over. */
	layer_init(&s->layer, c->want, (uint16_t)(1 + (c->ssrc & 0x3fff)));
	layer_aim(&s->layer, t, MEDIA_WANTED);
	s->told = s->layer.target == LAYER_NONE ? LAYER_NONE : SUB_TOLD_NOTHING;
	s->rtx_next = 1 + (c->rtx_ssrc & 0x3fff);
	if (past)
		resume(s, past);
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
	if (s->config.lasting)
		leave(s);
	track_remove_sub(s->track, s);
	if (s->to->sub_map)
		map_remove(s->to->sub_map, &s->node);
	list_remove(&s->link);
	free(s);
}

/* ---- layer: which stream, from where on ---- */

void sub_want_key(struct sub *s)
{
	layer_want_key(&s->layer, s->track);
}

void sub_wake(struct sub *s, int64_t now_us)
{
	s->layer.waiting_since_us = now_us;
	layer_ask(&s->layer, s->track);
}

/* Tells of another layer; a track of one stream has none, but can be paused. */
static void tell(struct sub *s)
{
	struct endpoint *e = s->to;
	bool paused = s->layer.target == LAYER_NONE;
	int8_t layer = paused ? LAYER_NONE : (int8_t)layers_of(&s->track->layers, s->layer.current);
	bool whole = s->told == SUB_TOLD_NOTHING && s->track->n_streams == 1 && !paused;

	s->layer.changed = false;
	if (layer == s->told)
		return;
	if (s->told != SUB_TOLD_NOTHING && !paused)
		e->stats->layer_switches++;
	s->told = layer;
	if (e->layer && !whole)
		e->layer(e->layer_arg, s);
}

static void aim(struct sub *s, enum media_reason reason, int64_t now_us)
{
	if (!layer_aim(&s->layer, s->track, reason))
		return;
	if (s->layer.changed)
		tell(s);
	if (s->to->connected)
		sub_wake(s, now_us);
}

void sub_want(struct sub *s, enum media_level level, int64_t now_us)
{
	s->asked |= level != s->layer.level; /* the same again, as with another limit, is no wish */
	s->layer.level = s->config.want = level;
	aim(s, MEDIA_WANTED, now_us);
}

int sub_wanted(const struct sub *s)
{
	return layers_wanted(&s->track->layers, s->layer.level);
}

void sub_target(struct sub *s, int layer, int64_t now_us)
{
	s->layer.granted = (int8_t)(layer < 0 ? LAYER_NONE : layer);
	aim(s, s->asked ? MEDIA_WANTED : MEDIA_BANDWIDTH, now_us);
	s->asked = false;
}

void sub_stop(struct sub *s)
{
	layer_stop(&s->layer);
}

void sub_update(struct sub *s, int64_t now_us)
{
	aim(s, MEDIA_SOURCE, now_us);
	/* What it gets may be another layer now that it is known better. */
	if (s->told >= 0 && s->layer.current != LAYER_NONE)
		tell(s);
}

/* ---- egress ---- */

/*
 * The payload as this receiver gets it: VP8 with the pictures counted on, in `copy`, where they are
 * others than the stream's; everything else as it is.
 */
static const uint8_t *payload_of(const struct rtp_packet *p, const struct rewrite_cut *c,
				 uint8_t copy[static RTP_PACKET_MAX])
{
	struct vp8_desc d;

	if (!(c->picture | c->tl0) || vp8_parse(&d, rtp_payload(p), p->payload_len) < 0)
		return rtp_payload(p);
	memcpy(copy, rtp_payload(p), p->payload_len);
	layer_rewrite_vp8(copy, &d, c);
	return copy;
}

/* A packet leaves, with a transport-wide number where its stream has them. */
static void count_sent(struct endpoint *e, const struct rewrite_shape *shape, size_t bytes,
		       int64_t now_us)
{
	if (shape->twcc_off)
		congest_sent(&e->congest, e->twcc_next++, bytes, now_us);
}

/* Not where lost packets are asked for, and sent again bit by bit: see shape(). */
bool sub_repeats_sound(const struct sub *s, int64_t now_us)
{
	return s->config.red_pt && !s->config.feedback.nack &&
	       congest_loses(&s->to->congest, now_us);
}

/* The payload of the packet `number` behind that of the one before; its bytes, or 0: alone. */
static size_t wrap(struct sub *s, const struct rtp_packet *p, int64_t number,
		   const struct rewrite_cut *c, uint8_t out[static RTP_PACKET_MAX], int64_t now_us)
{
	if (!sub_repeats_sound(s, now_us))
		return 0;
	size_t n = redundant_wrap(out, p, &s->track->stream[c->stream].history,
				  number - c->distance, s->config.pt);
	s->to->stats->sound_repeated += n > 0;
	return n;
}

static void send(struct sub *s, const struct rtp_packet *p, enum rewrite_own own, int64_t number,
		 const struct rewrite_cut *c, int64_t now_us)
{
	uint8_t copy[RTP_PACKET_MAX];
	struct endpoint *e = s->to;
	uint8_t *out = e->wire->out(e->wire_arg);
	struct rewrite_values v = {.seq = (uint16_t)number,
				   .ts = p->ts + c->ts_distance,
				   .twcc = e->twcc_next,
				   .now_us = now_us};
	size_t len = rewrite_header(&s->shape, out, p, own, &v);
	size_t n = wrap(s, p, number, c, copy, now_us);
	const uint8_t *payload = n ? copy : payload_of(p, c, copy);

	if (n)
		rtp_set_pt(out, s->config.red_pt);
	else
		n = p->payload_len;
	count_sent(e, &s->shape, len + n, now_us);
	e->wire->send_rtp(e->wire_arg, len, payload, n, (uint64_t)number);
	s->packets++;
	s->bytes += (uint32_t)n;
}

static void note_key(struct sub *s, int64_t number, int64_t now_us)
{
	struct sub_repeat r = {0};

	s->key = number;
	s->key_ts = s->layer.rewrite.last_ts;
	if (!s->layer.changed)
		return;
	if (s->rtx_shape.twcc_off)
		congest_repeat(&s->to->congest, now_us, &r.at_us, &r.until_us);
	s->repeat = r;
	s->to->repeats |= r.at_us != 0;
}

/* Packets that hold only padding carry nothing: they are left out without leaving a hole. */
static void forward(struct sub *s, const struct burst_packet *b, int64_t now_us)
{
	struct rewrite *w = &s->layer.rewrite;
	int64_t number;

	if (!b->p.payload_len && rewrite_skip(w, b->seq))
		return;
	const struct rewrite_cut *c = rewrite_map(w, b->index, b->seq, &number);
	if (!c)
		return;
	if (number == w->highest) {
		w->last_ts = b->p.ts + c->ts_distance;
		if (b->key)
			note_key(s, number, now_us);
		if (s->track->config.codec == RTP_CODEC_VP8)
			layer_note(&s->layer, b, c);
	}
	send(s, &b->p, b->own, number, c, now_us);
}

/* Not together with others: lip sync from the start. */
static void report_now(struct sub *s, int64_t now_us)
{
	uint8_t out[SUB_REPORT_MAX];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));

	sub_report(s, &w, now_us);
	if (w.len)
		s->to->wire->send_rtcp(s->to->wire_arg, out, w.len);
}

void sub_burst(struct sub *s, const struct burst_packet *b, unsigned n, int64_t now_us)
{
	struct endpoint *e = s->to;
	bool any = false;

	if (!e->connected)
		return;
	for (unsigned i = 0; i < n; i++)
		if (layer_take(&s->layer, s->track, &b[i], now_us)) {
			forward(s, &b[i], now_us);
			any = true;
		}
	e->wire->flush(e->wire_arg);
	if (!any)
		return;
	s->layer.last_us = now_us;
	if (s->layer.changed) {
		tell(s);
		s->sr_us = 0; /* where the times of the new stream lie */
	}
	if (!s->sr_us)
		report_now(s, now_us);
}

/* ---- sender reports ---- */

_Static_assert(SUB_REPORT_MAX >= 28 + 8 + 2 + MEDIA_CNAME_SIZE + 3, "SR, SDES, CNAME, padding");

void sub_report(struct sub *s, struct rtcp_writer *w, int64_t now_us)
{
	struct rtcp_sr sr = {.ssrc = s->config.ssrc, .packets = s->packets, .bytes = s->bytes};

	if (s->layer.current == LAYER_NONE ||
	    (s->sr_us && now_us / SUB_SR_US == s->sr_us / SUB_SR_US) ||
	    !stream_clocks(&s->track->stream[s->layer.current], now_us, &sr.ntp, &sr.ts))
		return;
	/* The publisher's own clock, so that its tracks stay in step; only the numbers are ours. */
	sr.ts += s->layer.rewrite.cut[0].ts_distance;
	s->sr_us = now_us;
	rtcp_put_sr(w, &sr, NULL, 0);
	rtcp_put_sdes(w, s->config.ssrc, s->config.cname);
}

/* ---- retransmission ---- */

/* Paid for each number that is looked for: to be asked for thousands must cost little. */
static bool pay_resend(struct sub *s, int64_t now_us)
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

/*
 * On the RTX stream: `payload` behind the header of `p`, whose extensions stay where they are.
 * Returns the packet's bytes.
 */
static size_t put_rtx(struct sub *s, const struct rtp_packet *p, uint32_t ts, bool padding,
		      const uint8_t *payload, size_t n, int64_t now_us)
{
	struct endpoint *e = s->to;
	uint8_t *out = e->wire->out(e->wire_arg);
	struct rewrite_values v = {
	    .seq = (uint16_t)s->rtx_next, .ts = ts, .twcc = e->twcc_next, .now_us = now_us};
	size_t len = rewrite_header(&s->rtx_shape, out, p, rewrite_own(p), &v);

	rtp_set_padding(out, padding);
	count_sent(e, &s->rtx_shape, len + n, now_us);
	e->wire->send_rtp(e->wire_arg, len, payload, n, (uint64_t)s->rtx_next++);
	return len + n;
}

/* RFC 4588: the number it had, then the payload. */
static size_t send_rtx(struct sub *s, const struct rtp_packet *p, int64_t number,
		       const struct rewrite_cut *c, int64_t now_us)
{
	uint8_t payload[RTP_PACKET_MAX + RTP_RTX_OSN], copy[RTP_PACKET_MAX];

	put_be16(payload, (uint16_t)number);
	memcpy(payload + RTP_RTX_OSN, payload_of(p, c, copy), p->payload_len);
	return put_rtx(s, p, p->ts + c->ts_distance, false, payload,
		       p->payload_len + (size_t)RTP_RTX_OSN, now_us);
}

/*
 * The packet that was sent under a number, as it came, of whichever stream it was then. Returns how
 * it was rewritten; NULL when it is not kept any more.
 */
static const struct rewrite_cut *recall(const struct sub *s, uint16_t number16,
					struct rtp_packet *p, int64_t *number)
{
	int64_t seq;
	const struct rewrite_cut *c = rewrite_source(&s->layer.rewrite, number16, &seq, number);
	const struct rtp_kept *kept =
	    c ? rtp_history_get(&s->track->stream[c->stream].history, seq) : NULL;

	if (!kept || rtp_parse(p, kept->data, kept->len, &s->track->from->extmap) < 0)
		return NULL;
	return c;
}

/* Browsers ask again before an answer from afar can be there. */
static bool is_on_its_way(const struct sub *s, uint16_t number, int64_t now_us)
{
	const struct sub_again *a = &s->again[number % SUB_AGAIN];
	uint16_t passed_ms = (uint16_t)(now_us / 1000 - a->ms);

	return a->number == number && passed_ms * 1000 < congest_answer_us(&s->to->congest);
}

/* False when no more numbers may be looked for just now. */
static bool resend(struct sub *s, uint16_t number16, int64_t now_us)
{
	struct endpoint *e = s->to;
	int64_t number;
	struct rtp_packet p;

	if (!pay_resend(s, now_us))
		return false;
	const struct rewrite_cut *c = recall(s, number16, &p, &number);
	bool spare = is_on_its_way(s, number16, now_us);
	/* Pictures restart with a key frame, and where nothing is sent: what was lost before is of
	 * no use, and would take the room of what is. */
	if (!c || number < s->key || s->layer.current == LAYER_NONE ||
	    !congest_again(&e->congest, p.len, spare, now_us)) {
		e->stats->not_kept++;
		return true;
	}
	s->again[number16 % SUB_AGAIN] = (struct sub_again){number16, (uint16_t)(now_us / 1000)};
	e->stats->retransmitted++;
	bool rtx = s->config.rtx_ssrc && s->config.rtx_pt;
	if (rtx && congest_lossy(&e->congest) && congest_again(&e->congest, p.len, true, now_us))
		send_rtx(s, &p, number, c, now_us);
	if (rtx)
		send_rtx(s, &p, number, c, now_us);
	else
		send(s, &p, rewrite_own(&p), number, c, now_us);
	return true;
}

/* The packet that was sent under a number, if it belongs to the last key frame; else NULL. */
static const struct rewrite_cut *recall_key(const struct sub *s, int64_t n, struct rtp_packet *p,
					    int64_t *number)
{
	const struct rewrite_cut *c = recall(s, (uint16_t)n, p, number);

	return c && p->ts + c->ts_distance == s->key_ts ? c : NULL;
}

/* The number behind the last key frame's last; what has not come yet is no part of it. */
static int64_t key_end(const struct sub *s)
{
	int64_t end = s->key, number;
	struct rtp_packet p;

	for (int64_t n = s->key; n <= s->layer.rewrite.highest; n++) {
		if (recall_key(s, n, &p, &number))
			end = n + 1;
		else if (recall(s, (uint16_t)n, &p, &number))
			break;
	}
	return end;
}

/*
 * Goes on with the last key frame. False where there is no more room just now. Backwards: of what
 * comes to a full queue at once the last is lost.
 */
static bool repeat_key(struct sub *s, int64_t now_us)
{
	struct sub_repeat *r = &s->repeat;

	for (int64_t number; r->end > s->key; r->end--) {
		struct rtp_packet p;
		const struct rewrite_cut *c = recall_key(s, r->end - 1, &p, &number);
		if (!c)
			continue;
		if (!congest_again(&s->to->congest, p.len, false, now_us))
			return false;
		r->bytes += send_rtx(s, &p, number, c, now_us);
	}
	return true;
}

bool sub_repeat(struct sub *s, int64_t now_us)
{
	struct sub_repeat *r = &s->repeat;

	if (!r->at_us || now_us < r->at_us || s->layer.rewrite.last_ts == s->key_ts)
		return r->at_us != 0;
	if (!r->end) {
		r->end = key_end(s);
		r->bytes = 0;
	}
	r->at_us = now_us;
	if (repeat_key(s, now_us)) {
		r->end = 0;
		/* Not before the path has taken this one. */
		r->at_us += congest_takes_us(&s->to->congest, r->bytes, now_us);
	}
	if (r->at_us >= r->until_us || s->layer.current == LAYER_NONE)
		r->at_us = 0;
	s->to->wire->flush(s->to->wire_arg);
	return r->at_us != 0;
}

size_t sub_pad(struct sub *s, size_t bytes, int64_t now_us)
{
	const struct rewrite *w = &s->layer.rewrite;
	uint8_t padding[RTP_PADDING_MAX] = {0};
	const struct rewrite_cut *c = NULL;
	struct rtp_packet p;
	int64_t number;

	/* A repeated packet may make good for a lost one. A much longer one would be a burst. */
	if (bytes > RTP_PADDING_MAX)
		c = recall(s, (uint16_t)(w->highest - s->padded++ % SUB_PAD_PACKETS), &p, &number);
	if (c && p.payload_len > RTP_PADDING_MAX && p.len < bytes + SUB_PAD_OVER)
		return send_rtx(s, &p, number, c, now_us);
	size_t n = bytes < RTP_PADDING_MAX ? bytes : RTP_PADDING_MAX;
	padding[n - 1] = (uint8_t)n;
	return put_rtx(s, &(struct rtp_packet){0}, w->last_ts, true, padding, n, now_us);
}

void sub_nack(struct sub *s, const struct rtcp_msg *m, int64_t now_us)
{
	uint16_t pid, blp;
	bool more = true;

	s->to->stats->nacks_received++;
	if (!s->config.feedback.nack && !(s->config.rtx_ssrc && s->config.rtx_pt))
		return; /* numbers would carry other bytes: see shape() */
	for (unsigned i = 0; !rtcp_get_nack(m, i, &pid, &blp); i++) {
		uint32_t asked = 1u | (uint32_t)blp << 1; /* from pid on */
		for (unsigned k = 0; asked >> k; k++) {
			if (!(asked >> k & 1))
				continue;
			more = more && resend(s, (uint16_t)(pid + k), now_us);
			s->to->stats->not_kept += !more;
		}
	}
	s->to->wire->flush(s->to->wire_arg);
}
