/* Life of a connection: reading, writing, timeouts, closing. */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "hub.h"
#include "loop/loop.h"
#include "parcel.h"
#include "report.h"
#include "server.h"
#include "spool.h"

enum {
	READ_SIZE = 256 * 1024,	  /* bytes of one recv(2), shared by all connections */
	LARGE_TURN = 1024 * 1024, /* bytes of a large content a turn and receiver */
	PROGRESS_MIN = 16 * 1024, /* bytes within the send timeout */
	PROGRESS_LARGE = 1 << 20, /* likewise while large contents wait: they take up the disk */
	LINGER_US = 3 * 1000000,  /* for the peer to take the last messages */
};

static void on_io(void *arg, int events);

/* ---- making and freeing ---- */

void conn_new(struct server *s, int fd, struct address *addr)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c || wire_init(&c->wire, fd, s->tls, NULL) < 0) {
		free(c);
		close(fd);
		address_put(&s->addresses, addr);
		return;
	}
	c->server = s;
	c->serial = ++s->last_serial;
	c->address = addr;
	c->since = c->heard = c->progress_at = c->taken_at = s->now;
	c->watched_lag = UINT64_MAX; /* nothing is expected before the next time */
	list_init(&c->link);
	list_init(&c->dirty);
	list_init(&c->in_feed);
	outbox_init(&c->out);
	proto_parser_init(&c->in, (size_t)s->set.max_header);
	buf_init(&c->small, SMALL_MAX);
	buf_init(&c->held, READ_SIZE);
	rate_init(&c->rate, s->set.burst, s->now);
	if (loop_io_new(&c->io, s->loop, fd, LOOP_IN, on_io, c) < 0) {
		wire_done(&c->wire);
		address_put(&s->addresses, addr);
		free(c);
		return;
	}
	list_push(&s->conns, &c->link);
	s->n_conns++;
	metric_set(&s->n.connections, (int64_t)s->n_conns);
}

void conn_close(struct conn *c, const char *reason)
{
	struct server *s = c->server;

	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_USER)
		hub_leave(c, reason);
	receive_drop(c);
	c->state = CONN_DEAD;
	loop_io_free(c->io);
	wire_done(&c->wire);
	list_remove(&c->dirty);
	list_remove(&c->link);
	list_push(&s->dead, &c->link);
	s->n_conns--;
	metric_set(&s->n.connections, (int64_t)s->n_conns);
	address_put(&s->addresses, c->address);
}

void conn_reap(struct server *s)
{
	list_each_safe (i, &s->dead) {
		struct conn *c = container_of(i, struct conn, link);
		list_remove(i);
		outbox_done(&c->out);
		proto_parser_done(&c->in);
		buf_done(&c->small);
		buf_done(&c->held);
		free(c);
	}
}

/* ---- leaving ---- */

static void set_state(struct conn *c, enum conn_state state)
{
	c->state = state;
	c->since = c->server->now;
}

void conn_leave(struct conn *c, const char *reason)
{
	if (c->state >= CONN_LEAVING)
		return;
	if (c->state == CONN_USER)
		hub_leave(c, reason);
	receive_drop(c);
	set_state(c, CONN_LEAVING);
	if (list_empty(&c->dirty))
		list_push(&c->server->dirty, &c->dirty);
}

void conn_fail(struct conn *c, enum chat_error e)
{
	if (c->state >= CONN_LEAVING)
		return;
	conn_error(c, e);
	conn_leave(c, chat_error_code(e));
}

/* Everything is sent: end our direction and wait for the peer's. */
static void linger(struct conn *c)
{
	if (c->eof) {
		conn_close(c, "closed");
		return;
	}
	wire_shutdown(&c->wire);
	set_state(c, CONN_LINGER);
	conn_update(c);
}

/* ---- writing ---- */

void conn_slow(struct conn *c)
{
	report_slow(c);
	metric_add(&c->server->n.slow, 1);
	conn_close(c, "slow");
}

static void mark_dirty(struct conn *c)
{
	if (!c->blocked && list_empty(&c->dirty))
		list_push(&c->server->dirty, &c->dirty);
}

void conn_insert(struct conn *c, struct parcel *p)
{
	if (c->state >= CONN_LEAVING)
		return;
	if (outbox_insert(&c->out, p) < 0)
		conn_close(c, "out of memory");
	else if (c->out.inserted > (uint64_t)c->server->set.max_queue)
		conn_slow(c);
	else
		mark_dirty(c);
}

void conn_large(struct conn *c, struct parcel *p)
{
	if (c->state != CONN_USER)
		return;
	int ret = outbox_large(&c->out, p);
	if (ret == -ENOBUFS)
		conn_slow(c);
	else if (ret < 0)
		conn_close(c, "out of memory");
	else
		mark_dirty(c);
}

void conn_reply(struct conn *c, enum proto_type type)
{
	struct parcel *p = parcel_new(PROTO_DESC, NULL);

	if (!p) {
		conn_close(c, "out of memory");
		return;
	}
	proto_put(p->data, type, 0, 0);
	conn_insert(c, p);
	parcel_unref(p);
}

void conn_error(struct conn *c, enum chat_error e)
{
	char text[256];
	struct json j;

	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "error", chat_error_code(e));
	json_str(&j, "message", chat_error_text(e));
	json_obj_end(&j);
	size_t len = (size_t)json_end(&j);
	struct parcel *p = parcel_new(PROTO_DESC + len, NULL);
	if (!p) {
		conn_close(c, "out of memory");
		return;
	}
	proto_put(p->data, PROTO_ERROR, len, 0);
	memcpy(p->data + PROTO_DESC, text, len);
	metric_add(&c->server->n.errors, 1);
	conn_insert(c, p);
	parcel_unref(p);
}

