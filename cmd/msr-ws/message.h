/*
 * JSON messages of clients, and the bodies in them. Pure; works in place: a body of 16 MiB in 22
 * MiB of base64 is decoded where it lies and never copied.
 */
#ifndef MSR_WS_MESSAGE_H
#define MSR_WS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum message_type {
	MESSAGE_TEXT, /* not for the server: goes to the room */
	MESSAGE_AUDIO,
	MESSAGE_VIDEO,
	MESSAGE_END,
	MESSAGE_ERROR, /* for the server, but wrong */
};

struct message {
	enum message_type type;
	const char *error; /* code of MESSAGE_ERROR, static */
	const char *why;   /* in words, static */
	bool has_part;
	uint64_t part;
	const char *storage; /* ended by a NUL, in the input; NULL: none */
	uint8_t *body;	     /* decoded, in the input */
	size_t body_len;
};

/*
 * Reads a text message of `len` bytes, which must be followed by a NUL and is overwritten unless
 * the result is MESSAGE_TEXT. A JSON object with a member j_type is for the server; so is text
 * that begins like one and breaks off after it (bad_json).
 */
void message_parse(char *text, size_t len, struct message *m);

#endif
