/*
 * One media thread: a loop with the peers of some rooms. media.c (the API's side) posts commands
 * to it and reads what it publishes; everything else here is touched by this thread only.
 */
#ifndef MSR_SFU_FWD_THREAD_H
#define MSR_SFU_FWD_THREAD_H

#include "base/list.h"
#include "media.h"
#include "tap.h"

enum command_kind {
	COMMAND_PEER, /* takes over a new peer */
	COMMAND_PEER_CLOSE,
	COMMAND_REMOTE,
	COMMAND_RESTART,
	COMMAND_EXTENSIONS,
	COMMAND_TRACK,
	COMMAND_TRACK_CHANGE,
	COMMAND_TRACK_CLOSE,
	COMMAND_RECORD,
	COMMAND_SUB,
	COMMAND_SUB_CLOSE,
	COMMAND_WANT,
	COMMAND_LIMIT,
	COMMANDS
};

/* What ends something says no more than that. */
struct command {
	struct list link;
	enum command_kind kind;
	media_id id; /* of the peer, track or sub that it is about */
};

/* What others say besides. */
struct command_full {
	struct command command; /* first: see thread_post */
	union {
		struct {
			struct peer *peer; /* owned until taken over */
			media_id room;
			char cname[MEDIA_CNAME_SIZE]; /* for our feedback */
		} peer;
		struct {
			bool have_remote, end;
			struct peer_remote remote;
			unsigned n;
			struct peer_candidate candidate[PEER_REMOTE_MAX];
		} remote;
		struct {
			char ufrag[PEER_UFRAG_SIZE], pwd[PEER_PWD_SIZE];
		} restart;
		struct rtp_extmap extmap;
		struct {
			media_id peer;
			struct media_track_config config;
		} track;
		struct media_sub_config sub;
		struct tap_config record;
		enum media_level want;
		uint64_t max_bps;
	};
};

struct thread;

/* Called on the media thread. False: dropped. */
typedef bool thread_event(void *arg, const struct media_event *e);

/* Starts it; `sink` is where it records to, or NULL. 0 or -errno. */
int thread_new(struct thread **out, const char *sink, thread_event *event, void *arg);
/* Has it close its peers and its sink, on any thread. */
void thread_stop(struct thread *t);
/* Waits until it has, once thread_stop was called, and frees it. */
void thread_free(struct thread *t);
/*
 * Takes the command, on any thread, and frees it when it is done: whatever malloc returned must
 * begin with it. 0, or -EAGAIN at MEDIA_QUEUE_MAX: it stays the caller's. What ends something is
 * never refused.
 */
int thread_post(struct thread *t, struct command *c);
/* Adds what it counted, as of the last second, on any thread. */
void thread_add_stats(struct thread *t, struct media_stats *s);

#endif