void conn_flush(struct conn *c)
{
	uint64_t before = c->out.taken, done = c->out.large_done;

	if (c->state == CONN_DEAD || c->state == CONN_LINGER)
		return;
	int ret = outbox_flush(&c->out, &c->wire, LARGE_TURN);
	if (c->out.taken != before) {
		c->taken_at = c->server->now;
		metric_add(&c->server->n.bytes_out, (int64_t)(c->out.taken - before));
	}
	if (c->out.large_done != done)
		report_delivered(c, c->out.large_done - done);
	if (ret < 0) {
		conn_close(c, "connection lost");
		return;
	}
	c->blocked = ret > 0;
	if (!ret) {
		c->progress = c->out.taken;
		c->progress_at = c->server->now;
		if (c->state == CONN_LEAVING) {
			linger(c);
			return;
		}
	}
	conn_update(c);
}

/* ---- reading ---- */

static bool reads(const struct conn *c)
{
	return !c->eof && (c->state == CONN_LOGIN || c->state == CONN_LINGER ||
			   (c->state == CONN_USER && !c->paused));
}

void conn_update(struct conn *c)
{
	int want = 0;

	if (c->state == CONN_DEAD)
		return;
	if (reads(c))
		want |= c->wire.recv_needs_out ? LOOP_OUT : LOOP_IN;
	if (c->blocked)
		want |= c->wire.send_needs_in ? LOOP_IN : LOOP_OUT;
	loop_io_want(c->io, want);
}

/* The peer sends no more; what is queued for it is still sent. */
static void end_of_input(struct conn *c)
{
	c->eof = true;
	if (c->state == CONN_LINGER)
		conn_close(c, "closed");
	else
		conn_leave(c, "closed");
}

static void conn_read(struct conn *c)
{
	static uint8_t bytes[READ_SIZE];

	do {
		ssize_t n = wire_recv(&c->wire, bytes, sizeof(bytes));
		if (n == -EAGAIN)
			break;
		if (n < 0) {
			conn_close(c, "connection lost");
			return;
		}
		if (!n) {
			end_of_input(c);
			return;
		}
		c->heard = c->server->now;
		metric_add(&c->server->n.bytes_in, n);
		if (c->state == CONN_LOGIN || c->state == CONN_USER)
			receive(c, bytes, (size_t)n);
	} while (c->state != CONN_DEAD && wire_pending(&c->wire));
	conn_update(c);
}

static void on_io(void *arg, int events)
{
	struct conn *c = arg;

	server_tick(c->server);
	if (c->blocked && (events & LOOP_OUT || c->wire.ssl))
		conn_flush(c);
	if (c->state == CONN_DEAD)
		return;
	if (c->server->pressure && c->state == CONN_USER && !c->paused) {
		c->paused = true;
		conn_update(c);
	}
	if (reads(c) && (events & (LOOP_IN | LOOP_HUP) || c->wire.recv_needs_out))
		conn_read(c);
	else if (events & LOOP_HUP)
		conn_close(c, "connection lost");
	/* TLS may have had to read before it could write. */
	if (c->state != CONN_DEAD && c->blocked && c->wire.ssl)
		conn_flush(c);
}

void conn_authenticated(struct conn *c, bool ok)
{
	if (c->state != CONN_AUTH)
		return;
	set_state(c, CONN_LOGIN);
	if (c->server->draining) {
		conn_fail(c, CHAT_SHUTTING_DOWN);
	} else if (ok) {
		hub_login(c);
		struct buf held = c->held;
		buf_init(&c->held, READ_SIZE);
		if (buf_len(&held))
			receive(c, buf_data(&held), buf_len(&held));
		buf_done(&held);
	} else {
		metric_add(&c->server->n.refused, 1);
		conn_reply(c, PROTO_BAD_LOGIN);
		conn_leave(c, "wrong password");
	}
	conn_update(c);
}

/* ---- the clock ---- */

bool conn_busy(const struct conn *c)
{
	return c->file || !outbox_empty(&c->out) || c->state >= CONN_LEAVING;
}

static bool older(struct conn *c, struct mono since, int64_t limit_us)
{
	return limit_us && mono_diff_us(c->server->now, since) > limit_us;
}

static void sweep_input(struct conn *c)
{
	const struct settings *set = &c->server->set;
	bool late;

	if (c->state == CONN_USER)
		late = older(c, c->heard, set->idle_timeout) ||
		       (proto_under_way(&c->in) && !c->paused &&
			older(c, c->heard, set->message_timeout));
	else
		late = older(c, c->since, set->login_timeout);
	if (!late)
		return;
	metric_add(&c->server->n.timeouts, 1);
	conn_fail(c, CHAT_TIMEOUT);
}

void conn_sweep(struct conn *c)
{
	if ((c->state == CONN_LINGER || c->state == CONN_LEAVING) &&
	    older(c, c->since, LINGER_US) && older(c, c->taken_at, LINGER_US)) {
		conn_close(c, "closed");
		return;
	}
	if (c->state == CONN_LINGER)
		return;
	/* A leaving user with much queued must keep reading it, too. */
	uint64_t enough = c->out.n_large ? PROGRESS_LARGE : PROGRESS_MIN;
	if (c->out.taken - c->progress >= enough || outbox_empty(&c->out)) {
		c->progress = c->out.taken;
		c->progress_at = c->server->now;
	} else if (older(c, c->progress_at, c->server->set.send_timeout)) {
		conn_slow(c);
		return;
	}
	if (c->file && c->file->size != c->reported)
		report_progress(c);
	if (c->state < CONN_LEAVING)
		sweep_input(c);
}
