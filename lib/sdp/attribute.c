/* The attributes (a=) that msr knows, one handler each, in one table. Others are skipped. */
#include "parse.h"

#include <errno.h>
#include <string.h>

#define TOKEN_MAX 256 /* characters of ufrag, password, cname and ids */

/* Keeps a copy of a piece that must be there and not longer than `max`. */
static int keep(struct parser *p, struct text t, size_t max, const char **out)
{
	if (!text_len(t) || text_len(t) > max)
		return parse_fail(p, "the value is missing or too long");
	const char *copy = text_keep(p->s, t);
	if (!copy)
		return parse_full(p, 0, 1);
	*out = copy;
	return 0;
}

/* ---- payload types ---- */

/* The codec that "pt ..." speaks of; NULL when the m-line does not name it. */
static struct sdp_codec *codec_of(struct parser *p, struct text *t)
{
	uint64_t pt;

	if (!text_num(text_word(t), 127, &pt))
		return NULL;
	for (unsigned i = 0; i < p->m->n_codecs; i++)
		if (p->m->codecs[i].pt == pt)
			return &p->m->codecs[i];
	return NULL;
}

/* a=rtpmap:<pt> <name>/<clock>[/<channels>] */
static int on_rtpmap(struct parser *p, struct text t)
{
	struct sdp_codec *c = codec_of(p, &t);
	uint64_t clock, channels = 1;

	if (!c)
		return 0;
	struct text name = text_until(&t, '/'), rate = text_until(&t, '/');
	if (!text_num(rate, UINT32_MAX, &clock) || !clock)
		return parse_fail(p, "no clock rate");
	if (text_len(t) && (!text_num(t, 255, &channels) || !channels))
		return parse_fail(p, "the number of channels is out of range");
	c->clock = (uint32_t)clock;
	c->channels = (uint8_t)channels;
	return keep(p, name, 64, &c->name);
}

static int on_fmtp(struct parser *p, struct text t)
{
	struct sdp_codec *c = codec_of(p, &t);
	int r = c ? keep(p, t, SDP_FMTP_MAX, &c->fmtp) : 0;

	/* Others get them in an offer, which Firefox refuses as a whole when it is not ASCII. */
	for (const char *at = t.p; c && r == 0 && at < t.end; at++)
		if ((*at < ' ' && *at != '\t') || *at > '~')
			r = parse_fail(p, "parameters are ASCII");
	return r;
}

/* a=rtcp-fb:<pt or *> <value> */
static int on_rtcp_fb(struct parser *p, struct text t)
{
	struct text rest = t, who = text_word(&rest);
	const char *value;
	int r = 0;

	if (text_is(who, "*")) {
		r = keep(p, rest, 64, &value);
		for (unsigned i = 0; r == 0 && i < p->m->n_codecs; i++)
			r = sdp_add_feedback(p->s, &p->m->codecs[i], value);
	} else {
		struct sdp_codec *c = codec_of(p, &t);
		if (!c)
			return 0;
		r = keep(p, t, 64, &value);
		if (r == 0)
			r = sdp_add_feedback(p->s, c, value);
	}
	return r == -E2BIG || r == -ENOMEM ? parse_full(p, r == -E2BIG, 1) : r;
}

/* ---- identification ---- */

static int on_mid(struct parser *p, struct text t)
{
	int r = keep(p, t, SDP_MID_MAX, &p->m->mid);

	/* Part of names that others see, in JSON and between blanks. RFC 8866 allows still less. */
	for (const char *c = t.p; r == 0 && c < t.end; c++)
		if (*c <= ' ' || *c > '~')
			r = parse_fail(p, "a mid is visible ASCII");
	for (unsigned i = 0; r == 0 && i + 1 < p->s->n_media; i++)
		if (p->s->media[i].mid && !strcmp(p->s->media[i].mid, p->m->mid))
			r = parse_fail(p, "two sections have the same mid");
	return r;
}

/* a=group:BUNDLE <mid> ... */
static int on_group(struct parser *p, struct text t)
{
	const char *mid;

	if (!text_is(text_word(&t), "BUNDLE") || p->s->n_bundle)
		return 0;
	while (text_len(t)) {
		struct text word = text_word(&t);
		if (!text_len(word))
			continue;
		int r = keep(p, word, SDP_MID_MAX, &mid);
		if (r < 0)
			return r;
		if (sdp_add_bundle(p->s, mid) < 0)
			return parse_full(p, p->s->n_bundle, SDP_MEDIA_MAX);
	}
	return 0;
}

