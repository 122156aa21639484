/*
 * WebSocket sessions (RFC 6455) of a web_server, and client connections.
 *
 *   server:  upgrade request → accept ─┐ (may refuse with any HTTP status)
 *   client:  ws_connect ───────────────┴→ open → message ... → close
 *
 * close is called exactly once for every accept that returned 0 and every ws_connect that returned
 * 0, also when the connection was never opened; after it the session is not valid. Handlers may
 * call every function below, also ws_close, at any time before.
 *
 * Sending: messages are queued and written together when the socket takes them. A queue has a
 * bound in bytes; beyond it ws_send fails with -ENOBUFS and the caller decides: drop, or ws_close
 * with 1008. One message of any size fits an empty queue. A peer that takes less than 4 KiB for
 * `write_timeout_us` is closed.
 *
 * Receiving: the handler sees whole messages; one that came in a single piece lies in the socket
 * buffer and was not copied. Messages beyond `message_max` close the session with 1009, or are
 * discarded where there is a `too_large` handler; text that is not UTF-8 closes it with 1007. One
 * that is under way has to go on: by 4 KiB in 20 s, or in 2 s while others wait for memory.
 * Compression (RFC 7692) is never negotiated.
 */
#ifndef MSR_WEB_WS_H
#define MSR_WEB_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct web;
struct web_origins;
struct web_req;
struct web_server;
struct ws;

enum ws_type { WS_TEXT, WS_BINARY };

enum ws_close_code {
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_PROTOCOL = 1002,
	WS_UNSUPPORTED = 1003,
	WS_NO_STATUS = 1005, /* only reported: the peer gave none */
	WS_ABNORMAL = 1006,  /* only reported: the connection broke or timed out */
	WS_BAD_DATA = 1007,
	WS_POLICY = 1008,
	WS_TOO_BIG = 1009,
	WS_INTERNAL = 1011,
	WS_TRY_LATER = 1013,
};

struct ws_ops {
	/*
	 * Sees the upgrade request (http.h: path, web_param, web_query, web_header,
	 * web_client_address). 0 lets it in; *session is then what the other handlers get.
	 * Otherwise it has replied with an error and returns -1. Origin was checked already where
	 * opts.origins is given.
	 */
	int (*accept)(void *arg, struct web_req *req, void **session);
	void (*open)(void *session, struct ws *ws);
	/* `data` is followed by a NUL, and may be changed in place; valid only during the call. */
	void (*message)(void *session, struct ws *ws, enum ws_type type, uint8_t *data, size_t len);
	/*
	 * A message is beyond message_max: called once, as soon as that is known; what came of it
	 * and what follows is discarded, and the session lives on. NULL: closed with 1009.
	 */
	void (*too_large)(void *session, struct ws *ws);
	/* The queue, having been above half its bound, is below a quarter again. May be NULL. */
	void (*drained)(void *session, struct ws *ws);
	/* Whether the peer waits for an answer: then it is not idle. NULL: never. */
	bool (*busy)(void *session);
	/* The peer's code and reason, ours if we closed first. ws is NULL if it never opened. */
	void (*close)(void *session, struct ws *ws, int code, const char *reason);
};

struct ws_opts {
	const struct web_origins *origins; /* lent; NULL: any. Foreign ones get 403 */
	size_t message_max;		   /* bytes of a received message; 0: 1 MiB */
	size_t queue_max;		   /* bytes waiting to be sent; 0: 1 MiB */
	int64_t ping_us; /* ping after this long without a byte from the peer, closed
			  * after as long again; 0: 9 s, -1: never */
	int64_t idle_us; /* closed (idle_code) after this long without a message either way, nor
			  * one under way; 0: never */
	int idle_code;	 /* 0: 1001 */
	int64_t write_timeout_us; /* 0: 20 s */
};

/* A WebSocket route, as web_route. Ordinary requests for its path get 426. */
void web_socket(struct web_server *s, const char *pattern, const struct ws_opts *opts,
		const struct ws_ops *ops, void *arg);

struct ws_connect_opts {
	const char *url;     /* ws://host:port/path?query or wss:// */
	const char *origin;  /* header, or NULL */
	const char *ca_file; /* PEM, for wss; NULL: the system's */
	bool insecure;	     /* wss: accept any certificate */
	int64_t timeout_us;  /* until open; 0: 10 s */
	struct ws_opts ws;   /* limits as above */
};

/*
 * Connects; open or close follow from the loop (close with 1006 and the reason when the connection
 * fails). ops->accept is not used. 0, -EINVAL (URL) or -ENOMEM.
 */
int ws_connect(struct ws **wsp, struct web *w, const struct ws_connect_opts *opts,
	       const struct ws_ops *ops, void *session);

/* Queues a copy. 0, -ENOBUFS (queue full), -EPIPE (closing) or -ENOMEM. */
int ws_send(struct ws *ws, enum ws_type type, const void *data, size_t len);

/* A message for many receivers, framed once. */
struct ws_msg;
/* Owned by the caller; NULL: out of memory. */
struct ws_msg *ws_msg_new(enum ws_type type, const void *data, size_t len);
void ws_msg_free(struct ws_msg *m);
/* As ws_send, which copies too. */
int ws_send_msg(struct ws *ws, struct ws_msg *m);

/* Bytes queued and not yet given to the kernel. */
size_t ws_queued(const struct ws *ws);

/*
 * Stops and resumes reading; what arrived stays in the kernel. While paused the ping and idle
 * clocks stand still. For changes of state, not for each message. A message already received in
 * part or in the current turn may still be delivered.
 */
void ws_pause(struct ws *ws);
void ws_resume(struct ws *ws);
bool ws_paused(const struct ws *ws);

/* Starts the closing handshake after what is queued (code 1000 or 3000 to 4999, or of the enum). */
void ws_close(struct ws *ws, int code, const char *reason);

/* Ends the session now, whatever is queued; close follows from the loop, with 1006 and `reason`. */
void ws_abort(struct ws *ws, const char *reason);

/* The client's address, numeric, as web_client_address. */
const char *ws_peer(const struct ws *ws);

#endif
