/*
 * What the user sees, in each of three forms: coloured lines in a terminal, plain lines in a
 * pipe (messages on standard output, complaints on standard error), or JSON lines.
 */
#ifndef MSR_CHAT_SHOW_H
#define MSR_CHAT_SHOW_H

#include <stddef.h>
#include <stdint.h>

struct client;
struct picture;
struct server_head;
struct sound;

/* A file, picture or voice message that was saved. */
struct received {
	unsigned type;
	const struct server_head *head;
	uint64_t bytes;
	const char *path;
	const struct picture *picture; /* or NULL */
	const struct sound *sound;     /* or NULL */
};

void show_text(struct client *c, const struct server_head *h, const char *text, size_t len);
void show_received(struct client *c, const struct received *r);
/* "joined" or "left". */
void show_presence(struct client *c, const char *what, const char *name, const char *timestamp);
/* An Error of the server. */
void show_refused(struct client *c, const char *code, const char *message);
/* Our own trouble with `what`. */
void show_error(struct client *c, const char *why, const char *what);
/* Something for people only: help, state. */
void show_info(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Event `ev` with a text `key`, for JSON; in the other forms show_info. */
void show_state(struct client *c, const char *ev, const char *key, const char *text);
/* Our own message, as the others see it. */
void show_own(struct client *c, const char *to, const char *text);
/* "sending" or "receiving": how far a file is. At its end the bar goes away. */
void show_progress(struct client *c, const char *what, const char *name, uint64_t done,
		   uint64_t of);
/* A transfer ended before its end: the bar goes away. */
void show_no_progress(struct client *c);
void show_sent(struct client *c, const char *name, uint64_t bytes);
void show_users(struct client *c);

#endif
