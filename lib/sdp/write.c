/*
 * The model as text, in the order that RFC 8829 section 5.2.1 gives. Only what is set is written,
 * so that a description that was parsed and written says what msr understood of it. An error of
 * the buffer sticks: it is looked at once, at the end.
 */
#include "sdp.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct out {
	struct buf *b;
	int error; /* the first one */
};

static void put(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct out *o, const char *fmt, ...)
{
	char line[SDP_LINE_MAX + 64]; /* a value as long as its line was, in a line of ours */
	va_list ap;

	if (o->error)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		o->error = -E2BIG;
	else
		o->error = buf_append(o->b, line, (size_t)n);
}

/* An attribute with a value, where there is one. */
static void put_text(struct out *o, const char *name, const char *value)
{
	if (value)
		put(o, "a=%s:%s\r\n", name, value);
}

static void put_flag(struct out *o, const char *name, bool set)
{
	if (set)
		put(o, "a=%s\r\n", name);
}

static void put_session(struct out *o, const struct sdp *s)
{
	put(o, "v=0\r\no=- %llu %llu IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
	    (unsigned long long)s->session_id, (unsigned long long)s->version);
	if (s->n_bundle) {
		put(o, "a=group:BUNDLE");
		for (unsigned i = 0; i < s->n_bundle; i++)
			put(o, " %s", s->bundle[i]);
		put(o, "\r\n");
	}
	put_flag(o, "ice-lite", s->ice_lite);
	if (s->ice_trickle || s->ice_renomination)
		put(o, "a=ice-options:%s%s%s\r\n", s->ice_trickle ? "trickle" : "",
		    s->ice_trickle && s->ice_renomination ? " " : "",
		    s->ice_renomination ? "renomination" : "");
	put_flag(o, "extmap-allow-mixed", s->extmap_allow_mixed);
	put(o, "a=msid-semantic: WMS *\r\n");
}

static void put_transport(struct out *o, const struct sdp_transport *t)
{
	static const char *const setups[] = {NULL, "actpass", "active", "passive"};
	const struct sdp_fingerprint *f = &t->fingerprint;

	put_text(o, "ice-ufrag", t->ufrag);
	put_text(o, "ice-pwd", t->pwd);
	if (f->len) {
		put(o, "a=fingerprint:%s ", f->hash);
		for (unsigned i = 0; i < f->len; i++)
			put(o, "%s%02X", i ? ":" : "", f->value[i]);
		put(o, "\r\n");
	}
	put_text(o, "setup", setups[t->setup]);
}

static void put_codec(struct out *o, const struct sdp_codec *c)
{
	if (*c->name) {
		put(o, "a=rtpmap:%u %s/%u", c->pt, c->name, c->clock);
		if (c->channels > 1)
			put(o, "/%u", c->channels);
		put(o, "\r\n");
	}
	for (unsigned i = 0; i < c->n_feedback; i++)
		put(o, "a=rtcp-fb:%u %s\r\n", c->pt, c->feedback[i]);
	if (c->fmtp)
		put(o, "a=fmtp:%u %s\r\n", c->pt, c->fmtp);
}

static void put_exts(struct out *o, const struct sdp_media *m)
{
	static const char *const direction[] = {"/inactive", "/sendonly", "/recvonly", ""};

	for (unsigned i = 0; i < m->n_exts; i++)
		put(o, "a=extmap:%u%s %s\r\n", m->exts[i].id, direction[m->exts[i].direction],
		    m->exts[i].uri);
}

static void put_simulcast_list(struct out *o, const struct sdp_media *m, bool send)
{
	unsigned n = 0;

	put(o, "%s ", send ? "send" : "recv");
	for (unsigned i = 0; i < m->n_rids; i++) {
		const struct sdp_rid *r = &m->rids[i];
		if (r->simulcast && r->send == send)
			put(o, "%s%s%s", n++ ? ";" : "", r->paused ? "~" : "", r->id);
	}
}

