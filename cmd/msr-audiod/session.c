/*
 * Sessions. A message that fits into one slice goes straight from the socket's buffer into the
 * seat's, and the answer straight back; longer ones, and all that comes while a job is under way,
 * wait in a queue and are processed in place, slice by slice. Commands wait in the same queue, so
 * that each is answered after the sound that came before it.
 *
 * Little is read ahead of what is under way; the rest waits in the socket, where it costs nothing
 * and slows its sender down. (With megabytes of each of a thousand clients read ahead, a server
 * that once fell behind could not catch up any more: it copied memory that no cache held.)
 *
 * A client that does not read stalls itself: while its answers fill half of what may wait to be
 * sent, nothing more of it is processed, so an answer that is made always fits; what waits fills
 * up, and then nothing more is read.
 *
 * Many such clients together are bounded, too. What waits counts for lib/web, which reads no more
 * of long messages then; once half of the bound waits, a client may have only its share of it. And
 * when more than the bound is unsent, those with the most of it have to go.
 */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "command.h"
#include "event/event.h"
#include "loop/loop.h"
#include "pool.h"
#include "recorder.h"
#include "web/http.h"
#include "web/web.h"
#include "web/ws.h"

#define ID_DIGITS  32			   /* of a session id: 128 random bits */
#define CLOSE_IDLE 4008			   /* as the manual says */
#define TEXT_MAX   2048			   /* bytes of a reply */
#define LEVEL	   "{\"event\":\"level\"," /* how an event of meter begins */
#define LEVEL_MAX  128			   /* bytes of what follows */
#define QUEUE_MIN  4096	  /* bytes for replies and heads besides two of the longest message */
#define AHEAD	   65536  /* bytes read ahead of the message under way */
#define UNSENT_US  100000 /* for the sockets to take what they can, before anybody has to go */

/* What waits: a command, sound, or the news that a message was too large. */
enum kind { COMMAND, SOUND, TOO_LARGE };

struct message {
	struct list link; /* in session.waiting */
	enum kind kind;
	size_t len, off; /* off: how far it is processed */
	bool failed;
	uint8_t data[]; /* `len` bytes and a NUL */
};

struct session {
	struct list link; /* in sessions.all */
	struct sessions *all;
	struct ws *ws; /* NULL before open */
	char id[ID_DIGITS + 1];
	struct seat *seat; /* NULL: no receiver runs */
	struct chain_spec chain;
	struct record *record; /* NULL: not recorded */
	size_t job_len;	       /* of the job under way */
	bool direct;	       /* that job is a whole message, and is not in `waiting` */
	struct list waiting;   /* the first may be under way */
	size_t waiting_bytes;  /* with what keeping them costs */
	bool stalled;	       /* these wait for the client to read */
	bool aborted;	       /* for what it has not read */
	struct mono since;     /* connected */
	uint64_t messages, bytes, errors;
	char level[LEVEL_MAX]; /* members of the last level event and its brace; empty: none yet */
};

struct sessions {
	struct sessions_opts opts;
	struct pool *pool;
	struct list all;
	size_t n_waiting; /* sessions with something in `waiting`, */
	size_t n_stalled; /* and those of them that wait for their clients */
	bool stopping;
	struct web *web;
	size_t waiting_bytes; /* of all */
	size_t unsent;	      /* bytes of all answers since `bound` looked, and what it saw */
	struct loop_timer bound;
	metric_t n_sessions, n_receivers, n_messages, n_bytes, n_errors, n_aborted;
};

/* ---- replies ---- */

/* Too much waits for the client to read it. */
static bool is_full(const struct session *s)
{
	return ws_queued(s->ws) > s->all->opts.max_queue / 2;
}

/* The clients with the longest queues go until no more than 7/8 of what may be is unsent, so that
 * this does not happen again at once. */
static void on_bound(void *arg)
{
	struct sessions *ss = arg;
	size_t enough = ss->opts.max_memory - ss->opts.max_memory / 8;
	struct session *worst;

	do {
		worst = NULL;
		ss->unsent = 0;
		list_each (i, &ss->all) {
			struct session *s = container_of(i, struct session, link);
			if (!s->ws || s->aborted)
				continue;
			ss->unsent += ws_queued(s->ws);
			if (!worst || ws_queued(s->ws) > ws_queued(worst->ws))
				worst = s;
		}
		if (ss->unsent > enough) {
			worst->aborted = true;
			metric_add(&ss->n_aborted, 1);
			ws_abort(worst->ws, "reads too slowly");
		}
	} while (ss->unsent > enough);
}

