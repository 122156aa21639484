/*
 * A connection: from accept to the last byte.
 *
 *	LOGIN ──▶ USER ──▶ LEAVING ──▶ LINGER ──▶ freed
 *	  ▲ │               what is queued is still sent; then input is thrown away for a
 *	  ▼ ▼               moment, so that a reset does not overtake the last message
 *	  AUTH (password is being checked, nothing is read)
 */
#ifndef MSR_CHAT_CONN_H
#define MSR_CHAT_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "../head.h"
#include "../proto.h"
#include "../wire.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "limits.h"
#include "outbox.h"

struct loop_io;
struct server;
struct sockaddr_storage;

enum conn_state { CONN_LOGIN, CONN_AUTH, CONN_USER, CONN_LEAVING, CONN_LINGER, CONN_DEAD };

/* What happens to the content that is coming in. */
enum content { CONTENT_DISCARD, CONTENT_COLLECT, CONTENT_SPOOL };

enum {
	SMALL_MAX = 16 * 1024, /* bytes of a content that is kept in memory and in the feed */
	PREFIX_SIZE = 2 * NAME_SIZE + 64,
};

struct conn {
	struct server *server;
	struct list link;    /* in server.conns, or server.dead */
	struct list dirty;   /* in server.dirty, or unlinked */
	struct list in_feed; /* in its feed's members, or unlinked */
	enum conn_state state;
	uint64_t serial; /* never used again; names it across threads */
	struct wire wire;
	struct loop_io *io;
	struct address *address;
	bool blocked; /* the socket takes nothing now */
	bool paused;  /* not read, because of server.pressure */
	bool eof;     /* the peer sends no more */

	struct outbox out;
	uint64_t progress;	 /* out.taken when it last was enough */
	struct mono progress_at; /* when that was */
	struct mono taken_at;	 /* when the socket last took something */
	uint64_t watched_lag;	 /* its lag when server.relief_at was set, or UINT64_MAX */

	struct proto_parser in;
	struct mono since; /* of its state */
	struct mono heard; /* when bytes last came */
	enum content content;
	struct message_head head;
	struct text_check text;	 /* of a large text */
	struct buf held;	 /* owned: input behind a login that is being checked */
	struct buf small;	 /* owned: a small content that came in pieces */
	const uint8_t *whole;	 /* a small content that did not; lent during its step */
	struct spool_file *file; /* owned: a large one */
	uint64_t reported;	 /* bytes of it at the last event */
	struct rate rate;
	unsigned login_tries;

	struct map_node by_name; /* in server.users while USER */
	struct map_node by_look; /* in server.looks, likewise */
	char *look;		 /* owned, likewise */
	char name[NAME_SIZE];
	char prefix[PREFIX_SIZE]; /* {"from":"name","timestamp":" */
	size_t prefix_len;
	bool presence; /* asked for Joined and Left */
};

/* Takes `fd`, also on failure. `addr` is counted already and is given back with the connection. */
void conn_new(struct server *s, int fd, struct address *addr);
/* Frees what conn_close left for the end of the turn. */
void conn_reap(struct server *s);

/* Puts in a message for this connection alone; takes no reference. Disconnects at the bound. */
void conn_insert(struct conn *c, struct parcel *p);
/* The same for a message with a spool file. */
void conn_large(struct conn *c, struct parcel *p);
/* An Error message. */
void conn_error(struct conn *c, enum chat_error e);
/* A message that is only a descriptor. */
void conn_reply(struct conn *c, enum proto_type type);

/* Sends what the socket takes. */
void conn_flush(struct conn *c);
/* Recomputes what the loop waits for. */
void conn_update(struct conn *c);
/* Stops reading, sends what is queued, and closes. `reason` is for the event. */
void conn_leave(struct conn *c, const char *reason);
/* An Error as the last message. */
void conn_fail(struct conn *c, enum chat_error e);
/* Closes at once. Any pointer to `c` is valid until conn_reap. */
void conn_close(struct conn *c, const char *reason);

/* Too far behind: disconnects with an event. */
void conn_slow(struct conn *c);
/* Once a second: timeouts, slow receivers, progress. */
void conn_sweep(struct conn *c);
/* Something is on its way in or out. */
bool conn_busy(const struct conn *c);

/* The password was right or wrong. */
void conn_authenticated(struct conn *c, bool ok);

/* receive.c: one step of the parser after another. */
void receive(struct conn *c, const uint8_t *data, size_t n);
/* Forgets a content that is coming in. */
void receive_drop(struct conn *c);

#endif
