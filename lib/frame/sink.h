/*
 * Where frames go: "-" (standard output), a path (FIFO or file) or "shm:NAME". The only way media
 * leaves a program.
 *
 * A sink has a bounded queue: when sink_put returns -EAGAIN the caller stops reading its own input
 * until the ready handler is called, or drops, as its manual says. Frames are whole or absent.
 */
#ifndef MSR_FRAME_SINK_H
#define MSR_FRAME_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct loop;
struct sink;

struct sink_opts {
	struct loop *loop; /* NULL: blocking use, sink_put waits */
	size_t ring_size;  /* bytes, 0: RING_DEFAULT_SIZE */
	size_t queue_max;  /* bytes kept for a slow pipe, 0: 4 MiB */
	/* There is room again, or the safe position moved. */
	void (*ready)(void *arg);
	/* The other side of a pipe is gone, or an error; 0 > err. The sink keeps trying a FIFO. */
	void (*lost)(void *arg, int err);
	void *arg;
};

/* 0, -EBUSY (another producer) or -errno. `spec` is "-", a path or "shm:NAME". */
int sink_open(struct sink **sp, const char *spec, const struct sink_opts *opts);
/* Writes out what is queued (waiting up to `timeout_ms`) and closes. Accepts NULL. */
void sink_close(struct sink *s, int timeout_ms);

/*
 * Puts one frame. 0, -EAGAIN (no room now), -EMSGSIZE (can never fit), -EPIPE (reader gone), or
 * -EINVAL. *pos, if not NULL, is the position that sink_safe must reach for the frame to be safe.
 */
int sink_put(struct sink *s, const struct frame *f, uint64_t *pos);
/* Whether frames totalling `n` record bytes fit now. */
bool sink_has_room(const struct sink *s, size_t n);
/* Hands on everything put so far; call once a turn. Cheap when there is nothing. */
void sink_flush(struct sink *s);

/* Up to where frames are safe: committed by the ring's reader, or written to the pipe. */
uint64_t sink_safe(const struct sink *s);
/* Whether "safe" means written to the recording (rings), not just to the pipe. */
bool sink_is_ring(const struct sink *s);

#endif
