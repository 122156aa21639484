/*
 * WebSocket sessions, incoming and outgoing.
 *
 *   receive: pieces → one message (in place where it came whole) → ops.message
 *   send:    ws_send → framed bytes in chunks → written together at the end of the turn
 *
 * Frames are framed here and given to libwebsockets as raw bytes, so that many small messages are
 * one send(2). What the socket does not take libwebsockets keeps, and calls ws_session_writable
 * when it is gone; only then is more written, so its own pongs never fall into one of our frames.
 */
#include "web_int.h"

#include <errno.h>
#include <linux/tcp.h> /* glibc's tcp_info has not the whole of it */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/utf8.h"

/* What ws_opts says with 0. */
#define WS_MESSAGE_MAX (1u << 20) /* bytes */
#define WS_QUEUE_MAX   (1u << 20) /* bytes */
#define WS_PING_US     9000000	  /* a dead peer is found within 20 s: twice this, and a tick */
#define WS_WRITE_US    20000000	  /* as long as a dead peer has */

#define STALL_US       20000000 /* until the next MOVE_MIN bytes of a message have come */
#define STALL_HARD_US  2000000	/* the same while others wait for memory */
#define MOVE_MIN       4096	/* bytes, either way: less is not enough to keep memory for */
#define CHUNK_MIN      2048	/* bytes; messages are collected in chunks of this size, */
#define CHUNK_GROWTH   4	/* each this many times the one before, */
#define CHUNK_MAX      65536	/* up to this; larger messages have one alone */
#define FRAME_HEAD_MAX 14	/* bytes; RFC 6455 section 5.2, with mask */

enum { OP_TEXT = 1, OP_BINARY = 2, OP_PING = 9 };

struct chunk {
	struct chunk *next;
	size_t cap, len;
	uint8_t mem[]; /* LWS_PRE, then `len` bytes */
};

/* ---- life ---- */

struct ws *ws_session_new(const struct ws_opts *opts, const struct ws_ops *ops, void *session)
{
	struct ws *ws = calloc(1, sizeof(*ws));

	if (!ws)
		return NULL;
	ws->opts = *opts;
	ws->ops = ops;
	ws->session = session;
	ws->code = WS_ABNORMAL;
	ws->tx_last = &ws->tx;
	list_init(&ws->dirty);
	list_init(&ws->partial);
	list_init(&ws->throttled);
	if (!ws->opts.message_max)
		ws->opts.message_max = WS_MESSAGE_MAX;
	if (!ws->opts.queue_max)
		ws->opts.queue_max = WS_QUEUE_MAX;
	if (!ws->opts.ping_us)
		ws->opts.ping_us = WS_PING_US;
	if (!ws->opts.write_timeout_us)
		ws->opts.write_timeout_us = WS_WRITE_US;
	if (!ws->opts.idle_code)
		ws->opts.idle_code = WS_GOING_AWAY;
	/* One byte more than a message, for the NUL after it. */
	buf_init(&ws->rx, ws->opts.message_max + 1);
	return ws;
}

void ws_session_opened(struct ws *ws, struct conn *c)
{
	struct web *w = c->web;

	ws->c = c;
	ws->open = true;
	ws->heard = ws->spoke = w->tick;
	metric_add(&w->n_ws_total, 1);
	metric_add(&w->n_ws_open, 1);
	ws->ops->open(ws->session, ws);
}

void ws_session_failed(struct ws *ws, const char *reason)
{
	if (!ws->open)
		snprintf(ws->reason, sizeof(ws->reason), "%s", reason);
}

void ws_session_gone(struct ws *ws)
{
	if (ws->open) {
		web_held_drop(ws);
		metric_add(&ws->c->web->n_ws_open, -1);
	}
	web_client_start_free(ws->start);
	list_remove(&ws->dirty);
	list_remove(&ws->throttled);
	ws->closing = true; /* the handler's sends fail */
	ws->killed = true;
	ws->ops->close(ws->session, ws->open ? ws : NULL, ws->code, ws->reason);
	for (struct chunk *k = ws->tx, *next; k; k = next) {
		next = k->next;
		free(k);
	}
	buf_done(&ws->rx);
	free(ws);
}

