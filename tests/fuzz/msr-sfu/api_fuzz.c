/*
 * The interface of msr-sfu, whole, down to the media threads: the input is a row of requests, each
 * a line "METHOD PATH [CONTENT-TYPE]" and a body, separated by the byte 0x1e. "/sessions/_" is the
 * last session that was made. In the place of lib/web's server stand the functions below.
 */
#include "../../../cmd/msr-sfu/api/api.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../cmd/msr-sfu/room/link.h"
#include "base/log.h"
#include "base/metrics.h"
#include "event/event.h"
#include "loop/loop.h"

#define ROUTES_MAX   32
#define PARAMS_MAX   4
#define STREAMS_MAX  8
#define REQUESTS_MAX 24 /* of an input; each may bind ports and make keys */
#define SEPARATOR    0x1e

struct web_req {
	char *name[PARAMS_MAX], *value[PARAMS_MAX]; /* parameters of the path */
	unsigned n;
	char *type, *body;
	size_t len;
	bool replied;
};

struct web_stream {
	struct web_stream_opts opts;
	bool open;
};

static struct {
	const char *method, *pattern;
	size_t max_body;
	web_handler *handler;
	void *arg;
} route[ROUTES_MAX];
static unsigned n_routes;
static struct web_stream stream[STREAMS_MAX];
static char session[256] = "/sessions/none";

/* ---- what lib/web does ---- */

void web_route(struct web_server *s, const char *method, const char *pattern, size_t max_body,
	       web_handler *handler, void *arg)
{
	(void)s;
	assert(n_routes < ROUTES_MAX);
	route[n_routes].method = method;
	route[n_routes].pattern = pattern;
	route[n_routes].max_body = max_body;
	route[n_routes].handler = handler;
	route[n_routes++].arg = arg;
}

void web_accept_post(struct web_server *s, const char *pattern, const char *type)
{
	(void)s;
	(void)pattern;
	(void)type;
}

const char *web_param(const struct web_req *req, const char *name)
{
	for (unsigned i = 0; i < req->n; i++)
		if (!strcmp(req->name[i], name))
			return req->value[i];
	return "";
}

const char *web_header(struct web_req *req, const char *name)
{
	return !strcmp(name, "content-type") ? req->type : !strcmp(name, "if-match") ? "*" : NULL;
}

char *web_body(struct web_req *req, size_t *len)
{
	*len = req->len;
	return req->body;
}

/* A request is answered once, and with the status of somebody who knows what he does. */
static void reply(struct web_req *req, int status)
{
	assert(!req->replied);
	assert(status >= 200 && status < 600 && status != 500);
	req->replied = true;
}

void web_reply(struct web_req *req, int status, const char *type, const void *body, size_t len)
{
	(void)type;
	(void)body;
	(void)len;
	reply(req, status);
}

void web_reply_json(struct web_req *req, int status, const char *json, size_t len)
{
	json_t *v = json_loadb(json, len, JSON_DECODE_ANY, NULL);

	assert(v);
	json_decref(v);
	reply(req, status);
}

void web_reply_error(struct web_req *req, int status, const char *code, const char *fmt, ...)
{
	(void)code;
	(void)fmt;
	assert(status >= 400);
	reply(req, status);
}

void web_reply_header(struct web_req *req, const char *name, const char *fmt, ...)
{
	va_list ap;

	(void)req;
	va_start(ap, fmt);
	if (!strcmp(name, "Location"))
		vsnprintf(session, sizeof(session), fmt, ap);
	va_end(ap);
}

struct web_stream *web_stream_new(struct web_req *req, const struct web_stream_opts *opts)
{
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		if (!stream[i].open) {
			stream[i] = (struct web_stream){*opts, true};
			reply(req, 200);
			return &stream[i];
		}
	reply(req, 503);
	return NULL;
}

int web_stream_send(struct web_stream *st, const char *event, const char *data, size_t len)
{
	json_t *v = json_loadb(data, len, 0, NULL);

	assert(st->open && event && v);
	json_decref(v);
	return 0;
}

void web_stream_end(struct web_stream *st)
{
	(void)st; /* closed by end_streams, as lib/web does from its loop */
}

static void end_streams(void)
{
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		if (stream[i].open) {
			stream[i].open = false;
			stream[i].opts.closed(stream[i].opts.arg);
		}
}