/* An answer, which a client must not miss. */
static void answer(struct session *s, enum ws_type type, const void *data, size_t len)
{
	int ret = ws_send(s->ws, type, data, len);

	s->all->unsent += len;
	if (s->all->unsent > s->all->opts.max_memory && !loop_timer_armed(&s->all->bound))
		loop_timer_in_us(&s->all->bound, UNSENT_US);

	if (ret < 0)
		ws_close(s->ws, WS_TRY_LATER, "no memory for an answer");
	else if (is_full(s))
		ws_pause(s->ws);
}

static void send_text(struct session *s, struct json *j)
{
	int len = json_end(j);

	if (len > 0)
		answer(s, WS_TEXT, j->out, (size_t)len);
}

static void send_error(struct session *s, const char *code, const char *text)
{
	char out[TEXT_MAX];
	struct json j;

	s->errors++;
	metric_add(&s->all->n_errors, 1);
	json_start(&j, out, sizeof(out));
	json_obj(&j, NULL);
	json_str(&j, "status", "error");
	json_str(&j, "error", code);
	json_str(&j, "message", text);
	json_obj_end(&j);
	send_text(s, &j);
}

/* {"status": ...}, left open for more members. */
static void status_start(struct json *j, char out[static TEXT_MAX], const char *status)
{
	json_start(j, out, TEXT_MAX);
	json_obj(j, NULL);
	json_str(j, "status", status);
}

static void send_status(struct session *s, const char *status)
{
	char out[TEXT_MAX];
	struct json j;

	status_start(&j, out, status);
	json_obj_end(&j);
	send_text(s, &j);
}

/* A message that came back. */
static void send_sound(struct session *s, const uint8_t *data, size_t len)
{
	struct sessions *ss = s->all;

	s->messages++;
	s->bytes += len;
	metric_add(&ss->n_messages, 1);
	metric_add(&ss->n_bytes, (int64_t)len);
	answer(s, WS_BINARY, data, len);
}

/* ---- sound ---- */

static size_t slice_max(const struct session *s)
{
	size_t frame = chain_frame_bytes(&s->chain);

	return s->all->opts.buffer / frame * frame;
}

static struct message *first_waiting(struct session *s)
{
	return container_of(list_first(&s->waiting), struct message, link);
}

/* How much may wait before no more is read; the message that exceeds it is kept, too. */
static size_t waiting_max(struct session *s)
{
	size_t max_memory = s->all->opts.max_memory;
	size_t max = AHEAD + (list_empty(&s->waiting) ? 0 : first_waiting(s)->len);
	size_t share = max_memory / (size_t)metric_get(&s->all->n_sessions);

	return s->all->waiting_bytes <= max_memory / 2 || share > max ? max : share;
}

/* `m` is kept (1), or not any more (-1). */
static void count_waiting(struct session *s, const struct message *m, int sign)
{
	int64_t n = sign * (int64_t)(sizeof(*m) + m->len);

	s->waiting_bytes += (size_t)n;
	s->all->waiting_bytes += (size_t)n;
	web_hold(s->all->web, n);
}

static void submit(struct session *s, const uint8_t *data, size_t len, bool direct)
{
	memcpy(seat_input(s->seat), data, len);
	s->job_len = len;
	s->direct = direct;
	seat_submit(s->seat, len);
}

static bool is_busy(const struct session *s)
{
	return s->seat && seat_busy(s->seat);
}

static void leave(struct session *s)
{
	if (!s->seat)
		return;
	pool_leave(s->seat);
	s->seat = NULL;
	record_close(s->record);
	s->record = NULL;
	metric_add(&s->all->n_receivers, -1);
}

static void keep(struct session *s, enum kind kind, const uint8_t *data, size_t len)
{
	struct message *m = malloc(sizeof(*m) + len + 1);

	if (!m) {
		send_error(s, "processing_failed", "out of memory");
		return;
	}
	*m = (struct message){.kind = kind, .len = len};
	if (len)
		memcpy(m->data, data, len);
	m->data[len] = '\0';
	if (list_empty(&s->waiting))
		s->all->n_waiting++;
	list_init(&m->link);
	list_push(&s->waiting, &m->link);
	count_waiting(s, m, 1);
	if (s->waiting_bytes > waiting_max(s))
		ws_pause(s->ws);
}