static void kill_session(struct ws *ws, int code, const char *reason)
{
	if (ws->killed)
		return;
	ws->killed = true;
	ws->code = (uint16_t)code;
	snprintf(ws->reason, sizeof(ws->reason), "%s", reason);
	web_conn_kill(ws->c);
}

void ws_close(struct ws *ws, int code, const char *reason)
{
	if (ws->closing || ws->killed)
		return;
	ws->closing = true;
	ws->code = (uint16_t)code;
	snprintf(ws->reason, sizeof(ws->reason), "%s", reason ? reason : "");
	if (!ws->open)
		web_conn_kill(ws->c);
	else
		lws_callback_on_writable(ws->c->wsi);
}

void ws_abort(struct ws *ws, const char *reason)
{
	kill_session(ws, WS_ABNORMAL, reason);
}

void ws_session_peer_closes(struct ws *ws, const uint8_t *data, size_t len)
{
	if (ws->closing)
		return; /* the reason is ours */
	ws->closing = true;
	ws->code = len >= 2 ? get_be16(data) : WS_NO_STATUS;
	if (len > 2)
		snprintf(ws->reason, sizeof(ws->reason), "%.*s", (int)(len - 2), data + 2);
}

const char *ws_peer(const struct ws *ws)
{
	return ws->peer;
}

/* ---- reading or not ---- */

void ws_session_flow(struct ws *ws)
{
	bool read = !ws->paused && !ws_is_throttled(ws);

	if (read == !ws->rx_off || !ws->open || ws->killed)
		return;
	ws->rx_off = !read;
	if (read)
		ws->heard = ws->spoke = ws->rx_moved = ws->c->web->tick;
	web_tick_soon(ws->c->web);
	lws_rx_flow_control(ws->c->wsi, read);
}

void ws_pause(struct ws *ws)
{
	ws->paused = true;
	ws_session_flow(ws);
}

void ws_resume(struct ws *ws)
{
	ws->paused = false;
	ws_session_flow(ws);
}

bool ws_paused(const struct ws *ws)
{
	return ws->paused;
}

/* ---- receiving ---- */

static void deliver(struct ws *ws, bool text, uint8_t *data, size_t len)
{
	struct web *w = ws->c->web;

	metric_add(&w->n_messages_in, 1);
	metric_add(&w->n_bytes_in, (int64_t)len);
	w->n_received++;
	ws->spoke = w->tick;
	if (text && !utf8_valid(data, len)) {
		metric_add(&w->n_bad_text, 1);
		ws_close(ws, WS_BAD_DATA, "text is not UTF-8");
		return;
	}
	/* The handler may rely on a NUL; the byte there may be the next frame's. */
	uint8_t saved = data[len];
	data[len] = '\0';
	ws->ops->message(ws->session, ws, text ? WS_TEXT : WS_BINARY, data, len);
	data[len] = saved;
}

/* Nothing of the message is kept; `ended`: this was its last piece. */
static void too_large(struct ws *ws, bool ended)
{
	char reason[64];

	buf_done(&ws->rx);
	web_held_drop(ws);
	if (!ws->ops->too_large) {
		metric_add(&ws->c->web->n_too_big, 1);
		snprintf(reason, sizeof(reason), "a message can have at most %zu bytes",
			 ws->opts.message_max);
		ws_close(ws, WS_TOO_BIG, reason);
		return;
	}
	ws->rx_discard = !ended;
	ws->spoke = ws->c->web->tick;
	ws->ops->too_large(ws->session, ws);
}

/* A piece of a message that came in several: `more` bytes of its frame are still to come. */
static void gather(struct ws *ws, const uint8_t *data, size_t len, size_t more)
{
	/* Room for the whole frame at once, so that growing copies nothing. Untouched memory costs
	 * nothing either. */
	uint8_t *room = buf_reserve(&ws->rx, len + more + 1);
	if (!room) {
		ws_close(ws, WS_TRY_LATER, "no memory");
		return;
	}
	memcpy(room, data, len);
	buf_commit(&ws->rx, len);
	web_held_add(ws, (int64_t)len);
	web_held_check(ws);
}