/* a=msid:<stream> [<track>]; only the first counts */
static int on_msid(struct parser *p, struct text t)
{
	if (p->m->stream)
		return 0;
	int r = keep(p, text_word(&t), TOKEN_MAX, &p->m->stream);
	if (r == 0 && text_len(t))
		r = keep(p, text_word(&t), TOKEN_MAX, &p->m->track);
	return r;
}

static struct sdp_ssrc *ssrc_of(struct parser *p, uint32_t ssrc)
{
	for (unsigned i = 0; i < p->m->n_ssrcs; i++)
		if (p->m->ssrcs[i].ssrc == ssrc)
			return &p->m->ssrcs[i];
	struct sdp_ssrc *s = sdp_add_ssrc(p->s, p->m);
	if (s)
		s->ssrc = ssrc;
	return s;
}

/* a=ssrc:<number> <attribute>[:<value>] */
static int on_ssrc(struct parser *p, struct text t)
{
	uint64_t n;

	if (!text_num(text_word(&t), UINT32_MAX, &n))
		return parse_fail(p, "the source is out of range");
	struct sdp_ssrc *s = ssrc_of(p, (uint32_t)n);
	if (!s)
		return parse_full(p, p->m->n_ssrcs, SDP_SSRCS_MAX);
	struct text name = text_until(&t, ':');
	if (text_is(name, "cname"))
		return keep(p, t, TOKEN_MAX, &s->cname);
	if (text_is(name, "msid"))
		return keep(p, t, 2 * TOKEN_MAX + 1, &s->msid);
	return 0;
}

/* a=ssrc-group:<semantics> <ssrc> ... */
static int on_ssrc_group(struct parser *p, struct text t)
{
	struct sdp_ssrc_group *g = sdp_add_ssrc_group(p->s, p->m);
	uint64_t n;

	if (!g)
		return parse_full(p, p->m->n_ssrc_groups, SDP_SSRCS_MAX);
	int r = keep(p, text_word(&t), 32, &g->semantics);
	while (r == 0 && text_len(t)) {
		struct text word = text_word(&t);
		if (!text_len(word))
			continue;
		if (!text_num(word, UINT32_MAX, &n) || g->n == 8)
			return parse_fail(p, "bad source, or more than eight");
		g->ssrc[g->n++] = (uint32_t)n;
	}
	return r;
}

/* ---- extensions and layers ---- */

static bool direction_of(struct text t, enum sdp_direction *d)
{
	static const char *const names[] = {"inactive", "sendonly", "recvonly", "sendrecv"};

	for (unsigned i = 0; i < 4; i++) {
		if (text_is(t, names[i])) {
			*d = (enum sdp_direction)i;
			return true;
		}
	}
	return false;
}

/* a=extmap:<id>[/<direction>] <URI> [<attributes>] */
static int on_extmap(struct parser *p, struct text t)
{
	struct text head = text_word(&t), id = text_until(&head, '/');
	enum sdp_direction direction = SDP_SENDRECV;
	uint64_t n;

	if (!text_num(id, 65535, &n) || !n)
		return parse_fail(p, "the id is out of range");
	if (text_len(head) && !direction_of(head, &direction))
		return parse_fail(p, "unknown direction");
	/* 15 is reserved; from 256 on stand offers of more than fits (RFC 8285 section 6). */
	if (n == 15 || n > 255)
		return 0;
	for (unsigned i = 0; i < p->m->n_exts; i++)
		if (p->m->exts[i].id == n)
			return 0;
	struct sdp_ext *e = sdp_add_ext(p->s, p->m);
	if (!e)
		return parse_full(p, p->m->n_exts, SDP_EXTS_MAX);
	e->id = (uint8_t)n;
	e->direction = direction;
	e->uri = "";
	return keep(p, text_word(&t), TOKEN_MAX, &e->uri);
}

static int on_extmap_allow_mixed(struct parser *p, struct text t)
{
	(void)t;
	p->m->extmap_allow_mixed = true;
	return 0;
}

