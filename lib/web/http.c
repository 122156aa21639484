/*
 * Requests and replies.
 *
 *   head → http_request: find the route ──┬─ no body ──────────────┐
 *                                         └─ body → http_body ... ─┴→ handler → web_reply → `out`
 *   `out` (and a file behind it) → http_writable → next request on the connection, or close
 *
 * Nothing is written outside http_writable, except the refusal of an upgrade. While a handler has
 * not yet answered, the connection is not read: libwebsockets would spin on what lies there. A
 * client that leaves meanwhile is noticed by a look at the socket once a tick.
 */
#include "web_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"

#define WRITE_CHUNK 65536    /* bytes of a reply at once */
#define BODY_US	    60000000 /* for a whole request body */
#define HEADERS_MAX 16384    /* bytes that a handler may add */

static const char *const methods[] = {
    [LWSHUMETH_GET] = "GET",   [LWSHUMETH_POST] = "POST",   [LWSHUMETH_OPTIONS] = "OPTIONS",
    [LWSHUMETH_PUT] = "PUT",   [LWSHUMETH_PATCH] = "PATCH", [LWSHUMETH_DELETE] = "DELETE",
    [LWSHUMETH_HEAD] = "HEAD",
};

/* ---- life of a request ---- */

static struct web_req *req_new(struct conn *c, const char *uri, size_t len)
{
	struct web_req *req = calloc(1, sizeof(*req));

	if (!req)
		return NULL;
	req->c = c;
	req->fd = -1;
	req->path = strndup(uri, len);
	req->path_copy = strndup(uri, len);
	buf_init(&req->head, HEADERS_MAX);
	buf_init(&req->out, 0);
	if (!req->path || !req->path_copy) {
		free(req->path);
		free(req->path_copy);
		free(req);
		return NULL;
	}
	c->req = req;
	return req;
}

