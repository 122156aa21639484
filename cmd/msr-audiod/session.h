/*
 * Sessions: one WebSocket each. Commands are answered here; sound goes through a seat of the pool,
 * one slice at a time, and comes back in order.
 */
#ifndef MSR_AUDIOD_SESSION_H
#define MSR_AUDIOD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chain.h"

struct events;
struct loop;
struct metrics;
struct pool;
struct recorder;
struct sessions;
struct web;
struct web_origins;
struct web_server;

struct sessions_opts {
	struct loop *loop; /* lent, like all below */
	struct events *events;
	struct metrics *metrics;
	struct recorder *recorder; /* NULL: nothing is recorded */
	const struct exec_list *execs;
	const struct web_origins *origins;
	uint32_t buffer;	    /* bytes of a slice */
	size_t max_message;	    /* bytes */
	size_t max_queue;	    /* bytes that wait to be sent; at least two messages */
	size_t max_memory;	    /* bytes of all that wait, and as many that wait to be sent */
	int64_t session_timeout_us; /* 0: never */
};

/* 0 or -ENOMEM. */
int sessions_new(struct sessions **out, const struct sessions_opts *opts);
/* Once the web server is gone. Accepts NULL. */
void sessions_free(struct sessions *ss);
/* The pool comes after the sessions, whose handlers it calls. */
void sessions_use(struct sessions *ss, struct pool *pool);
/* Serves /ws. Tells `web` what of its clients' data is kept. */
void sessions_route(struct sessions *ss, struct web *web, struct web_server *server);
/* Reads nothing more; what is under way is still answered. */
void sessions_stop(struct sessions *ss);
/* Whether a session that reads its answers has more than its seat can take at once. */
bool sessions_backlog(const struct sessions *ss);
/* Whether anything is under way. */
bool sessions_idle(const struct sessions *ss);

/* Handlers for the pool. */
void session_data(void *owner, const uint8_t *out, size_t len, int status);
void session_event(void *owner, const char *json, size_t len);

#endif
