/*
 * One connection: libwebsockets' callback with its many reasons, handed on to requests (http.c) or
 * to a WebSocket session (session.c) by a table.
 */
#include "web_int.h"

#include <stdlib.h>

struct conn *web_conn_new(struct web *w, struct web_server *s)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->web = w;
	c->server = s;
	list_init(&c->link);
	list_push(&w->conns, &c->link);
	w->n_conns++;
	if (s)
		s->n_conns++;
	metric_set(&w->open_conns, (int64_t)w->n_conns);
	web_active(w);
	return c;
}

void web_conn_free(struct conn *c)
{
	struct web *w = c->web;

	if (c->ws)
		ws_session_gone(c->ws);
	c->ws = NULL;
	if (c->req)
		web_http_gone(c);
	web_address_release(w, c->address);
	list_remove(&c->link);
	w->n_conns--;
	if (c->server)
		c->server->n_conns--;
	metric_set(&w->open_conns, (int64_t)w->n_conns);
	free(c);
	web_conn_gone(w);
}

/* Hands an accepted socket over. Either way it is libwebsockets' to close from now on. */
void web_conn_adopt(struct conn *c, int fd)
{
	lws_adopt_desc_t desc = {
	    .vh = c->server->vhost,
	    .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP,
	    .fd.sockfd = fd,
	    .opaque = c,
	};

	if (c->server->opts.tls_cert)
		desc.type |= LWS_ADOPT_ALLOW_SSL;
	c->adopting = true;
	struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&desc);
	c->adopting = false;
	if (wsi && !c->died)
		c->wsi = wsi;
	else
		web_conn_free(c);
}

void web_conn_kill(struct conn *c)
{
	if (c->wsi)
		lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

/* ---- what libwebsockets calls for; `in` and `len` are its own, by reason ---- */

static int on_opened(struct conn *c, void *in, size_t len)
{
	(void)in, (void)len;
	ws_session_opened(c->ws, c);
	return 0;
}

static int on_receive(struct conn *c, void *in, size_t len)
{
	return ws_session_receive(c->ws, in, len);
}

static int on_pong(struct conn *c, void *in, size_t len)
{
	(void)in, (void)len;
	ws_session_pong(c->ws);
	return 0;
}

static int on_ws_writable(struct conn *c, void *in, size_t len)
{
	(void)in, (void)len;
	return ws_session_writable(c->ws);
}

static int on_peer_closes(struct conn *c, void *in, size_t len)
{
	ws_session_peer_closes(c->ws, in, len);
	return 0;
}

static int on_connection_error(struct conn *c, void *in, size_t len)
{
	(void)len;
	ws_session_failed(c->ws, in ? in : "connection failed");
	return 0;
}

static int on_closed(struct conn *c, void *in, size_t len)
{
	struct ws *ws = c->ws;

	(void)in, (void)len;
	c->ws = NULL;
	ws_session_gone(ws);
	return 0;
}

static int on_upgrade(struct conn *c, void *in, size_t len)
{
	(void)len;
	return web_http_upgrade(c, in);
}

static int on_request(struct conn *c, void *in, size_t len)
{
	return web_http_request(c, in, len);
}

static int on_body(struct conn *c, void *in, size_t len)
{
	return web_http_body(c, in, len);
}

static int on_body_end(struct conn *c, void *in, size_t len)
{
	(void)in, (void)len;
	return web_http_body_end(c);
}

static int on_http_writable(struct conn *c, void *in, size_t len)
{
	(void)in, (void)len;
	return web_http_writable(c);
}

typedef int handler(struct conn *c, void *in, size_t len);

/* Of connections with a session. */
static handler *const ws_handlers[] = {
    [LWS_CALLBACK_ESTABLISHED] = on_opened,
    [LWS_CALLBACK_CLIENT_ESTABLISHED] = on_opened,
    [LWS_CALLBACK_RECEIVE] = on_receive,
    [LWS_CALLBACK_CLIENT_RECEIVE] = on_receive,
    [LWS_CALLBACK_RECEIVE_PONG] = on_pong,
    [LWS_CALLBACK_CLIENT_RECEIVE_PONG] = on_pong,
    [LWS_CALLBACK_SERVER_WRITEABLE] = on_ws_writable,
    [LWS_CALLBACK_CLIENT_WRITEABLE] = on_ws_writable,
    [LWS_CALLBACK_WS_PEER_INITIATED_CLOSE] = on_peer_closes,
    [LWS_CALLBACK_CLIENT_CONNECTION_ERROR] = on_connection_error,
    [LWS_CALLBACK_CLOSED] = on_closed,
    [LWS_CALLBACK_CLIENT_CLOSED] = on_closed,
};

/* Of all connections. */
static handler *const http_handlers[] = {
    [LWS_CALLBACK_HTTP_CONFIRM_UPGRADE] = on_upgrade,
    [LWS_CALLBACK_HTTP] = on_request,
    [LWS_CALLBACK_HTTP_BODY] = on_body,
    [LWS_CALLBACK_HTTP_BODY_COMPLETION] = on_body_end,
    [LWS_CALLBACK_HTTP_WRITEABLE] = on_http_writable,
};

#define HANDLER(table, reason) \
	((size_t)(reason) < sizeof(table) / sizeof(*(table)) ? (table)[reason] : NULL)

static int on_destroy(struct lws *wsi)
{
	struct conn *c = lws_get_opaque_user_data(wsi);

	if (!c)
		return 0;
	lws_set_opaque_user_data(wsi, NULL);
	c->wsi = NULL;
	if (c->adopting)
		c->died = true; /* whoever adopts sees it */
	else
		web_conn_free(c);
	return 0;
}

int web_conn_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		      size_t len)
{
	handler *on_ws = HANDLER(ws_handlers, reason), *on_http = HANDLER(http_handlers, reason);

	(void)user;
	if (reason == LWS_CALLBACK_WSI_DESTROY)
		return on_destroy(wsi);
	/* Only for these is `wsi` a connection for certain. Among the others is RAW_RX_FILE, for
	 * which web_run turns our loop after each service. */
	if (!on_ws && !on_http)
		return 0;
	struct conn *c = lws_get_opaque_user_data(wsi);
	if (!c || (on_ws && !c->ws))
		return 0;
	web_active(c->web);
	if (on_ws)
		return on_ws(c, in, len);
	c->wsi = wsi;
	return on_http(c, in, len);
}
