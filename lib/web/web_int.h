/*
 * What the files of lib/web share. Nothing outside includes it.
 *
 *   web.c     the libwebsockets context, the loop, the tick, shutting down
 *   listen.c  sockets: accepting, limits per address
 *   conn.c    one connection: libwebsockets' callback, handed on to http.c or session.c
 *   http.c    the way of a request · request.c what it says · route.c whom it is for, and routes
 *   reply.c   replies · static.c files · stream.c events · upgrade.c WebSocket handshakes
 *   session.c WebSocket sessions · client.c outgoing ones · held.c the memory bound
 *   origin.c  whose pages may ask
 */
#ifndef MSR_WEB_WEB_INT_H
#define MSR_WEB_WEB_INT_H

#include <libwebsockets.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/metrics.h"
#include "loop/loop.h"
#include "http.h"
#include "web.h"
#include "ws.h"

#define TICK_US	       250000  /* resolution of all timeouts of connections */
#define RX_BUFFER      32768   /* bytes read from a WebSocket at once */
#define SERVICE_BUFFER 65536   /* libwebsockets' own; larger than RX_BUFFER + LWS_PRE */
#define TX_PACKET      1048576 /* one send(2) at most; frames are never split below this */
#define HEADER_MAX     8192    /* bytes of a request head */
#define WRITE_CHUNK    65536   /* bytes of a reply at once */
#define MASK_POOL      256     /* bytes: a system call for 64 messages */
#define PARAMS_MAX     8       /* parameters in a pattern */
#define KEEP_ALIVE_S   30      /* idle HTTP connection */
#define LINGER_S       2       /* reading on after an early error reply, so that it arrives */

struct address_count;
struct conn;
struct start;

#define ERROR_SIZE 512

struct web {
	struct web_opts opts;
	struct lws_context *context;
	struct lws_vhost *client_vhost; /* of ws_connect, and of the watched loop */
	struct list authorities;	/* of ws_connect with wss: one for each file */
	int watch_fd;			/* duplicate of the loop's, watched by libwebsockets */
	uint32_t tick;			/* TICK_US since `started`, as of this turn */
	struct mono started;
	struct loop_timer ticker; /* armed until the next timeout of any connection */
	bool tick_armed;	  /* for the next tick, not a later one */
	bool active_this_turn;	  /* a connection did something in this turn */
	struct list servers;
	struct list conns; /* all connections */
	size_t n_conns;
	struct map addresses; /* struct address_count by its text */
	struct list dirty;    /* sessions with something to send at the end of this turn */
	size_t n_received;    /* messages in this turn */

	/* memory of received data (held.c) */
	int64_t held;	       /* bytes: partial messages, bodies of requests, and web_hold */
	struct list partials;  /* sessions with a partial message, oldest first */
	struct list throttled; /* sessions not read because of the bound */

	/* what several connections share, one after the other */
	uint8_t file_part[LWS_PRE + WRITE_CHUNK]; /* of the file that is being sent */
	uint8_t masks[MASK_POOL];		  /* random bytes for outgoing connections, */
	size_t n_masks;				  /* this many of them not yet used */

	bool incomplete;	/* there was no memory for a route */
	char error[ERROR_SIZE]; /* why the last web_listen failed */

	/* shutting down */
	bool closing;
	struct loop_timer close_timer;
	void (*close_done)(void *arg);
	void *close_arg;

	metric_t n_accepted, n_refused_total, n_refused_address, n_requests[6], n_ws_open,
	    n_ws_total, n_ws_refused, n_messages_in, n_bytes_in, n_messages_out, n_bytes_out,
	    n_ping_timeouts, n_slow_readers, n_too_big, n_bad_text, n_throttled, n_bodies_refused,
	    open_conns;
};

struct web_server {
	struct list link;
	struct web *web;
	struct web_listen_opts opts;
	struct lws_vhost *vhost;
	struct route *routes, **last_route;
	struct folder *folders; /* longest prefix first */
	int fd;			/* listening */
	int port;
	size_t n_conns; /* open */
	struct loop_io *io;
	struct loop_timer retry; /* after EMFILE */
	char name[64];		 /* of the vhost */
};

/* A connection, as long as libwebsockets' wsi. */
struct conn {
	struct list link; /* in web.conns */
	struct web *web;
	struct web_server *server; /* NULL: outgoing */
	struct lws *wsi;
	struct address_count *address; /* it is counted there; NULL for outgoing ones */
	struct web_req *req;	       /* under way */
	struct ws *ws;		       /* after the upgrade, or outgoing */
	uint32_t deadline;	       /* tick by which a body must be there or drained; 0: none */
	bool loopback;		       /* the peer is this machine */
	bool adopting, died;	       /* inside web_conn_adopt; and gone meanwhile */
	bool stopping;		       /* close instead of keeping alive */
	char addr[INET6_ADDRSTRLEN];
};

