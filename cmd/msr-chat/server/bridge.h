/*
 * The other end of --room: a WebSocket session of msr-ws in one of its rooms. Text passes both
 * ways; people of the web are known here as name@web.
 *
 *	chat's thread:   bridge_pass ──▶ to_room ═▶ bridge_send_queued ─▶ ws     (thread of
 *	                 bridge_deliver ◀═ to_chat ◀─ on_message ◀──────────── ws      outside.h)
 *
 * Both queues are bounded; what does not fit is dropped and counted.
 */
#ifndef MSR_CHAT_BRIDGE_H
#define MSR_CHAT_BRIDGE_H

#include <stdbool.h>

struct bridge;
struct loop;
struct note;
struct post;
struct server;
struct web;

/* Before the other thread starts. 0 or -errno, logged. */
int bridge_new(struct bridge **bp, struct server *s, struct web *w, struct loop *l);
/* After it has ended, and after web_free. Accepts NULL. */
void bridge_free(struct bridge *b);

/* ---- the chat's thread; all accept a NULL bridge ---- */

/* A name that only the bridge and its people may have, or that looks like one. */
bool bridge_owns(const struct bridge *b, const char *name);
/* Whether this is a person heard of there, whom a private message can reach. */
bool bridge_knows(const struct bridge *b, const char *name);
/* A copy of a user's message for the room, when it is public or for somebody there; otherwise, or
 * where it cannot be had, NULL. */
struct note *bridge_note(struct bridge *b, const struct post *p);
/* Passes it on; takes it. Accepts NULL. */
void bridge_pass(struct bridge *b, struct note *n);
/* Or not. Accepts NULL. */
void bridge_drop(struct note *n);
/* Says in the chat what came from the room. */
void bridge_deliver(struct bridge *b);

/* ---- the other thread ---- */

/* Sends the room what the chat said. Accepts NULL. */
void bridge_send_queued(struct bridge *b);

#endif
