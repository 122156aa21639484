/*
 * The parser's frame: lines, the session level, m= lines.
 *
 *	text ── lines ──> v o c m a ── a ──> attribute.c (table of handlers) ──> model
 */
#include "parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"

/* ---- pieces of text ---- */

struct text text_until(struct text *t, char stop)
{
	while (t->p < t->end && *t->p == ' ')
		t->p++;
	struct text piece = {t->p, t->p};
	const char *at = memchr(t->p, stop, text_len(*t));
	piece.end = at ? at : t->end;
	t->p = at ? at + 1 : t->end;
	return piece;
}

bool text_is(struct text t, const char *word)
{
	return text_len(t) == strlen(word) && !strncasecmp(t.p, word, text_len(t));
}

bool text_num(struct text t, uint64_t max, uint64_t *n)
{
	uint64_t v = 0;

	if (!text_len(t))
		return false;
	for (; t.p < t.end; t.p++) {
		unsigned digit = (unsigned)(*t.p - '0');
		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*n = v;
	return v <= max;
}

/* ---- errors ---- */

static int fail(struct parser *p, int code, const char *reason)
{
	struct text a = p->attribute;

	if (p->err) {
		p->err->line = p->line;
		if (text_len(a))
			snprintf(p->err->reason, sizeof(p->err->reason), "a=%.*s: %s",
				 (int)(text_len(a) < 32 ? text_len(a) : 32), a.p, reason);
		else
			snprintf(p->err->reason, sizeof(p->err->reason), "%s", reason);
	}
	return code;
}

int parse_fail(struct parser *p, const char *reason)
{
	return fail(p, -EBADMSG, reason);
}

int parse_full(struct parser *p, unsigned n, unsigned max)
{
	return n >= max ? fail(p, -E2BIG, "too many") : fail(p, -ENOMEM, "out of memory");
}

/* ---- lines ---- */

/* o=<username> <sess-id> <sess-version> IN IP4 <address> */
static int parse_origin(struct parser *p, struct text t)
{
	text_word(&t);
	if (!text_num(text_word(&t), UINT64_MAX, &p->s->session_id) ||
	    !text_num(text_word(&t), UINT64_MAX, &p->s->version))
		return parse_fail(p, "o= needs a numeric session id and version");
	p->has_origin = true;
	return 0;
}

/* c=IN IP4 <address> */
static int parse_connection(struct parser *p, struct text t)
{
	text_word(&t);
	text_word(&t);
	p->m->address = text_keep(p->s, text_word(&t));
	return p->m->address ? 0 : parse_full(p, 0, 1);
}

static const struct {
	uint8_t pt;
	const char *name;
	uint32_t clock;
} static_types[] = {{0, "PCMU", 8000}, {8, "PCMA", 8000}, {9, "G722", 8000}, {13, "CN", 8000}};

static int add_format(struct parser *p, struct text t)
{
	uint64_t pt;

	if (!text_num(t, 127, &pt))
		return parse_fail(p, "m= names a payload type above 127");
	if (sdp_codec_by_pt(p->m, (uint8_t)pt))
		return 0;
	struct sdp_codec *c = sdp_add_codec(p->s, p->m);
	if (!c)
		return parse_full(p, p->m->n_codecs, SDP_CODECS_MAX);
	c->pt = (uint8_t)pt;
	c->name = "";
	c->channels = 1;
	for (size_t i = 0; i < sizeof(static_types) / sizeof(static_types[0]); i++) {
		if (static_types[i].pt == pt) {
			c->name = static_types[i].name;
			c->clock = static_types[i].clock;
		}
	}
	return 0;
}

static enum sdp_kind kind_of(struct text t)
{
	return text_is(t, "audio")	   ? SDP_AUDIO
	       : text_is(t, "video")	   ? SDP_VIDEO
	       : text_is(t, "application") ? SDP_APPLICATION
					   : SDP_OTHER;
}

/* A new section takes over what the session level said for all. */
static int begin_media(struct parser *p, enum sdp_kind kind)
{
	struct sdp_media *m = sdp_add_media(p->s, kind);

	if (!m)
		return parse_full(p, p->s->n_media, SDP_MEDIA_MAX);
	p->m = m;
	m->direction = p->session.direction;
	m->transport = p->session.transport;
	m->address = p->session.address;
	m->extmap_allow_mixed = p->session.extmap_allow_mixed;
	for (unsigned i = 0; i < p->session.n_exts; i++) {
		struct sdp_ext *e = sdp_add_ext(p->s, m);
		if (!e)
			return parse_full(p, m->n_exts, SDP_EXTS_MAX);
		*e = p->session.exts[i];
	}
	return 0;
}

/* m=<media> <port>[/<n>] <proto> <format> ... */
static int parse_media(struct parser *p, struct text t)
{
	struct text type = text_word(&t), port = text_word(&t), proto = text_word(&t);
	uint64_t n;
	int r = parse_simulcast(p);

	if (r == 0)
		r = begin_media(p, kind_of(type));
	if (r < 0)
		return r;
	if (!text_num(text_until(&port, '/'), 65535, &n))
		return parse_fail(p, "m= needs a port up to 65535");
	p->m->port = (uint16_t)n;
	p->m->type = text_keep(p->s, type);
	p->m->proto = text_keep(p->s, proto);
	if (!p->m->type || !p->m->proto)
		return parse_full(p, 0, 1);
	if (!text_len(type) || !text_len(proto))
		return parse_fail(p, "m= needs a medium and a protocol");
	if (!strstr(p->m->proto, "RTP/")) {
		p->m->formats = text_keep(p->s, t);
		return p->m->formats ? 0 : parse_full(p, 0, 1);
	}
	while (r == 0 && text_len(t)) {
		struct text format = text_word(&t);
		if (text_len(format))
			r = add_format(p, format);
	}
	if (r == 0 && !p->m->n_codecs)
		return parse_fail(p, "m= names no format");
	return r;
}

static int parse_line(struct parser *p, struct text t)
{
	if (text_len(t) < 2 || t.p[1] != '=')
		return parse_fail(p, "a line does not look like SDP (x=...)");
	char type = *t.p;
	t.p += 2;
	if (!p->has_version) {
		if (type != 'v' || !text_is(t, "0"))
			return parse_fail(p, "the first line is not v=0");
		p->has_version = true;
		return 0;
	}
	switch (type) {
	case 'o':
		return parse_origin(p, t);
	case 'c':
		return parse_connection(p, t);
	case 'm':
		return parse_media(p, t);
	case 'a':
		return parse_attribute(p, t);
	default:
		if (!strchr("siuepbtrzk", type))
			return parse_fail(p, "unknown type of line");
		return 0;
	}
}

static int parse_lines(struct parser *p, struct text t)
{
	int r = 0;

	while (r == 0 && text_len(t)) {
		const char *lf = memchr(t.p, '\n', text_len(t));
		struct text line = {t.p, lf ? lf : t.end};
		t.p = lf ? lf + 1 : t.end;
		if (text_len(line) && line.end[-1] == '\r')
			line.end--;
		p->attribute = (struct text){0};
		if (++p->line > SDP_LINES_MAX)
			return fail(p, -E2BIG, "too many lines");
		if (text_len(line) > SDP_LINE_MAX)
			return fail(p, -E2BIG, "the line is too long");
		for (const char *c = line.p; c < line.end; c++)
			if ((unsigned char)*c < ' ' && *c != '\t')
				return parse_fail(p, "control character");
		if (!utf8_valid(line.p, text_len(line))) /* RFC 8866 section 5 */
			return parse_fail(p, "not UTF-8");
		if (text_len(line))
			r = parse_line(p, line);
	}
	if (r == 0)
		r = parse_simulcast(p);
	p->attribute = (struct text){0};
	if (r == 0 && (!p->has_version || !p->has_origin)) {
		p->line = 0;
		r = parse_fail(p, "v= or o= is missing");
	}
	return r;
}

int sdp_parse(struct sdp **out, const char *text, size_t len, struct sdp_error *err)
{
	struct parser p = {.err = err, .session = {.direction = SDP_SENDRECV}};

	if (len > SDP_MAX)
		return fail(&p, -E2BIG, "larger than 256 KiB");
	p.s = sdp_new();
	if (!p.s)
		return fail(&p, -ENOMEM, "out of memory");
	p.m = &p.session;
	int r = parse_lines(&p, text_of(text, len));
	if (r < 0) {
		sdp_free(p.s);
		return r;
	}
	p.s->extmap_allow_mixed = p.session.extmap_allow_mixed;
	*out = p.s;
	return 0;
}
