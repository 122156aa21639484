/*
 * The way of a request through a connection.
 *
 *   head → web_http_request: find the route ─┬─ no body ──────────────────┐
 *                                            └─ body → web_http_body ... ─┴→ handler → web_reply
 *   web_reply → `out` (and a file after it) → web_http_writable → the connection's next request,
 *   or close
 *
 * Nothing is written outside web_http_writable, except the refusal of an upgrade. While a handler
 * has not yet answered, the connection is not read: libwebsockets would spin on what lies there. A
 * client that leaves meanwhile is noticed by a look at the socket once a tick.
 */
#include "web_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_US	       60000000 /* for a whole request body */
#define REPLY_WRITE_US 30000000 /* for a client to take the next piece of a reply */

static const char *const methods[] = {
    [LWSHUMETH_GET] = "GET",   [LWSHUMETH_POST] = "POST",   [LWSHUMETH_OPTIONS] = "OPTIONS",
    [LWSHUMETH_PUT] = "PUT",   [LWSHUMETH_PATCH] = "PATCH", [LWSHUMETH_DELETE] = "DELETE",
    [LWSHUMETH_HEAD] = "HEAD",
};

/* ---- handing it to whom it is for ---- */

static void reply_options(struct web_req *req, const char *allow)
{
	const struct web_listen_opts *o = &req->c->server->opts;
	const char *origin = web_header(req, "origin");
	const char *wanted = web_header(req, "access-control-request-headers");
	const char *accepted = web_accepted_post(req);

	web_reply_header(req, "Allow", "%s%sOPTIONS", allow, *allow ? ", " : "");
	if (accepted)
		web_reply_header(req, "Accept-Post", "%s", accepted);
	if (o->cors && origin && web_origin_ok(o->cors, origin, web_header(req, "host"))) {
		web_reply_header(req, "Access-Control-Allow-Methods", "%s",
				 *allow ? allow : "GET, HEAD, POST, PUT, PATCH, DELETE");
		web_reply_header(req, "Access-Control-Allow-Headers", "%s",
				 wanted ? wanted : "Content-Type, If-Match, Authorization");
		web_reply_header(req, "Access-Control-Max-Age", "600");
	}
	web_reply(req, 204, NULL, NULL, 0);
}

/* No route for method and path: what else can be said? */
static void reply_without_route(struct web_req *req)
{
	char allow[128];

	web_allowed_methods(req, allow, sizeof(allow));
	if (strcmp(req->method, "OPTIONS") == 0) {
		reply_options(req, allow);
	} else if (*allow) {
		web_reply_header(req, "Allow", "%s", allow);
		web_reply_error(req, 405, "method_not_allowed", "%s takes %s", req->path, allow);
	} else if (web_static_serve(req)) {
		return;
	} else if (!web_static_is_for(req) && web_find_socket(req)) {
		web_reply_header(req, "Upgrade", "websocket");
		web_reply_error(req, 426, "upgrade_required", "%s is a WebSocket", req->path);
	} else {
		web_reply_error(req, 404, "not_found", "there is no %s", req->path);
	}
}

static void dispatch(struct web_req *req)
{
	req->dispatched = true;
	req->c->deadline = 0;
	lws_set_timeout(req->c->wsi, NO_PENDING_TIMEOUT, 0);
	if (req->route)
		req->route->handler(req->route->arg, req);
	else
		reply_without_route(req);
	if (req->replied || req->stream)
		return;
	if (!req->deferred) {
		web_reply_error(req, 500, "no_reply", "internal error: no reply was produced");
		return;
	}
	req->hold_rx = true;
	lws_rx_flow_control(req->c->wsi, 0);
}

/* ---- from libwebsockets ---- */

