/*
 * JSON messages of clients. A small reader of its own instead of jansson: it makes no copies, and
 * a body is most of a message.
 *
 *   members of the outermost object: j_type, part, storage_id, body are looked at; all others are
 *   checked to be JSON (RFC 8259) and skipped
 */
#include "message.h"

#include <string.h>

#include "app.h"
#include "base64.h"
#include "base/id.h"
#include "frame/frame.h"

#define DEPTH_MAX	 32 /* of nested values */
#define NAME_ESCAPED_MAX 64 /* bytes of a member's name, each of its letters as \\u0000 */

struct reader {
	char *p, *end;
};

struct span {
	char *p;
	size_t len;
	bool escaped; /* strings: has a backslash */
};

/* ---- reading JSON ---- */

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static int hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

#define EACH(byte) (0x0101010101010101u * (byte))

/* Passes eight bytes at a time that are neither quote, backslash nor control: most of a body. */
static void skip_plain(struct reader *r)
{
	while (r->end - r->p >= 8) {
		uint64_t w, quote, slash;
		memcpy(&w, r->p, 8);
		quote = w ^ EACH('"');
		slash = w ^ EACH('\\');
		/* The top bit of a byte remains where it was zero, or below 0x20. */
		if ((((quote - EACH(1)) & ~quote) | ((slash - EACH(1)) & ~slash) |
		     ((w - EACH(0x20)) & ~w)) &
		    EACH(0x80))
			return;
		r->p += 8;
	}
}

/* A string; *out is what lies between the quotes, still escaped. */
static bool string(struct reader *r, struct span *out)
{
	if (!take(r, '"'))
		return false;
	out->p = r->p;
	out->escaped = false;
	while (skip_plain(r), r->p < r->end) {
		unsigned char c = (unsigned char)*r->p++;
		if (c == '"') {
			out->len = (size_t)(r->p - 1 - out->p);
			return true;
		}
		if (c < 0x20)
			return false;
		if (c != '\\')
			continue;
		out->escaped = true;
		if (r->p == r->end)
			return false;
		c = (unsigned char)*r->p++;
		if (c == 'u') {
			if (hex4(r->p, r->end) < 0)
				return false;
			r->p += 4;
		} else if (!strchr("\"\\/bfnrt", c) || !c) {
			return false;
		}
	}
	return false;
}

static size_t put_utf8(char *out, int c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	/* Surrogates stay what they are: ids and base64 have none, so they are refused later. */
	out[0] = (char)(0xe0 | c >> 12);
	out[1] = (char)(0x80 | (c >> 6 & 0x3f));
	out[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

/* Takes the escapes out, in place. */
static void unescape(struct span *s)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char *in = s->p, *out = s->p, *end = s->p + s->len;

	if (!s->escaped)
		return;
	while (in < end) {
		if (*in != '\\') {
			*out++ = *in++;
		} else if (in[1] == 'u') {
			out += put_utf8(out, hex4(in + 2, end));
			in += 6;
		} else {
			*out++ = to[strchr(from, in[1]) - from];
			in += 2;
		}
	}
	s->len = (size_t)(out - s->p);
	s->escaped = false;
}

static bool digits(struct reader *r)
{
	char *from = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > from;
}

static bool number(struct reader *r, struct span *out)
{
	skip_blanks(r);
	out->p = r->p;
	if (r->p < r->end && *r->p == '-')
		r->p++;
	if (r->p < r->end && *r->p == '0')
		r->p++;
	else if (!digits(r))
		return false;
	if (r->p < r->end && *r->p == '.') {
		r->p++;
		if (!digits(r))
			return false;
	}
	if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		if (!digits(r))
			return false;
	}
	out->len = (size_t)(r->p - out->p);
	return true;
}

static bool word(struct reader *r, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, text, n) != 0)
		return false;
	r->p += n;
	return true;
}

static bool skip_value(struct reader *r, int depth);

static bool skip_members(struct reader *r, int depth, char close, bool named)
{
	struct span key;

	r->p++;
	if (take(r, close))
		return true;
	do {
		if (named && (!string(r, &key) || !take(r, ':')))
			return false;
		if (!skip_value(r, depth + 1))
			return false;
	} while (take(r, ','));
	return take(r, close);
}

static bool skip_value(struct reader *r, int depth)
{
	struct span s;

	skip_blanks(r);
	if (r->p == r->end || depth > DEPTH_MAX)
		return false;
	switch (*r->p) {
	case '{':
		return skip_members(r, depth, '}', true);
	case '[':
		return skip_members(r, depth, ']', false);
	case '"':
		return string(r, &s);
	case 't':
		return word(r, "true");
	case 'f':
		return word(r, "false");
	case 'n':
		return word(r, "null");
	default:
		return number(r, &s);
	}
}

