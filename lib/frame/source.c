/*
 * Sources: records out of a ring in place, or out of a buffer that read(2) fills.
 *
 * In a loop a source is either idle, then the descriptor (or bell) is waited for, or it has more
 * to give, then a timer that is due at once calls the handler in every turn. That also serves
 * files, which epoll(7) cannot wait for, and lets a handler stop when it has had its share.
 */
#include "source.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "loop/loop.h"
#include "ring.h"
#include "stream.h"

#define READ_MIN (256u << 10) /* bytes of room for a read(2) at least */

struct source {
	struct source_opts opts;
	struct source_stats stats;
	struct loop_io *io; /* owned; NULL for files, at the end and without a loop */
	struct loop_timer again;
	bool idle;   /* source_next had nothing: wait for the descriptor */
	bool paused; /* the owner wants nothing */
	bool muted;  /* the owner looks again by itself: no bell is asked for */
	bool damage; /* in the middle of what is being skipped */
	bool over;   /* end of file, or an error for good */

	struct ring *ring;	   /* owned; NULL: the stream is used */
	uint64_t committed;	   /* position in the ring */
	uint64_t bad_from, bad_to; /* damage last skipped in the ring: safe with what is before */
	uint8_t prefix[FRAME_PREFIX_MAX]; /* head and ids of the ring's frame: checked copies */

	struct stream stream;
	struct buf bytes; /* read; begins with the frame last returned */
	size_t taken;	  /* bytes of that frame */
	uint64_t pos;	  /* of the stream */
};

/* ---- in a loop ---- */

static void on_event(void *arg, int events);

static int watch(struct source *s)
{
	int fd = s->ring ? ring_fd(s->ring) : s->stream.fd;

	if (s->io || !s->opts.loop || (!s->ring && s->stream.type == STREAM_FILE))
		return 0;
	int ret = loop_io_new(&s->io, s->opts.loop, fd, LOOP_IN, on_event, s);
	return ret == -EPERM ? 0 : ret; /* a device that never waits, such as /dev/null */
}

static void unwatch(struct source *s)
{
	loop_io_free(s->io);
	s->io = NULL;
}

static void schedule(struct source *s)
{
	if (!s->opts.loop)
		return;
	if (s->over)
		unwatch(s);
	if (s->io && !s->ring)
		loop_io_want(s->io, s->idle && !s->paused ? LOOP_IN : 0);
	if (s->idle || s->paused || s->over)
		loop_timer_stop(&s->again);
	else
		loop_timer_in_us(&s->again, 1); /* not again in this turn */
}

/* The handler may close the source: everything is in order before it is called. */
static void on_again(void *arg)
{
	struct source *s = arg;

	schedule(s);
	s->opts.ready(s->opts.arg);
}

static void on_event(void *arg, int events)
{
	struct source *s = arg;

	if (s->ring)
		ring_disarm(s->ring);
	if (!s->idle) {
		/* A hang-up is reported even when nothing is waited for, again and again. */
		if (!s->ring && events & LOOP_HUP)
			unwatch(s);
		return;
	}
	s->idle = false;
	schedule(s);
	if (!s->paused)
		s->opts.ready(s->opts.arg);
}

void source_pause(struct source *s, bool paused)
{
	s->paused = paused;
	schedule(s);
}

void source_mute(struct source *s, bool muted)
{
	s->muted = muted;
}

/* Nothing now (-EAGAIN), or the end or an error for good; passes `ret` on. */
static int finish_empty(struct source *s, int ret)
{
	if (ret == -EAGAIN && watch(s) < 0)
		ret = -ENOMEM;
	s->idle = ret == -EAGAIN;
	s->over = !s->idle && ret != -EINTR;
	schedule(s);
	return ret;
}

/* ---- damage ---- */

static void note_skipped(struct source *s, size_t n)
{
	s->stats.resyncs += !s->damage;
	s->stats.skipped += n;
	s->damage = true;
}

static int finish_frame(struct source *s, long size)
{
	s->damage = false;
	s->stats.frames++;
	s->stats.bytes += (uint64_t)size;
	return 1;
}

/* ---- rings ---- */

/*
 * The record at the cursor. Head and ids are copied first and only the copy is checked and used,
 * so that what was checked cannot change any more.
 */
static long decode_shared(struct source *s, const uint8_t *p, size_t n, struct frame *f)
{
	size_t have = n < FRAME_HEAD ? n : FRAME_HEAD, need = 0;

	memcpy(s->prefix, p, have);
	long size = frame_decode_head(s->prefix, have, f, &need);
	if (size == -EAGAIN && need > have && need <= n) {
		/* Now the ids, and no more: the producer is writing right after them. */
		memcpy(s->prefix + have, p + have, need - have);
		size = frame_decode_head(s->prefix, need, f, NULL);
	}
	if (size < 0 || (size_t)size > n)
		return -EBADMSG; /* only whole records are published */
	f->body = p + (f->body - s->prefix);
	return frame_body_ok(s->prefix, f) ? size : -EBADMSG;
}

/* Records in a ring begin at multiples of 8. */
static size_t resync_shared(const uint8_t *p, size_t n)
{
	size_t at = 0;

	do
		at += frame_resync(p + at, n - at);
	while (at < n && at % 8);
	return at;
}

/* Nobody commits skipped bytes, so commit them here or they would fill the ring. */
static void skip_shared(struct source *s, size_t n)
{
	uint64_t from = ring_cursor(s->ring);

	if (s->bad_to != from)
		s->bad_from = from;
	s->bad_to = from + n;
	ring_advance(s->ring, n);
	note_skipped(s, n);
	source_commit(s, s->committed);
}

