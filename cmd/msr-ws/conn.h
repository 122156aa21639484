/*
 * Connections: who may come in, what their messages are, and what they are told.
 */
#ifndef MSR_WS_CONN_H
#define MSR_WS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "query.h"

struct app;
struct session;
struct web_origins;
struct web_server;
struct ws;

struct client {
	struct app *app;
	struct session *s; /* NULL: another connection has taken it over, or it was ended */
	struct ws *ws;	   /* NULL until it is open */
	struct query query;
	uint64_t bare_next[2]; /* number of the next bare chunk: audio, video */
	bool bare_known[2];
	uint8_t paused; /* PAUSE_*: why it is not read */
	int64_t tokens; /* messages it may send before the clock is asked */
	struct mono refilled;
	struct loop_timer rate;
	struct mono reported;	    /* last frame-error event */
	uint64_t suppressed;	    /* errors without an event since */
	bool resumed;		    /* the session was there before */
	const char *room, *session; /* in `ids`: for events, also when `s` is gone */
	char ids[];
};

/* The route /:room/:session. */
void conn_route(struct app *a, struct web_server *s, const struct web_origins *origins);

/* Sends text, or drops it where the client is too slow. 0 or -errno. */
int client_send(struct client *c, const char *text, size_t len);

/* An error message, a counter and an event; `part` may be NULL, and so may `c`. */
void client_error(struct client *c, const char *code, const char *message, const uint64_t *part);

/* The sink is full, or has room again. */
void client_sink_full(struct client *c, bool full);

/* The session has ended: closes the connection, at a shutdown when everything is acknowledged. */
void client_session_gone(struct client *c);
/* Everything is acknowledged. */
void client_goodbye(struct client *c);

#endif