static void put_rids(struct out *o, const struct sdp_media *m)
{
	for (unsigned i = 0; i < m->n_rids; i++) {
		const struct sdp_rid *r = &m->rids[i];
		put(o, "a=rid:%s %s%s%s\r\n", r->id, r->send ? "send" : "recv",
		    r->params ? " " : "", r->params ? r->params : "");
	}
	if (!m->simulcast_send && !m->simulcast_recv)
		return;
	put(o, "a=simulcast:");
	if (m->simulcast_send)
		put_simulcast_list(o, m, true);
	if (m->simulcast_send && m->simulcast_recv)
		put(o, " ");
	if (m->simulcast_recv)
		put_simulcast_list(o, m, false);
	put(o, "\r\n");
}

static void put_sources(struct out *o, const struct sdp_media *m)
{
	for (unsigned i = 0; i < m->n_ssrc_groups; i++) {
		const struct sdp_ssrc_group *g = &m->ssrc_groups[i];
		put(o, "a=ssrc-group:%s", g->semantics);
		for (unsigned k = 0; k < g->n; k++)
			put(o, " %u", g->ssrc[k]);
		put(o, "\r\n");
	}
	for (unsigned i = 0; i < m->n_ssrcs; i++) {
		const struct sdp_ssrc *s = &m->ssrcs[i];
		if (s->cname)
			put(o, "a=ssrc:%u cname:%s\r\n", s->ssrc, s->cname);
		if (s->msid)
			put(o, "a=ssrc:%u msid:%s\r\n", s->ssrc, s->msid);
	}
}

static void put_candidates(struct out *o, const struct sdp_media *m)
{
	for (unsigned i = 0; i < m->n_candidates; i++) {
		put(o, "a=");
		if (!o->error)
			o->error = sdp_write_candidate(&m->candidates[i], o->b);
		put(o, "\r\n");
	}
	put_flag(o, "end-of-candidates", m->end_of_candidates);
}

static void put_media_line(struct out *o, const struct sdp_media *m)
{
	const char *address = m->address ? m->address : "0.0.0.0";

	put(o, "m=%s %u %s", m->type, m->port, m->proto);
	for (unsigned i = 0; i < m->n_codecs; i++)
		put(o, " %u", m->codecs[i].pt);
	if (m->formats)
		put(o, " %s", m->formats);
	put(o, "\r\nc=IN IP%c %s\r\n", strchr(address, ':') ? '6' : '4', address);
}

static void put_media(struct out *o, const struct sdp *s, const struct sdp_media *m)
{
	static const char *const directions[] = {"inactive", "sendonly", "recvonly", "sendrecv"};

	put_media_line(o, m);
	put_text(o, "mid", m->mid);
	put_flag(o, "bundle-only", m->bundle_only);
	put_transport(o, &m->transport);
	put_flag(o, directions[m->direction], true);
	if (m->stream)
		put(o, "a=msid:%s%s%s\r\n", m->stream, m->track ? " " : "",
		    m->track ? m->track : "");
	put_flag(o, "rtcp-mux", m->rtcp_mux);
	put_flag(o, "rtcp-mux-only", m->rtcp_mux_only);
	put_flag(o, "rtcp-rsize", m->rtcp_rsize);
	/* At session level it means every section. */
	put_flag(o, "extmap-allow-mixed", m->extmap_allow_mixed && !s->extmap_allow_mixed);
	for (unsigned i = 0; i < m->n_codecs; i++)
		put_codec(o, &m->codecs[i]);
	if (m->max_packet_ms)
		put(o, "a=maxptime:%u\r\n", m->max_packet_ms);
	put_exts(o, m);
	put_rids(o, m);
	put_sources(o, m);
	put_candidates(o, m);
}

int sdp_write(const struct sdp *s, struct buf *b)
{
	struct out o = {b, 0};

	put_session(&o, s);
	for (unsigned i = 0; i < s->n_media; i++)
		put_media(&o, s, &s->media[i]);
	return o.error;
}
