/* Ingress of one peer: see endpoint.h. */
#include "endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "redundant.h"
#include "rewrite.h"
#include "sub.h"
#include "track.h"

#define NACK_AT_ONCE 128 /* numbers of one NACK */
#define FEEDBACK_MAX 1200
#define PART_MAX     760 /* bytes of the longest part: 31 report blocks */
#define REPORT_MAX   64	 /* bytes of an empty report and whose it is, before a part */
#define LEVEL_EDGE   16	 /* of a smoothed level: a new value weighs 1/4 */

_Static_assert(REPORT_MAX >= 8 + 8 + 2 + MEDIA_CNAME_SIZE + 3, "RR, SDES, CNAME, padding");
_Static_assert(FEEDBACK_MAX >= REPORT_MAX + PART_MAX, "any part fits behind it");

void endpoint_init(struct endpoint *e, const struct wire *wire, void *wire_arg,
		   struct media_stats *stats)
{
	memset(e, 0, sizeof(*e));
	e->wire = wire;
	e->wire_arg = wire_arg;
	e->stats = stats;
	list_init(&e->tracks);
	list_init(&e->subs);
}

void endpoint_change_track(struct endpoint *e, struct track *t, const struct media_track_config *c)
{
	const struct media_track_config *old = &t->config;
	/* Publishers name a stream's m-section and layer only until they see that it is known. */
	bool same = old->pt == c->pt && old->rtx_pt == c->rtx_pt && old->ssrc == c->ssrc &&
		    old->rtx_ssrc == c->rtx_ssrc && !strcmp(old->mid, c->mid);

	if (!same)
		bindings_forget(&e->bindings, t); /* as what they were till now */
	t->config = *c;
}

void endpoint_drop_track(struct endpoint *e, struct track *t)
{
	bindings_forget(&e->bindings, t);
	for (unsigned i = 0; i < e->n_dirty; i++)
		if (e->dirty[i] == t)
			e->dirty[i] = e->dirty[--e->n_dirty];
	while (t->n_subs)
		sub_free(t->sub[t->n_subs - 1]);
	track_free(t);
}

void endpoint_done(struct endpoint *e)
{
	list_each_safe (i, &e->subs)
		sub_free(container_of(i, struct sub, link));
	list_each_safe (i, &e->tracks)
		endpoint_drop_track(e, container_of(i, struct track, link));
	bindings_done(&e->bindings);
	free(e->past);
	free(e->twcc);
	congest_done(&e->congest);
}

void endpoint_connected(struct endpoint *e, int64_t now_us)
{
	e->connected = true;
	list_each (i, &e->subs)
		sub_wake(container_of(i, struct sub, link), now_us);
}

/* ---- RTP ---- */

/*
 * Makes the original packet of an RTX packet, in place: the header moves two bytes on, over the
 * original's number. False for probes, which carry none.
 */
static bool unwrap_rtx(const struct endpoint *e, struct rtp_packet *p, uint8_t *bytes,
		       const struct binding *b)
{
	uint16_t osn;

	if (!rtp_rtx_osn(p, &osn) || !b->stream->ssrc)
		return false;
	size_t len = p->len - (size_t)RTP_RTX_OSN;
	memmove(bytes + RTP_RTX_OSN, bytes, p->payload_off);
	bytes += RTP_RTX_OSN;
	rtp_set_seq(bytes, osn);
	rtp_set_pt(bytes, b->track->config.pt);
	rtp_set_ssrc(bytes, b->stream->ssrc);
	return rtp_parse(p, bytes, len, &e->extmap) == 0;
}

static void hear(struct track *t, const struct rtp_packet *p, int64_t now_us)
{
	uint8_t level;
	bool voice;

	if (!rtp_audio_level(p, &level, &voice))
		return;
	t->level += (level * LEVEL_EDGE - t->level) / 4;
	t->level_at_us = now_us;
}

