/*
 * The chat protocol, msr-chat(7): descriptor and incremental parser, used by server and client.
 *
 *	descriptor: u16 type | u16 header size | u32 reserved | u64 content size, big-endian
 *
 * The parser is fed whatever the socket gave and hands back one step at a time:
 *
 *	HEAD (descriptor and whole header) → BODY ... (slices of the content) → DONE
 *
 * It copies only a descriptor or header that came in pieces; slices of the content lie in the
 * input. It allocates what has arrived, never what a descriptor announces, and of a header beyond
 * the limit nothing: that is passed over.
 */
#ifndef MSR_CHAT_PROTO_H
#define MSR_CHAT_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { PROTO_DESC = 16, PROTO_HEADER_MAX = 65535 };

enum proto_type {
	PROTO_LOGIN = 1,
	PROTO_LOGIN_OK,
	PROTO_USERNAME_EXISTS,
	PROTO_BAD_USERNAME,
	PROTO_BAD_LOGIN,
	PROTO_IMAGE,
	PROTO_UTF8,
	PROTO_FILE,
	PROTO_VOICE,
	PROTO_ERROR,
	PROTO_JOINED,
	PROTO_LEFT,
	PROTO_USERS,
	PROTO_TYPES /* one behind the last */
};

/* "utf8", "image" ... for events and output; "unknown" for other numbers. */
const char *proto_name(unsigned type);

/* One of the four that users send each other. */
static inline bool proto_is_message(unsigned type)
{
	return type >= PROTO_IMAGE && type <= PROTO_VOICE;
}

struct proto_desc {
	uint16_t type;
	uint16_t header;  /* bytes */
	uint64_t content; /* bytes */
};

void proto_put(uint8_t out[static PROTO_DESC], unsigned type, size_t header, uint64_t content);
struct proto_desc proto_get(const uint8_t in[static PROTO_DESC]);

enum proto_step {
	PROTO_MORE, /* the input is used up */
	PROTO_HEAD, /* desc and head are valid */
	PROTO_BODY, /* data, n_data: the next bytes of the content */
	PROTO_DONE, /* the content is complete; also comes for empty contents */
	PROTO_NOMEM,
};

struct proto_parser {
	struct proto_desc desc; /* of the message under way, from HEAD to DONE */
	const uint8_t *head;	/* its header, desc.header bytes, or NULL when that is beyond the
				   limit; only valid at HEAD */
	const uint8_t *data;	/* a slice; only valid at BODY */
	size_t n_data;
	uint64_t left;	 /* content bytes still to come */
	size_t head_max; /* bytes of a header that is kept */
	size_t skip;	 /* bytes of a larger one still to come */
	bool in_body;	 /* between HEAD and DONE */
	struct buf part; /* owned: descriptor and header received in part */
};

/* `head_max`: bytes, up to PROTO_HEADER_MAX. */
void proto_parser_init(struct proto_parser *p, size_t head_max);
void proto_parser_done(struct proto_parser *p);

/* Goes one step, advancing *in by what it used of the *n bytes there. Call until PROTO_MORE. */
enum proto_step proto_parse(struct proto_parser *p, const uint8_t **in, size_t *n);

/* A message has begun and is not complete. */
static inline bool proto_under_way(const struct proto_parser *p)
{
	return p->in_body || buf_len(&p->part) > 0;
}

#endif
