/* Acknowledgements: a growing circular queue. */
#include "ack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "base/json.h"
#include "conn.h"
#include "frame/sink.h"
#include "ingest.h"
#include "room.h"

#define FIRST_CAP 256

struct entry {
	struct session *s;
	uint64_t pos, part;
	uint8_t kind;
};

struct acks {
	struct app *app;
	struct entry *ring; /* owned */
	size_t cap, head, n;
	uint64_t first; /* number of the entry at `head`, counted from 1 */
};

int acks_new(struct acks **ap, struct app *app)
{
	struct acks *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->app = app;
	a->first = 1;
	*ap = a;
	return 0;
}

static struct entry *entry_at(struct acks *a, size_t i)
{
	return &a->ring[(a->head + i) & (a->cap - 1)];
}

void acks_free(struct acks *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++) {
		struct session *s = entry_at(a, i)->s;
		s->n_acks--;
		session_unref(s);
	}
	free(a->ring);
	free(a);
}

static bool grow(struct acks *a)
{
	size_t cap = a->cap ? a->cap * 2 : FIRST_CAP;
	struct entry *ring = malloc(cap * sizeof(*ring));

	if (!ring)
		return false;
	for (size_t i = 0; i < a->n; i++)
		ring[i] = *entry_at(a, i);
	free(a->ring);
	a->ring = ring;
	a->cap = cap;
	a->head = 0;
	return true;
}

void acks_add(struct acks *a, struct session *s, int kind, uint64_t part, uint64_t pos)
{
	uint64_t *last = &s->last_ack[kind == FRAME_VIDEO];

	if (*last >= a->first) {
		struct entry *e = entry_at(a, (size_t)(*last - a->first));
		if (e->pos == pos) {
			e->part = part > e->part ? part : e->part;
			return;
		}
	}
	if (a->n == a->cap && !grow(a))
		return;
	*entry_at(a, a->n) = (struct entry){s, pos, part, (uint8_t)kind};
	*last = a->first + a->n++;
	s->n_acks++;
}

bool acks_empty(const struct acks *a)
{
	return a->n == 0;
}

static void tell(struct acks *a, const struct entry *e)
{
	char text[128];
	struct json j;

	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "j_type", "ack");
	json_str(&j, "kind", frame_kind_name(e->kind));
	json_uint(&j, "part", e->part);
	if (!sink_is_ring(a->app->sink))
		json_bool(&j, "safe", false);
	json_obj_end(&j);
	int len = json_end(&j);
	if (len > 0 && e->s->client && client_send(e->s->client, text, (size_t)len) == 0)
		metric_add(&a->app->count.acks, 1);
}

void acks_run(struct acks *a)
{
	uint64_t safe = sink_safe(a->app->sink);

	while (a->n && a->ring[a->head].pos <= safe) {
		struct entry e = a->ring[a->head];
		a->head = (a->head + 1) & (a->cap - 1);
		a->first++;
		a->n--;
		tell(a, &e);
		if (--e.s->n_acks > 0)
			continue;
		if (e.s->state != SESSION_GONE)
			ingest_acknowledged(e.s);
		else if (e.s->client)
			client_goodbye(e.s->client);
		else
			session_unref(e.s);
	}
}
