/*
 * The bounded queue in front of a descriptor.
 *
 *   put: encode after the others → flush: write(2) what fits → the loop says when more fits
 *
 * The bound is queue_max, but one record of any size always fits an empty queue. Without a loop
 * nothing stays queued between calls: put writes and waits.
 */
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "frame.h"
#include "loop/loop.h"
#include "sink.h"
#include "stream.h"

#define RETRY_US    1000000 /* between two tries after an error such as a full disk */
#define WRITE_EARLY 262144  /* bytes: do not wait for the flush, the reader may take them now */
#define LINGER_MS   10	    /* between two looks whether a FIFO has found a reader */

struct queue {
	struct sink_opts opts;
	struct stream stream;
	struct buf bytes;      /* not yet written; begins inside a record after a short write */
	uint64_t put, written; /* bytes since opening */
	struct loop_io *io;    /* owned; NULL for files, without a loop and when dead */
	struct loop_timer timer;
	bool blocked; /* the descriptor takes no more now */
	bool refused; /* a put found no room: say when there is some again */
	bool told;    /* lost() was called for this error */
	bool dead;    /* the error is for good: the reader is gone */
	int error;    /* of the last write; 0: all is well */
};

/* ---- writing ---- */

static void fail(struct queue *q, int err)
{
	q->error = err;
	if (err == -EPIPE || err == -ECONNRESET) {
		q->error = -EPIPE;
		q->dead = true;
		buf_done(&q->bytes);
	}
}

/* Writes what goes now. Returns whether anything went. */
static bool write_some(struct queue *q)
{
	uint64_t before = q->written;

	q->blocked = false;
	while (buf_len(&q->bytes)) {
		ssize_t n = write(q->stream.fd, buf_data(&q->bytes), buf_len(&q->bytes));
		if (n >= 0) {
			buf_consume(&q->bytes, (size_t)n);
			q->written += (uint64_t)n;
			q->error = 0;
			q->told = false;
		} else if (errno == EAGAIN) {
			q->blocked = true;
			break;
		} else if (errno != EINTR) {
			fail(q, -errno);
			break;
		}
	}
	/* One huge record must not hold its memory for ever. */
	if (!buf_len(&q->bytes) && q->bytes.cap > 2 * q->opts.queue_max)
		buf_done(&q->bytes);
	return q->written != before;
}

/* What the loop waits for follows from the state. */
static void schedule(struct queue *q)
{
	if (!q->opts.loop)
		return;
	if (q->dead) {
		loop_io_free(q->io);
		q->io = NULL;
	}
	if (q->io)
		loop_io_want(q->io, q->blocked ? LOOP_OUT : 0);
	/* Errors are told from the loop, never from inside a put. */
	if (q->error && !q->told)
		loop_timer_in_us(&q->timer, 0);
	else if (q->error && !q->dead)
		loop_timer_in_us(&q->timer, RETRY_US);
	else
		loop_timer_stop(&q->timer);
}

/* From the loop: continues writing, then tells; the handlers may close the sink. */
static void go_on(struct queue *q)
{
	bool moved = q->dead ? false : write_some(q);
	bool room = q->refused && buf_len(&q->bytes) <= q->opts.queue_max / 2;
	int lost = q->told ? 0 : q->error;

	q->told = q->error != 0;
	if (room)
		q->refused = false;
	schedule(q);
	if (lost && q->opts.lost)
		q->opts.lost(q->opts.arg, lost);
	else if (!lost && (moved || room) && q->opts.ready)
		q->opts.ready(q->opts.arg);
}

static void on_event(void *arg, int events)
{
	struct queue *q = arg;

	/* With nothing to write, an error or hang-up is how a reader's end shows. */
	if (events & LOOP_HUP && !buf_len(&q->bytes))
		fail(q, -EPIPE);
	go_on(q);
}

static void on_timer(void *arg)
{
	go_on(arg);
}

void queue_flush(struct queue *q)
{
	if (!q->opts.loop || q->blocked || q->error || !buf_len(&q->bytes))
		return;
	write_some(q);
	schedule(q);
}

/* ---- putting ---- */

