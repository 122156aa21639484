/*
 * Connections.
 *
 *   accept: ids → query → session (new, resumed, taken over; limits) → open
 *   message: rate → media.c
 */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "base/log.h"
#include "event/event.h"
#include "ingest.h"
#include "media.h"
#include "room.h"
#include "web/http.h"
#include "web/web.h"
#include "web/ws.h"

#define TAKEN_OVER 4001	   /* close code */
#define REPORT_US  1000000 /* at most one frame-error event a session in this time */
#define PAUSE_FULL 1
#define PAUSE_RATE 2

/* ---- what clients are told ---- */

int client_send(struct client *c, const char *text, size_t len)
{
	return c->ws ? ws_send(c->ws, WS_TEXT, text, len) : -EPIPE;
}

static void report(struct client *c, const char *code, const char *message, const uint64_t *part)
{
	struct mono now = mono_now();
	struct event ev;

	if (c->reported.us && mono_diff_us(now, c->reported) < REPORT_US) {
		c->suppressed++;
		return;
	}
	event_start(&ev, c->app->events, "frame-error", c->room, c->session);
	json_str(&ev.json, "error", code);
	json_str(&ev.json, "message", message);
	if (part)
		json_uint(&ev.json, "part", *part);
	if (c->suppressed)
		json_uint(&ev.json, "suppressed", c->suppressed);
	event_send(&ev, c->app->events);
	c->reported = now;
	c->suppressed = 0;
}

void client_error(struct client *c, const char *code, const char *message, const uint64_t *part)
{
	char text[512];
	struct json j;

	if (!c)
		return;
	metric_add(&c->app->count.errors, 1);
	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "j_type", "error");
	json_str(&j, "error", code);
	json_str(&j, "message", message);
	if (part)
		json_uint(&j, "part", *part);
	json_obj_end(&j);
	int len = json_end(&j);
	if (len > 0)
		client_send(c, text, (size_t)len);
	report(c, code, message, part);
}

/* ---- reading or not ---- */

static void set_pause(struct client *c, uint8_t why, bool on)
{
	c->paused = (uint8_t)(on ? c->paused | why : c->paused & ~why);
	if (!c->ws)
		return;
	if (c->paused && !ws_paused(c->ws))
		ws_pause(c->ws);
	else if (!c->paused && ws_paused(c->ws))
		ws_resume(c->ws);
}

void client_sink_full(struct client *c, bool full)
{
	static const char pause[] = "{\"j_type\":\"pause\"}", resume[] = "{\"j_type\":\"resume\"}";

	if (full == ((c->paused & PAUSE_FULL) != 0))
		return;
	set_pause(c, PAUSE_FULL, full);
	if (full)
		client_send(c, pause, sizeof(pause) - 1);
	else
		client_send(c, resume, sizeof(resume) - 1);
}

static void on_rate_timer(void *arg)
{
	set_pause(arg, PAUSE_RATE, false);
}

/* Counts a message. The clock is asked only when the allowance is used up. */
static void count_message(struct client *c)
{
	int64_t rate = c->app->limits.max_rate;

	if (--c->tokens > 0)
		return;
	struct mono now = mono_now();
	int64_t earned = mono_diff_us(now, c->refilled) * rate / 1000000;
	c->refilled = now;
	c->tokens = c->tokens + earned > 2 * rate ? 2 * rate : c->tokens + earned;
	if (c->tokens > 0)
		return;
	metric_add(&c->app->count.throttled, 1);
	set_pause(c, PAUSE_RATE, true);
	loop_timer_in_us(&c->rate, (1 - c->tokens) * 1000000 / rate + 10000);
}

/* ---- the end of a session ---- */

void client_session_gone(struct client *c)
{
	/* At a shutdown some may still be acknowledged; its end closes the connection in any case.
	 */
	if (!c->s->n_acks || !c->app->stopping)
		client_goodbye(c);
}

void client_goodbye(struct client *c)
{
	struct session *s = c->s;

	c->s = NULL;
	s->client = NULL;
	session_unref(s);
	if (c->ws)
		ws_close(c->ws, c->app->stopping ? WS_GOING_AWAY : WS_NORMAL,
			 c->app->stopping ? "shutdown" : "end");
}

static void on_window_over(void *arg)
{
	ingest_end(arg, "away");
}

/* The connection is gone, the session waits for another; also where it was about to end. */
static void wait_for_client(struct session *s)
{
	loop_timer_stop(&s->away);
	s->state = SESSION_AWAY;
	loop_timer_init(&s->away, s->app->loop, on_window_over, s);
	loop_timer_in_us(&s->away, s->app->limits.resume_window_us);
}

/* ---- coming in ---- */

static int refuse(struct web_req *req, int status, const char *code, const char *message)
{
	web_reply_error(req, status, code, "%s", message);
	return -1;
}

static int read_query(struct web_req *req, struct query *q)
{
	const char *name;
	char why[160];

	for (size_t i = 0; (name = query_name(i)); i++) {
		const char *value = web_query(req, name);
		if (value && query_set(q, name, value, why, sizeof(why)) < 0)
			return refuse(req, 400, "bad_query", why);
	}
	if (query_check(q, why, sizeof(why)) < 0)
		return refuse(req, 400, "bad_query", why);
	return 0;
}

/* The session that the request may have, made where there is none; NULL: refused. */
static struct session *admit(struct app *a, struct web_req *req, const struct query *q)
{
	const char *room = web_param(req, "room"), *id = web_param(req, "session");
	struct session *s = session_find(a, room, id);

