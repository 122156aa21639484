/* Rooms and sessions: the tables, and text from one to the others. */
#include "room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "ingest.h"
#include "web/ws.h"

static size_t make_key(char *out, const char *room, const char *id)
{
	size_t r = strlen(room), n = strlen(id);

	memcpy(out, room, r);
	out[r] = '/'; /* in no id */
	memcpy(out + r + 1, id, n + 1);
	return r + 1 + n;
}

struct session *session_find(struct app *a, const char *room, const char *id)
{
	char key[2 * ID_SIZE];
	struct map_node *n = map_get(&a->sessions, key, make_key(key, room, id));

	return n ? container_of(n, struct session, node) : NULL;
}

static struct room *room_get(struct app *a, const char *id, bool make)
{
	size_t len = strlen(id);
	struct map_node *n = map_get(&a->rooms, id, len);
	struct room *r;

	if (n)
		return container_of(n, struct room, node);
	if (!make || !(r = calloc(1, sizeof(*r) + len + 1)))
		return NULL;
	memcpy(r->id, id, len);
	list_init(&r->sessions);
	if (map_put(&a->rooms, &r->node, r->id, len) < 0) {
		free(r);
		return NULL;
	}
	metric_add(&a->count.rooms, 1);
	return r;
}

static void room_put_away(struct app *a, struct room *r)
{
	if (r->n)
		return;
	map_remove(&a->rooms, &r->node);
	metric_add(&a->count.rooms, -1);
	free(r);
}

size_t room_size(struct app *a, const char *room)
{
	struct room *r = room_get(a, room, false);

	return r ? r->n : 0;
}

struct session *session_new(struct app *a, const char *room, const char *id)
{
	struct room *r = room_get(a, room, true);
	struct session *s = r ? calloc(1, sizeof(*s) + strlen(room) + strlen(id) + 2) : NULL;

	if (s) {
		size_t len = make_key(s->key, room, id);
		s->room_len = strlen(room);
		s->id_len = strlen(id);
		s->id = s->key + s->room_len + 1;
		if (map_put(&a->sessions, &s->node, s->key, len) < 0) {
			free(s);
			s = NULL;
		}
	}
	if (!s) {
		if (r)
			room_put_away(a, r);
		return NULL;
	}
	s->app = a;
	s->room = r;
	s->state = SESSION_AWAY;
	list_init(&s->in_room);
	list_init(&s->blocked);
	list_push(&r->sessions, &s->in_room);
	r->n++;
	metric_add(&a->count.sessions, 1);
	loop_timer_init(&s->away, a->loop, NULL, NULL);
	ingest_init(s);
	return s;
}

void session_remove(struct session *s)
{
	struct app *a = s->app;

	s->state = SESSION_GONE;
	for (int i = 0; i < 2; i++)
		loop_timer_stop(&s->wait[i]);
	map_remove(&a->sessions, &s->node);
	list_remove(&s->blocked);
	list_remove(&s->in_room);
	s->room->n--;
	room_put_away(a, s->room);
	s->room = NULL;
	metric_add(&a->count.sessions, -1);
	ingest_done(s);
}

void session_unref(struct session *s)
{
	if (s->state != SESSION_GONE || s->client || s->n_acks)
		return;
	loop_timer_stop(&s->away);
	free(s);
}

void room_text(struct session *s, const char *text, size_t len)
{
	struct app *a = s->app;
	struct ws_msg *m = ws_msg_new(WS_TEXT, text, len);

	metric_add(&a->count.texts, 1);
	list_each (i, &s->room->sessions) {
		struct session *other = container_of(i, struct session, in_room);
		if (other == s || !other->client || !other->client->ws)
			continue;
		if (m && ws_send_msg(other->client->ws, m) == 0)
			metric_add(&a->count.texts_delivered, 1);
		else
			metric_add(&a->count.texts_dropped, 1);
	}
	ws_msg_free(m);
}

void rooms_free(struct app *a)
{
	map_each (n, &a->sessions) {
		struct session *s = container_of(n, struct session, node);
		session_remove(s);
		s->n_acks = 0;
		session_unref(s);
	}
	map_done(&a->sessions);
	map_done(&a->rooms);
}
