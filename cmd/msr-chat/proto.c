/* Descriptors and the incremental parser. */
#include "proto.h"

#include <string.h>

const char *proto_name(unsigned type)
{
	static const char *const names[] = {
	    "unknown", "login", "login_ok", "username_exists", "bad_username", "bad_login",
	    "image",   "utf8",	"file",	    "voice",	       "error",	       "joined",
	    "left",    "users"};

	_Static_assert(sizeof(names) / sizeof(names[0]) == PROTO_TYPES, "a name for each type");
	return names[type < PROTO_TYPES ? type : 0];
}

void proto_put(uint8_t out[static PROTO_DESC], unsigned type, size_t header, uint64_t content)
{
	put_be16(out, (uint16_t)type);
	put_be16(out + 2, (uint16_t)header);
	put_be32(out + 4, 0);
	put_be64(out + 8, content);
}

struct proto_desc proto_get(const uint8_t in[static PROTO_DESC])
{
	return (struct proto_desc){get_be16(in), get_be16(in + 2), get_be64(in + 8)};
}

void proto_parser_init(struct proto_parser *p, size_t head_max)
{
	*p = (struct proto_parser){.head_max = head_max};
	buf_init(&p->part, PROTO_DESC + head_max);
}

void proto_parser_done(struct proto_parser *p)
{
	buf_done(&p->part);
}

/* Adds to the partial head until it has `want` bytes. 1 when it has, 0 when not yet. */
static int collect(struct proto_parser *p, const uint8_t **in, size_t *n, size_t want)
{
	size_t have = buf_len(&p->part);
	size_t take = want > have ? want - have : 0;

	if (take > *n)
		take = *n;
	if (take && buf_append(&p->part, *in, take) < 0)
		return -1;
	*in += take;
	*n -= take;
	return buf_len(&p->part) >= want;
}

static enum proto_step head_at(struct proto_parser *p, const uint8_t *at)
{
	p->desc = proto_get(at);
	p->skip = p->desc.header > p->head_max ? p->desc.header : 0;
	p->head = p->skip ? NULL : at + PROTO_DESC;
	p->left = p->desc.content;
	p->in_body = true;
	return PROTO_HEAD;
}

/* Bytes of the descriptor at `at` and of its header, as far as that is kept. */
static size_t kept(const struct proto_parser *p, const uint8_t *at)
{
	size_t header = get_be16(at + 2);

	return PROTO_DESC + (header > p->head_max ? 0 : header);
}

static enum proto_step parse_head(struct proto_parser *p, const uint8_t **in, size_t *n)
{
	if (!buf_len(&p->part) && *n >= PROTO_DESC) {
		size_t whole = kept(p, *in);
		if (*n >= whole) {
			const uint8_t *at = *in;
			*in += whole;
			*n -= whole;
			return head_at(p, at);
		}
	}
	if (!*n)
		return PROTO_MORE;
	int got = collect(p, in, n, PROTO_DESC);
	if (got > 0)
		got = collect(p, in, n, kept(p, buf_data(&p->part)));
	if (got <= 0)
		return got < 0 ? PROTO_NOMEM : PROTO_MORE;
	return head_at(p, buf_data(&p->part));
}

enum proto_step proto_parse(struct proto_parser *p, const uint8_t **in, size_t *n)
{
	if (!p->in_body)
		return parse_head(p, in, n);
	/* The caller has seen the head; the memory of one that came in pieces is not kept by
	 * thousands of idle connections. */
	if (p->part.mem)
		buf_done(&p->part);
	size_t skip = *n < p->skip ? *n : p->skip;
	*in += skip;
	*n -= skip;
	p->skip -= skip;
	if (p->skip)
		return PROTO_MORE;
	if (!p->left) {
		p->in_body = false;
		return PROTO_DONE;
	}
	if (!*n)
		return PROTO_MORE;
	p->data = *in;
	p->n_data = *n < p->left ? *n : (size_t)p->left;
	p->left -= p->n_data;
	*in += p->n_data;
	*n -= p->n_data;
	return PROTO_BODY;
}
