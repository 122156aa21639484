/*
 * What one receiver still has to get, in the order in which it will:
 *
 *	feed   ──────┬─────────┬──────────▶     the public messages from its position on,
 *	cuts         ▲ insert  ▲ skip           private ones put in, its own left out,
 *	large  ═══▶                             and contents from spool files, one at a time
 *
 * Small messages go ahead of large ones that have not begun. So that a busy room cannot hold a
 * large one up for ever, it begins at the next private message or chunk of the feed once 192 KiB
 * went ahead: what was before it aside, at most 256 KiB do.
 */
#ifndef MSR_CHAT_OUTBOX_H
#define MSR_CHAT_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "feed.h"

struct parcel;
struct wire;

/* At the offset `at` of the feed: first insert, then leave out `skip` bytes. */
struct cut {
	uint64_t at;
	uint64_t skip;
	struct parcel *insert; /* a reference, or NULL */
};

/* A large message, and how much of small ones is sent when nothing goes ahead of it any more. */
struct large {
	struct parcel *parcel; /* a reference */
	uint64_t limit;	       /* of outbox.small */
};

struct outbox {
	struct feed *feed; /* lent; NULL before the login */
	uint64_t end;	   /* of what this receiver gets of it; UINT64_MAX while it is a user */
	struct feed_pos pos;
	struct cut *cuts; /* owned ring */
	size_t cuts_at, n_cuts, cap_cuts;
	size_t insert_sent;  /* bytes of the first cut's insert that are gone */
	size_t inserted;     /* bytes of all inserts not sent */
	uint64_t skipped;    /* bytes of all skips ahead */
	struct large *large; /* owned ring */
	size_t large_at, n_large, cap_large;
	uint64_t large_sent; /* bytes of the first large one that are gone, with its header */
	bool large_begun;    /* it holds the line until it is through */
	uint64_t taken;	     /* bytes that the socket took in all */
	uint64_t small;	     /* of these, bytes of small messages */
	uint64_t large_done; /* large messages sent completely */
};

enum { OUTBOX_LARGE_MAX = 1024 }; /* large messages waiting for one receiver */

void outbox_init(struct outbox *o);
void outbox_done(struct outbox *o);

/* From now on the messages of `feed` are to be sent. */
void outbox_attach(struct outbox *o, struct feed *feed);
/* What the feed has now is still sent, nothing that comes later. */
void outbox_close(struct outbox *o);

/* Puts in a message behind what is there; takes a reference of its own. 0 or -ENOMEM. */
int outbox_insert(struct outbox *o, struct parcel *p);
/* The last `n` bytes of the feed, just committed, are not for this receiver. */
int outbox_skip(struct outbox *o, uint64_t n);
/* Queues a message with a spool file. 0, -ENOBUFS (too many) or -ENOMEM. */
int outbox_large(struct outbox *o, struct parcel *p);

/* Bytes of small messages not yet sent. */
uint64_t outbox_lag(const struct outbox *o);
/* Bytes of the feed that stay in memory for this receiver, whether they are for it or not. */
uint64_t outbox_held(const struct outbox *o);
bool outbox_empty(const struct outbox *o);

/*
 * Sends as much as the socket takes, of large contents up to `large_max` bytes. 0 when everything
 * is gone, 1 when something is left, -errno when the connection is broken.
 */
int outbox_flush(struct outbox *o, struct wire *w, size_t large_max);

#endif