static void note_transport(struct endpoint *e, const struct rtp_packet *p, int64_t now_us)
{
	uint16_t seq;

	if (e->twcc && rtp_twcc_seq(p, &seq))
		twcc_rx_packet(e->twcc, seq, now_us);
	remb_rx_packet(&e->remb, p->len);
}

static void mark_dirty(struct endpoint *e, struct track *t)
{
	for (unsigned i = 0; i < e->n_dirty; i++)
		if (e->dirty[i] == t)
			return;
	e->dirty[e->n_dirty++] = t;
}

static void got_key(struct stream *s, const struct rtp_payload_info *info)
{
	stream_got_key(s);
	if (info->width && info->height) {
		s->width = info->width;
		s->height = info->height;
	}
}

/* False for what has been there. */
static bool take(struct endpoint *e, const struct binding *from, const struct rtp_packet *p,
		 int64_t now_us)
{
	struct track *t = from->track;
	struct stream *s = from->stream;
	struct burst_packet b = {.p = *p, .stream = s, .index = (uint8_t)(s - t->stream)};
	struct rtp_payload_info info;

	if (!stream_take(s, p, from->rtx, now_us, &b.seq, &b.reset))
		return false;
	if (!rtp_codec_is_video(t->config.codec)) {
		hear(t, p, now_us);
	} else {
		track_look(t, &b, &info);
		if (b.key)
			got_key(s, &info);
	}
	b.own = rewrite_own(p);
	mark_dirty(e, t);
	track_put(t, &b, now_us);
	return true;
}

/* What was lost, and comes once more with a later packet: it counts as sent again. */
static void take_older(struct endpoint *e, const struct binding *from, const struct rtp_packet *p,
		       const struct red_block *block, uint16_t behind, int64_t now_us)
{
	static _Thread_local uint8_t bytes[RTP_PACKET_MAX];
	struct binding again = *from;
	struct rtp_packet older;

	again.rtx = true;
	if (!redundant_older(&older, bytes, p, block, behind, &e->extmap) ||
	    !take(e, &again, &older, now_us))
		return;
	track_route(from->track, now_us); /* its bytes live no longer */
	e->stats->sound_recovered++;
}

/* Sound that repeats what came before it. False when it makes no sense. */
static bool take_redundant(struct endpoint *e, const struct binding *from, struct rtp_packet *p,
			   uint8_t *bytes, int64_t now_us)
{
	struct red_block block[RED_BLOCKS];
	int n = redundant_blocks(block, p, from->track->config.pt);

	if (n < 1)
		return false;
	/* Where it is the next one nothing has been lost. */
	bool next = p->seq == (uint16_t)(from->stream->nack.highest + 1);
	for (int i = 0; i < n - 1 && !next; i++)
		take_older(e, from, p, &block[i], (uint16_t)(n - 1 - i), now_us);
	if (redundant_own(p, bytes, &block[n - 1], &e->extmap))
		take(e, from, p, now_us);
	return true;
}

/*
 * What this section does not have, another codec or comfort noise, nobody gets. But it has a number
 * of the stream, which would be missing then to all: so it goes on as if it were padding.
 */
static void empty(struct rtp_packet *p, uint8_t *bytes)
{
	rtp_set_padding(bytes, false);
	p->len = p->payload_off;
	p->payload_len = 0;
	p->padding = 0;
}

void endpoint_rtp(struct endpoint *e, uint8_t *bytes, size_t n, int64_t now_us)
{
	struct rtp_packet p;

	if (rtp_parse(&p, bytes, n, &e->extmap) < 0) {
		e->stats->rx_unknown++;
		return;
	}
	note_transport(e, &p, now_us);
	struct binding *b = bindings_find(&e->bindings, &e->tracks, &p, now_us);
	if (!b) {
		e->stats->rx_unknown++;
		return;
	}
	const struct media_track_config *c = &b->track->config;
	if (c->red_pt && p.pt == c->red_pt && !b->rtx && take_redundant(e, b, &p, bytes, now_us))
		return;
	bool foreign = p.pt != (b->rtx ? c->rtx_pt : c->pt);
	e->stats->rx_unknown += foreign;
	if (b->rtx && (foreign || !unwrap_rtx(e, &p, bytes, b)))
		return;
	if (foreign)
		empty(&p, bytes);
	take(e, b, &p, now_us);
}

