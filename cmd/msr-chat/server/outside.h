/*
 * The world outside the chat: /health and /metrics over HTTP, and the bridge to a room. They live
 * on lib/web in a thread of their own, because libwebsockets looks at every descriptor on each
 * turn, while the chat's loop is made for thousands of them.
 */
#ifndef MSR_CHAT_OUTSIDE_H
#define MSR_CHAT_OUTSIDE_H

struct outside;
struct server;

/* Starts the thread if the settings ask for it (*op stays NULL otherwise). 0 or -errno, logged. */
int outside_open(struct outside **op, struct server *s);
/* Ends the thread. Accepts NULL. */
void outside_close(struct outside *o);

#endif
