/*
 * One connection: libwebsockets' callback with its many reasons, handed on to requests (http.c) or
 * to a WebSocket session (session.c).
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

static int on_ws_event(struct conn *c, enum lws_callback_reasons reason, void *in, size_t len)
{
	web_active(c->web);
	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		ws_session_opened(c->ws, c);
		return 0;
	case LWS_CALLBACK_RECEIVE:
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return ws_session_receive(c->ws, in, len);
	case LWS_CALLBACK_RECEIVE_PONG:
	case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
		ws_session_pong(c->ws);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return ws_session_writable(c->ws);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		ws_session_peer_closes(c->ws, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		ws_session_failed(c->ws, in ? in : "connection failed");
		return 0;
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLIENT_CLOSED: {
		struct ws *ws = c->ws;
		c->ws = NULL;
		ws_session_gone(ws);
		return 0;
	}
	default:
		return 0;
	}
}

static int on_http_event(struct conn *c, enum lws_callback_reasons reason, void *in, size_t len)
{
	web_active(c->web);
	switch (reason) {
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return web_http_upgrade(c, in);
	case LWS_CALLBACK_HTTP:
		return web_http_request(c, in, len);
	case LWS_CALLBACK_HTTP_BODY:
		return web_http_body(c, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return web_http_body_end(c);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return web_http_writable(c);
	default:
		return 0;
	}
}

int web_conn_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		      size_t len)
{
	(void)user;
	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
	case LWS_CALLBACK_RECEIVE:
	case LWS_CALLBACK_CLIENT_RECEIVE:
	case LWS_CALLBACK_RECEIVE_PONG:
	case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
	case LWS_CALLBACK_SERVER_WRITEABLE:
	case LWS_CALLBACK_CLIENT_WRITEABLE:
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLIENT_CLOSED: {
		struct conn *c = lws_get_opaque_user_data(wsi);
		return c && c->ws ? on_ws_event(c, reason, in, len) : 0;
	}
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
	case LWS_CALLBACK_HTTP:
	case LWS_CALLBACK_HTTP_BODY:
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
	case LWS_CALLBACK_HTTP_WRITEABLE: {
		struct conn *c = lws_get_opaque_user_data(wsi);
		if (!c)
			return 0;
		c->wsi = wsi;
		return on_http_event(c, reason, in, len);
	}
	case LWS_CALLBACK_WSI_DESTROY: {
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
	default:
		return 0; /* also RAW_RX_FILE: web_run turns our loop after each service */
	}
}