/* ---- requests ---- */

static bool matches(const char *pattern, char *path, struct web_req *req)
{
	static char names[PARAMS_MAX][32];

	for (req->n = 0;; path++) {
		size_t k = strcspn(pattern + 1, "/") + 1, n = strcspn(path + 1, "/") + 1;
		if (pattern[1] == ':' && n > 1 && req->n < PARAMS_MAX) {
			snprintf(names[req->n], sizeof(names[0]), "%.*s", (int)k - 2, pattern + 2);
			req->name[req->n] = names[req->n];
			req->value[req->n++] = strndup(path + 1, n - 1);
		} else if (k != n || strncmp(pattern, path, n) != 0) {
			return false;
		}
		pattern += k;
		path += n;
		if (!*pattern || !*path)
			return !*pattern && !*path;
		path--;
	}
}

static void forget(struct web_req *req)
{
	while (req->n)
		free(req->value[--req->n]);
}

static void serve(char *text, size_t len)
{
	struct web_req req = {0};
	char *end = memchr(text, '\n', len), *save = NULL;

	if (!end)
		return;
	*end = '\0';
	req.body = end + 1;
	req.len = len - (size_t)(req.body - text);
	const char *method = strtok_r(text, " ", &save);
	char *path = strtok_r(NULL, " ", &save);
	req.type = strtok_r(NULL, " ", &save);
	if (!method || !path || path[0] != '/')
		return;
	if (!strcmp(path, "/sessions/_"))
		path = session;
	for (unsigned i = 0; i < n_routes; i++) {
		if (!strcmp(route[i].method, method) && matches(route[i].pattern, path, &req) &&
		    req.len <= BODY_MAX) {
			route[i].handler(route[i].arg, &req);
			assert(req.replied);
			forget(&req);
			return;
		}
		forget(&req);
	}
}

/* ---- the program ---- */

static struct loop *loop;
static struct links *links;
static struct metrics *metrics;
static struct events *events;
static struct sfu sfu;

static void on_connected(struct owner *owner, struct link *l)
{
	(void)owner;
	(void)l;
}

static void on_ended(struct owner *owner, struct link *l, const char *reason)
{
	(void)owner;
	(void)l;
	(void)reason;
}

static void on_speaker(void *arg, uint64_t room, struct track *t, int level)
{
	(void)arg;
	(void)room;
	(void)t;
	(void)level;
}

static void stop(void)
{
	sfu_done(&sfu);
	links_free(links);
	events_close(events);
	metrics_free(metrics);
	loop_free(loop);
}

static void start(void)
{
	if (loop_new(&loop) < 0 || metrics_new(&metrics) < 0 ||
	    events_open(&events, "/dev/null", "msr-sfu") < 0)
		abort();
	struct links_opts lo = {.loop = loop,
				.metrics = metrics,
				.threads = 1,
				.public_ip = "",
				.rtc_address = "127.0.0.1",
				.connected = on_connected,
				.ended = on_ended,
				.speaker = on_speaker};
	log_set_level(LOG_ERROR);
	if (links_new(&links, &lo) < 0)
		abort();
	struct sfu_opts so = {.loop = loop,
			      .links = links,
			      .events = events,
			      .max_rooms = 4,
			      .max_users = 4,
			      .user_timeout_us = 1000000};
	sfu_init(&sfu, &so);
	rest_routes(NULL, &sfu);
	sse_routes(NULL, &sfu);
	whip_routes(NULL, &sfu);
	atexit(stop);
}

static void end_rooms(void)
{
	struct room *last = NULL;

	do {
		last = NULL;
		map_each (n, &sfu.rooms)
			last = container_of(n, struct room, node);
		if (last)
			room_free(last, "ended");
	} while (last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned n = 0;

	if (!loop)
		start();
	for (size_t at = 0; at < size && n < REQUESTS_MAX; n++) {
		const uint8_t *end = memchr(data + at, SEPARATOR, size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;
		char *text = malloc(len + 1);
		if (!text)
			break;
		memcpy(text, data + at, len);
		text[len] = '\0';
		serve(text, len);
		free(text);
		at += len + 1;
	}
	end_rooms();
	end_streams();
	loop_turn(loop, 0);
	return 0;
}
