/* Events, built from the state of connections. */
#include "report.h"

#include "../proto.h"
#include "conn.h"
#include "event/event.h"
#include "hub.h"
#include "server.h"

void report_start(struct server *s, const char *address, int port)
{
	struct event ev;

	event_start(&ev, s->events, "listening", NULL, NULL);
	json_str(&ev.json, "address", address);
	json_int(&ev.json, "port", port);
	event_send(&ev, s->events);
}

void report_join(const struct conn *c)
{
	struct server *s = c->server;
	struct event ev;

	event_start(&ev, s->events, "join", NULL, NULL);
	json_str(&ev.json, "user", c->name);
	json_str(&ev.json, "address", c->address->text);
	json_uint(&ev.json, "users", s->users.n);
	event_send(&ev, s->events);
}

void report_leave(const struct conn *c, const char *reason)
{
	struct server *s = c->server;
	struct event ev;

	event_start(&ev, s->events, "leave", NULL, NULL);
	json_str(&ev.json, "user", c->name);
	json_str(&ev.json, "reason", reason);
	json_uint(&ev.json, "users", s->users.n);
	event_send(&ev, s->events);
}

void report_slow(const struct conn *c)
{
	struct server *s = c->server;
	struct event ev;

	event_start(&ev, s->events, "slow", NULL, NULL);
	json_str(&ev.json, "user", c->name);
	json_uint(&ev.json, "behind_bytes", outbox_lag(&c->out));
	json_uint(&ev.json, "large_waiting", c->out.n_large);
	json_int(&ev.json, "stalled_ms", mono_diff_us(s->now, c->taken_at) / 1000);
	event_send(&ev, s->events);
}

void report_message(struct server *s, const struct post *p, uint64_t bytes, size_t receivers)
{
	struct event ev;

	event_start(&ev, s->events, "message", NULL, NULL);
	json_str(&ev.json, "user", p->from);
	if (*p->to)
		json_str(&ev.json, "to", p->to);
	json_str(&ev.json, "type", proto_name(p->type));
	json_uint(&ev.json, "bytes", bytes);
	if (*p->filename)
		json_str(&ev.json, "filename", p->filename);
	json_uint(&ev.json, "receivers", receivers);
	event_send(&ev, s->events);
}

static void transfer_start(struct event *ev, struct conn *c, const char *state)
{
	event_start(ev, c->server->events, "transfer", NULL, NULL);
	json_str(&ev->json, "user", c->name);
	json_str(&ev->json, "state", state);
}

void report_progress(struct conn *c)
{
	struct event ev;

	c->reported = c->file->size;
	transfer_start(&ev, c, "receiving");
	json_uint(&ev.json, "bytes", c->file->size);
	json_uint(&ev.json, "of", c->in.desc.content);
	event_send(&ev, c->server->events);
}

void report_received(struct conn *c, const char *error)
{
	struct event ev;

	transfer_start(&ev, c, error ? "failed" : "received");
	json_uint(&ev.json, "bytes", c->file ? c->file->size : 0);
	json_uint(&ev.json, "of", c->in.desc.content);
	if (error)
		json_str(&ev.json, "error", error);
	event_send(&ev, c->server->events);
}

void report_delivered(struct conn *c, uint64_t n)
{
	struct event ev;

	metric_add(&c->server->n.transfers, (int64_t)n);
	transfer_start(&ev, c, "delivered");
	json_uint(&ev.json, "messages", n);
	json_uint(&ev.json, "waiting", c->out.n_large);
	event_send(&ev, c->server->events);
}