void endpoint_batch_end(struct endpoint *e, int64_t now_us)
{
	for (unsigned i = 0; i < e->n_dirty; i++)
		track_route(e->dirty[i], now_us);
	e->n_dirty = 0;
}

/* ---- RTCP that came ---- */

static struct sub *sub_by_ssrc(struct endpoint *e, uint32_t ssrc)
{
	list_each (i, &e->subs) {
		struct sub *s = container_of(i, struct sub, link);
		if (s->config.ssrc == ssrc)
			return s;
	}
	return NULL;
}

static void got_sender_report(struct endpoint *e, const struct rtcp_msg *m, int64_t now_us)
{
	struct rtcp_sr sr;

	if (rtcp_get_sr(m, &sr) < 0)
		return;
	const struct binding *b = bindings_of(&e->bindings, sr.ssrc);
	if (!b || b->rtx)
		return;
	stream_sender_report(b->stream, &sr, now_us);
	if (b->track->tap)
		tap_report(b->track->tap, b->track, b->stream, now_us);
}

static void got_reports(struct endpoint *e, const struct rtcp_msg *m)
{
	struct rtcp_report r;

	for (unsigned i = 0; !rtcp_get_report(m, i, &r); i++)
		if (sub_by_ssrc(e, r.ssrc))
			congest_report(&e->congest, r.fraction_lost);
}

static void want_key(struct endpoint *e, uint32_t ssrc)
{
	struct sub *s = sub_by_ssrc(e, ssrc);

	if (!s)
		return;
	e->stats->key_requests_received++;
	sub_want_key(s);
}

static void got_payload_feedback(struct endpoint *e, const struct rtcp_msg *m, int64_t now_us)
{
	struct rtcp_remb remb;
	uint32_t ssrc;
	uint8_t seq;

	if (m->count == RTCP_PLI && !rtcp_get_media(m, &ssrc))
		want_key(e, ssrc);
	if (m->count == RTCP_FIR)
		for (unsigned i = 0; !rtcp_get_fir(m, i, &ssrc, &seq); i++)
			want_key(e, ssrc);
	if (m->count == RTCP_AFB && !rtcp_get_remb(m, &remb))
		congest_remb(&e->congest, remb.bps, now_us);
}

static void got_transport_feedback(struct endpoint *e, const struct rtcp_msg *m, int64_t now_us)
{
	uint32_t ssrc;
	struct sub *s;

	if (m->count == RTCP_NACK && !rtcp_get_media(m, &ssrc) && (s = sub_by_ssrc(e, ssrc)))
		sub_nack(s, m, now_us);
	if (m->count == RTCP_TWCC)
		congest_feedback(&e->congest, m, now_us);
}

void endpoint_rtcp(struct endpoint *e, const uint8_t *p, size_t n, int64_t now_us)
{
	struct rtcp_msg m;

	if (rtcp_check(p, n) < 0) {
		e->stats->rx_unknown++;
		return;
	}
	for (struct rtcp_iter it = rtcp_begin(p, n); rtcp_next(&it, &m);) {
		switch (m.type) {
		case RTCP_SR:
			got_sender_report(e, &m, now_us);
			got_reports(e, &m);
			break;
		case RTCP_RR:
			got_reports(e, &m);
			break;
		case RTCP_RTPFB:
			got_transport_feedback(e, &m, now_us);
			break;
		case RTCP_PSFB:
			got_payload_feedback(e, &m, now_us);
			break;
		default:
			break; /* SDES, BYE, APP, XR: signalling and consent say what matters */
		}
	}
}

