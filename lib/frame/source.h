/*
 * Where frames come from: "-" (standard input), a path (FIFO or file) or "shm:NAME". The only way
 * media enters a program. Finds the next whole record after damage, and counts what it skipped.
 *
 *   ring: frames are used in place     pipe, file: read(2) → buffer → frames
 */
#ifndef MSR_FRAME_SOURCE_H
#define MSR_FRAME_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct loop;
struct source;

struct source_stats {
	uint64_t frames, bytes;	  /* read */
	uint64_t resyncs;	  /* times damage was met */
	uint64_t skipped;	  /* bytes skipped over damage */
	uint64_t producer_starts; /* of a ring: how often a producer opened it; 0 for others */
	uint64_t head;		  /* of a ring: position behind the last frame; 0 for others */
};

struct source_opts {
	struct loop *loop; /* NULL: blocking use */
	size_t ring_size;  /* bytes, for a ring that this side makes; 0: RING_DEFAULT_SIZE */
	bool follow;	   /* a FIFO: stay when writers go away */
	/*
	 * Something can be read: call source_next. A handler that stops before source_next said
	 * -EAGAIN is called again in the next turn, so that several sources take turns fairly.
	 */
	void (*ready)(void *arg);
	void *arg;
};

/* 0, -EBUSY (another consumer), what ring_open says, or -errno. */
int source_open(struct source **sp, const char *spec, const struct source_opts *opts);
/* Accepts NULL. */
void source_close(struct source *s);

/*
 * The next frame. Its ids stay valid until the next source_next; its body too on a pipe or file,
 * but on a ring until source_commit. 1: a frame; 0: end of a pipe or file; -EAGAIN: none now;
 * -EINTR (blocking use); -EBADMSG: the ring itself is damaged; or -errno.
 */
int source_next(struct source *s, struct frame *f);

/*
 * While paused `ready` is not called and what comes waits outside, in the ring or pipe, where it
 * stops its sender in the end.
 */
void source_pause(struct source *s, bool paused);

/*
 * While muted an empty ring asks for no wake-up, which costs its producer a system call: for owners
 * who call source_next again after a while whatever happens. A pipe or file is not changed by it.
 */
void source_mute(struct source *s, bool muted);

/*
 * Position after the frame last returned. source_commit says that all frames up to `pos` are
 * safe; on pipes and files it does nothing.
 */
uint64_t source_pos(const struct source *s);
void source_commit(struct source *s, uint64_t pos);
bool source_is_ring(const struct source *s);
/*
 * A random number given to the ring when it was made: positions of another ring under the same name
 * mean nothing to this one. 0 for pipes and files.
 */
uint64_t source_ring_id(const struct source *s);

/* False for a ring that no producer has open: who fed it is gone, for now or for good. */
bool source_has_producer(const struct source *s);

void source_stats(const struct source *s, struct source_stats *out);

#endif
