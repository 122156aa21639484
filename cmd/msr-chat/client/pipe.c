/* Lines of a pipe, at the pace at which they can be sent. */
#include "pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "client.h"
#include "loop/loop.h"
#include "net.h"
#include "show.h"

enum {
	LINE_BYTES = 1024 * 1024, /* of one line; longer ones are refused */
	READ_SIZE = 65536,
	RETRY_US = 10000, /* while the queue to the server is full */
};

struct pipe_input {
	struct client *client;
	struct loop_io *io; /* NULL for a plain file, which is always readable */
	struct loop_timer timer;
	struct buf in; /* what is read and not yet a line */
	bool skipping; /* what comes up to the next line feed is of a line that was refused */
	bool eof, started;
	bool cut; /* eof is not the input's: what is left of a line is not one */
};

/* Drops the rest of a line that was refused, as far as it is there. */
static void skip_rest(struct pipe_input *p)
{
	size_t n = buf_len(&p->in);
	const char *at = (const char *)buf_data(&p->in), *end = n ? memchr(at, '\n', n) : NULL;

	buf_consume(&p->in, end ? (size_t)(end - at) + 1 : n);
	p->skipping = !end;
}

/* Takes lines from the buffer while they can be sent. */
static void take_lines(struct pipe_input *p)
{
	struct client *c = p->client;

	if (p->skipping)
		skip_rest(p);
	while (!c->done && net_takes(c->net)) {
		char *at = (char *)buf_data(&p->in);
		size_t n = buf_len(&p->in);
		const char *end = n ? memchr(at, '\n', n) : NULL;
		if (!end && p->cut)
			buf_consume(&p->in, n);
		if (!end && (p->cut || !p->eof || !n))
			break;
		size_t len = end ? (size_t)(end - at) : n;
		char *line = strndup(at, len);
		buf_consume(&p->in, len + (end ? 1 : 0));
		if (!line) {
			show_error(c, "out of memory", "input");
			continue;
		}
		client_line(c, line);
		free(line);
	}
	if (p->eof && !buf_len(&p->in) && !c->done)
		client_quit(c);
}

/* Only when what is in the buffer is less than a line. */
static void read_some(struct pipe_input *p)
{
	uint8_t *room = buf_reserve(&p->in, READ_SIZE);

	if (!room) {
		show_error(p->client, "a line is too long", "input");
		skip_rest(p);
		room = buf_reserve(&p->in, READ_SIZE);
	}
	ssize_t n = room ? read(STDIN_FILENO, room, READ_SIZE) : 0;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		buf_commit(&p->in, (size_t)n);
	p->eof = n <= 0;
}

static void go_on(struct pipe_input *p)
{
	struct client *c = p->client;

	take_lines(p);
	if (!p->eof && !c->done && net_takes(c->net)) {
		read_some(p);
		take_lines(p);
	}
	if (c->done)
		return;
	bool wait = !net_takes(c->net);
	if (p->io)
		loop_io_want(p->io, p->eof || wait ? 0 : LOOP_IN);
	if ((wait || (!p->io && !p->eof)) && !(p->eof && !buf_len(&p->in)))
		loop_timer_in_us(&p->timer, wait ? RETRY_US : 0);
}

static void on_input(void *arg, int events)
{
	(void)events;
	go_on(arg);
}

static void on_timer(void *arg)
{
	go_on(arg);
}

int pipe_open(struct pipe_input **pp, struct client *c)
{
	struct pipe_input *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->client = c;
	buf_init(&p->in, LINE_BYTES);
	loop_timer_init(&p->timer, c->loop, on_timer, p);
	int ret = loop_io_new(&p->io, c->loop, STDIN_FILENO, 0, on_input, p);
	if (ret < 0 && ret != -EPERM) {
		free(p);
		return ret;
	}
	*pp = p;
	return 0;
}

void pipe_start(struct pipe_input *p)
{
	if (p->started)
		return;
	p->started = true;
	if (p->io)
		loop_io_want(p->io, LOOP_IN);
	else
		loop_timer_in_us(&p->timer, 0);
}

void pipe_end(struct pipe_input *p)
{
	p->cut = !p->eof;
	p->eof = true;
	go_on(p);
}

bool pipe_has_more(const struct pipe_input *p)
{
	return buf_len(&p->in) > 0;
}

void pipe_close(struct pipe_input *p)
{
	if (!p)
		return;
	loop_timer_stop(&p->timer);
	loop_io_free(p->io);
	buf_done(&p->in);
	free(p);
}
