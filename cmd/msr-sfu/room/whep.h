/*
 * WHEP viewers: nameless receivers that play one user. The client offers, we answer; there is no
 * renegotiation, so a viewer keeps its codecs, and a publisher that comes back under the same name
 * with the same codecs is seen again.
 */
#ifndef MSR_SFU_ROOM_WHEP_H
#define MSR_SFU_ROOM_WHEP_H

#include <stddef.h>

#include "sdp/sdp.h"

struct buf;
struct fail;
struct link;
struct room;
struct session;
struct track;
struct viewer;

/*
 * Plays `user` (NULL: the first that publishes). The answer is appended to `answer`; the session
 * is the viewer's. 0, or -1 with *f (not_publishing among others).
 */
int viewer_new(struct room *r, const char *user, const char *offer, size_t len, struct buf *answer,
	       struct session **session, struct fail *f);
void viewer_free(struct viewer *v);
struct link *viewer_link(const struct viewer *v);
/* The mid that its candidates are of, as answered, and the section's kind. "": none. Lent. */
const char *viewer_mid(const struct viewer *v, enum sdp_kind *kind);

/* For the room: a track came or went, all is over. WHEP has no word for why. */
void viewers_track(struct room *r, struct track *t);
void viewers_untrack(struct room *r, struct track *t);
void viewers_end(struct room *r);

#endif