static void drop_first(struct session *s)
{
	struct message *m = first_waiting(s);

	list_remove(&m->link);
	count_waiting(s, m, -1);
	if (list_empty(&s->waiting))
		s->all->n_waiting--;
	free(m);
}

/* Whether a message may be processed; otherwise the client is told why not. */
static bool is_processable(struct session *s, size_t len)
{
	char text[96];

	if (!s->seat) {
		send_error(s, "not_started",
			   "say {\"command\":\"start_audio_receiver\"} before sending sound");
		return false;
	}
	size_t frame = chain_frame_bytes(&s->chain);
	if (len % frame == 0)
		return true;
	snprintf(text, sizeof(text), "%zu bytes are not a whole number of samples of %zu", len,
		 frame);
	send_error(s, "bad_length", text);
	return false;
}

/* The first of those that wait: one step. False when nothing more can be done now. */
static bool go_on_sound(struct session *s, struct message *m)
{
	if (!m->off && !m->failed) {
		m->failed = !is_processable(s, m->len);
		if (!m->failed)
			record_put(s->record, RECORD_INPUT, m->data, m->len);
	}
	if (m->failed)
		return true;
	size_t left = m->len - m->off, max = slice_max(s);
	if (left) {
		submit(s, m->data + m->off, left < max ? left : max, false);
		return false;
	}
	record_put(s->record, RECORD_OUTPUT, m->data, m->len);
	send_sound(s, m->data, m->len);
	return true;
}

static void on_command(struct session *s, const char *text, size_t len);

static void refuse_large(struct session *s)
{
	char text[64];

	snprintf(text, sizeof(text), "a message has at most %zu bytes", s->all->opts.max_message);
	send_error(s, "too_large", text);
}

static void set_stalled(struct session *s, bool stalled)
{
	if (stalled == s->stalled)
		return;
	if (stalled)
		s->all->n_stalled++;
	else
		s->all->n_stalled--;
	s->stalled = stalled;
}

/* Goes on with what waits, until a job is under way, the client has to read, or nothing is left. */
static void go_on(struct session *s)
{
	set_stalled(s, false);
	while (!list_empty(&s->waiting) && !is_busy(s)) {
		if (is_full(s)) {
			set_stalled(s, true);
			return;
		}
		struct message *m = first_waiting(s);
		if (m->kind == COMMAND)
			on_command(s, (const char *)m->data, m->len);
		else if (m->kind == TOO_LARGE)
			refuse_large(s);
		else if (!go_on_sound(s, m))
			return;
		drop_first(s);
	}
	if (s->waiting_bytes < waiting_max(s) / 2 && ws_paused(s->ws) && !s->all->stopping &&
	    !is_full(s))
		ws_resume(s->ws);
}

void session_data(void *owner, const uint8_t *out, size_t len, int status)
{
	struct session *s = owner;
	bool ok = status == 0 && len == s->job_len;

	if (!ok)
		send_error(s, "processing_failed",
			   "the message was lost with its worker, or its "
			   "filter ended; the next one starts afresh");
	if (s->direct) {
		if (ok) {
			record_put(s->record, RECORD_OUTPUT, out, len);
			send_sound(s, out, len);
		} else {
			record_put(s->record, RECORD_OUTPUT, NULL, s->job_len);
		}
	} else {
		struct message *m = first_waiting(s);
		if (ok) {
			memcpy(m->data + m->off, out, len);
			m->off += len;
		} else {
			m->failed = true;
			record_put(s->record, RECORD_OUTPUT, NULL, m->len);
		}
	}
	go_on(s);
}

void session_event(void *owner, const char *json, size_t len)
{
	struct session *s = owner;
	size_t head = strlen(LEVEL);

	if (len > head && len - head < LEVEL_MAX && !memcmp(json, LEVEL, head)) {
		memcpy(s->level, json + head, len - head);
		s->level[len - head] = '\0';
	}
	/* Dropped when the client does not read: the next one tells more than this one. */
	if (!is_full(s))
		ws_send(s->ws, WS_TEXT, json, len);
}

/* Nothing waits, no job is under way and the client reads. */
static void on_sound(struct session *s, const uint8_t *data, size_t len)
{
	if (!is_processable(s, len))
		return;
	if (len && len <= slice_max(s)) {
		record_put(s->record, RECORD_INPUT, data, len);
		submit(s, data, len, true);
		return;
	}
	keep(s, SOUND, data, len);
	go_on(s);
}

