/*
 * WHIP and WHEP sessions (RFC 9725): the resource that a client is given to trickle candidates,
 * restart ICE and end its session. Found by a random id, which is its only key.
 */
#ifndef MSR_SFU_ROOM_SESSION_H
#define MSR_SFU_ROOM_SESSION_H

#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"

struct fail;
struct sdp;
struct sfu;
struct user;
struct viewer;

#define SESSION_ID_SIZE 33

struct session {
	struct map_node node; /* in sfu.sessions */
	struct sfu *sfu;
	char id[SESSION_ID_SIZE];
	uint64_t etag;	       /* of the ICE session: changes with every restart */
	struct user *user;     /* WHIP */
	struct viewer *viewer; /* WHEP */
	struct buf mids;       /* of the offer's sections, a line each behind an empty one */
};

/* What the offer asks for begins. 0, or -1 with *f. */
int session_new(struct sfu *s, const struct sdp *offer, struct session **sp, struct fail *f);
struct session *session_get(const struct sfu *s, const char *id);
/* Forgets the resource only. Accepts NULL. */
void session_free(struct session *ss);
/* Ends what it stands for, and the resource with it. */
void session_end(struct session *ss);

/*
 * Takes an SDP fragment (RFC 8840, section 9): candidates, or new credentials, which restart ICE.
 * Then 1 is returned and our new credentials and candidates are appended to `reply`; otherwise 0,
 * or -1 with *f.
 */
int session_patch(struct session *ss, const char *frag, size_t len, struct buf *reply,
		  struct fail *f);

#endif
