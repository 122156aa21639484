/*
 * Where frames go: "-" (standard output), a path (FIFO or file) or "shm:NAME". The only way media
 * leaves a program.
 *
 *   sink_put → ring            → (flush) bell        safe: committed by the reader
 *            → bounded queue   → (flush) write(2)    safe: written to the pipe or file
 *
 * A sink has a bounded queue: when sink_put returns -EAGAIN the caller stops reading its own input
 * until the ready handler is called, or drops, as its manual says. Frames are whole or absent.
 *
 * A file that exists is continued, never overwritten. In a loop a FIFO is held open at both
 * ends: it needs no reader to start, and a reader that goes away loses what it had read and
 * nothing else; the next continues from there. Programs must ignore SIGPIPE.
 */
#ifndef MSR_FRAME_SINK_H
#define MSR_FRAME_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct loop;
struct sink;

#define SINK_QUEUE_DEFAULT (4u << 20) /* bytes */

struct sink_opts {
	struct loop *loop; /* NULL: blocking use, sink_put waits */
	size_t ring_size;  /* bytes, 0: RING_DEFAULT_SIZE */
	size_t queue_max;  /* bytes kept for a slow pipe, 0: SINK_QUEUE_DEFAULT */
	/*
	 * From the loop: there is room again, or the safe position moved. What moved while the
	 * caller was inside sink_flush is not announced: ask sink_safe after it.
	 */
	void (*ready)(void *arg);
	/*
	 * From the loop, once per failure; err is negative. -EPIPE: the reader of a pipe
	 * is gone for good, and so is what was queued. -EBADMSG: the ring is damaged for good.
	 * Others (-ENOSPC): the sink keeps what is queued and keeps trying.
	 */
	void (*lost)(void *arg, int err);
	void *arg;
};

/*
 * 0, -EBUSY (another producer), what ring_open says, or -errno. `spec` is "-", a path or
 * "shm:NAME"; a path that does not exist becomes a file.
 */
int sink_open(struct sink **sp, const char *spec, const struct sink_opts *opts);
/*
 * Writes out what is queued and waits until a reader of the FIFO is there to take it, up to
 * `timeout_ms`; then closes. 0, or -ETIMEDOUT or -errno when something is lost. Accepts NULL.
 * What lies in a ring stays there.
 */
int sink_close(struct sink *s, int timeout_ms);

/*
 * Puts one frame. 0, -EAGAIN (no room now), -EMSGSIZE (can never fit), -EPIPE (reader gone),
 * -EBADMSG (the ring is damaged), -EINVAL (breaks the format) or in blocking use -errno. *pos, if
 * not NULL, is the position that sink_safe must reach for the frame to be safe.
 *
 * The body's checksum is left out in rings and put in everywhere else, whatever f->flags says.
 */
int sink_put(struct sink *s, const struct frame *f, uint64_t *pos);
/* Whether frames totalling `n` record bytes fit now. */
bool sink_has_room(const struct sink *s, size_t n);
/* Hands on everything put so far; call once a turn. Cheap when there is nothing. */
void sink_flush(struct sink *s);

/* Up to where frames are safe: committed by the ring's reader, or written to the pipe. */
uint64_t sink_safe(const struct sink *s);
/* How often a reader has begun (ring_consumer_starts); always 0 for pipes, whose loss is reported
 * by lost(). */
uint64_t sink_reader_starts(const struct sink *s);
/* Whether "safe" means written to the recording (rings), not just to the pipe. */
bool sink_is_ring(const struct sink *s);

#endif
