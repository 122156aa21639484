/*
 * Rooms and the sessions in them.
 *
 *   state      │ connect            connection goes   end, 1000, shutdown   window over
 *   ───────────┼──────────────────────────────────────────────────────────────────────
 *   (none)     │ → live
 *   live       │ 409, or taken over → away            → ending
 *   away       │ → live                               → ending              → ending
 *   ending     │ 409   lost: → away   (sink has taken all, client knows that it is safe) → gone
 *
 * A session that is gone is in no table any more, but stays in memory while acknowledgements wait
 * for it.
 */
#ifndef MSR_WS_ROOM_H
#define MSR_WS_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app.h"
#include "base/id.h"
#include "order.h"

struct client;
struct ws;

struct room {
	struct map_node node; /* in app.rooms */
	struct list sessions;
	size_t n;
	char id[];
};

struct session {
	struct map_node node; /* in app.sessions, key is `key` */
	struct list in_room;
	struct list blocked; /* in app.blocked */
	struct app *app;
	struct room *room;
	struct client *client; /* NULL: away */
	struct lane lanes[2];  /* audio, video */
	uint64_t last_pos[2];  /* sink position of the last frame of each */
	uint8_t codec[2];      /* of bare chunks so far: enum frame_codec */
	bool known[2];	       /* a bare chunk of this kind came */
	uint8_t kind;	       /* of bare chunks without ?media=: what the first one was; 0: none */
	uint8_t state;	       /* enum session_state */
	bool opened, closed;   /* the sink has the frame of kind open; close */
	bool told;	       /* its client has all acknowledgements that it gets */
	bool media;	       /* has sent audio or video: is paused while the sink is full */
	const char *reason;    /* of the end, static */
	uint64_t bytes;	       /* of media passed on */
	uint32_t n_acks;       /* entries in the queue of acknowledgements */
	uint64_t last_ack[2];  /* number of the last entry of each */
	struct loop_timer away;	   /* resume window, or acknowledgements at the end */
	struct loop_timer wait[2]; /* for a missing part of each */
	uint64_t missing[2];	   /* its number, while the timer runs */
	size_t room_len, id_len;
	const char *id; /* in `key`, ends with it */
	char key[];	/* room "/" id */
};

enum session_state { SESSION_LIVE, SESSION_AWAY, SESSION_ENDING, SESSION_GONE };

/* NULL when there is none. */
struct session *session_find(struct app *a, const char *room, const char *id);
/* A session without a client. NULL: out of memory. */
struct session *session_new(struct app *a, const char *room, const char *id);
size_t room_size(struct app *a, const char *room);

/* Takes it out of the tables. It is freed when nobody needs it any more. */
void session_remove(struct session *s);
/* Frees a session that is gone and has neither client nor acknowledgements. */
void session_unref(struct session *s);

/* Text from `s` to all others in its room. */
void room_text(struct session *s, const char *text, size_t len);

void rooms_free(struct app *a);

#endif
