/* Upgrades to WebSocket: RFC 6455 section 4.2, checked here so that a refusal is a proper reply. */
#include "web_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

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
		   strlen(connection) > 120 || !web_has_token(connection, "upgrade")) {
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
	web_reply_error(req, 403, "foreign_origin", "pages from %s may not connect", origin);
	return false;
}

static void try_upgrade(struct web_req *req)
{
	struct conn *c = req->c;
	void *session = NULL;

	web_find_client(req);
	const struct route *r = web_find_socket(req);
	if (!r) {
		web_reply_error(req, 404, "not_found", "there is no WebSocket %s", req->path);
		return;
	}
	web_route_params(req, r);
	if (!upgrade_ok(req) || !origin_ok(req, &r->ws) || !web_count_client(req))
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
	snprintf(c->ws->peer, sizeof(c->ws->peer), "%s", web_client_address(req));
}

int web_http_upgrade(struct conn *c, const char *protocol)
{
	char *uri;
	int len, ret = 0;

	if (c->req || lws_http_get_uri_and_method(c->wsi, &uri, &len) != LWSHUMETH_GET)
		return -1;
	struct web_req *req = web_req_new(c, uri, (size_t)len);
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
			web_reply_error(req, 500, "no_reply",
					"internal error: no reply was produced");
		ret = 1;
		if (lws_write(c->wsi, buf_data(&req->out), buf_len(&req->out), LWS_WRITE_HTTP) < 0)
			ret = -1;
	}
	web_req_free(req);
	return ret;
}