/* ---- RTCP that goes ---- */

bool endpoint_busy(const struct endpoint *e)
{
	return e->connected && (!list_empty(&e->tracks) || !list_empty(&e->subs));
}

/* What is told in one tick, in as many packets as it takes. */
struct feedback {
	const struct endpoint *to;
	struct rtcp_writer w;
	bool alone; /* it may go without a report before it */
};

/* Those bundled agree on it alike (RFC 8859 section 5.15); where not, all understand compounds. */
static bool takes_alone(const struct endpoint *e)
{
	list_each (i, &e->tracks)
		if (!container_of(i, struct track, link)->config.feedback.rsize)
			return false;
	return true;
}

static void feedback_send(struct feedback *f)
{
	if (f->w.len)
		f->to->wire->send_rtcp(f->to->wire_arg, f->w.p, f->w.len);
	f->w.len = 0;
}

/* A report, behind whose first the packet says whose it is (RFC 3550 section 6.1). */
static void put_rr(struct feedback *f, const struct rtcp_report *r, unsigned n)
{
	if (f->w.cap - f->w.len < PART_MAX)
		feedback_send(f);
	bool first = !f->w.len;
	rtcp_put_rr(&f->w, ENDPOINT_SSRC, r, n);
	if (first)
		rtcp_put_sdes(&f->w, ENDPOINT_SSRC, f->to->cname);
}

/* Where any part fits: what is put counts as told. */
static struct rtcp_writer *feedback_room(struct feedback *f)
{
	if (f->w.cap - f->w.len < PART_MAX)
		feedback_send(f);
	if (!f->w.len && !f->alone)
		put_rr(f, NULL, 0);
	return &f->w;
}

static void put_requests(struct endpoint *e, struct track *t, struct stream *s, struct feedback *f,
			 int64_t now_us)
{
	uint16_t missing[NACK_AT_ONCE];
	bool gave_up;

	if (!s->ssrc)
		return;
	/* Who is not to be asked again may still have to send a key frame for what is lost. */
	unsigned n = nack_rx_due(&s->nack, now_us, missing,
				 t->config.feedback.nack ? NACK_AT_ONCE : 0, &gave_up);
	if (n && !rtcp_put_nack(feedback_room(f), ENDPOINT_SSRC, s->ssrc, missing, n))
		e->stats->nacks_sent++;
	if (gave_up && rtp_codec_is_video(t->config.codec) && track_needs(t, s))
		stream_want_key(s);
	if (!(t->config.feedback.pli || t->config.feedback.fir) || !stream_ask_key(s, now_us))
		return;
	struct rtcp_writer *w = feedback_room(f);
	int ret = t->config.feedback.pli ? rtcp_put_pli(w, ENDPOINT_SSRC, s->ssrc)
					 : rtcp_put_fir(w, ENDPOINT_SSRC, s->ssrc, s->fir_seq++);
	e->stats->key_requests_sent += ret == 0;
}

/* A block for each stream; how many there are. */
static unsigned put_blocks(struct endpoint *e, struct feedback *f, uint8_t *worst, int64_t now_us)
{
	struct rtcp_report r[RTCP_REPORTS_MAX];
	unsigned n = 0, all = 0;

	list_each (i, &e->tracks) {
		struct track *t = container_of(i, struct track, link);
		for (unsigned k = 0; k < t->n_streams; k++) {
			if (!stream_report(&t->stream[k], now_us, &r[n]))
				continue;
			if (r[n].fraction_lost > *worst)
				*worst = r[n].fraction_lost;
			all++;
			if (++n < RTCP_REPORTS_MAX)
				continue;
			put_rr(f, r, n);
			n = 0;
		}
	}
	if (n)
		put_rr(f, r, n);
	return all;
}

