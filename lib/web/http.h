/*
 * Routes, requests and replies of a web_server (web.h).
 *
 * A route is a method and a path pattern such as "/rooms/:room/users/:user"; a segment ":name"
 * matches one path segment that is not empty, which web_param returns percent-decoded. The first
 * route that fits wins. No route for the path: a static folder (web_static) or 404; routes, but
 * for other methods: 405 with Allow. HEAD is answered by GET routes. With CORS (web.h) OPTIONS is
 * answered for every path, and every reply, errors too, carries the headers.
 *
 * A handler runs once the whole body is there, for which there is a bound for each route and one
 * for all together (web.h). It must reply, open a stream, or defer. A request is valid until it is
 * replied to, or until the `gone` handler of a deferred one is called.
 */
#ifndef MSR_WEB_HTTP_H
#define MSR_WEB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct web_req;
struct web_server;

typedef void web_handler(void *arg, struct web_req *req);

/*
 * `method` and `pattern` are lent for the life of the server. `max_body` is for this route, 0 takes
 * the server's. Without memory for a route, web_run fails with -ENOMEM.
 */
void web_route(struct web_server *s, const char *method, const char *pattern, size_t max_body,
	       web_handler *handler, void *arg);

/* What POST takes on `pattern`, which has such a route: OPTIONS says so (Accept-Post). Lent. */
void web_accept_post(struct web_server *s, const char *pattern, const char *type);

/* ---- the request ---- */

/* Without the query, percent-decoded, "//", "." and ".." resolved. */
const char *web_path(const struct web_req *req);
/* A parameter of the pattern, "" if the pattern has none of that name. */
const char *web_param(const struct web_req *req, const char *name);
/* A parameter of the query, decoded; NULL when there is none. "" for one without "=". */
const char *web_query(struct web_req *req, const char *name);
/* A header by its lower-case name; NULL when there is none. Valid as long as the request. */
const char *web_header(struct web_req *req, const char *name);
/* The body, followed by a NUL that *len does not count. Never NULL. May be changed in place. */
char *web_body(struct web_req *req, size_t *len);
/* The client's address, numeric; from X-Forwarded-For behind a trusted proxy. */
const char *web_client_address(const struct web_req *req);

/* ---- the reply ---- */

/* Adds a header to the reply. Control characters in the value become blanks. */
void web_reply_header(struct web_req *req, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Replies; `body` is copied, `type` may be NULL without one. 304 and 204 have no body. */
void web_reply(struct web_req *req, int status, const char *type, const void *body, size_t len);
/* The same with JSON text. */
void web_reply_json(struct web_req *req, int status, const char *json, size_t len);
/* {"error": code, "message": ...} */
void web_reply_error(struct web_req *req, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * The handler returns without a reply; it comes later. `gone` is called instead of that when the
 * client went away before; the request is not valid after it.
 */
void web_defer(struct web_req *req, void (*gone)(void *arg), void *arg);

/* ---- server-sent events ---- */

struct web_stream;

struct web_stream_opts {
	size_t queue_max; /* bytes not yet sent; a client further behind is closed. 0: 256 KiB */
	int64_t keep_alive_us; /* a comment after this long without an event; 0: 15 s */
	/* The stream ended: client gone, too slow, or web_stream_end. Not valid after it. */
	void (*closed)(void *arg);
	void *arg;
};

/* Replies 200 text/event-stream and keeps the connection, for HEAD until that is sent. NULL: out of
 * memory (replied with 503). */
struct web_stream *web_stream_new(struct web_req *req, const struct web_stream_opts *opts);
/*
 * Sends an event; `event` may be NULL. `data` may have several lines. 0, -ENOBUFS (too slow, or
 * HEAD: the stream is being closed, the closed handler comes from the loop) or -ENOMEM.
 */
int web_stream_send(struct web_stream *st, const char *event, const char *data, size_t len);
/* Sends what is queued, then closes. */
void web_stream_end(struct web_stream *st);

/* ---- static folders ---- */

struct web_static_opts {
	const char *prefix;	   /* "/" or "/recordings/", with slash at the end */
	const char *dir;	   /* lent; resolved once */
	const char *cache_control; /* NULL: "no-cache" (clients revalidate by ETag) */
	const char *policy;	   /* lent; Content-Security-Policy of each file; NULL: none */
	/* Asked for each file (path below the folder, lent): false is 404. NULL allows all. */
	bool (*allow)(void *arg, const char *path);
	void *arg;
};

/*
 * Serves GET and HEAD of the regular files below `dir`: ranges (RFC 9110, one range; several are
 * answered whole), ETag, Last-Modified, If-None-Match, If-Range, index.html for folders. Nothing
 * outside the folder is reachable: no "..", no symbolic links, no dot files. 0 or -errno.
 */
int web_static(struct web_server *s, const struct web_static_opts *opts);

#endif
