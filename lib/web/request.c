/* A request: its life, and what it says. libwebsockets has parsed it; texts are copied when asked
 * for. */
#include "web_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HEADERS_MAX 16384 /* bytes that a handler may add to the reply */

struct web_req *web_req_new(struct conn *c, const char *uri, size_t len)
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

void web_body_free(struct web_req *req)
{
	size_t n = buf_len(&req->body);

	buf_done(&req->body);
	if (n)
		web_hold(req->c->web, -(int64_t)n);
}

void web_req_free(struct web_req *req)
{
	for (struct strings *s = req->strings, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	if (req->fd >= 0)
		close(req->fd);
	web_body_free(req);
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
	web_req_free(req);
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

const char *web_query(struct web_req *req, const char *name)
{
	size_t n = strlen(name);
	char key[64], arg[HEADER_MAX]; /* all of a head: what does not fit ends the search */

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

const char *web_header(struct web_req *req, const char *name)
{
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
void web_find_client(struct web_req *req)
{
	struct conn *c = req->c;
	const char *list;

	if (!web_conn_is_proxied(c) || !(list = web_header(req, "x-forwarded-for")))
		return;
	const char *comma = strrchr(list, ',');
	list = comma ? comma + 1 : list;
	list += strspn(list, " \t");
	size_t n = strcspn(list, " \t");
	if (n && n < INET6_ADDRSTRLEN)
		req->client = strndup(list, n);
}

const char *web_client_address(const struct web_req *req)
{
	return req->client ? req->client : req->c->addr;
}

/* Idle it is nobody's but the proxy's, which may send another client's request next. */
void web_uncount_client(struct conn *c)
{
	if (!web_conn_is_proxied(c))
		return;
	web_address_release(c->web, c->address);
	c->address = NULL;
}

/* Counts a proxied client, whose address the socket did not tell. */
bool web_count_client(struct web_req *req)
{
	struct conn *c = req->c;

	if (c->address)
		return true;
	c->address = web_address_take(c->web, web_client_address(req));
	if (c->address)
		return true;
	metric_add(&c->web->n_refused_address, 1);
	web_reply_header(req, "Retry-After", "10");
	web_reply_error(req, 429, "too_many_connections", "too many connections from %s",
			web_client_address(req));
	return false;
}

bool web_has_token(const char *header, const char *token)
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
