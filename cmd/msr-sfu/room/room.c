/* Rooms: making, finding and ending them. */
#include "room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "event/event.h"
#include "link.h"
#include "whep.h"

void sfu_init(struct sfu *s, const struct sfu_opts *opts)
{
	*s = (struct sfu){.opts = *opts};
	map_init(&s->rooms);
	map_init(&s->numbers);
	map_init(&s->sessions);
	s->session_seq = (uint64_t)clock_wall_us();
}

void sfu_done(struct sfu *s)
{
	map_each (n, &s->rooms)
		room_free(container_of(n, struct room, node), "shutdown");
	map_done(&s->rooms);
	map_done(&s->numbers);
	map_done(&s->sessions);
}

void room_draw_id(char out[static 17])
{
	random_text(out, 16, "abcdefghijkmnpqrstuvwxyz23456789");
}

struct room *room_get(const struct sfu *s, const char *id)
{
	struct map_node *n = map_get(&s->rooms, id, strlen(id));

	return n ? container_of(n, struct room, node) : NULL;
}

struct room *room_by_number(const struct sfu *s, uint64_t number)
{
	struct map_node *n = map_get(&s->numbers, &number, sizeof(number));

	return n ? container_of(n, struct room, by_number) : NULL;
}

static void on_idle(void *arg)
{
	struct room *r = arg;

	bool empty = !r->users.n && list_empty(&r->viewers) && list_empty(&r->listeners);
	int64_t age_us = mono_diff_us(mono_now(), r->made);
	if (empty && (r->visited || age_us >= r->sfu->opts.user_timeout_us))
		room_free(r, "empty");
	else
		room_end_when_empty(r);
}

void room_end_when_empty(struct room *r)
{
	int64_t timeout_us = r->sfu->opts.user_timeout_us;

	loop_timer_in_us(&r->idle, timeout_us < ROOM_IDLE_US ? timeout_us : ROOM_IDLE_US);
}

int room_new(struct sfu *s, const char *id, struct room **rp, struct fail *f)
{
	char drawn[17];
	struct event ev;

	if (!id) {
		room_draw_id(drawn);
		id = drawn;
	}
	if (!id_valid(id, strlen(id)))
		return fail_set(f, FAIL_BAD_ID, NULL);
	if (room_get(s, id))
		return fail_set(f, FAIL_ROOM_EXISTS, NULL);
	if (s->rooms.n >= s->opts.max_rooms)
		return fail_set(f, FAIL_LIMIT, "there are %zu rooms already", s->rooms.n);
	struct room *r = calloc(1, sizeof(*r));
	if (!r)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	r->sfu = s;
	r->created_us = clock_wall_us();
	r->made = mono_now();
	snprintf(r->id, sizeof(r->id), "%s", id);
	map_init(&r->users);
	list_init(&r->listeners);
	list_init(&r->viewers);
	loop_timer_init(&r->idle, s->opts.loop, on_idle, r);
	r->thread = links_place(s->opts.links);
	r->number = ++s->last_number;
	if (map_put(&s->rooms, &r->node, r->id, strlen(r->id)) < 0) {
		free(r);
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	}
	if (map_put(&s->numbers, &r->by_number, &r->number, sizeof(r->number)) < 0) {
		map_remove(&s->rooms, &r->node);
		free(r);
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	}
	metric_add(&s->n_rooms, 1);
	event_start(&ev, s->opts.events, "room", r->id, NULL);
	event_send(&ev, s->opts.events);
	*rp = r;
	return 0;
}

void room_free(struct room *r, const char *reason)
{
	struct sfu *s = r->sfu;
	struct event ev;

	loop_timer_stop(&r->idle);
	r->ending = true; /* nobody needs new offers any more */
	map_each (n, &r->users)
		user_free(container_of(n, struct user, node), reason);
	viewers_end(r);
	notify_closed(&r->listeners, reason);
	event_start(&ev, s->opts.events, "room-end", r->id, NULL);
	json_str(&ev.json, "reason", reason);
	event_send(&ev, s->opts.events);
	map_remove(&s->rooms, &r->node);
	map_remove(&s->numbers, &r->by_number);
	metric_add(&s->n_rooms, -1);
	map_done(&r->users);
	free(r);
}