/* a=rid:<id> send|recv [<restrictions>] */
static int on_rid(struct parser *p, struct text t)
{
	struct sdp_rid *rid = sdp_add_rid(p->s, p->m);

	if (!rid)
		return parse_full(p, p->m->n_rids, SDP_RIDS_MAX);
	int r = keep(p, text_word(&t), 32, &rid->id);
	if (r < 0)
		return r;
	struct text direction = text_word(&t);
	rid->send = text_is(direction, "send");
	if (!rid->send && !text_is(direction, "recv"))
		return parse_fail(p, "neither send nor recv");
	return text_len(t) ? keep(p, t, TOKEN_MAX, &rid->params) : 0;
}

static int on_simulcast(struct parser *p, struct text t)
{
	p->simulcast = t;
	return 0;
}

/* <id>[,<alternative>][;<id> ...], each perhaps with a '~' for paused */
static void mark_rids(struct parser *p, struct text list, bool send)
{
	while (text_len(list)) {
		struct text streams = text_until(&list, ';');
		while (text_len(streams)) {
			struct text id = text_until(&streams, ',');
			bool paused = text_len(id) && *id.p == '~';
			id.p += paused;
			for (unsigned i = 0; i < p->m->n_rids; i++) {
				struct sdp_rid *r = &p->m->rids[i];
				if (r->send == send && text_len(id) == strlen(r->id) &&
				    !memcmp(id.p, r->id, text_len(id))) {
					r->simulcast = true;
					r->paused = paused;
				}
			}
		}
	}
}

int parse_simulcast(struct parser *p)
{
	struct text t = p->simulcast;

	p->simulcast = (struct text){0};
	while (text_len(t)) {
		struct text direction = text_word(&t), list = text_word(&t);
		bool send = text_is(direction, "send");
		if (!send && !text_is(direction, "recv"))
			return parse_fail(p, "a=simulcast has neither send nor recv");
		if (send)
			p->m->simulcast_send = true;
		else
			p->m->simulcast_recv = true;
		mark_rids(p, list, send);
	}
	return 0;
}

/* ---- transport ---- */

static int on_ice_ufrag(struct parser *p, struct text t)
{
	return keep(p, t, TOKEN_MAX, &p->m->transport.ufrag);
}

static int on_ice_pwd(struct parser *p, struct text t)
{
	return keep(p, t, TOKEN_MAX, &p->m->transport.pwd);
}

static int on_ice_options(struct parser *p, struct text t)
{
	while (text_len(t)) {
		struct text option = text_word(&t);
		p->s->ice_trickle |= text_is(option, "trickle");
		p->s->ice_renomination |= text_is(option, "renomination");
	}
	return 0;
}

static int on_ice_lite(struct parser *p, struct text t)
{
	(void)t;
	p->s->ice_lite = true;
	return 0;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* The hashes that lib/peer computes, and their bytes. */
static const struct {
	const char *name;
	uint8_t len;
} hashes[] = {{"sha-256", 32}, {"sha-384", 48}, {"sha-512", 64}};

/*
 * a=fingerprint:<hash> XX:XX:... Of several SHA-256 is kept, which every DTLS stack has. Others
 * than these may stand beside them (RFC 8122, section 5) and are passed over.
 */
static int on_fingerprint(struct parser *p, struct text t)
{
	struct sdp_fingerprint f = {0};
	struct text name = text_word(&t);
	uint8_t want = 0;

	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		if (!text_is(name, hashes[i].name))
			continue;
		memcpy(f.hash, hashes[i].name, strlen(hashes[i].name));
		want = hashes[i].len;
	}
	if (!want)
		return 0;
	while (text_len(t)) {
		struct text byte = text_until(&t, ':');
		if (text_len(byte) != 2 || hex(byte.p[0]) < 0 || hex(byte.p[1]) < 0 ||
		    f.len == SDP_HASH_MAX)
			return parse_fail(p, "bad digest");
		f.value[f.len++] = (uint8_t)(hex(byte.p[0]) << 4 | hex(byte.p[1]));
	}
	if (f.len != want)
		return parse_fail(p, "the digest is not as long as its hash");
	struct sdp_fingerprint *now = &p->m->transport.fingerprint;
	if (strcmp(now->hash, "sha-256") != 0 || !strcmp(f.hash, "sha-256"))
		*now = f;
	return 0;
}