/* Without a loop: head, body and padding from where they are, waiting as long as it takes. */
static int put_blocking(struct queue *q, const struct frame *f, uint64_t *pos)
{
	static const uint8_t zeros[8];
	uint8_t head[FRAME_PREFIX_MAX];
	struct iovec iov[3], *v = iov;
	size_t n;
	int ret = frame_encode_head(f, head, &n);

	if (ret < 0)
		return ret;
	iov[0] = (struct iovec){head, n};
	iov[1] = (struct iovec){(void *)(uintptr_t)f->body, f->body_len};
	iov[2] = (struct iovec){(void *)(uintptr_t)zeros, frame_padding(f)};
	for (size_t left = frame_size(f); left;) {
		ssize_t w = writev(q->stream.fd, v, (int)(iov + 3 - v));
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		left -= (size_t)w;
		q->written += (uint64_t)w;
		for (; v < iov + 3 && (size_t)w >= v->iov_len; v++)
			w -= (ssize_t)v->iov_len;
		if (v < iov + 3) {
			v->iov_base = (uint8_t *)v->iov_base + w;
			v->iov_len -= (size_t)w;
		}
	}
	if (pos)
		*pos = q->written;
	return 0;
}

bool queue_has_room(const struct queue *q, size_t n)
{
	size_t len = buf_len(&q->bytes);

	return !q->dead && (!len || len + n <= q->opts.queue_max);
}

int queue_put(struct queue *q, const struct frame *f, uint64_t *pos)
{
	struct frame g = *f;
	size_t size = frame_size(f);

	g.flags &= (uint8_t)~FRAME_NO_BODY_CRC;
	if (q->dead)
		return -EPIPE;
	if (!q->opts.loop)
		return put_blocking(q, &g, pos);
	if (!queue_has_room(q, size)) {
		q->refused = true;
		return -EAGAIN;
	}
	uint8_t *p = buf_reserve(&q->bytes, size);
	if (!p)
		return -ENOMEM;
	int ret = frame_encode(&g, p);
	if (ret < 0)
		return ret;
	buf_commit(&q->bytes, size);
	q->put += size;
	if (pos)
		*pos = q->put;
	if (buf_len(&q->bytes) >= WRITE_EARLY)
		queue_flush(q);
	return 0;
}

uint64_t queue_written(const struct queue *q)
{
	return q->written;
}

/* ---- opening and closing ---- */

int queue_open(struct queue **qp, const char *spec, const struct sink_opts *opts)
{
	struct queue *q = calloc(1, sizeof(*q));
	int ret = -ENOMEM;

	if (!q)
		return ret;
	q->opts = *opts;
	buf_init(&q->bytes, 0);
	ret = stream_open_out(&q->stream, spec, opts->loop);
	if (!ret && opts->loop) {
		loop_timer_init(&q->timer, opts->loop, on_timer, q);
		if (q->stream.type != STREAM_FILE)
			ret = loop_io_new(&q->io, opts->loop, q->stream.fd, 0, on_event, q);
		if (ret == -EPERM) /* a device that never waits, such as /dev/null */
			ret = 0;
	}
	if (ret < 0) {
		stream_close(&q->stream);
		free(q);
		return ret;
	}
	*qp = q;
	return 0;
}

/* Writes the rest, waiting for the reader. */
static int drain(struct queue *q, struct mono end)
{
	while (buf_len(&q->bytes)) {
		int64_t left = mono_diff_us(end, mono_now());
		write_some(q);
		if (q->error)
			return q->error;
		if (!q->blocked)
			break;
		if (left <= 0)
			return -ETIMEDOUT;
		struct pollfd p = {.fd = q->stream.fd, .events = POLLOUT};
		poll(&p, 1, (int)(left / 1000 + 1));
	}
	return q->error;
}

/*
 * A FIFO that only we hold would lose its bytes with us: waits until somebody reads it. That is
 * seen from a write end alone, which has an error as long as nobody else has it open.
 */
static int linger(struct queue *q, struct mono end)
{
	int unread = 0, ret = 0;
	int fd = file_reopen(q->stream.fd, O_WRONLY | O_NONBLOCK);

	if (fd < 0)
		return fd;
	stream_close(&q->stream);
	for (;;) {
		struct pollfd p = {.fd = fd, .events = 0};
		poll(&p, 1, 0);
		if (!(p.revents & POLLERR) || ioctl(fd, FIONREAD, &unread) < 0 || !unread)
			break;
		if (mono_diff_us(end, mono_now()) <= 0) {
			ret = -ETIMEDOUT;
			break;
		}
		poll(NULL, 0, LINGER_MS);
	}
	close(fd);
	return ret;
}

int queue_close(struct queue *q, int timeout_ms)
{
	struct mono end = mono_add_us(mono_now(), (int64_t)timeout_ms * 1000);
	int ret;

	loop_io_free(q->io);
	if (q->opts.loop)
		loop_timer_stop(&q->timer);
	ret = drain(q, end);
	if (!ret && q->stream.held)
		ret = linger(q, end);
	buf_done(&q->bytes);
	stream_close(&q->stream);
	free(q);
	return ret;
}
