/*
 * What the parts of the server share: settings, the room, counters.
 *
 *	listen ─▶ conn ─▶ receive ─▶ hub ═▶ feed, parcels ═▶ outbox of each receiver ─▶ wire
 *	            ▲                                            │
 *	            └── a turn of the loop: everything that is readable is read first, then each
 *	                receiver gets all that is new with one system call
 */
#ifndef MSR_CHAT_SERVER_H
#define MSR_CHAT_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/metrics.h"
#include "feed.h"
#include "limits.h"
#include "loop/loop.h"
#include "spool.h"

struct auth;
struct bridge;
struct conn;
struct events;
struct listener;
struct look;
struct outside;
struct parcel;
struct wire_tls;

struct settings {
	const char *address, *port; /* as the user gave them; the port may be in the address */
	const char *events;	    /* path, or NULL */
	int64_t metrics_port;	    /* 0: none */
	const char *metrics_address;
	const char *spool, *password_file, *tls_cert, *tls_key, *room, *storage;
	int64_t max_spool, max_content, max_header, max_queue;	  /* bytes */
	int64_t max_users, max_per_address, rate, burst, history; /* 0: no limit, none */
	int64_t login_timeout, idle_timeout, message_timeout, send_timeout, drain; /* us */
	bool limit_loopback, guests;
};

/* For /metrics, read by another thread. */
struct counters {
	metric_t connections, users, logins, refused;
	metric_t messages, deliveries, bytes_in, bytes_out;
	metric_t errors, slow, timeouts, floods;
	metric_t bridge_dropped;
	metric_t transfers, spool_bytes, spool_files, feed_bytes;
};

enum { FEED_PLAIN, FEED_PRESENCE, FEEDS };

/* The room has a feed with Joined and Left, and one without, each for those who are in it. */
struct room_feed {
	struct feed feed;
	struct list members; /* of conn.in_feed */
	size_t n;
	uint64_t flushed; /* feed.end when all members had been served */
};

struct server {
	struct settings set;
	struct loop *loop;
	struct events *events;
	struct counters n;
	struct spool spool;
	struct addresses addresses;
	struct wire_tls *tls;	   /* or NULL */
	struct auth *auth;	   /* or NULL: no passwords */
	struct outside *outside;   /* or NULL: neither metrics nor bridge */
	struct bridge *bridge;	   /* or NULL */
	struct listener *listener; /* NULL once draining */

	struct mono now;		    /* at the beginning of this turn */
	char timestamp[CLOCK_RFC3339_SIZE]; /* likewise */
	bool ticked;			    /* both are set for this turn */
	struct loop_timer sweep;	    /* looks at all timeouts */

	struct list conns; /* of conn.link */
	struct list dirty; /* of conn.dirty: something was put into their outboxes */
	struct list dead;  /* of conn.link: freed at the end of the turn */
	size_t n_conns;
	uint64_t last_serial;

	struct map users; /* by name */
	struct map looks; /* the same by what their names look like */
	struct look *look;
	struct room_feed feeds[FEEDS];
	struct parcel **history;	     /* ring of set.history, or NULL */
	uint64_t history_first, history_end; /* its messages, counted from the first ever */
	size_t history_bytes;		     /* of them */
	bool pressure;			     /* most receivers are behind: senders wait */
	struct mono pressed_at;		     /* when that was over last */
	struct mono relief_at;		     /* when to check which receivers have caught up */
	bool draining;			     /* the server stops: no new messages */
	struct mono drain_until;	     /* when it ends whatever is left */
	bool message_events;		     /* write them: a path was given */
};

/* Takes the time, once a turn; every handler of the loop begins with it. */
void server_tick(struct server *s);
/* Sends everybody what is new; called after each turn. */
void server_flush(struct server *s);

#endif