/* Length of the body that the head announces, 0 for none; -1 if that is not a number. */
static int64_t body_length(struct web_req *req)
{
	const char *text = web_header(req, "content-length");
	size_t n = text ? strlen(text) : 0;

	if (!text)
		return 0;
	if (!n || n > 18 || strspn(text, "0123456789") != n)
		return -1;
	return strtoll(text, NULL, 10);
}

/* Whether the connection ends with this request. */
static bool is_last(struct web_req *req)
{
	const char *m = req->method;

	if (web_has_token(web_header(req, "connection"), "close"))
		return true;
	/* libwebsockets then waits for a body of unknown length, which would swallow the next. */
	return !web_header(req, "content-length") &&
	       (strcmp(m, "POST") == 0 || strcmp(m, "PUT") == 0 || strcmp(m, "PATCH") == 0);
}

/*
 * A page of a foreign origin that would change something. Browsers let pages send the simplest of
 * such requests without asking first, and only keep the reply from them. They say "same-origin"
 * themselves, which no page can forge, also behind a proxy that passes another Host on.
 */
static bool is_foreign(struct web_req *req)
{
	const struct web_origins *o = req->c->server->opts.cors;
	const char *origin = web_header(req, "origin"), *site = web_header(req, "sec-fetch-site");

	if (!o || !origin || req->is_head || strcmp(req->method, "GET") == 0)
		return false;
	return !(site && strcmp(site, "same-origin") == 0) &&
	       !web_origin_ok(o, origin, web_header(req, "host"));
}

