/*
 * Rooms, users and tracks: who is in a call, what each publishes, and what each was offered. Lives
 * on the API thread alone; the media threads know only what link.h hands them.
 *
 *	api/ ── calls ──> room.h ── link.h ──> media threads
 *	     <── listeners (joined, tracks, offer ...) ──   <── reports, on the API thread
 *
 * Ownership: the sfu owns its rooms, a room its users, a user its tracks, links and sections. A
 * listener belongs to whoever added it and is told `closed` before its room or user goes away.
 */
#ifndef MSR_SFU_ROOM_ROOM_H
#define MSR_SFU_ROOM_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../fwd/level.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "base/metrics.h"
#include "fail.h"
#include "frame/frame.h"
#include "loop/loop.h"
#include "sdp/sections.h"

struct events;
struct json;
struct link;
struct link_in;
struct link_out;
struct link_layer;
struct links;

#define TRACKS_MAX	32	 /* that one user publishes */
#define OFFER_KEEP_US	10000000 /* an unanswered offer is not replaced earlier */
#define CONNECTED_GRACE 30000000 /* µs a user stays after its last connection ended */
#define ROOM_IDLE_US	30000000 /* between looks whether such a room is empty */
#define TRACK_ID_SIZE	(ID_SIZE + 1 + SDP_MID_MAX) /* "user/mid" */

struct viewer;

struct sfu_opts {
	struct loop *loop;	     /* lent: of the API thread */
	struct links *links;	     /* lent: the media threads */
	struct events *events;	     /* lent */
	size_t max_rooms, max_users; /* rooms in all, users in a room */
	int64_t user_timeout_us;     /* before the first connection */
	bool recording;		     /* what people publish goes to a recorder */
};

struct sfu {
	struct sfu_opts opts;
	struct map rooms;   /* by id */
	struct map numbers; /* the same by number */
	uint64_t last_number;
	struct map sessions;  /* WHIP and WHEP, by id */
	uint64_t session_seq; /* for o= of descriptions */
	metric_t n_rooms, n_users, n_tracks, n_joins, n_expired, n_offers, n_answers, n_stale;
};

struct room {
	struct map_node node; /* in sfu.rooms by id */
	struct sfu *sfu;
	struct map_node by_number; /* in sfu.numbers */
	uint64_t number;	   /* what media threads call it */
	char id[ID_SIZE];
	int64_t created_us; /* wall clock */
	struct map users;   /* by id */
	struct list listeners;
	struct list viewers;	/* WHEP */
	unsigned thread;	/* media thread that it lives on */
	struct loop_timer idle; /* of a room that nobody will end: ends it when it is empty */
	struct mono made;
	bool visited; /* somebody was in it */
	bool ending;
};

/* Whose a link is; one of the two. */
struct owner {
	struct user *user;
	struct viewer *viewer;
};

/* An offer to a user's receiving connection. */
struct offer {
	char *sdp; /* owned; NULL before the first */
	size_t len;
	uint64_t id; /* from 1 */
	bool unanswered;
	struct mono made;
};

struct user {
	struct map_node node; /* in room.users by id */
	struct room *room;
	char id[ID_SIZE];
	char cname[17];	    /* of all it publishes (RFC 8834, section 4.9): random */
	uint64_t joined;    /* counts up: who came first */
	struct owner owner; /* of its links */
	struct list listeners;
	size_t n_listeners;

	struct link *pub;	/* what it sends through; NULL before produce */
	struct sdp *pub_answer; /* our last answer; tracks lend their codec from it */
	struct list tracks;	/* what it publishes */
	size_t n_tracks;

	struct link *sub;	   /* what it receives through; NULL for WHIP */
	struct sections *sections; /* of sub */
	struct slot *slots;	   /* owned, by section; as far as one was needed */
	unsigned n_slots;
	struct offer offer;
	bool lacks;		       /* tracks for which there was no section */
	struct loop_timer offer_timer; /* replaces an offer that stays unanswered */
	struct map wants;	       /* of whom it wants something special, by id */
	struct list wants_by_age;      /* the same, those named longest ago first */
	uint64_t max_kbps;	       /* that it wants to receive in all; 0: no limit */

	struct session *session; /* WHIP; NULL otherwise */
	struct loop_timer expiry;
	struct mono last_sign; /* call, event stream or connection */
	bool was_connected;
};

/* What a user wants to receive of another, who need not be there yet. */
struct want {
	struct map_node node; /* in user.wants */
	struct list by_age;   /* in user.wants_by_age */
	char id[ID_SIZE];
	bool mute;
	enum media_level video;
};

/* A section of a user's offers. */
struct slot {
	struct track *track;  /* what it offers; NULL when free */
	struct link_out *out; /* once it was accepted */
	bool refused;	      /* by a later answer: `out` is paused */
};

struct track {
	struct list link; /* in user.tracks */
	struct user *user;
	char id[TRACK_ID_SIZE];
	char mid[SDP_MID_MAX + 1]; /* "": its m-section has none */
	enum sdp_kind kind;
	enum frame_source source;
	struct sdp_agreed agreed; /* codec lent by user.pub_answer */
	uint32_t ssrc, rtx_ssrc;  /* towards all receivers */
	struct link_in *in;
};

/* ---- rooms ---- */

void sfu_init(struct sfu *s, const struct sfu_opts *opts);
void sfu_done(struct sfu *s);
/* 80 random bits in letters that nobody mistakes for each other, and a NUL. */
void room_draw_id(char out[static 17]);
/* `id` NULL draws one. Returns 0, or -1 with *f. */
int room_new(struct sfu *s, const char *id, struct room **rp, struct fail *f);
/*
 * Nobody will end this room: it ends once nobody is in it any more. Where nobody has come yet, it
 * waits for the first as long as for a user to connect.
 */
