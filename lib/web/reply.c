/* Replies: status line, headers, body, errors as JSON, CORS. Written by http.c. */
#include "web_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"

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
	if (web_origin_named(o->cors, origin))
		buf_printf(out, "Access-Control-Allow-Credentials: true\r\n");
}

void web_http_date(time_t t, char out[static HTTP_DATE_SIZE])
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, HTTP_DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* Status line and headers. `length` < 0: until the connection closes. */
static void reply_head(struct web_req *req, int status, const char *type, int64_t length)
{
	struct conn *c = req->c;
	struct buf *out = &req->out;
	int class = status / 100;
	char date[HTTP_DATE_SIZE];

	metric_add(&c->web->n_requests[class >= 1 && class <= 5 ? class : 0], 1);
	if (length < 0 || !req->body_done || c->web->closing || req->in_upgrade)
		c->stopping = true;
	req->moved = c->web->tick;
	buf_reserve(out, LWS_PRE + 512);
	buf_printf(out, "HTTP/1.1 %d %s\r\n", status, status_text(status));
	web_http_date(time(NULL), date);
	buf_printf(out, "Date: %s\r\n", date);
	if (type)
		buf_printf(out, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n", type);
	if (length >= 0 && status != 304 && status != 204)
		buf_printf(out, "Content-Length: %" PRId64 "\r\n", length);
	if (c->stopping)
		buf_printf(out, "Connection: close\r\n");
	cors_headers(req, out);
	buf_append(out, buf_data(&req->head), buf_len(&req->head));
	buf_append(out, "\r\n", 2);
	log_debug("%s %s %s: %d", web_client_address(req), req->method, req->path, status);
}

void web_http_kick(struct web_req *req)
{
	if (req->in_upgrade)
		return;
	if (req->hold_rx) {
		req->moved = req->c->web->tick;
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
