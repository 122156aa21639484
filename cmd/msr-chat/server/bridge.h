/*
 * The other end of --room: a WebSocket session of msr-ws in one of its rooms. Text passes both
 * ways; people of the web are known here as name@web.
 */
#ifndef MSR_CHAT_BRIDGE_H
#define MSR_CHAT_BRIDGE_H

#include <stdbool.h>

struct bridge;
struct post;
struct server;

/* All accept a NULL bridge. */

/* A name that only the bridge's people may have. */
bool bridge_owns(const struct bridge *b, const char *name);
/* Somebody there whom a private message can reach. */
bool bridge_knows(const struct bridge *b, const char *name);
/* Passes a user's message on to the room when it is public or for somebody there. */
bool bridge_takes(struct bridge *b, const struct post *p);

#endif
