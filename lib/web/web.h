/*
 * HTTP and WebSocket on libwebsockets, for programs with a port. This file: the server and its
 * loop. http.h: routes, requests, replies, server-sent events, static folders. ws.h: WebSocket
 * sessions, as server and as client.
 *
 *   web_new → web_listen (one or more servers) → web_route / web_socket / web_static
 *           → web_run until loop_stop → web_close → free what else uses the loop → web_free
 *
 * Everything happens on the thread that calls web_run: libwebsockets' own poll loop watches the
 * descriptor of the program's loop (loop.h), so handlers of both interleave and need no locks.
 * Other threads reach this one through loop_wake.
 *
 * A failure is returned and never logged here, so that the program logs it, once. Logged is what
 * nothing returns: a limit that is too low, a connection that does not close.
 */
#ifndef MSR_WEB_WEB_H
#define MSR_WEB_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct metrics;
struct opt_list;
struct opt_program;
struct web;
struct web_server;

struct web_opts {
	struct loop *loop;	 /* lent */
	struct metrics *metrics; /* lent; NULL for none. lib/web lists its own there as msr_web_* */
	size_t max_connections;	 /* open at once, over all servers, and their reserve; more
				  * are closed. 0: 10,000 */
	size_t other_fds;	 /* descriptors that the program has besides: media, say */
	size_t max_per_address;	 /* open at once from one peer address; 0: no bound */
	bool trust_proxy;	 /* a peer on loopback names its client in X-Forwarded-For */
	size_t max_held;	 /* bytes of partly received messages, request bodies and web_hold()
				  * together; beyond, WebSockets are not read and bodies get 503
				  * "limit". 0: 128 MiB */
	int64_t header_timeout_us; /* for TLS handshake and request head; 0: 10 s */
	int64_t batch_wait_us;	   /* longest pause between turns under load; -1: none, 0: 1 ms */
	/* Called after each turn that did something, before sleeping: flush sinks here. */
	void (*turn)(void *arg);
	void *arg;
};

/*
 * Lowers RLIMIT_NOFILE to what max_connections needs. 0, -ENOMEM, or -EIO when libwebsockets does
 * not start; with log level debug it says why.
 */
int web_new(struct web **wp, const struct web_opts *opts);
/* Accepts NULL. Open sessions are closed without ceremony; their close handlers are called. */
void web_free(struct web *w);

/* Turns both loops until loop_stop and returns what that was given; or -errno. */
int web_run(struct web *w);

/*
 * Stops listening, closes idle connections, and closes WebSockets with 1001 and `reason`. What is
 * under way (replies, close handshakes) continues while the loop turns; `done` is called when
 * nothing is open any more, or after `timeout_us`.
 */
void web_close(struct web *w, const char *reason, int64_t timeout_us, void (*done)(void *arg),
	       void *arg);

/* The program holds (n > 0) or gave back (n < 0) bytes of received data: counts for max_held. */
void web_hold(struct web *w, int64_t n);

/*
 * Origins (RFC 6454) that pages may come from. "*" in `list` allows all. An origin is an exact
 * "scheme://host[:port]"; `localhost` adds http and https on localhost, 127.0.0.1 and [::1] with
 * any port, `same` adds the origin whose host and port are those of the Host header.
 */
struct web_origins {
	const char *const *list;
	size_t n;
	bool localhost;
	bool same;
};
bool web_origin_ok(const struct web_origins *o, const char *origin, const char *host);
/* The values of --allow-origin are such as a browser sends, or "*". 0, or 2 as opt_usage. */
int web_origins_check(const struct opt_program *p, const struct opt_list *given);
/* Whether `list` names this very origin: its pages may bring what a proxy's user has entered. */
bool web_origin_named(const struct web_origins *o, const char *origin);

struct web_listen_opts {
	const char *address;		/* numeric, or "localhost" */
	int port;			/* 0: a free one, see web_port */
	const char *tls_cert, *tls_key; /* PEM files; both or neither */
	size_t max_body;		/* bytes of a request body (else 413), 0: 256 KiB */
	size_t reserve; /* connections it may have though max_connections are open, for health */
	/*
	 * Lent; NULL: no CORS headers. Preflights are answered, and pages of other origins get 403
	 * "forbidden_origin" for all but GET and HEAD. Credentials are allowed where the origin is
	 * named.
	 */
	const struct web_origins *cors;
	const char *cors_expose; /* Access-Control-Expose-Headers; NULL: Location, ETag, ... */
	const char *server_name; /* for the log: "api" */
};

/*
 * Opens a port. Answers GET /health with "OK" and, with metrics, GET /metrics. Listening beyond
 * loopback without TLS is logged. 0, -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EINVAL (certificate or
 * key) or -ENOMEM; web_error tells more. The server is freed with `w`.
 */
int web_listen(struct web_server **sp, struct web *w, const struct web_listen_opts *opts);
/* Why the last web_listen failed: "Address already in use", "cannot read 'cert.pem': ...". */
const char *web_error(const struct web *w);
int web_port(const struct web_server *s);

#endif