static bool wants_remb(const struct endpoint *e)
{
	list_each (i, &e->tracks) {
		const struct track *t = container_of(i, struct track, link);
		if (t->config.feedback.remb && !t->config.feedback.twcc &&
		    rtp_codec_is_video(t->config.codec))
			return true;
	}
	return false;
}

static void put_remb(struct endpoint *e, uint64_t bps, struct feedback *f)
{
	struct rtcp_remb r = {.bps = bps};

	list_each (i, &e->tracks) {
		const struct track *t = container_of(i, struct track, link);
		for (unsigned k = 0; k < t->n_streams; k++)
			if (t->stream[k].ssrc && r.n_ssrc < RTCP_REMB_SSRCS)
				r.ssrc[r.n_ssrc++] = t->stream[k].ssrc;
	}
	rtcp_put_remb(feedback_room(f), ENDPOINT_SSRC, &r);
}

static void put_report(struct endpoint *e, struct feedback *f, int64_t now_us)
{
	uint8_t worst = 0;

	if (!put_blocks(e, f, &worst, now_us))
		return;
	uint64_t bps = remb_rx_step(&e->remb, worst, now_us);
	if (wants_remb(e))
		put_remb(e, bps, f);
}

static void put_twcc(struct endpoint *e, struct feedback *f)
{
	struct track *t = container_of(e->tracks.next, struct track, link);

	while (twcc_rx_pending(e->twcc) &&
	       !twcc_rx_write(e->twcc, feedback_room(f), ENDPOINT_SSRC, t->stream[0].ssrc))
		;
}

static void need_twcc(struct endpoint *e)
{
	list_each (i, &e->tracks)
		if (!e->twcc && container_of(i, struct track, link)->config.feedback.twcc)
			e->twcc = calloc(1, sizeof(*e->twcc));
}

static void tick_tracks(struct endpoint *e, int64_t now_us)
{
	uint8_t out[FEEDBACK_MAX];
	struct feedback f = {e, rtcp_writer(out, sizeof(out)), takes_alone(e)};

	if (!e->twcc)
		need_twcc(e);
	if (now_us - e->report_us >= FWD_REPORT_US) {
		e->report_us = now_us;
		put_report(e, &f, now_us);
	}
	list_each (i, &e->tracks) {
		struct track *t = container_of(i, struct track, link);
		track_update(t, now_us);
		for (unsigned k = 0; k < t->n_streams; k++)
			put_requests(e, t, &t->stream[k], &f, now_us);
	}
	if (e->twcc && now_us - e->twcc_us >= FWD_TWCC_US) {
		e->twcc_us = now_us;
		put_twcc(e, &f);
	}
	feedback_send(&f);
}

/* Sender reports of all that it is sent, together. */
static void tick_subs(struct endpoint *e, int64_t now_us)
{
	uint8_t out[FEEDBACK_MAX];
	struct feedback f = {e, rtcp_writer(out, sizeof(out)), true};

	list_each (i, &e->subs) {
		if (f.w.cap - f.w.len < SUB_REPORT_MAX)
			feedback_send(&f);
		sub_report(container_of(i, struct sub, link), &f.w, now_us);
	}
	feedback_send(&f);
}

static void tick_repeats(struct endpoint *e, int64_t now_us)
{
	e->repeats = false;
	list_each (i, &e->subs)
		e->repeats |= sub_repeat(container_of(i, struct sub, link), now_us);
}

void endpoint_tick(struct endpoint *e, int64_t now_us)
{
	if (!e->connected)
		return;
	if (!list_empty(&e->tracks))
		tick_tracks(e, now_us);
	if (!list_empty(&e->subs))
		congest_tick(e, now_us);
	if (e->repeats)
		tick_repeats(e, now_us);
	if (now_us - e->sr_us < FWD_SR_US)
		return;
	e->sr_us = now_us;
	tick_subs(e, now_us);
}