/* ---- commands ---- */

static void start_receiver(struct session *s, const struct chain_spec *chain)
{
	char out[TEXT_MAX];
	struct json j;

	if (s->seat) {
		send_status(s, "receiver_already_running");
		return;
	}
	s->chain = *chain;
	s->level[0] = '\0';
	if (pool_take(s->all->pool, &s->chain, s, &s->seat) < 0) {
		send_error(s, "too_many_receivers",
			   "every place is taken; try again when somebody has left");
		return;
	}
	metric_add(&s->all->n_receivers, 1);
	if (s->all->opts.recorder)
		s->record = record_open(s->all->opts.recorder, s->id, chain);
	status_start(&j, out, "receiver_started");
	if (chain_delay(chain))
		json_uint(&j, "delay", chain_delay(chain));
	json_obj_end(&j);
	send_text(s, &j);
}

static void stop_receiver(struct session *s)
{
	if (!s->seat) {
		send_status(s, "receiver_not_running");
		return;
	}
	leave(s);
	send_status(s, "receiver_stopped");
}

static void send_stats(struct session *s)
{
	char out[TEXT_MAX], level[LEVEL_MAX + 1];
	struct json j;

	status_start(&j, out, "stats");
	json_uint(&j, "messages", s->messages);
	json_uint(&j, "bytes", s->bytes);
	json_uint(&j, "errors", s->errors);
	json_num(&j, "seconds", (double)mono_diff_us(mono_now(), s->since) / 1e6, 3);
	json_bool(&j, "running", s->seat != NULL);
	if (s->seat) {
		json_uint(&j, "worker", seat_worker(s->seat));
		json_uint(&j, "delay", chain_delay(&s->chain));
		json_uint(&j, "waiting", s->waiting_bytes);
	}
	if (s->level[0]) {
		snprintf(level, sizeof(level), "{%s", s->level);
		json_raw(&j, "level", level);
	}
	json_obj_end(&j);
	send_text(s, &j);
}

static void on_command(struct session *s, const char *text, size_t len)
{
	struct command_error err;
	struct command c;

	if (command_parse(&c, text, len, s->all->opts.execs, &err) < 0) {
		send_error(s, err.code, err.text);
		return;
	}
	switch (c.kind) {
	case COMMAND_START:
		start_receiver(s, &c.chain);
		break;
	case COMMAND_STOP:
		stop_receiver(s);
		break;
	case COMMAND_STATS:
		send_stats(s);
		break;
	}
}

/* ---- the WebSocket ---- */

static int on_accept(void *arg, struct web_req *req, void **session)
{
	struct sessions *ss = arg;
	struct session *s = calloc(1, sizeof(*s));

	if (!s) {
		web_reply_error(req, 503, "no_memory", "out of memory");
		return -1;
	}
	random_hex(s->id, ID_DIGITS / 2);
	s->all = ss;
	list_init(&s->waiting);
	list_init(&s->link);
	list_push(&ss->all, &s->link);
	s->since = mono_now();
	metric_add(&ss->n_sessions, 1);
	*session = s;
	return 0;
}

static void on_open(void *session, struct ws *ws)
{
	struct session *s = session;
	char out[TEXT_MAX];
	struct json j;
	struct event ev;

	s->ws = ws;
	status_start(&j, out, "connected");
	json_str(&j, "session_id", s->id);
	json_obj_end(&j);
	send_text(s, &j);
	event_start(&ev, s->all->opts.events, "connect", NULL, s->id);
	json_str(&ev.json, "peer", ws_peer(ws));
	event_send(&ev, s->all->opts.events);
}

/* Whether the next thing has to wait: for what came before it, or for the client to read. */
static bool must_wait(const struct session *s)
{
	return !list_empty(&s->waiting) || is_busy(s) || is_full(s);
}

static void wait_in_line(struct session *s, enum kind kind, const uint8_t *data, size_t len)
{
	keep(s, kind, data, len);
	if (!is_busy(s))
		go_on(s);
}

static void on_message(void *session, struct ws *ws, enum ws_type type, uint8_t *data, size_t len)
{
	struct session *s = session;

	(void)ws;
	if (must_wait(s))
		wait_in_line(s, type == WS_TEXT ? COMMAND : SOUND, data, len);
	else if (type == WS_TEXT)
		on_command(s, (const char *)data, len);
	else
		on_sound(s, data, len);
}