	if (s && (s->state == SESSION_ENDING || (s->client && !q->resume))) {
		refuse(req, 409, "session_taken",
		       s->state == SESSION_ENDING
			   ? "the session is being ended"
			   : "the session has a live connection; ?resume=1 takes it over");
		return NULL;
	}
	if (s)
		return s;
	web_reply_header(req, "Retry-After", "10");
	if ((int64_t)a->sessions.n >= a->limits.max_sessions) {
		refuse(req, 503, "too_many_sessions", "the server has no place for more sessions");
	} else if ((int64_t)room_size(a, room) >= a->limits.max_room) {
		refuse(req, 503, "room_full", "the room has no place for more sessions");
	} else if (!(s = session_new(a, room, id))) {
		refuse(req, 503, "no_memory", "no memory for another session");
	}
	return s;
}

static void take_over(struct session *s)
{
	struct client *old = s->client;

	if (!old)
		return;
	metric_add(&s->app->count.taken_over, 1);
	s->client = NULL;
	old->s = NULL;
	if (old->ws)
		ws_close(old->ws, TAKEN_OVER, "taken over by another connection");
}

/* Numbers of bare chunks: as asked for, or where the session was. */
static void number_lanes(struct client *c)
{
	struct session *s = c->s;

	for (int i = 0; i < 2; i++) {
		struct lane *l = &s->lanes[i];
		uint64_t after = l->last ? l->last->frame.part + 1 : 0;
		c->bare_next[i] = l->started && l->next > after ? l->next : after;
		if (c->query.has_part)
			c->bare_next[i] = c->query.part;
	}
}

static struct client *client_new(const char *room, const char *session)
{
	size_t r = strlen(room) + 1, n = strlen(session) + 1;
	struct client *c = calloc(1, sizeof(*c) + r + n);

	if (!c)
		return NULL;
	memcpy(c->ids, room, r);
	memcpy(c->ids + r, session, n);
	c->room = c->ids;
	c->session = c->ids + r;
	return c;
}

static int on_accept(void *arg, struct web_req *req, void **session)
{
	struct app *a = arg;
	const char *room = web_param(req, "room"), *id = web_param(req, "session");
	struct query q = {0};

	if (!id_valid(room, strlen(room)) || !id_valid(id, strlen(id)))
		return refuse(req, 400, "bad_id", ID_RULE);
	if (read_query(req, &q) < 0)
		return -1;
	if (a->stopping)
		return refuse(req, 503, "closing", "the server is shutting down");
	struct client *c = client_new(room, id);
	if (!c)
		return refuse(req, 503, "no_memory", "no memory for another connection");
	struct session *s = admit(a, req, &q);
	if (!s) {
		free(c);
		return -1;
	}
	take_over(s);
	c->app = a;
	c->s = s;
	c->query = q;
	c->resumed = s->opened;
	c->tokens = 2 * a->limits.max_rate;
	c->refilled = mono_now();
	loop_timer_init(&c->rate, a->loop, on_rate_timer, c);
	s->client = c;
	s->state = SESSION_LIVE;
	loop_timer_stop(&s->away);
	number_lanes(c);
	*session = c;
	return 0;
}

static void on_open(void *session, struct ws *ws)
{
	struct client *c = session;
	struct session *s = c->s;
	struct event ev;

	c->ws = ws;
	if (c->resumed)
		metric_add(&c->app->count.resumed, 1);
	event_start(&ev, c->app->events, "connect", c->room, c->session);
	json_str(&ev.json, "peer", ws_peer(ws));
	json_bool(&ev.json, "resumed", c->resumed);
	event_send(&ev, c->app->events);
	log_debug("%s: %s connected", s->key, ws_peer(ws));
	ingest_open(s);
	if (c->app->full && s->media)
		client_sink_full(c, true);
}

static void on_close(void *session, struct ws *ws, int code, const char *reason)
{
	struct client *c = session;
	struct session *s = c->s;
	struct event ev;

	if (ws) {
		event_start(&ev, c->app->events, "disconnect", c->room, c->session);
		json_str(&ev.json, "peer", ws_peer(ws));
		json_int(&ev.json, "code", code);
		json_str(&ev.json, "reason", reason);
		event_send(&ev, c->app->events);
		log_debug("%s/%s: disconnected, %d %s", c->room, c->session, code, reason);
	}
	loop_timer_stop(&c->rate);
	free(c);
	if (!s)
		return;
	s->client = NULL;
	if (s->state == SESSION_LIVE && code == WS_NORMAL)
		ingest_end(s, "closed");
	else if (s->state == SESSION_LIVE || (code != WS_NORMAL && ingest_is_untold(s)))
		wait_for_client(s);
	else
		session_unref(s);
}

/* ---- messages ---- */

static void on_message(void *session, struct ws *ws, enum ws_type type, uint8_t *data, size_t len)
{
	struct client *c = session;

	(void)ws;
	if (!c->s || c->s->state != SESSION_LIVE)
		return; /* taken over, or after "end" */
	count_message(c);
	if (type == WS_TEXT)
		media_text(c, (char *)data, len);
	else
		media_binary(c, data, len);
}

void conn_route(struct app *a, struct web_server *s, const struct web_origins *origins)
{
	static const struct ws_ops ops = {
	    .accept = on_accept, .open = on_open, .message = on_message, .close = on_close};
	struct ws_opts opts = {
	    .origins = origins, .message_max = MESSAGE_MAX, .queue_max = SEND_QUEUE_MAX};

	web_socket(s, "/:room/:session", &opts, &ops, a);
}
