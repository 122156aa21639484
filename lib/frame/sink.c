/*
 * Sinks: a thin shell over a ring, or a queue in front of a descriptor (queue.h).
 *
 * A ring is armed for the tail whenever something is not yet safe, so that acknowledgements and
 * room are both announced; see arm().
 */
#include "sink.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "loop/loop.h"
#include "queue.h"
#include "ring.h"

struct sink {
	struct sink_opts opts;
	struct ring *ring;   /* owned; NULL: the queue is used */
	struct loop_io *io;  /* owned; of the ring's bell */
	bool told;	     /* lost() was called for the damaged ring */
	struct queue *queue; /* owned; NULL: the ring is used */
};

/* ---- rings ---- */

/* Sees to it that on_bell is called when the tail moves on from what the caller can see now. */
static void arm(struct sink *s)
{
	if (!s->opts.ready)
		return;
	while (!ring_error(s->ring) && ring_tail(s->ring) != ring_head(s->ring))
		if (!ring_arm(s->ring))
			return;
}

static void on_bell(void *arg, int events)
{
	struct sink *s = arg;

	(void)events;
	ring_disarm(s->ring);
	arm(s);
	int err = ring_error(s->ring);
	if (err && !s->told && s->opts.lost) {
		s->told = true;
		s->opts.lost(s->opts.arg, err);
	} else if (!err && s->opts.ready) {
		s->opts.ready(s->opts.arg);
	}
}

/* Room in the ring; waits for it in blocking use. */
static int reserve(struct sink *s, size_t size, uint8_t **out)
{
	for (;;) {
		uint8_t *p = ring_reserve(s->ring, size);
		if (p) {
			*out = p;
			return 0;
		}
		if (ring_error(s->ring))
			return ring_error(s->ring);
		if (s->opts.loop) {
			/* Not before the next event; but the tail may have moved just now. */
			if (!ring_arm(s->ring))
				return -EAGAIN;
			continue;
		}
		ring_flush(s->ring);
		int ret = ring_wait(s->ring, -1);
		if (ret < 0)
			return ret;
	}
}

static int put_ring(struct sink *s, const struct frame *f, uint64_t *pos)
{
	size_t size = frame_size(f);
	uint8_t *p = NULL;
	int ret;

	if (size > ring_record_max(s->ring))
		return -EMSGSIZE;
	if ((ret = reserve(s, size, &p)) < 0)
		return ret;
	struct frame g = *f;
	g.flags |= FRAME_NO_BODY_CRC; /* memory of this machine: the checksum would cost most */
	if ((ret = frame_encode(&g, p)) < 0)
		return ret;
	uint64_t end =
	    s->opts.loop ? ring_publish_more(s->ring, size) : ring_publish(s->ring, size);
	if (pos)
		*pos = end;
	return 0;
}

/* ---- the sink ---- */

static int open_ring(struct sink *s, const char *name)
{
	int ret = ring_open(&s->ring, name, RING_PRODUCER, s->opts.ring_size);

	if (!ret && s->opts.loop)
		ret = loop_io_new(&s->io, s->opts.loop, ring_fd(s->ring), LOOP_IN, on_bell, s);
	if (!ret && s->opts.loop)
		arm(s); /* what the last producer left is still to become safe */
	return ret;
}

int sink_open(struct sink **sp, const char *spec, const struct sink_opts *opts)
{
	struct sink *s = calloc(1, sizeof(*s));
	const char *name = ring_name_in(spec);

	if (!s)
		return -ENOMEM;
	s->opts = *opts;
	if (!s->opts.queue_max)
		s->opts.queue_max = SINK_QUEUE_DEFAULT;
	int ret = name ? open_ring(s, name) : queue_open(&s->queue, spec, &s->opts);
	if (ret < 0)
		sink_close(s, 0);
	else
		*sp = s;
	return ret;
}

int sink_close(struct sink *s, int timeout_ms)
{
	int ret = 0;

	if (!s)
		return 0;
	if (s->ring)
		ring_flush(s->ring);
	if (s->queue)
		ret = queue_close(s->queue, timeout_ms);
	loop_io_free(s->io);
	ring_close(s->ring);
	free(s);
	return ret;
}

int sink_put(struct sink *s, const struct frame *f, uint64_t *pos)
{
	return s->ring ? put_ring(s, f, pos) : queue_put(s->queue, f, pos);
}

bool sink_has_room(const struct sink *s, size_t n)
{
	return s->ring ? !ring_error(s->ring) && n <= ring_room(s->ring)
		       : queue_has_room(s->queue, n);
}

void sink_flush(struct sink *s)
{
	if (s->queue) {
		queue_flush(s->queue);
		return;
	}
	ring_flush(s->ring);
	if (s->opts.loop)
		arm(s);
}

uint64_t sink_safe(const struct sink *s)
{
	return s->ring ? ring_tail(s->ring) : queue_written(s->queue);
}

uint64_t sink_reader_starts(const struct sink *s)
{
	return s->ring ? ring_consumer_starts(s->ring) : 0;
}

bool sink_is_ring(const struct sink *s)
{
	return s->ring;
}
