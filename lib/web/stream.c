/* Server-sent events: a reply that does not end, with a bounded queue and keep-alive comments. */
#include "web_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What web_stream_opts says with 0. */
#define STREAM_QUEUE_MAX     (256u << 10) /* bytes: some hundred events */
#define STREAM_KEEP_ALIVE_US 15000000	  /* nginx closes what is silent for 60 s, others sooner */

struct web_stream {
	struct web_req *req;
	struct web_stream_opts opts;
	uint32_t spoke; /* tick of the last event or comment */
	bool ending;	/* close when the queue is empty */
	bool dead;	/* too slow: being closed */
};

struct web_stream *web_stream_new(struct web_req *req, const struct web_stream_opts *opts)
{
	struct web_stream *st = calloc(1, sizeof(*st));

	if (!st) {
		web_reply_error(req, 503, "no_memory", "no memory for a stream");
		return NULL;
	}
	st->req = req;
	st->opts = *opts;
	if (!st->opts.queue_max)
		st->opts.queue_max = STREAM_QUEUE_MAX;
	if (!st->opts.keep_alive_us)
		st->opts.keep_alive_us = STREAM_KEEP_ALIVE_US;
	st->spoke = req->c->web->tick;
	req->stream = st;
	web_reply_header(req, "Cache-Control", "no-store");
	/* nginx would otherwise collect the events. */
	web_reply_header(req, "X-Accel-Buffering", "no");
	web_http_reply_start(req, 200, "text/event-stream", -1);
	st->ending = req->is_head; /* whose reply has no content (RFC 9110, section 9.3.2) */
	return st;
}

static int append(struct web_stream *st, const char *text, size_t len)
{
	struct web_req *req = st->req;

	if (st->dead || st->ending)
		return -ENOBUFS;
	if (buf_len(&req->out) + len > st->opts.queue_max) {
		metric_add(&req->c->web->n_slow_readers, 1);
		st->dead = true;
		web_conn_kill(req->c);
		return -ENOBUFS;
	}
	int ret = buf_append(&req->out, text, len);
	if (ret < 0)
		return ret;
	st->spoke = req->c->web->tick;
	web_http_kick(req);
	return 0;
}

int web_stream_send(struct web_stream *st, const char *event, const char *data, size_t len)
{
	struct buf b;
	const char *end = data + len;

	buf_init(&b, 0);
	int ret = event ? buf_printf(&b, "event: %s\n", event) : 0;
	/* A line break in the data begins another data line. */
	do {
		const char *nl = memchr(data, '\n', (size_t)(end - data));
		size_t n = (size_t)((nl ? nl : end) - data);
		if (!ret)
			ret = buf_printf(&b, "data: %.*s\n", (int)n, data);
		data += n + (nl ? 1 : 0);
	} while (data < end);
	if (!ret)
		ret = buf_append(&b, "\n", 1);
	if (!ret)
		ret = append(st, (const char *)buf_data(&b), buf_len(&b));
	buf_done(&b);
	return ret;
}

void web_stream_end(struct web_stream *st)
{
	st->ending = true;
	web_http_kick(st->req);
}

int web_stream_written(struct web_stream *st)
{
	return st->ending;
}

void web_stream_tick(struct web_stream *st)
{
	if (st->req->c->web->tick - st->spoke >= ticks(st->opts.keep_alive_us))
		append(st, ":\n\n", 3);
}

void web_stream_gone(struct web_stream *st)
{
	if (st->opts.closed)
		st->opts.closed(st->opts.arg);
	free(st);
}
