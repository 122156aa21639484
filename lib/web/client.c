/* Outgoing WebSocket connections. Once open they are sessions like the incoming ones. */
#include "web_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define CONNECT_US 10000000 /* name, TCP, TLS and upgrade, unless ws_connect_opts says */

struct url {
	bool tls;
	char host[256], path[2048];
	char authority[272]; /* for the Host header */
	int port;
};

/* ws://host[:port][/path]; hosts in brackets are IPv6. 0 or -EINVAL. */
static int url_parse(const char *text, struct url *u)
{
	u->tls = strncmp(text, "wss://", 6) == 0;
	if (!u->tls && strncmp(text, "ws://", 5) != 0)
		return -EINVAL;
	text += u->tls ? 6 : 5;
	bool v6 = *text == '[';
	size_t n = v6 ? strcspn(text, "]") : strcspn(text, ":/?");
	if (n <= (v6 ? 1u : 0u) || n >= sizeof(u->host) || (v6 && text[n] != ']'))
		return -EINVAL;
	snprintf(u->host, sizeof(u->host), "%.*s", (int)(n - v6), text + v6);
	text += n + v6;
	u->port = u->tls ? 443 : 80;
	if (*text == ':') {
		char *end;
		long port = strtol(text + 1, &end, 10);
		if (end == text + 1 || port < 1 || port > 65535)
			return -EINVAL;
		u->port = (int)port;
		text = end;
	}
	/* RFC 6455 section 4.1: the port unless it is the default; brackets as in the URL. */
	n = (size_t)snprintf(u->authority, sizeof(u->authority), v6 ? "[%s]" : "%s", u->host);
	if (u->port != (u->tls ? 443 : 80))
		snprintf(u->authority + n, sizeof(u->authority) - n, ":%d", u->port);
	if (*text && *text != '/' && *text != '?')
		return -EINVAL;
	int len = snprintf(u->path, sizeof(u->path), "%s%s", *text == '/' ? "" : "/", text);
	return len < 0 || (size_t)len >= sizeof(u->path) ? -EINVAL : 0;
}

struct start {
	struct ws *ws; /* for the loop: connect, or report that it failed */
	struct url url;
	char *origin, *ca_file; /* owned */
	bool insecure;
	struct loop_timer timer;
};

void web_client_start_free(struct start *st)
{
	if (!st)
		return;
	loop_timer_stop(&st->timer);
	free(st->origin);
	free(st->ca_file);
	free(st);
}

/* Whose certificates are believed. They stay: a program names few files. */
struct authorities {
	struct list link;	 /* in web.authorities */
	char *ca_file;		 /* owned; NULL: the system's */
	struct lws_vhost *vhost; /* goes with the context */
};

static void authorities_free(struct authorities *a)
{
	free(a->ca_file);
	free(a);
}

void web_client_done(struct web *w)
{
	list_each_safe (i, &w->authorities)
		authorities_free(container_of(i, struct authorities, link));
}

static bool same_file(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* NULL: out of memory, or the file holds no certificates. */
static struct lws_vhost *tls_vhost(struct web *w, const struct start *st)
{
	struct lws_context_creation_info tls = {0};

	list_each (i, &w->authorities) {
		struct authorities *a = container_of(i, struct authorities, link);
		if (same_file(a->ca_file, st->ca_file))
			return a->vhost;
	}
	struct authorities *a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	tls.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	tls.client_ssl_ca_filepath = st->ca_file;
	if ((st->ca_file && !(a->ca_file = strdup(st->ca_file))) ||
	    web_vhost_new(w, NULL, &tls, &a->vhost) < 0) {
		authorities_free(a);
		return NULL;
	}
	list_push(&w->authorities, &a->link);
	return a->vhost;
}

static void on_start(void *arg)
{
	struct start *st = arg;
	struct conn *c = st->ws->c;
	struct web *w = c->web;
	struct lws_client_connect_info info = {
	    .context = w->context,
	    .address = st->url.host,
	    .port = st->url.port,
	    .path = st->url.path,
	    .host = st->url.authority,
	    .origin = st->origin,
	    .ietf_version_or_minus_one = -1,
	    .local_protocol_name = "msr",
	    .opaque_user_data = c,
	    .retry_and_idle_policy = NULL,
	    .alpn = "http/1.1",
	};

	info.vhost = st->url.tls ? tls_vhost(w, st) : w->client_vhost;
	if (st->url.tls)
		info.ssl_connection =
		    LCCSCF_USE_SSL |
		    (st->insecure ? LCCSCF_ALLOW_SELFSIGNED | LCCSCF_ALLOW_EXPIRED |
					LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK
				  : 0);
	st->ws->start = NULL;
	c->adopting = true;
	struct lws *wsi = info.vhost && !st->ws->closing && !st->ws->killed
			      ? lws_client_connect_via_info(&info)
			      : NULL;
	c->adopting = false;
	web_client_start_free(st);
	if (wsi && !c->died)
		c->wsi = wsi;
	else
		web_conn_free(c);
}

int ws_connect(struct ws **wsp, struct web *w, const struct ws_connect_opts *opts,
	       const struct ws_ops *ops, void *session)
{
	struct start *st = calloc(1, sizeof(*st));
	struct conn *c = NULL;
	struct ws *ws = NULL;
	int ret = -ENOMEM;

	if (!st)
		return ret;
	loop_timer_init(&st->timer, w->opts.loop, on_start, st);
	st->insecure = opts->insecure;
	if ((opts->origin && !(st->origin = strdup(opts->origin))) ||
	    (opts->ca_file && !(st->ca_file = strdup(opts->ca_file))))
		goto fail;
	ret = url_parse(opts->url, &st->url);
	if (ret)
		goto fail;
	ret = -ENOMEM;
	ws = ws_session_new(&opts->ws, ops, session);
	c = ws ? web_conn_new(w, NULL) : NULL;
	if (!c)
		goto fail;
	ws->masked = true;
	ws->c = c;
	ws->start = st;
	ws->connect_by = w->tick + ticks(opts->timeout_us ? opts->timeout_us : CONNECT_US);
	snprintf(ws->peer, sizeof(ws->peer), "%.45s", st->url.host);
	snprintf(ws->reason, sizeof(ws->reason), "connection failed");
	c->ws = ws;
	st->ws = ws;
	ret = loop_timer_in_us(&st->timer, 0);
	if (ret) {
		c->ws = NULL;
		web_conn_free(c);
		goto fail;
	}
	*wsp = ws;
	return 0;
fail:
	free(ws);
	web_client_start_free(st);
	return ret;
}