static void on_too_large(void *session, struct ws *ws)
{
	struct session *s = session;

	(void)ws;
	if (must_wait(s))
		wait_in_line(s, TOO_LARGE, NULL, 0);
	else
		refuse_large(s);
}

static void on_drained(void *session, struct ws *ws)
{
	struct session *s = session;

	(void)ws;
	if (is_busy(s))
		return; /* its answer goes on */
	go_on(s);
	pool_flush(s->all->pool); /* the turn's flush may be over */
}

static bool on_busy(void *session)
{
	const struct session *s = session;

	return is_busy(s) || !list_empty(&s->waiting);
}

static void on_close(void *session, struct ws *ws, int code, const char *reason)
{
	struct session *s = session;
	struct event ev;

	(void)ws;
	event_start(&ev, s->all->opts.events, "disconnect", NULL, s->id);
	json_int(&ev.json, "code", code);
	json_str(&ev.json, "reason", reason ? reason : "");
	json_uint(&ev.json, "messages", s->messages);
	json_uint(&ev.json, "bytes", s->bytes);
	event_send(&ev, s->all->opts.events);
	leave(s);
	set_stalled(s, false);
	while (!list_empty(&s->waiting))
		drop_first(s);
	list_remove(&s->link);
	metric_add(&s->all->n_sessions, -1);
	free(s);
}

int sessions_new(struct sessions **out, const struct sessions_opts *opts)
{
	struct sessions *ss = calloc(1, sizeof(*ss));
	struct metrics *m = opts->metrics;

	if (!ss)
		return -ENOMEM;
	ss->opts = *opts;
	if (ss->opts.max_queue < 2 * opts->max_message + QUEUE_MIN)
		ss->opts.max_queue = 2 * opts->max_message + QUEUE_MIN;
	list_init(&ss->all);
	metrics_gauge(m, "msr_audiod_sessions", NULL, "Connected clients", &ss->n_sessions);
	metrics_gauge(m, "msr_audiod_receivers", NULL, "Running receivers", &ss->n_receivers);
	metrics_counter(m, "msr_audiod_messages_total", NULL, "Messages sent back",
			&ss->n_messages);
	metrics_counter(m, "msr_audiod_bytes_total", NULL, "Bytes sent back", &ss->n_bytes);
	metrics_counter(m, "msr_audiod_errors_total", NULL, "Errors told to clients",
			&ss->n_errors);
	metrics_counter(m, "msr_audiod_aborted_total", NULL,
			"Clients disconnected because too much was unsent", &ss->n_aborted);
	loop_timer_init(&ss->bound, opts->loop, on_bound, ss);
	*out = ss;
	return 0;
}

void sessions_free(struct sessions *ss)
{
	if (ss)
		loop_timer_stop(&ss->bound);
	free(ss);
}

void sessions_use(struct sessions *ss, struct pool *pool)
{
	ss->pool = pool;
}

void sessions_route(struct sessions *ss, struct web *web, struct web_server *server)
{
	static const struct ws_ops ops = {
	    .accept = on_accept,
	    .open = on_open,
	    .message = on_message,
	    .too_large = on_too_large,
	    .drained = on_drained,
	    .busy = on_busy,
	    .close = on_close,
	};
	struct ws_opts o = {
	    .origins = ss->opts.origins,
	    .message_max = ss->opts.max_message,
	    .queue_max = ss->opts.max_queue,
	    .ping_us =
		-1, /* idle ones are closed, or cost nothing: TCP finds those that are gone */
	    .idle_us = ss->opts.session_timeout_us,
	    .idle_code = CLOSE_IDLE,
	};

	ss->web = web;
	web_socket(server, "/ws", &o, &ops, ss);
}

void sessions_stop(struct sessions *ss)
{
	ss->stopping = true;
	list_each (i, &ss->all) {
		struct session *s = container_of(i, struct session, link);
		if (s->ws)
			ws_pause(s->ws);
	}
}

bool sessions_backlog(const struct sessions *ss)
{
	return ss->n_waiting > ss->n_stalled;
}

bool sessions_idle(const struct sessions *ss)
{
	return pool_busy(ss->pool) == 0 && ss->n_waiting == 0;
}