/* The body is on its way. 0, or -1 to hang up. */
static int await_body(struct web_req *req)
{
	struct conn *c = req->c;
	const char *expect = web_header(req, "expect");
	unsigned char go[LWS_PRE + 32];

	c->deadline = c->web->tick + ticks(BODY_US);
	if (!expect || strcasecmp(expect, "100-continue") != 0)
		return 0;
	int n = snprintf((char *)go + LWS_PRE, 32, "HTTP/1.1 100 Continue\r\n\r\n");
	return lws_write(c->wsi, go + LWS_PRE, (size_t)n, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

int web_http_request(struct conn *c, const char *uri, size_t len)
{
	char *ptr;
	int uri_len, m = lws_http_get_uri_and_method(c->wsi, &ptr, &uri_len);

	if (c->req || m < 0 || m >= (int)(sizeof(methods) / sizeof(*methods)) || !methods[m])
		return -1;
	struct web_req *req = web_req_new(c, uri, len);
	if (!req)
		return -1;
	req->method = methods[m];
	req->is_head = m == LWSHUMETH_HEAD;
	web_find_client(req);
	req->expected = body_length(req);
	bool chunked = web_header(req, "transfer-encoding") != NULL;
	req->body_done = req->expected == 0 && !chunked;
	if (is_last(req))
		c->stopping = true;
	if (!web_count_client(req))
		return 0;
	req->route = web_find_route(req);
	if (req->expected < 0)
		web_reply_error(req, 400, "bad_length", "Content-Length is not a number");
	else if (chunked)
		web_reply_error(req, 411, "length_required", "send the body with Content-Length");
	else if (req->route && (uint64_t)req->expected > req->route->max_body)
		web_reply_error(req, 413, "too_large", "a body here is at most %zu bytes",
				req->route->max_body);
	else if (req->route && is_foreign(req))
		web_reply_error(req, 403, "forbidden_origin",
				"pages from this origin may not change anything here");
	else if (!req->route || !req->expected)
		dispatch(req);
	else
		return await_body(req);
	return 0;
}

/* Unlike a WebSocket it cannot be made to wait: its memory comes back only when it is complete. */
static void refuse_body(struct web_req *req)
{
	metric_add(&req->c->web->n_bodies_refused, 1);
	web_body_free(req);
	web_reply_header(req, "Retry-After", "10");
	web_reply_error(req, 503, "limit", "too much is being received; try again");
}

int web_http_body(struct conn *c, const void *data, size_t len)
{
	struct web_req *req = c->req;
	struct web *w = c->web;

	if (!req || req->dispatched || req->replied || !len)
		return 0;
	if (w->held + (int64_t)len > (int64_t)w->opts.max_held) {
		refuse_body(req);
		return 0;
	}
	/* One byte more for the NUL that web_body promises. */
	uint8_t *room = buf_reserve(&req->body, len + 1);
	if (!room)
		return -1;
	memcpy(room, data, len);
	room[len] = '\0';
	buf_commit(&req->body, len);
	web_hold(w, (int64_t)len);
	return 0;
}

int web_http_body_end(struct conn *c)
{
	struct web_req *req = c->req;

	if (!req)
		return 0;
	req->body_done = true;
	if (req->finished)
		return -1; /* drained after an early reply */
	if (!req->dispatched && !req->replied)
		dispatch(req);
	return 0;
}

/* The reply is on its way. */
static int finish(struct web_req *req)
{
	struct conn *c = req->c;

	if (!req->body_done) {
		/* Closing now would reset the connection under the reply. */
		req->finished = true;
		c->deadline = c->web->tick + ticks(LINGER_S * 1000000);
		return 0;
	}
	web_req_free(req);
	if (c->stopping)
		return -1;
	web_uncount_client(c);
	return lws_http_transaction_completed(c->wsi) ? -1 : 0;
}

static int write_file_part(struct web_req *req)
{
	uint8_t *mem = req->c->web->file_part;
	int64_t left = req->file_end - req->file_pos;
	size_t want = left < WRITE_CHUNK ? (size_t)left : WRITE_CHUNK;
	ssize_t n = pread(req->fd, mem + LWS_PRE, want, req->file_pos);

	if (n <= 0)
		return -1; /* shrunk or unreadable: the length cannot be kept */
	req->file_pos += n;
	return lws_write(req->c->wsi, mem + LWS_PRE, (size_t)n, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

static int write_out(struct web_req *req)
{
	size_t n = buf_len(&req->out);

	if (n > WRITE_CHUNK)
		n = WRITE_CHUNK;
	if (lws_write(req->c->wsi, buf_data(&req->out), n, LWS_WRITE_HTTP) < 0)
		return -1;
	buf_consume(&req->out, n);
	return 0;
}

int web_http_writable(struct conn *c)
{
	struct web_req *req = c->req;

	if (!req || req->finished)
		return 0;
	req->moved = c->web->tick;
	if (buf_len(&req->out)) {
		if (write_out(req) < 0)
			return -1;
	} else if (req->fd >= 0 && req->file_pos < req->file_end) {
		if (write_file_part(req) < 0)
			return -1;
	}
	if (buf_len(&req->out) || (req->fd >= 0 && req->file_pos < req->file_end) ||
	    lws_partial_buffered(c->wsi)) {
		lws_callback_on_writable(c->wsi);
		return 0;
	}
	if (req->stream) {
		if (web_stream_written(req->stream))
			return -1;
		req->hold_rx = true;
		lws_rx_flow_control(c->wsi, 0);
		return 0;
	}
	return req->replied ? finish(req) : 0;
}

void web_http_tick(struct conn *c)
{
	struct web_req *req = c->req;
	char byte;

	if (c->deadline && (int32_t)(c->web->tick - c->deadline) >= 0) {
		web_conn_kill(c);
		return;
	}
	if (!req || !c->wsi)
		return;
	/* Something is to be written, and the client does not take it. */
	if ((req->replied || req->stream) && !req->hold_rx && !req->finished &&
	    c->web->tick - req->moved >= ticks(REPLY_WRITE_US)) {
		metric_add(&c->web->n_slow_readers, 1);
		web_conn_kill(c);
		return;
	}
	if (!req->hold_rx)
		return;
	if (recv(lws_get_socket_fd(c->wsi), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		web_conn_kill(c);
	else if (req->stream)
		web_stream_tick(req->stream);
}