void room_end_when_empty(struct room *r);
struct room *room_get(const struct sfu *s, const char *id);
struct room *room_by_number(const struct sfu *s, uint64_t number);
/* Ends it for everybody; `reason` goes into the `closed` event. */
void room_free(struct room *r, const char *reason);

/* ---- users ---- */

/*
 * A user with a receiving connection and its first offer. `replace` takes over an id in use, once
 * there is a port for the new connection.
 */
int user_new(struct room *r, const char *id, bool replace, struct user **up, struct fail *f);
/*
 * In steps: makes a user of whom nobody knows yet; then, once it has what may be missing, it enters
 * the room in the place of `old`, if that is not NULL. On failure it is still to be freed.
 */
int user_make(struct room *r, const char *id, struct user **up, struct fail *f);
int user_enter(struct user *u, struct user *old, struct fail *f);
struct user *user_get(const struct room *r, const char *id);
/* The room is told, unless the user has not entered it. */
void user_free(struct user *u, const char *reason);
bool user_connected(const struct user *u);
/* Reports of its links. A sending connection that ended takes its tracks with it. */
void user_link_connected(struct user *u);
void user_link_ended(struct user *u, struct link *l, const char *reason);
/* A call named the user: its clock starts again. */
void user_touch(struct user *u);

/* What a mid shows, as a client says it. */
struct source_hint {
	const char *mid;
	enum frame_source source;
};

/*
 * Publishes what `offer` offers, or changes what is published. The answer is appended to `answer`.
 */
int user_produce(struct user *u, const char *offer, size_t len, const struct source_hint *hints,
		 size_t n_hints, struct buf *answer, struct fail *f);
/*
 * Publishes by WHIP as a new user, with its session. A user of that name who is not connected is
 * replaced, once the offer is known to be of use and has its port.
 */
int user_publish(struct room *r, const char *id, const char *offer, size_t len, struct user **up,
		 struct buf *answer, struct fail *f);
/*
 * Answers the pending offer; `offer_id` 0 means the current one. With FAIL_STALE_OFFER there is one
 * to be answered instead.
 */
int user_consume(struct user *u, const char *answer, size_t len, uint64_t offer_id, struct fail *f);
/*
 * Makes an offer with which the receiving connection restarts ICE. It replaces one that is
 * unanswered, however young: it is the user who asks.
 */
int user_restart(struct user *u, struct fail *f);

/* ---- offers (offer.c) ---- */

/* Offers `t` to `u`, or takes it back. The offers themselves are made by offer_refresh. */
void offer_track(struct user *u, struct track *t);
void offer_untrack(struct user *u, struct track *t);
/* Offers `u` all tracks of the others for which it has no section yet. */
void offer_room(struct user *u);
/* Makes a new offer if there is a change and one may be made now; true when it did. */
bool offer_refresh(struct user *u);
/*
 * The same for all users of a room but `except` (NULL: all). Calls `made`, which may be NULL, for
 * each new offer.
 */
void offer_refresh_room(struct room *r, const struct user *except,
			void (*made)(void *arg, const struct user *u), void *arg);
/* The offer that waits for an answer, or NULL. */
const struct offer *offer_pending(const struct user *u);
/* What the user wants of a slot's track, by its wishes and its last answer. */
enum media_level offer_wants(const struct user *u, const struct slot *s);
void offer_done(struct user *u);

/* ---- what a user wants to receive (want.c) ---- */

/* A change of what is wanted of `user`; NULL leaves it as it is. */
struct wish {
	const char *user;
	const enum media_level *audio; /* MEDIA_OFF or MEDIA_AUTO */
	const enum media_level *video;
};
/*
 * Changes what the user wants, for what it receives now and later; `max_kbps` NULL: as it is. No
 * publisher is named twice. Of more than 1024, those who are not in the room are forgotten.
 */
int user_subscribe(struct user *u, const struct wish *wishes, size_t n, const uint64_t *max_kbps,
		   struct fail *f);
enum media_level want_of(const struct user *u, const struct track *t);
void wants_free(struct user *u);

/* ---- tracks (publish.c) ---- */

void tracks_free(struct user *u);
const char *track_codec(const struct track *t); /* "opus" */

/* ---- telling others (notify.c) ---- */

struct listener {
	struct list link;  /* in room.listeners or user.listeners */
	struct user *user; /* whose it is; NULL for a room's */
	void (*event)(void *arg, const char *name, const char *json, size_t len);
	void (*closed)(void *arg, const char *reason); /* afterwards it is unlinked */
	void *arg;
};
/* A user's listener gets the pending offer at once. */
void listen_user(struct user *u, struct listener *l);
void listen_room(struct room *r, struct listener *l);
void listen_end(struct listener *l);

/* `reason` may be NULL. */
void notify_user_event(struct room *r, const char *name, const struct user *u, const char *reason);
void notify_tracks(struct user *u);
void notify_speaker(struct room *r, const struct user *u, int level);
/* `u` is sent another layer of a track. */
void notify_layer(struct user *u, const struct track *t, const struct link_layer *l);
/* The recording of a track has a gap, for the operator. */
void notify_record_gap(const struct track *t, uint64_t left_out);
void notify_offer(struct user *u);
void notify_closed(struct list *listeners, const char *reason);
/* Members "id", "kind", "codec", "source" of each track. */
void tracks_json(const struct user *u, struct json *j, const char *key);

#endif