static int next_shared(struct source *s, struct frame *f)
{
	for (;;) {
		const uint8_t *p;
		long n = ring_peek(s->ring, &p);
		if (n < 0)
			return finish_empty(s, (int)n);
		if (n == 0 && s->opts.loop) {
			if (s->muted || !ring_arm(s->ring))
				return finish_empty(s, -EAGAIN);
			continue;
		}
		if (n == 0) {
			int ret = ring_wait(s->ring, -1);
			if (ret < 0)
				return finish_empty(s, ret);
			continue;
		}
		long size = decode_shared(s, p, (size_t)n, f);
		if (size > 0) {
			ring_advance(s->ring, (size_t)size);
			return finish_frame(s, size);
		}
		skip_shared(s, resync_shared(p, (size_t)n));
	}
}

/* ---- pipes and files ---- */

/*
 * No writer has opened the FIFO yet, which reads like the end. Only one that was opened here can be
 * that young: a shell's `<fifo` waits for the writer, which may be gone already when a descriptor
 * of our own is opened beside the inherited one; poll(2) on that never tells of the end.
 */
static bool before_first_writer(const struct source *s)
{
	struct pollfd p = {.fd = s->stream.fd, .events = POLLIN};

	return s->stream.owned && s->stream.type == STREAM_PIPE && poll(&p, 1, 0) == 0;
}

/* Reads until `need` bytes may be there. 1, 0 at the end, or -errno. */
static int fill(struct source *s, size_t need)
{
	size_t missing = need > buf_len(&s->bytes) ? need - buf_len(&s->bytes) : 0;
	uint8_t *p = buf_reserve(&s->bytes, missing > READ_MIN ? missing : READ_MIN);
	ssize_t n;

	if (!p)
		return -ENOMEM;
	if (s->opts.loop && s->stream.type == STREAM_OTHER) {
		struct pollfd in = {.fd = s->stream.fd, .events = POLLIN};
		if (poll(&in, 1, 0) == 0)
			return -EAGAIN;
	}
	n = read(s->stream.fd, p, s->bytes.cap - s->bytes.tail);
	if (n < 0)
		return -errno;
	if (n == 0)
		return s->opts.loop && before_first_writer(s) ? -EAGAIN : 0;
	buf_commit(&s->bytes, (size_t)n);
	return 1;
}

static void drop(struct source *s, size_t n)
{
	buf_consume(&s->bytes, n);
	s->pos += n;
}

static int next_read(struct source *s, struct frame *f)
{
	drop(s, s->taken);
	s->taken = 0;
	for (;;) {
		size_t len = buf_len(&s->bytes), need = FRAME_HEAD;
		long size = len ? frame_decode(buf_data(&s->bytes), len, f, &need) : -EAGAIN;
		if (size > 0) {
			s->taken = (size_t)size;
			return finish_frame(s, size);
		}
		int ret = size == -EAGAIN ? fill(s, need) : 1;
		if (ret < 0 && ret != -EINTR)
			return finish_empty(s, ret);
		if (ret < 0 && !s->opts.loop)
			return ret;
		/* At the end half a record is damage too, and whole ones may lie in it. */
		if (size != -EAGAIN || (ret == 0 && len)) {
			size_t bad = frame_resync(buf_data(&s->bytes), len);
			drop(s, bad);
			note_skipped(s, bad);
		} else if (ret == 0) {
			return finish_empty(s, 0);
		}
	}
}

int source_next(struct source *s, struct frame *f)
{
	return s->ring ? next_shared(s, f) : next_read(s, f);
}

/* ---- opening and closing ---- */

static int open_source(struct source *s, const char *spec)
{
	const struct source_opts *o = &s->opts;
	const char *name = ring_name_in(spec);
	int ret = name ? ring_open(&s->ring, name, RING_CONSUMER, o->ring_size)
		       : stream_open_in(&s->stream, spec, o->loop, o->follow);

	if (s->ring)
		s->committed = ring_cursor(s->ring);
	return ret < 0 ? ret : watch(s);
}

int source_open(struct source **sp, const char *spec, const struct source_opts *opts)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->opts = *opts;
	s->stream.fd = -1;
	buf_init(&s->bytes, 0);
	if (opts->loop)
		loop_timer_init(&s->again, opts->loop, on_again, s);
	int ret = open_source(s, spec);
	if (ret < 0) {
		source_close(s);
		return ret;
	}
	schedule(s); /* the first turn looks whether something is there */
	*sp = s;
	return 0;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	loop_io_free(s->io);
	if (s->opts.loop)
		loop_timer_stop(&s->again);
	ring_close(s->ring);
	stream_close(&s->stream);
	buf_done(&s->bytes);
	free(s);
}

uint64_t source_pos(const struct source *s)
{
	return s->ring ? ring_cursor(s->ring) : s->pos + s->taken;
}

void source_commit(struct source *s, uint64_t pos)
{
	if (!s->ring)
		return;
	if (pos >= s->bad_from && pos < s->bad_to)
		pos = s->bad_to;
	ring_commit(s->ring, pos);
	s->committed = pos;
}

bool source_is_ring(const struct source *s)
{
	return s->ring;
}

uint64_t source_ring_id(const struct source *s)
{
	return s->ring ? ring_id(s->ring) : 0;
}

bool source_has_producer(const struct source *s)
{
	return !s->ring || ring_has_producer(s->ring);
}

void source_stats(const struct source *s, struct source_stats *out)
{
	struct ring_stats ring;

	*out = s->stats;
	if (s->ring) {
		ring_stats(s->ring, &ring);
		out->producer_starts = ring.producer_starts;
		out->head = ring.head;
	}
}
