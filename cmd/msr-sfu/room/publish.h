/* What a user publishes: its offers, our answers, and the tracks that come out of them. */
#ifndef MSR_SFU_ROOM_PUBLISH_H
#define MSR_SFU_ROOM_PUBLISH_H

#include "room.h"

/*
 * Takes an offer of the user's sending PeerConnection, the first or a renegotiation. `source` is
 * asked for each m-section's source by its mid ("camera" ...; NULL: guess by kind). Fills `answer`
 * with text and a NUL. 0; -EBADMSG or -EPROTO with *err filled, -ENOMEM, or what media_peer_new
 * returns.
 */
int publish(struct user *u, const char *text, size_t len,
	    const char *(*source)(void *arg, const char *mid), void *arg, struct buf *answer,
	    struct sdp_error *err);

/* Ends a track; receivers see it go with their next offer. */
void pub_free(struct pub *p);

#endif
