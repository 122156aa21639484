/* Routes: path patterns such as "/rooms/:room/users/:user", and which of them a request is for. */
#include "web_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool web_route_match(const char *pattern, const char *path, struct params *out)
{
	out->n = 0;
	while (*pattern && *path) {
		if (*pattern != ':') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		size_t name = strcspn(pattern + 1, "/"), value = strcspn(path, "/");
		if (!value || out->n == PARAMS_MAX)
			return false;
		out->name[out->n] = pattern + 1;
		out->name_len[out->n] = name;
		out->value[out->n] = path;
		out->value_len[out->n++] = value;
		pattern += 1 + name;
		path += value;
	}
	return !*pattern && !*path;
}

/* A copy of `what` becomes the server's last route. */
static void add_route(struct web_server *s, const struct route *what)
{
	struct route *r = malloc(sizeof(*r));

	if (!r) {
		s->web->incomplete = true; /* web_run fails */
		return;
	}
	*r = *what;
	*s->last_route = r;
	s->last_route = &r->next;
}

void web_route(struct web_server *s, const char *method, const char *pattern, size_t max_body,
	       web_handler *handler, void *arg)
{
	add_route(s, &(struct route){.method = method,
				     .pattern = pattern,
				     .max_body = max_body ? max_body : s->opts.max_body,
				     .handler = handler,
				     .arg = arg});
}

void web_socket(struct web_server *s, const char *pattern, const struct ws_opts *opts,
		const struct ws_ops *ops, void *arg)
{
	add_route(s, &(struct route){.pattern = pattern, .ws = *opts, .ops = *ops, .arg = arg});
}

void web_accept_post(struct web_server *s, const char *pattern, const char *type)
{
	for (struct route *r = s->routes; r; r = r->next)
		if (r->method && strcmp(r->method, "POST") == 0 && strcmp(r->pattern, pattern) == 0)
			r->accept_post = type;
}

static void handle_health(void *arg, struct web_req *req)
{
	(void)arg;
	web_reply(req, 200, "text/plain; charset=utf-8", "OK", 2);
}

static void handle_metrics(void *arg, struct web_req *req)
{
	struct buf b;

	buf_init(&b, 4 << 20);
	if (metrics_render(arg, &b) == 0)
		web_reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_data(&b),
			  buf_len(&b));
	else
		web_reply_error(req, 503, "no_memory", "no memory for the metrics");
	buf_done(&b);
}

void web_http_builtin_routes(struct web_server *s)
{
	web_route(s, "GET", "/health", 0, handle_health, NULL);
	if (s->web->opts.metrics)
		web_route(s, "GET", "/metrics", 0, handle_metrics, s->web->opts.metrics);
}

static bool is_method(const char *of_route, const char *method)
{
	return of_route && (strcmp(of_route, method) == 0 ||
			    (strcmp(of_route, "GET") == 0 && strcmp(method, "HEAD") == 0));
}

/* The parameters of the path, each ended by a NUL in a copy. */
bool web_route_params(struct web_req *req, const struct route *r)
{
	struct params p;

	if (!web_route_match(r->pattern, req->path, &p))
		return false;
	for (int i = 0; i < p.n; i++) {
		char *value = req->path_copy + (p.value[i] - req->path);
		value[p.value_len[i]] = '\0';
		p.value[i] = value;
	}
	req->params = p;
	return true;
}

const struct route *web_find_route(struct web_req *req)
{
	for (const struct route *r = req->c->server->routes; r; r = r->next)
		if (is_method(r->method, req->method) && web_route_params(req, r))
			return r;
	return NULL;
}

const char *web_accepted_post(struct web_req *req)
{
	struct params p;

	for (const struct route *r = req->c->server->routes; r; r = r->next)
		if (r->accept_post && web_route_match(r->pattern, req->path, &p))
			return r->accept_post;
	return NULL;
}

/* "GET, HEAD, POST" for the path, or "" when no route has it. */
void web_allowed_methods(struct web_req *req, char *out, size_t cap)
{
	struct params p;
	size_t n = 0;

	*out = '\0';
	for (const struct route *r = req->c->server->routes; r; r = r->next) {
		if (!r->method || !web_route_match(r->pattern, req->path, &p) ||
		    strstr(out, r->method))
			continue;
		int len = snprintf(out + n, cap - n, "%s%s%s", n ? ", " : "", r->method,
				   strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
		if (len < 0 || (size_t)len >= cap - n)
			return;
		n += (size_t)len;
	}
}

const struct route *web_find_socket(struct web_req *req)
{
	struct params p;

	for (const struct route *r = req->c->server->routes; r; r = r->next)
		if (!r->method && web_route_match(r->pattern, req->path, &p))
			return r;
	return NULL;
}