/* Whether each of its requests may be another client's. */
static inline bool web_conn_is_proxied(const struct conn *c)
{
	return c->web->opts.trust_proxy && c->loopback;
}

/* ---- route.c ---- */

struct route {
	struct route *next;
	const char *method, *pattern; /* lent */
	const char *accept_post;      /* lent; NULL: not said */
	size_t max_body;
	web_handler *handler;
	void *arg;
	/* WebSocket routes (method is NULL) */
	struct ws_opts ws;
	struct ws_ops ops;
};

struct params {
	int n;
	const char *name[PARAMS_MAX]; /* in the pattern, not ended by NUL */
	size_t name_len[PARAMS_MAX];
	const char *value[PARAMS_MAX]; /* in the path */
	size_t value_len[PARAMS_MAX];
};

/* Whether `path` fits; fills the parameters. */
bool web_route_match(const char *pattern, const char *path, struct params *out);
/* The same for a request, which gets the parameters. */
bool web_route_params(struct web_req *req, const struct route *r);
/* The route for method and path; the WebSocket for the path. NULL: none. */
const struct route *web_find_route(struct web_req *req);
const struct route *web_find_socket(struct web_req *req);
/* What POST takes on the path, or NULL when no route says so. */
const char *web_accepted_post(struct web_req *req);
/* "GET, HEAD, POST" for the path, or "" when no route has it. */
void web_allowed_methods(struct web_req *req, char *out, size_t cap);
/* GET /health and GET /metrics. */
void web_http_builtin_routes(struct web_server *s);

/* ---- conn.c ---- */

int web_conn_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		      size_t len);
/* NULL: out of memory. */
struct conn *web_conn_new(struct web *w, struct web_server *s);
void web_conn_free(struct conn *c);
/* Ends the connection from the loop, without ceremony. */
void web_conn_kill(struct conn *c);
/* Hands an accepted socket to libwebsockets; `c` may be gone after it. */
void web_conn_adopt(struct conn *c, int fd);

/* ---- web.c ---- */

int web_vhost_new(struct web *w, struct web_server *s, const struct lws_context_creation_info *tls,
		  struct lws_vhost **out);
/* A connection does something: the next tick computes its timeouts. */
void web_active(struct web *w);
void web_tick_soon(struct web *w);
void web_conn_gone(struct web *w);

/* ---- listen.c ---- */

void web_listen_stop(struct web_server *s);
/* Counts a connection for the address; NULL when it has enough, or no memory. */
struct address_count *web_address_take(struct web *w, const char *addr);
/* Accepts NULL. */
void web_address_release(struct web *w, struct address_count *a);

/* ---- request.c ---- */

struct web_req {
	struct conn *c;
	const struct route *route;
	const char *method;
	char *path;		 /* owned, split at the parameters' ends */
	struct params params;	 /* values lead into path_copy, ended by NUL */
	char *path_copy;	 /* owned */
	struct strings *strings; /* what web_header and web_query gave out */
	struct buf body;
	char *client;	  /* owned; behind a proxy, else NULL */
	int64_t expected; /* bytes of body announced */
	bool is_head;	  /* HEAD: no body in the reply */
	bool dispatched;  /* the handler ran */
	bool replied;	  /* the reply is complete in `out` */
	bool deferred;
	bool body_done;	 /* nothing of the request is left on the wire */
	bool finished;	 /* reply written; the rest of the body is being drained */
	bool in_upgrade; /* write at once: the reply refuses an upgrade */
	bool hold_rx;	 /* reading is stopped while nothing is to be written */
	struct buf head; /* header lines added by the handler */
	struct buf out;	 /* the reply, or what a stream queued */
	int fd;		 /* file that follows `out`, -1 for none */
	int64_t file_pos, file_end;
	uint32_t moved; /* tick when the client last took something */
	void (*gone)(void *arg);
	void *gone_arg;
	struct web_stream *stream;
};

struct strings {
	struct strings *next;
	char name[64];
	char text[];
};

/* NULL: out of memory. */
struct web_req *web_req_new(struct conn *c, const char *uri, size_t len);
void web_req_free(struct web_req *req);
/* Gives the memory of its body back. */
void web_body_free(struct web_req *req);
/* Finds out who the client of a trusted proxy is. */
void web_find_client(struct web_req *req);
/* Counts that client. False when it has enough connections; that is replied. */
bool web_count_client(struct web_req *req);
/* Its connection waits for the next request. */
void web_uncount_client(struct conn *c);
/* Whether the comma-separated list in `header`, which may be NULL, has `token`. */
bool web_has_token(const char *header, const char *token);
/* The connection is gone: tells whoever has deferred the request or streams, and frees it. */
void web_http_gone(struct conn *c);

/* ---- upgrade.c ---- */

/* An upgrade: 0 let it in, 1 refused (a reply was written), -1 hang up. */
int web_http_upgrade(struct conn *c, const char *protocol);

/* ---- reply.c ---- */