/* ---- members ---- */

struct members {
	struct span type, storage, body, part;
	bool has_type, has_storage, has_body, has_part;
	char body_kind; /* '"' or '[', or what else it began with */
};

/* The byte that a number stands for; false where it is too large, or has more than digits. */
static bool byte_value(const struct span *n, uint8_t *out)
{
	unsigned v = 0;

	if (n->len > 3)
		return false;
	for (size_t i = 0; i < n->len; i++) {
		if (n->p[i] < '0' || n->p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(n->p[i] - '0');
	}
	if (v > UINT8_MAX)
		return false;
	*out = (uint8_t)v;
	return true;
}

/* One value of an array: a byte, which goes to **to, or another one, which is passed. */
static bool byte_element(struct reader *r, uint8_t **to, bool *is_bytes)
{
	struct span n;

	skip_blanks(r);
	if (r->p < r->end && *r->p >= '0' && *r->p <= '9') {
		if (!number(r, &n))
			return false;
		if (byte_value(&n, *to)) {
			(*to)++;
			return true;
		}
	} else if (!skip_value(r, 1)) {
		return false;
	}
	*is_bytes = false;
	return true;
}

/*
 * Reads `[1, 2, 255]` into the bytes it lists, in place: never more than the text. False when it is
 * not JSON. Of an array with anything but bytes, which the reader has passed, *is_bytes is false.
 */
static bool byte_array(struct reader *r, struct span *out, bool *is_bytes)
{
	uint8_t *to = (uint8_t *)r->p;

	out->p = r->p;
	*is_bytes = true;
	r->p++;
	if (!take(r, ']')) {
		do {
			if (!byte_element(r, &to, is_bytes))
				return false;
		} while (take(r, ','));
		if (!take(r, ']'))
			return false;
	}
	out->len = (size_t)(to - (uint8_t *)out->p);
	return true;
}

/* Of a key that is written with escapes, too: readers of JSON see no difference. */
static bool is_name(const struct span *key, const char *name)
{
	char plain[NAME_ESCAPED_MAX];
	struct span k = *key;

	if (k.escaped) {
		if (k.len > sizeof(plain))
			return false;
		memcpy(plain, k.p, k.len);
		k.p = plain;
		unescape(&k);
	}
	return k.len == strlen(name) && memcmp(k.p, name, k.len) == 0;
}

/* A string member, or null, which counts as absent; anything else is kept as a bad one. */
static bool text_member(struct reader *r, struct span *out, bool *has)
{
	skip_blanks(r);
	*has = true;
	if (r->p < r->end && *r->p == '"')
		return string(r, out);
	if (word(r, "null")) {
		*has = false;
		return true;
	}
	*out = (struct span){.p = r->p};
	return skip_value(r, 1);
}

static bool body_member(struct reader *r, struct members *m, bool arrays)
{
	bool is_bytes;

	skip_blanks(r);
	m->has_body = true;
	m->body_kind = r->p < r->end ? *r->p : 0;
	if (m->body_kind == '"')
		return string(r, &m->body);
	if (m->body_kind != '[' || !arrays)
		return skip_value(r, 1);
	if (!byte_array(r, &m->body, &is_bytes))
		return false;
	if (!is_bytes)
		m->body_kind = 0;
	return true;
}

static bool part_member(struct reader *r, struct members *m)
{
	skip_blanks(r);
	if (word(r, "null"))
		return true;
	m->has_part = true;
	if (r->p < r->end && (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')))
		return number(r, &m->part);
	m->part = (struct span){.p = r->p};
	return skip_value(r, 1);
}

/* All members of the object; false where it is not JSON. `arrays`: decode bodies of bytes. */
static bool members(struct reader *r, struct members *m, bool arrays)
{
	struct span key;

	if (!take(r, '{'))
		return false;
	if (!take(r, '}')) {
		do {
			bool ok;
			if (!string(r, &key) || !take(r, ':'))
				return false;
			if (is_name(&key, "j_type"))
				ok = text_member(r, &m->type, &m->has_type);
			else if (is_name(&key, "storage_id"))
				ok = text_member(r, &m->storage, &m->has_storage);
			else if (is_name(&key, "part"))
				ok = part_member(r, m);
			else if (is_name(&key, "body"))
				ok = body_member(r, m, arrays);
			else
				ok = skip_value(r, 1);
			if (!ok)
				return false;
		} while (take(r, ','));
		if (!take(r, '}'))
			return false;
	}
	skip_blanks(r);
	return r->p == r->end;
}

/* ---- what they mean ---- */

static void fail(struct message *m, const char *code, const char *why)
{
	m->type = MESSAGE_ERROR;
	m->error = code;
	m->why = why;
}

static bool read_part(struct message *m, const struct members *in)
{
	if (!in->has_part)
		return true;
	if (!in->part.len || in->part.len > 16)
		return false;
	for (size_t i = 0; i < in->part.len; i++) {
		if (in->part.p[i] < '0' || in->part.p[i] > '9')
			return false;
		m->part = m->part * 10 + (uint64_t)(in->part.p[i] - '0');
	}
	m->has_part = m->part <= PART_MAX;
	return m->has_part;
}

static bool read_storage(struct message *m, struct members *in)
{
	if (!in->has_storage)
		return true;
	if (!in->storage.len)
		return false;
	unescape(&in->storage);
	if (!id_valid(in->storage.p, in->storage.len))
		return false;
	in->storage.p[in->storage.len] = '\0'; /* over the quote */
	m->storage = in->storage.p;
	return true;
}

static void read_body(struct message *m, struct members *in)
{
	long n = (long)in->body.len;

	if (in->body_kind == '"') {
		unescape(&in->body);
		/* Before decoding, which would be for nothing. */
		if (in->body.len / 4 * 3 > FRAME_BODY_MAX + 3u) {
			fail(m, "too_large", "a body is at most 16 MiB");
			return;
		}
		n = base64_decode((uint8_t *)in->body.p, in->body.len);
	} else if (!in->has_body || in->body_kind != '[') {
		n = -1;
	} else if (in->body.len > BODY_ARRAY_MAX) {
		fail(m, "too_large", "a body written as an array is at most 1 MiB; use base64");
		return;
	}
	if (n < 0) {
		fail(m, "bad_body", "body is a base64 string or an array of byte values");
	} else if (n > (long)FRAME_BODY_MAX) {
		fail(m, "too_large", "a body is at most 16 MiB");
	} else {
		m->body = (uint8_t *)in->body.p;
		m->body_len = (size_t)n;
	}
}

static enum message_type type_of(const struct span *s)
{
	static const struct {
		const char *name;
		enum message_type type;
	} types[] = {
	    {"audio", MESSAGE_AUDIO},	   {"AudioFrame", MESSAGE_AUDIO}, {"video", MESSAGE_VIDEO},
	    {"VideoFrame", MESSAGE_VIDEO}, {"end", MESSAGE_END},
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (is_name(s, types[i].name))
			return types[i].type;
	return MESSAGE_ERROR;
}

static void interpret(struct message *m, struct members *in)
{
	unescape(&in->type);
	m->type = type_of(&in->type);
	if (m->type == MESSAGE_ERROR) {
		fail(m, "bad_type", "j_type is audio, AudioFrame, video, VideoFrame or end");
		return;
	}
	if (!read_part(m, in)) {
		m->has_part = false;
		fail(m, "bad_part", "part is a whole number, 0 or more");
		return;
	}
	if (m->type == MESSAGE_END)
		return;
	if (!read_storage(m, in))
		fail(m, "bad_storage_id", ID_RULE);
	else
		read_body(m, in);
}

/*
 * Whether readers that are less strict than we are may find a j_type in what is not JSON to us.
 * They would take it for our own message.
 */
static bool may_have_type(const char *text, size_t len)
{
	return memmem(text, len, "j_type", 6) || memmem(text, len, "\\u00", 4);
}

/*
 * Two passes where it is a body of bytes: the first must leave the text as it is, because the
 * message may turn out to be for the room.
 */
void message_parse(char *text, size_t len, struct message *m)
{
	struct reader r = {text, text + len};
	struct members in = {0};

	*m = (struct message){.type = MESSAGE_TEXT};
	skip_blanks(&r);
	if (r.p == r.end || *r.p != '{')
		return;
	bool whole = members(&r, &in, false);
	if (!in.has_type && (whole || !may_have_type(text, len)))
		return;
	if (whole && in.has_body && in.body_kind == '[') {
		r.p = text;
		in = (struct members){0};
		whole = members(&r, &in, true);
	}
	if (!whole)
		fail(m, "bad_json", "the message is not JSON (RFC 8259)");
	else
		interpret(m, &in);
}