/* The message that begins, or goes on, does so fast enough. */
static void count_piece(struct ws *ws, size_t len, bool first)
{
	ws->rx_came += len;
	if (!first && ws->rx_came < MOVE_MIN)
		return;
	ws->rx_came = 0;
	ws->rx_moved = ws->c->web->tick;
}

/* The last piece of a message, or all of it: in place if nothing came before. */
static void finish(struct ws *ws, uint8_t *data, size_t len)
{
	ws->rx_active = false;
	if (!buf_len(&ws->rx)) {
		web_held_drop(ws); /* pieces without bytes came before */
		web_held_check(ws);
		deliver(ws, ws->rx_text, data, len);
		return;
	}
	gather(ws, data, len, 0);
	if (ws->closing)
		return;
	/* Taken out first: the handler may end the session. */
	struct buf whole = ws->rx;
	buf_init(&ws->rx, whole.max);
	deliver(ws, ws->rx_text, buf_data(&whole), buf_len(&whole));
	buf_done(&whole);
	web_held_drop(ws);
}

int ws_session_receive(struct ws *ws, uint8_t *data, size_t len)
{
	struct lws *wsi = ws->c->wsi;
	bool final = lws_is_final_fragment(wsi);
	size_t more = final ? 0 : lws_remaining_packet_payload(wsi);

	ws->heard = ws->c->web->tick;
	ws->pinged = false;
	count_piece(ws, len, !ws->rx_active);
	if (ws->closing || ws->killed)
		return 0;
	if (!ws->rx_active) {
		ws->rx_active = true;
		ws->rx_text = !lws_frame_is_binary(wsi);
	}
	if (ws->rx_discard) {
		ws->rx_active = ws->rx_discard = !final;
		if (final)
			ws->spoke = ws->c->web->tick;
	} else if (buf_len(&ws->rx) + len + more > ws->opts.message_max) {
		ws->rx_active = !final;
		too_large(ws, final);
	} else if (final) {
		finish(ws, data, len);
	} else {
		gather(ws, data, len, more);
	}
	return 0;
}

void ws_session_pong(struct ws *ws)
{
	ws->heard = ws->c->web->tick;
	ws->pinged = false;
}

/* ---- sending ---- */

/* `n` bytes at the end of the queue, in one chunk. */
static uint8_t *tx_room(struct ws *ws, size_t n)
{
	struct chunk *k = ws->tx ? container_of(ws->tx_last, struct chunk, next) : NULL;

	if (!k || k->cap - k->len < n) {
		/* The longer a queue is the busier it is; one that is short should not take (and
		 * touch) much memory, for there are many of them. */
		size_t cap = k ? k->cap * CHUNK_GROWTH : CHUNK_MIN;
		if (cap > CHUNK_MAX)
			cap = CHUNK_MAX;
		if (cap < n)
			cap = n;
		k = malloc(sizeof(*k) + LWS_PRE + cap);
		if (!k)
			return NULL;
		k->next = NULL;
		k->cap = cap;
		k->len = 0;
		*ws->tx_last = k;
		ws->tx_last = &k->next;
	}
	uint8_t *p = k->mem + LWS_PRE + k->len;
	k->len += n;
	return p;
}

/* RFC 6455 section 5.2. Returns the bytes used. */
static size_t frame_head(uint8_t out[static FRAME_HEAD_MAX], int op, size_t len)
{
	out[0] = (uint8_t)(0x80 | op);
	if (len < 126) {
		out[1] = (uint8_t)len;
		return 2;
	}
	if (len < 65536) {
		out[1] = 126;
		put_be16(out + 2, (uint16_t)len);
		return 4;
	}
	out[1] = 127;
	put_be64(out + 2, len);
	return 10;
}