/* Has the reply written: wants web_http_writable. */
void web_http_kick(struct web_req *req);
/* Status line and headers of a reply whose body follows otherwise; `length` < 0: until closed. */
void web_http_reply_start(struct web_req *req, int status, const char *type, int64_t length);
/* The form of RFC 9110, section 5.6.7, in headers. */
#define HTTP_DATE_SIZE 30 /* with the NUL */
void web_http_date(time_t t, char out[static HTTP_DATE_SIZE]);

/* ---- http.c ---- */

/* The head is there: route it. 0, or -1 to hang up. */
int web_http_request(struct conn *c, const char *uri, size_t len);
int web_http_body(struct conn *c, const void *data, size_t len);
int web_http_body_end(struct conn *c);
/* Something can be written. 0, or -1 to close. */
int web_http_writable(struct conn *c);
/* Once a tick: a deferred request or a stream whose client has left. */
void web_http_tick(struct conn *c);

/* ---- static.c ---- */

/* Replies from a folder that fits, or returns false. */
bool web_static_serve(struct web_req *req);
/* Whether the path lies in a folder that is not mounted at the root: what it has not is nowhere. */
bool web_static_is_for(struct web_req *req);
void web_static_free(struct web_server *s);

/* ---- stream.c ---- */

void web_stream_gone(struct web_stream *st);
/* Room in the queue again, or the end. 1: the stream is over, close. */
int web_stream_written(struct web_stream *st);
void web_stream_tick(struct web_stream *st);

/* ---- session.c ---- */

struct chunk;
struct ws {
	struct conn *c; /* NULL before the upgrade */
	struct ws_opts opts;
	const struct ws_ops *ops; /* lent by the route or the caller */
	void *session;

	struct list dirty;     /* in web.dirty */
	struct list partial;   /* in web.partials */
	struct list throttled; /* in web.throttled: not read because of the memory bound */

	struct buf rx; /* a message that came in pieces */
	bool rx_text;
	bool rx_active;	   /* inside a message */
	bool rx_discard;   /* inside one that is too large, of which nothing is kept */
	bool rx_off;	   /* libwebsockets was told not to read */
	int64_t rx_held;   /* bytes counted in web.held */
	size_t rx_came;	   /* bytes of pieces since `rx_moved` */
	uint32_t rx_moved; /* tick when as much as counts had come of a message */

	struct chunk *tx, **tx_last;
	size_t tx_queued;    /* bytes, with tx_inflight */
	size_t tx_inflight;  /* bytes of the chunk that libwebsockets still keeps a part of */
	uint64_t tx_acked;   /* bytes that the peer had acknowledged when that last mattered */
	bool was_above_half; /* the queue; `drained` is told when it is below a quarter */

	uint32_t heard; /* tick of the last byte */
	uint32_t spoke; /* tick of the last message, either way */
	uint32_t stuck; /* tick when the queue last moved */
	bool pinged, paused, open, closing, close_sent, killed;
	uint16_t code; /* for close(): the peer's, or ours */
	char reason[124];
	bool masked;	     /* outgoing: RFC 6455 section 5.3 */
	struct start *start; /* outgoing, not yet tried */
	uint32_t connect_by; /* outgoing: tick */
	char peer[INET6_ADDRSTRLEN];
};

struct ws *ws_session_new(const struct ws_opts *opts, const struct ws_ops *ops, void *session);
void ws_session_opened(struct ws *ws, struct conn *c);
int ws_session_receive(struct ws *ws, uint8_t *data, size_t len);
void ws_session_pong(struct ws *ws);
void ws_session_peer_closes(struct ws *ws, const uint8_t *data, size_t len);
/* 0, or -1 to close (a reason is set). */
int ws_session_writable(struct ws *ws);
/* An outgoing connection failed before it opened. */
void ws_session_failed(struct ws *ws, const char *reason);
/* Calls the close handler and frees. */
void ws_session_gone(struct ws *ws);
/* Does what is due; returns ticks until more can be, TICK_NEVER when only something else helps. */
#define TICK_NEVER UINT32_MAX
uint32_t ws_session_tick(struct ws *ws);
/* Sends what is queued now, without waiting for the next turn. */
void ws_session_flush(struct ws *ws);
/* Recomputes whether the socket is read. */
void ws_session_flow(struct ws *ws);

/* ---- client.c ---- */

void web_client_start_free(struct start *st);
void web_client_done(struct web *w);

/* ---- held.c ---- */

/* The session's partial message grew by `n` bytes. */
void web_held_add(struct ws *ws, int64_t n);
static inline bool ws_is_throttled(const struct ws *ws)
{
	return !list_empty(&ws->throttled);
}
/* Before data of `ws` is taken: stops reading it when the bound is passed. */
void web_held_check(struct ws *ws);
/* The session has no partial message any more. */
void web_held_drop(struct ws *ws);

/* Whole ticks of a time, rounded up. */
static inline uint32_t ticks(int64_t us)
{
	return (uint32_t)((us + TICK_US - 1) / TICK_US);
}

#endif