static int on_setup(struct parser *p, struct text t)
{
	p->m->transport.setup = text_is(t, "actpass")	? SDP_ACTPASS
				: text_is(t, "active")	? SDP_ACTIVE
				: text_is(t, "passive") ? SDP_PASSIVE
							: SDP_SETUP_NONE;
	return 0;
}

/* RFC 8839 section 5.1 leaves room for more transports and types: one not known is not used. */
static int on_candidate(struct parser *p, struct text t)
{
	struct sdp_candidate c, *kept;

	if (p->m->n_candidates == SDP_CANDIDATES_MAX)
		return 0;
	int r = sdp_parse_candidate(p->s, t.p, text_len(t), &c);
	if (r == -EBADMSG)
		return 0;
	kept = r < 0 ? NULL : sdp_add_candidate(p->s, p->m);
	if (!kept)
		return parse_full(p, 0, 1);
	*kept = c;
	return 0;
}

static int on_end_of_candidates(struct parser *p, struct text t)
{
	(void)t;
	p->m->end_of_candidates = true;
	return 0;
}

static int on_rtcp_mux(struct parser *p, struct text t)
{
	(void)t;
	p->m->rtcp_mux = true;
	return 0;
}

static int on_rtcp_mux_only(struct parser *p, struct text t)
{
	(void)t;
	p->m->rtcp_mux = p->m->rtcp_mux_only = true;
	return 0;
}

static int on_rtcp_rsize(struct parser *p, struct text t)
{
	(void)t;
	p->m->rtcp_rsize = true;
	return 0;
}

static int on_bundle_only(struct parser *p, struct text t)
{
	(void)t;
	p->m->bundle_only = true;
	return 0;
}

static int on_maxptime(struct parser *p, struct text t)
{
	uint64_t ms;

	if (text_num(t, UINT16_MAX, &ms))
		p->m->max_packet_ms = (uint16_t)ms;
	return 0;
}

static int on_direction(struct parser *p, struct text t)
{
	(void)t;
	direction_of(p->attribute, &p->m->direction);
	return 0;
}

/* ---- the table ---- */

enum level { ANY, MEDIA }; /* where it may stand; elsewhere it is skipped */

static const struct {
	const char *name;
	enum level level;
	int (*handle)(struct parser *p, struct text value);
} attributes[] = {
    {"rtpmap", MEDIA, on_rtpmap},
    {"fmtp", MEDIA, on_fmtp},
    {"rtcp-fb", MEDIA, on_rtcp_fb},
    {"mid", MEDIA, on_mid},
    {"group", ANY, on_group},
    {"msid", MEDIA, on_msid},
    {"ssrc", MEDIA, on_ssrc},
    {"ssrc-group", MEDIA, on_ssrc_group},
    {"extmap", ANY, on_extmap},
    {"extmap-allow-mixed", ANY, on_extmap_allow_mixed},
    {"rid", MEDIA, on_rid},
    {"simulcast", MEDIA, on_simulcast},
    {"ice-ufrag", ANY, on_ice_ufrag},
    {"ice-pwd", ANY, on_ice_pwd},
    {"ice-options", ANY, on_ice_options},
    {"ice-lite", ANY, on_ice_lite},
    {"fingerprint", ANY, on_fingerprint},
    {"setup", ANY, on_setup},
    {"candidate", MEDIA, on_candidate},
    {"end-of-candidates", ANY, on_end_of_candidates},
    {"rtcp-mux", MEDIA, on_rtcp_mux},
    {"rtcp-mux-only", MEDIA, on_rtcp_mux_only},
    {"rtcp-rsize", MEDIA, on_rtcp_rsize},
    {"bundle-only", MEDIA, on_bundle_only},
    {"maxptime", MEDIA, on_maxptime},
    {"inactive", ANY, on_direction},
    {"sendonly", ANY, on_direction},
    {"recvonly", ANY, on_direction},
    {"sendrecv", ANY, on_direction},
};

int parse_attribute(struct parser *p, struct text line)
{
	p->attribute = text_until(&line, ':');
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		if (!text_is(p->attribute, attributes[i].name))
			continue;
		if (attributes[i].level == MEDIA && p->m == &p->session)
			return 0;
		return attributes[i].handle(p, line);
	}
	return 0;
}