/* Client to server frames are masked with bytes that a page cannot foresee (section 10.3). */
static void mask_copy(struct web *w, uint8_t *out, const uint8_t *data, size_t len)
{
	if (w->n_masks < 4) {
		random_bytes(w->masks, sizeof(w->masks));
		w->n_masks = sizeof(w->masks);
	}
	w->n_masks -= 4;
	memcpy(out, w->masks + w->n_masks, 4);
	for (size_t i = 0; i < len; i++)
		out[4 + i] = data[i] ^ out[i & 3];
}

static int queue_framed(struct ws *ws, const uint8_t *head, size_t head_len, const void *data,
			size_t len)
{
	size_t mask = ws->masked ? 4 : 0, n = head_len + mask + len;

	if (ws->closing || ws->killed || !ws->open)
		return -EPIPE;
	if (ws->tx_queued + n > ws->opts.queue_max && ws->tx_queued)
		return -ENOBUFS;
	uint8_t *p = tx_room(ws, n);
	if (!p)
		return -ENOMEM;
	memcpy(p, head, head_len);
	if (mask) {
		p[1] |= 0x80;
		mask_copy(ws->c->web, p + head_len, data, len);
	} else if (len) {
		memcpy(p + head_len, data, len);
	}
	if (!ws->tx_queued)
		ws->stuck = ws->c->web->tick;
	ws->tx_queued += n;
	if (ws->tx_queued > ws->opts.queue_max / 2)
		ws->was_above_half = true;
	if (list_empty(&ws->dirty))
		list_push(&ws->c->web->dirty, &ws->dirty);
	return 0;
}

static void count_sent(struct ws *ws, size_t len)
{
	metric_add(&ws->c->web->n_messages_out, 1);
	metric_add(&ws->c->web->n_bytes_out, (int64_t)len);
	ws->spoke = ws->c->web->tick;
}

int ws_send(struct ws *ws, enum ws_type type, const void *data, size_t len)
{
	uint8_t head[FRAME_HEAD_MAX];
	size_t n = frame_head(head, type == WS_TEXT ? OP_TEXT : OP_BINARY, len);
	int ret = queue_framed(ws, head, n, data, len);

	if (!ret)
		count_sent(ws, len);
	return ret;
}

struct ws_msg {
	size_t head_len, len;
	uint8_t mem[]; /* head and payload */
};

struct ws_msg *ws_msg_new(enum ws_type type, const void *data, size_t len)
{
	struct ws_msg *m = malloc(sizeof(*m) + FRAME_HEAD_MAX + len);

	if (!m)
		return NULL;
	m->head_len = frame_head(m->mem, type == WS_TEXT ? OP_TEXT : OP_BINARY, len);
	m->len = len;
	if (len)
		memcpy(m->mem + m->head_len, data, len);
	return m;
}

void ws_msg_free(struct ws_msg *m)
{
	free(m);
}

int ws_send_msg(struct ws *ws, struct ws_msg *m)
{
	int ret = queue_framed(ws, m->mem, m->head_len, m->mem + m->head_len, m->len);

	if (!ret)
		count_sent(ws, m->len);
	return ret;
}

size_t ws_queued(const struct ws *ws)
{
	return ws->tx_queued;
}

void ws_session_flush(struct ws *ws)
{
	struct lws *wsi = ws->c->wsi;

	while (ws->tx && !ws->tx_inflight && !ws->killed) {
		struct chunk *k = ws->tx;
		size_t len = k->len;
		ws->tx = k->next;
		if (!ws->tx)
			ws->tx_last = &ws->tx;
		int n = lws_write(wsi, k->mem + LWS_PRE, len, LWS_WRITE_RAW);
		free(k);
		if (n < 0) {
			kill_session(ws, WS_ABNORMAL, "connection lost");
			return;
		}
		ws->stuck = ws->c->web->tick;
		if (lws_partial_buffered(wsi))
			ws->tx_inflight = len;
		else
			ws->tx_queued -= len;
	}
	if (ws->was_above_half && ws->tx_queued < ws->opts.queue_max / 4) {
		ws->was_above_half = false;
		if (ws->ops->drained && !ws->closing)
			ws->ops->drained(ws->session, ws);
	}
}