static void req_free(struct web_req *req)
{
	for (struct strings *s = req->strings, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	if (req->fd >= 0)
		close(req->fd);
	buf_done(&req->body);
	buf_done(&req->head);
	buf_done(&req->out);
	free(req->client);
	free(req->path);
	free(req->path_copy);
	req->c->req = NULL;
	req->c->deadline = 0;
	free(req);
}

void web_http_gone(struct conn *c)
{
	struct web_req *req = c->req;

	if (req->stream)
		web_stream_gone(req->stream);
	else if (req->deferred && !req->replied && req->gone)
		req->gone(req->gone_arg);
	req_free(req);
}

/* ---- what the request says ---- */

const char *web_method(const struct web_req *req)
{
	return req->method;
}

const char *web_path(const struct web_req *req)
{
	return req->path;
}

const char *web_param(const struct web_req *req, const char *name)
{
	for (int i = 0; i < req->params.n; i++)
		if (req->params.name_len[i] == strlen(name) &&
		    memcmp(req->params.name[i], name, req->params.name_len[i]) == 0)
			return req->params.value[i];
	return "";
}

/* Remembers a text for the life of the request. */
static const char *keep(struct web_req *req, const char *name, const char *text, size_t len)
{
	struct strings *s = calloc(1, sizeof(*s) + len + 1);

	if (!s)
		return NULL;
	snprintf(s->name, sizeof(s->name), "%s", name);
	memcpy(s->text, text, len);
	s->next = req->strings;
	req->strings = s;
	return s->text;
}

static const char *kept(const struct web_req *req, const char *name)
{
	for (const struct strings *s = req->strings; s; s = s->next)
		if (strcmp(s->name, name) == 0)
			return s->text;
	return NULL;
}

const char *web_query(const struct web_req *creq, const char *name)
{
	struct web_req *req = (struct web_req *)(uintptr_t)creq;
	size_t n = strlen(name);
	char key[64], arg[2048];

	snprintf(key, sizeof(key), "?%s", name);
	const char *known = kept(req, key);
	if (known)
		return known;
	for (int i = 0;; i++) {
		int len = lws_hdr_copy_fragment(req->c->wsi, arg, sizeof(arg),
						WSI_TOKEN_HTTP_URI_ARGS, i);
		if (len < 0)
			return NULL;
		if ((size_t)len >= n && memcmp(arg, name, n) == 0 &&
		    (arg[n] == '=' || (size_t)len == n)) {
			size_t skip = (size_t)len == n ? n : n + 1;
			return keep(req, key, arg + skip, (size_t)len - skip);
		}
	}
}

static enum lws_token_indexes header_token(const char *name)
{
	static const struct {
		const char *name;
		enum lws_token_indexes token;
	} known[] = {
	    {"host", WSI_TOKEN_HOST},
	    {"origin", WSI_TOKEN_ORIGIN},
	    {"accept", WSI_TOKEN_HTTP_ACCEPT},
	    {"authorization", WSI_TOKEN_HTTP_AUTHORIZATION},
	    {"connection", WSI_TOKEN_CONNECTION},
	    {"content-length", WSI_TOKEN_HTTP_CONTENT_LENGTH},
	    {"content-type", WSI_TOKEN_HTTP_CONTENT_TYPE},
	    {"cookie", WSI_TOKEN_HTTP_COOKIE},
	    {"expect", WSI_TOKEN_HTTP_EXPECT},
	    {"if-match", WSI_TOKEN_HTTP_IF_MATCH},
	    {"if-modified-since", WSI_TOKEN_HTTP_IF_MODIFIED_SINCE},
	    {"if-none-match", WSI_TOKEN_HTTP_IF_NONE_MATCH},
	    {"if-range", WSI_TOKEN_HTTP_IF_RANGE},
	    {"link", WSI_TOKEN_HTTP_LINK},
	    {"range", WSI_TOKEN_HTTP_RANGE},
	    {"referer", WSI_TOKEN_HTTP_REFERER},
	    {"sec-websocket-key", WSI_TOKEN_KEY},
	    {"sec-websocket-protocol", WSI_TOKEN_PROTOCOL},
	    {"sec-websocket-version", WSI_TOKEN_VERSION},
	    {"transfer-encoding", WSI_TOKEN_HTTP_TRANSFER_ENCODING},
	    {"user-agent", WSI_TOKEN_HTTP_USER_AGENT},
	    {"x-forwarded-for", WSI_TOKEN_X_FORWARDED_FOR},
	    {"access-control-request-headers", WSI_TOKEN_HTTP_AC_REQUEST_HEADERS},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].token;
	return WSI_TOKEN_UNKNOWN_VALUE_PART;
}

const char *web_header(const struct web_req *creq, const char *name)
{
	struct web_req *req = (struct web_req *)(uintptr_t)creq;
	struct lws *wsi = req->c->wsi;
	enum lws_token_indexes token = header_token(name);
	char custom[64], value[HEADER_MAX];
	int len;

	const char *known = kept(req, name);
	if (known)
		return known;
	if (token != WSI_TOKEN_UNKNOWN_VALUE_PART) {
		if (lws_hdr_total_length(wsi, token) <= 0)
			return NULL;
		len = lws_hdr_copy(wsi, value, sizeof(value), token);
	} else {
		int n = snprintf(custom, sizeof(custom), "%s:", name);
		if (lws_hdr_custom_length(wsi, custom, n) < 0)
			return NULL;
		len = lws_hdr_custom_copy(wsi, value, sizeof(value), custom, n);
	}
	return len < 0 ? NULL : keep(req, name, value, (size_t)len);
}

char *web_body(struct web_req *req, size_t *len)
{
	static char none[1];

	*len = buf_len(&req->body);
	return *len ? (char *)buf_data(&req->body) : none;
}

/* The last address in X-Forwarded-For is the one that our own proxy saw. */
static void find_client(struct web_req *req)
{
	struct conn *c = req->c;
	const char *list;

	if (!c->web->opts.trust_proxy || !c->loopback ||
	    !(list = web_header(req, "x-forwarded-for")))
		return;
	const char *comma = strrchr(list, ',');
	list = comma ? comma + 1 : list;
	list += strspn(list, " \t");
	size_t n = strcspn(list, " \t");
	if (n && n < INET6_ADDRSTRLEN)
		req->client = strndup(list, n);
}

const char *web_peer(const struct web_req *req)
{
	return req->client ? req->client : req->c->addr;
}

const char *web_scheme(const struct web_req *req)
{
	const struct conn *c = req->c;
	const char *proto =
	    c->web->opts.trust_proxy && c->loopback ? web_header(req, "x-forwarded-proto") : NULL;

	if (proto)
		return strcmp(proto, "https") == 0 ? "https" : "http";
	return c->server->opts.tls_cert ? "https" : "http";
}

/* ---- the reply ---- */

static const char *status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
	    {200, "OK"},
	    {201, "Created"},
	    {202, "Accepted"},
	    {204, "No Content"},
	    {206, "Partial Content"},
	    {301, "Moved Permanently"},
	    {302, "Found"},
	    {304, "Not Modified"},
	    {307, "Temporary Redirect"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {406, "Not Acceptable"},
	    {409, "Conflict"},
	    {411, "Length Required"},
	    {412, "Precondition Failed"},
	    {413, "Content Too Large"},
	    {415, "Unsupported Media Type"},
	    {416, "Range Not Satisfiable"},
	    {422, "Unprocessable Content"},
	    {426, "Upgrade Required"},
	    {428, "Precondition Required"},
	    {429, "Too Many Requests"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {503, "Service Unavailable"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Status";
}

void web_reply_header(struct web_req *req, const char *name, const char *fmt, ...)
{
	char value[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	for (char *p = value; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	if (buf_printf(&req->head, "%s: %s\r\n", name, value) < 0)
		log_warn("reply to %s: header %s does not fit", req->path, name);
}

static void cors_headers(struct web_req *req, struct buf *out)
{
	const struct web_listen_opts *o = &req->c->server->opts;
	const char *origin = o->cors ? web_header(req, "origin") : NULL;

	if (!o->cors)
		return;
	buf_printf(out, "Vary: Origin\r\n");
	if (!origin || !web_origin_ok(o->cors, origin, web_header(req, "host")))
		return;
	buf_printf(out,
		   "Access-Control-Allow-Origin: %s\r\n"
		   "Access-Control-Expose-Headers: %s\r\n",
		   origin, o->cors_expose ? o->cors_expose : "Location, ETag, Link, Retry-After");
}

static void date_header(struct buf *out)
{
	char text[64];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	buf_printf(out, "Date: %s\r\n", text);
}

/* Status line and headers. `length` < 0: until the connection closes. */
static void reply_head(struct web_req *req, int status, const char *type, int64_t length)
{
	struct conn *c = req->c;
	struct buf *out = &req->out;
	int class = status / 100;

	metric_add(&c->web->n_requests[class >= 1 && class <= 5 ? class : 0], 1);
	if (length < 0 || !req->body_done || c->web->closing || req->in_upgrade)
		c->stopping = true;
	buf_reserve(out, LWS_PRE + 512);
	buf_printf(out, "HTTP/1.1 %d %s\r\n", status, status_text(status));
	date_header(out);
	if (type)
		buf_printf(out, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n", type);
	if (length >= 0 && status != 304 && status != 204)
		buf_printf(out, "Content-Length: %" PRId64 "\r\n", length);
	if (c->stopping)
		buf_printf(out, "Connection: close\r\n");
	cors_headers(req, out);
	buf_append(out, buf_data(&req->head), buf_len(&req->head));
	buf_append(out, "\r\n", 2);
	log_debug("%s %s %s: %d", web_peer(req), req->method, req->path, status);
}

void web_http_kick(struct web_req *req)
{
	if (req->in_upgrade)
		return;
	if (req->hold_rx) {
		req->hold_rx = false;
		lws_rx_flow_control(req->c->wsi, 1);
	}
	lws_callback_on_writable(req->c->wsi);
}

void web_http_reply_start(struct web_req *req, int status, const char *type, int64_t length)
{
	reply_head(req, status, type, length);
	req->replied = true;
	web_http_kick(req);
}

void web_reply(struct web_req *req, int status, const char *type, const void *body, size_t len)
{
	if (req->replied)
		return;
	if (status == 204 || status == 304)
		len = 0;
	reply_head(req, status, type, (int64_t)len);
	if (len && !req->is_head && buf_append(&req->out, body, len) < 0) {
		web_conn_kill(req->c); /* its length is announced already */
	}
	req->replied = true;
	web_http_kick(req);
}

void web_reply_json(struct web_req *req, int status, const char *json, size_t len)
{
	web_reply(req, status, "application/json", json, len);
}

void web_reply_error(struct web_req *req, int status, const char *code, const char *fmt, ...)
{
	char message[512], text[2048];
	struct json j;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "error", code);
	json_str(&j, "message", message);
	json_obj_end(&j);
	int len = json_end(&j);
	web_reply_json(req, status, text, len > 0 ? (size_t)len : 0);
}

void web_defer(struct web_req *req, void (*gone)(void *arg), void *arg)
{
	req->deferred = true;
	req->gone = gone;
	req->gone_arg = arg;
}

/* ---- routing ---- */

void web_route(struct web_server *s, const char *method, const char *pattern, size_t max_body,
	       web_handler *handler, void *arg)
{
	struct route *r = calloc(1, sizeof(*r));

	if (!r) {
		log_error("out of memory");
		exit(1);
	}
	*r = (struct route){.method = method,
			    .pattern = pattern,
			    .max_body = max_body ? max_body : s->opts.max_body,
			    .handler = handler,
			    .arg = arg};
	*s->last_route = r;
	s->last_route = &r->next;
}

static void handle_health(void *arg, struct web_req *req)
{
	(void)arg;
	web_reply(req, 200, "text/plain; charset=utf-8", "OK", 2);
}

static void handle_metrics(void *arg, struct web_req *req)
{
	struct buf b;

	buf_init(&b, 4 << 20);
	if (metrics_render(arg, &b) == 0)
		web_reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_data(&b),
			  buf_len(&b));
	else
		web_reply_error(req, 503, "no_memory", "no memory for the metrics");
	buf_done(&b);
}

void web_http_builtin_routes(struct web_server *s)
{
	web_route(s, "GET", "/health", 0, handle_health, NULL);
	if (s->web->opts.metrics)
		web_route(s, "GET", "/metrics", 0, handle_metrics, s->web->opts.metrics);
}

static bool is_method(const char *of_route, const char *method)
{
	return of_route && (strcmp(of_route, method) == 0 ||
			    (strcmp(of_route, "GET") == 0 && strcmp(method, "HEAD") == 0));
}

/* The parameters of the path, each ended by a NUL in a copy. */
static bool route_params(struct web_req *req, const struct route *r)
{
	struct params p;

	if (!web_route_match(r->pattern, req->path, &p))
		return false;
	for (int i = 0; i < p.n; i++) {
		char *value = req->path_copy + (p.value[i] - req->path);
		value[p.value_len[i]] = '\0';
		p.value[i] = value;
	}
	req->params = p;
	return true;
}

static const struct route *find_route(struct web_req *req)
{
	for (const struct route *r = req->c->server->routes; r; r = r->next)
		if (is_method(r->method, req->method) && route_params(req, r))
			return r;
	return NULL;
}

/* "GET, HEAD, POST" for the path, or "" when no route has it. */
static void allowed_methods(struct web_req *req, char *out, size_t cap)
{
	struct params p;
	size_t n = 0;

	*out = '\0';
	for (const struct route *r = req->c->server->routes; r; r = r->next) {
		if (!r->method || !web_route_match(r->pattern, req->path, &p) ||
		    strstr(out, r->method))
			continue;
		int len = snprintf(out + n, cap - n, "%s%s%s", n ? ", " : "", r->method,
				   strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
		if (len < 0 || (size_t)len >= cap - n)
			return;
		n += (size_t)len;
	}
}

static const struct route *find_socket(struct web_req *req)
{
	struct params p;

	for (const struct route *r = req->c->server->routes; r; r = r->next)
		if (!r->method && web_route_match(r->pattern, req->path, &p))
			return r;
	return NULL;
}

static void reply_options(struct web_req *req, const char *allow)
{
	const struct web_listen_opts *o = &req->c->server->opts;
	const char *origin = web_header(req, "origin");
	const char *wanted = web_header(req, "access-control-request-headers");

	web_reply_header(req, "Allow", "%s%sOPTIONS", allow, *allow ? ", " : "");
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

	allowed_methods(req, allow, sizeof(allow));
	if (strcmp(req->method, "OPTIONS") == 0) {
		reply_options(req, allow);
	} else if (*allow) {
		web_reply_header(req, "Allow", "%s", allow);
		web_reply_error(req, 405, "method_not_allowed", "%s takes %s", req->path, allow);
	} else if (web_static_serve(req)) {
		return;
	} else if (find_socket(req)) {
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
		web_reply_error(req, 500, "no_reply", "the server has no answer");
		return;
	}
	req->hold_rx = true;
	lws_rx_flow_control(req->c->wsi, 0);
}

/* ---- from libwebsockets ---- */

/* Counts a proxied client, whose address the socket did not tell. */
static bool count_client(struct web_req *req)
{
	struct conn *c = req->c;

	if (c->peer)
		return true;
	c->peer = web_peer_take(c->web, web_peer(req));
	if (c->peer)
		return true;
	metric_add(&c->web->n_refused_address, 1);
	web_reply_header(req, "Retry-After", "10");
	web_reply_error(req, 429, "too_many_connections", "too many connections from %s",
			web_peer(req));
	return false;
}

int web_http_request(struct conn *c, const char *uri, size_t len)
{
	char *ptr;
	int uri_len, m = lws_http_get_uri_and_method(c->wsi, &ptr, &uri_len);

	if (c->req || m < 0 || m >= (int)(sizeof(methods) / sizeof(*methods)) || !methods[m])
		return -1;
	struct web_req *req = req_new(c, uri, len);
	if (!req)
		return -1;
	req->method = methods[m];
	req->is_head = m == LWSHUMETH_HEAD;
	find_client(req);

	const char *length = web_header(req, "content-length");
	if (length) {
		char *end;
		errno = 0;
		req->expected = strtoll(length, &end, 10);
		if (errno || *end || end == length || req->expected < 0) {
			web_reply_error(req, 400, "bad_length", "Content-Length is no number");
			return 0;
		}
	}
	req->body_done = req->expected == 0;
	/* libwebsockets then waits for a body of unknown length; the connection ends with the
	 * reply instead. */
	if (!length && (m == LWSHUMETH_POST || m == LWSHUMETH_PUT || m == LWSHUMETH_PATCH))
		c->stopping = true;
	if (!count_client(req))
		return 0;
	if (web_header(req, "transfer-encoding")) {
		req->body_done = false;
		web_reply_error(req, 411, "length_required", "send the body with Content-Length");
		return 0;
	}
	req->route = find_route(req);
	if (!req->route && req->expected) {
		dispatch(req);
		return 0;
	}
	if (req->route && (uint64_t)req->expected > req->route->max_body) {
		web_reply_error(req, 413, "too_large", "a body here is at most %zu bytes",
				req->route->max_body);
		return 0;
	}
	buf_init(&req->body, 0);
	if (!req->expected) {
		dispatch(req);
		return 0;
	}
	c->deadline = c->web->tick + ticks(BODY_US);
	const char *expect = web_header(req, "expect");
	if (expect && strcasecmp(expect, "100-continue") == 0) {
		unsigned char go[LWS_PRE + 32];
		int n = snprintf((char *)go + LWS_PRE, 32, "HTTP/1.1 100 Continue\r\n\r\n");
		if (lws_write(c->wsi, go + LWS_PRE, (size_t)n, LWS_WRITE_HTTP) < 0)
			return -1;
	}
	return 0;
}

int web_http_body(struct conn *c, const void *data, size_t len)
{
	struct web_req *req = c->req;

	if (!req || req->dispatched || req->replied || !len)
		return 0;
	/* One byte more for the NUL that web_body promises. */
	uint8_t *room = buf_reserve(&req->body, len + 1);
	if (!room)
		return -1;
	memcpy(room, data, len);
	room[len] = '\0';
	buf_commit(&req->body, len);
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
	req_free(req);
	if (c->stopping)
		return -1;
	return lws_http_transaction_completed(c->wsi) ? -1 : 0;
}

static int write_file_part(struct web_req *req)
{
	static uint8_t mem[LWS_PRE + WRITE_CHUNK];
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
	if (!req || !req->hold_rx || !c->wsi)
		return;
	if (recv(lws_get_socket_fd(c->wsi), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		web_conn_kill(c);
	else if (req->stream)
		web_stream_tick(req->stream);
}

/* ---- upgrades ---- */

/* Whether the comma-separated list in `header` has `token`. */
static bool has_token(const char *header, const char *token)
{
	size_t n = strlen(token);

	while (header && *header) {
		header += strspn(header, " \t,");
		size_t len = strcspn(header, ",");
		size_t end = len;
		while (end && (header[end - 1] == ' ' || header[end - 1] == '\t'))
			end--;
		if (end == n && strncasecmp(header, token, n) == 0)
			return true;
		header += len;
	}
	return false;
}

/* What RFC 6455 section 4.2.1 demands, and what libwebsockets would hang up on without a word. */
static bool upgrade_ok(struct web_req *req)
{
	const char *key = web_header(req, "sec-websocket-key");
	const char *version = web_header(req, "sec-websocket-version");
	const char *connection = web_header(req, "connection");

	if (!version || strcmp(version, "13") != 0) {
		web_reply_header(req, "Sec-WebSocket-Version", "13");
		web_reply_error(req, 426, "bad_version", "this server speaks WebSocket 13");
	} else if (!key || strlen(key) != 24 || !web_header(req, "host") || !connection ||
		   strlen(connection) > 120 || !has_token(connection, "upgrade")) {
		web_reply_error(req, 400, "bad_upgrade", "the WebSocket handshake is incomplete");
	} else if (web_header(req, "sec-websocket-protocol")) {
		web_reply_error(req, 400, "bad_protocol", "no subprotocol is spoken here");
	} else {
		return true;
	}
	return false;
}

static bool origin_ok(struct web_req *req, const struct ws_opts *opts)
{
	const char *origin = web_header(req, "origin");

	if (!origin || !opts->origins ||
	    web_origin_ok(opts->origins, origin, web_header(req, "host")))
		return true;
	web_reply_error(req, 403, "foreign_origin",
			"pages from %s may not connect; --allow-origin names those that may",
			origin);
	return false;
}

static void try_upgrade(struct web_req *req)
{
	struct conn *c = req->c;
	void *session = NULL;

	find_client(req);
	const struct route *r = find_socket(req);
	if (!r) {
		web_reply_error(req, 404, "not_found", "there is no WebSocket %s", req->path);
		return;
	}
	route_params(req, r);
	if (!upgrade_ok(req) || !origin_ok(req, &r->ws) || !count_client(req))
		return;
	if (c->web->closing) {
		web_reply_error(req, 503, "closing", "the server is shutting down");
		return;
	}
	if (r->ops.accept(r->arg, req, &session) < 0)
		return;
	c->ws = ws_session_new(&r->ws, &r->ops, session);
	if (!c->ws) {
		r->ops.close(session, NULL, WS_INTERNAL, "no memory");
		web_reply_error(req, 503, "no_memory", "no memory for another session");
		return;
	}
	snprintf(c->ws->peer, sizeof(c->ws->peer), "%s", web_peer(req));
}

int web_http_upgrade(struct conn *c, const char *protocol)
{
	char *uri;
	int len, ret = 0;

	if (c->req || lws_http_get_uri_and_method(c->wsi, &uri, &len) != LWSHUMETH_GET)
		return -1;
	struct web_req *req = req_new(c, uri, (size_t)len);
	if (!req)
		return -1;
	req->method = "GET";
	req->in_upgrade = true;
	req->body_done = true;
	if (strcasecmp(protocol, "websocket") == 0)
		try_upgrade(req);
	else
		web_reply_error(req, 400, "bad_upgrade", "this server upgrades to websocket only");
	if (!c->ws) {
		metric_add(&c->web->n_ws_refused, 1);
		if (!req->replied)
			web_reply_error(req, 500, "no_reply", "the server has no answer");
		ret = 1;
		if (lws_write(c->wsi, buf_data(&req->out), buf_len(&req->out), LWS_WRITE_HTTP) < 0)
			ret = -1;
	}
	req_free(req);
	return ret;
}
