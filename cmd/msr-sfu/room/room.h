/*
 * Rooms and their users, on the API's thread. What a user publishes and what it is sent is wired
 * to the media threads here; nothing of it touches a packet.
 *
 *	rooms ── room ── user ─┬─ publish.h: its sending PeerConnection, pubs
 *	                       └─ receive.h: its receiving one, wants (a pub each) and offers
 */
#ifndef MSR_SFU_ROOM_ROOM_H
#define MSR_SFU_ROOM_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "../fwd/media.h"
#include "sdp/sdp.h"
#include "sdp/sections.h"

struct rooms_config {
	unsigned max_rooms, max_users; /* in all, and in a room */
	struct media *media;	       /* lent */
	const struct peer_env *env;    /* lent */
};

struct rooms {
	struct rooms_config config;
	struct map by_id;
	struct map by_peer; /* transports to users, for events */
};

struct room {
	struct rooms *rooms;
	struct map_node node; /* in rooms.by_id */
	char id[ID_SIZE];
	int64_t created_us; /* since 1970 */
	unsigned thread;    /* of the media */
	media_id number;
	struct list users; /* in order of joining */
	unsigned n_users;
};

/* One transport of a user. */
struct line {
	struct map_node node; /* in rooms.by_peer */
	struct user *user;
	media_id peer; /* 0: there is none */
	struct peer_local local;
	uint64_t session_id, version; /* of our descriptions */
	bool connected;
	char remote_ufrag[PEER_UFRAG_SIZE]; /* "" before theirs was taken */
};

struct user {
	struct room *room;
	struct list link; /* in room.users */
	char id[ID_SIZE];

	struct line in; /* what it sends */
	struct list pubs;

	struct line out; /* what it receives */
	struct list wants;
	struct sections *sections;
	uint64_t offer_id; /* of the last offer; 0: none yet */
	char *offer;	   /* its text, owned */
	bool offer_unanswered;
};

/* A published track. */
struct pub {
	struct user *user;
	struct list link;  /* in user.pubs */
	struct list wants; /* of receivers */
	media_id track;
	enum sdp_kind kind;
	enum rtp_codec codec;
	struct sdp *holder; /* keeps `described` */
	const struct sdp_codec *described;
	bool rtx;
	char mid[RTP_MID_MAX + 1];
	char source[16]; /* "microphone", "camera", "screen" */
};

/* A receiver's interest in a published track. */
struct want {
	struct user *user;
	struct pub *pub;
	struct list user_link, pub_link;
	unsigned section;
	uint32_t ssrc, rtx_ssrc;
	media_id sub; /* 0: not sent yet */
};

void rooms_init(struct rooms *r, const struct rooms_config *c);
void rooms_done(struct rooms *r);

/* NULL when there is none. */
struct room *room_find(const struct rooms *r, const char *id);
/* `id` is valid. 0, -EEXIST, -ENOSPC at max_rooms, -ENOMEM. */
int room_new(struct room **out, struct rooms *r, const char *id);
void room_free(struct room *r);

struct user *user_find(const struct room *r, const char *id);
/* 0, -EEXIST, -ENOSPC at max_users, -ENOMEM, or what media_peer_new returns. */
int user_new(struct user **out, struct room *r, const char *id);
/* Its tracks go from the others' offers to come. */
void user_free(struct user *u);

/* The user of a transport, for events; NULL when it is gone. */
struct line *line_find(const struct rooms *r, media_id peer);
/* 0 or what media_peer_new returns. */
int line_open(struct line *l, struct user *u, bool controlling);
void line_close(struct line *l);
/* Our side of a description; the candidates are lent until the next call. */
void line_describe(struct line *l, struct sdp_local *out);
/* Hands over what their description says of the transport. 0, -EINVAL (credentials do not fit). */
int line_remote(struct line *l, const struct sdp *theirs);

#endif