int ws_session_writable(struct ws *ws)
{
	if (ws->killed)
		return -1;
	if (ws->tx_inflight) {
		ws->tx_queued -= ws->tx_inflight;
		ws->tx_inflight = 0;
		ws->stuck = ws->c->web->tick;
	}
	ws_session_flush(ws);
	if (ws->closing && !ws->tx_queued && !ws->close_sent && !ws->killed) {
		ws->close_sent = true;
		lws_close_reason(ws->c->wsi, ws->code, (uint8_t *)ws->reason, strlen(ws->reason));
		return -1;
	}
	return 0;
}

/* ---- time ---- */

static bool is_stalled(const struct ws *ws, uint32_t now)
{
	bool others_wait = !list_empty(&ws->c->web->throttled);

	return ws->rx_active && now - ws->rx_moved >= ticks(others_wait ? STALL_HARD_US : STALL_US);
}

/*
 * Whether the peer takes nothing of what is queued. That it does shows in what it has acknowledged:
 * a chunk takes long to be through on a slow line.
 */
static bool is_stuck(struct ws *ws, uint32_t now)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (!ws->tx_queued)
		return false;
	if (getsockopt(lws_get_socket_fd(ws->c->wsi), IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	    info.tcpi_bytes_acked - ws->tx_acked >= MOVE_MIN) {
		ws->tx_acked = info.tcpi_bytes_acked;
		ws->stuck = now;
	}
	return now - ws->stuck >= ticks(ws->opts.write_timeout_us);
}

/* Messages come, go, or are owed. */
static bool is_busy(const struct ws *ws)
{
	return ws->rx_active || ws->tx_queued || (ws->ops->busy && ws->ops->busy(ws->session));
}

/* Ticks until `after` have passed since `from`; at least 1. */
static uint32_t ticks_left(uint32_t now, uint32_t from, uint32_t after)
{
	return now - from < after ? after - (now - from) : 1;
}

static uint32_t keep_alive(struct ws *ws, uint32_t now)
{
	uint32_t quiet = now - ws->heard, after = ticks(ws->opts.ping_us);

	if (quiet >= 2 * after) {
		metric_add(&ws->c->web->n_ping_timeouts, 1);
		kill_session(ws, WS_ABNORMAL, "no answer to pings");
		return TICK_NEVER;
	}
	if (quiet >= after && !ws->pinged) {
		/* libwebsockets reports only pongs that carry something. */
		uint8_t head[FRAME_HEAD_MAX];
		ws->pinged = true;
		queue_framed(ws, head, frame_head(head, OP_PING, 3), "msr", 3);
	}
	return ticks_left(now, ws->heard, ws->pinged ? 2 * after : after);
}

uint32_t ws_session_tick(struct ws *ws)
{
	uint32_t now = ws->c ? ws->c->web->tick : 0, idle = TICK_NEVER;

	if (ws->killed)
		return TICK_NEVER;
	if (!ws->open) {
		if (ws->masked && (int32_t)(now - ws->connect_by) >= 0)
			kill_session(ws, WS_ABNORMAL, "no connection in time");
		return 1;
	}
	if (is_stuck(ws, now)) {
		metric_add(&ws->c->web->n_slow_readers, 1);
		kill_session(ws, WS_ABNORMAL, "does not read");
		return TICK_NEVER;
	}
	if (ws->rx_off || ws->closing)
		return ws->tx_queued ? 1 : TICK_NEVER;
	if (is_stalled(ws, now)) {
		ws_close(ws, WS_POLICY, "the message was not completed in time");
		return 1;
	}
	if (ws->opts.idle_us) {
		if (is_busy(ws))
			ws->spoke = now;
		idle = ticks_left(now, ws->spoke, ticks(ws->opts.idle_us));
		if (now - ws->spoke >= ticks(ws->opts.idle_us)) {
			ws_close(ws, ws->opts.idle_code, "idle");
			return 1;
		}
	}
	uint32_t ping = ws->opts.ping_us < 0 ? TICK_NEVER : keep_alive(ws, now);
	if (ws->tx_queued || ws->rx_active)
		return 1;
	return idle < ping ? idle : ping;
}
