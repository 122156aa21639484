/*
 * The bound on received data in memory: partly received messages of all sessions, bodies of
 * requests until they are replied to, and what the program holds (web_hold). Beyond it WebSockets
 * are not read. One exception keeps things moving: the session whose message began first is still
 * read, because only a message that completes gives its memory back. So the bound is exceeded by at
 * most one message. A body that would exceed it is refused (http.c).
 */
#include "web_int.h"

/* Reading starts again this far below the bound, so that sockets do not flap. */
static bool is_low(const struct web *w)
{
	return w->held <= (int64_t)(w->opts.max_held - w->opts.max_held / 8);
}

static bool is_eldest(const struct ws *ws)
{
	return list_first(&ws->c->web->partials) == &ws->partial;
}

static void release(struct ws *ws)
{
	list_remove(&ws->throttled);
	ws_session_flow(ws);
}

static void relieve(struct web *w)
{
	struct list *first = list_first(&w->partials);

	if (is_low(w)) {
		list_each_safe (i, &w->throttled)
			release(container_of(i, struct ws, throttled));
	} else if (first) {
		struct ws *eldest = container_of(first, struct ws, partial);
		if (ws_is_throttled(eldest))
			release(eldest);
	}
}

void web_hold(struct web *w, int64_t n)
{
	w->held += n;
	if (n <= 0 && !list_empty(&w->throttled))
		relieve(w);
}

void web_held_add(struct ws *ws, int64_t n)
{
	struct web *w = ws->c->web;

	if (list_empty(&ws->partial))
		list_push(&w->partials, &ws->partial);
	ws->rx_held += n;
	web_hold(w, n);
}

void web_held_drop(struct ws *ws)
{
	struct web *w = ws->c->web;

	if (list_empty(&ws->partial))
		return;
	list_remove(&ws->partial);
	int64_t n = ws->rx_held;
	ws->rx_held = 0;
	/* Do this even if it held nothing: another session is now the eldest. */
	web_hold(w, -n);
}

void web_held_check(struct ws *ws)
{
	struct web *w = ws->c->web;

	if (w->held <= (int64_t)w->opts.max_held || ws_is_throttled(ws) || is_eldest(ws))
		return;
	list_push(&w->throttled, &ws->throttled);
	metric_add(&w->n_throttled, 1);
	ws_session_flow(ws);
}
