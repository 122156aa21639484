/*
 * Users: joining, leaving, and the clock that removes those that vanished. A user shows a sign of
 * life by a call that names it, an open event stream, or a connected transport.
 */
#include "room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"
#include "link.h"
#include "session.h"

struct user *user_get(const struct room *r, const char *id)
{
	struct map_node *n = map_get(&r->users, id, strlen(id));

	return n ? container_of(n, struct user, node) : NULL;
}

bool user_connected(const struct user *u)
{
	return (u->pub && link_connected(u->pub)) || (u->sub && link_connected(u->sub));
}

static int64_t patience_us(const struct user *u)
{
	int64_t t = u->room->sfu->opts.user_timeout_us;

	return u->was_connected && t > CONNECTED_GRACE ? CONNECTED_GRACE : t;
}

void user_touch(struct user *u)
{
	if (user_connected(u))
		u->was_connected = true;
	u->last_sign = mono_now();
	loop_timer_in_us(&u->expiry, patience_us(u));
}

static void on_expiry(void *arg)
{
	struct user *u = arg;

	if (u->n_listeners || user_connected(u)) {
		user_touch(u);
		return;
	}
	metric_add(&u->room->sfu->n_expired, 1);
	user_free(u, "timeout");
}

static void on_offer_timer(void *arg)
{
	offer_refresh(arg);
}

int user_make(struct room *r, const char *id, struct user **up, struct fail *f)
{
	struct sfu *s = r->sfu;

	if (!id_valid(id, strlen(id)))
		return fail_set(f, FAIL_BAD_ID, NULL);
	if (r->users.n >= s->opts.max_users && !user_get(r, id))
		return fail_set(f, FAIL_LIMIT, "the room has %zu users already", r->users.n);
	struct user *u = calloc(1, sizeof(*u));
	if (!u)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	u->room = r;
	u->owner.user = u;
	room_draw_id(u->cname);
	snprintf(u->id, sizeof(u->id), "%s", id);
	list_init(&u->listeners);
	list_init(&u->tracks);
	map_init(&u->wants);
	list_init(&u->wants_by_age);
	loop_timer_init(&u->expiry, s->opts.loop, on_expiry, u);
	loop_timer_init(&u->offer_timer, s->opts.loop, on_offer_timer, u);
	*up = u;
	return 0;
}

int user_enter(struct user *u, struct user *old, struct fail *f)
{
	struct room *r = u->room;
	struct sfu *s = r->sfu;

	if (old)
		user_free(old, "replaced");
	if (map_put(&r->users, &u->node, u->id, strlen(u->id)) < 0)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	u->joined = (uint64_t)metric_get(&s->n_joins);
	r->visited = true;
	metric_add(&s->n_users, 1);
	metric_add(&s->n_joins, 1);
	user_touch(u);
	return 0;
}

static bool has_entered(const struct user *u)
{
	return u->node.key != NULL;
}

/* Everything of the user, without telling anybody. */
static void user_release(struct user *u)
{
	session_free(u->session);
	tracks_free(u);
	offer_done(u);
	wants_free(u);
	link_free(u->pub);
	sdp_free(u->pub_answer);
	loop_timer_stop(&u->expiry);
	if (has_entered(u)) {
		map_remove(&u->room->users, &u->node);
		metric_add(&u->room->sfu->n_users, -1);
	}
	free(u);
}

static int give_sub(struct user *u, struct fail *f)
{
	struct room *r = u->room;

	if (sections_new(&u->sections) < 0)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	struct link_opts lo = {
	    .thread = r->thread, .room = r->number, .controlling = true, .owner = &u->owner};
	return link_new(&u->sub, r->sfu->opts.links, &lo, f);
}

static int first_offer(struct user *u, struct fail *f)
{
	offer_room(u);
	return offer_refresh(u) ? 0 : fail_set(f, FAIL_NO_MEMORY, NULL);
}

int user_new(struct room *r, const char *id, bool replace, struct user **up, struct fail *f)
{
	struct user *old = user_get(r, id), *u;

	if (old && !replace)
		return fail_set(f, FAIL_USER_EXISTS, NULL);
	if (user_make(r, id, &u, f) < 0)
		return -1;
	/* With its port: nobody loses a place for which that is not there. */
	if (give_sub(u, f) < 0 || user_enter(u, old, f) < 0 || first_offer(u, f) < 0) {
		user_release(u);
		return -1;
	}
	notify_user_event(r, "joined", u, NULL);
	*up = u;
	return 0;
}

void user_free(struct user *u, const char *reason)
{
	struct room *r = u->room;

	if (!has_entered(u)) {
		user_release(u);
		return;
	}
	notify_closed(&u->listeners, reason);
	notify_user_event(r, "left", u, reason);
	user_release(u);
	if (!r->ending)
		offer_refresh_room(r, NULL, NULL, NULL);
}

void user_link_connected(struct user *u)
{
	struct room *r = u->room;
	struct event ev;

	user_touch(u);
	event_start(&ev, r->sfu->opts.events, "connected", r->id, u->id);
	event_send(&ev, r->sfu->opts.events);
}

void user_link_ended(struct user *u, struct link *l, const char *reason)
{
	struct room *r = u->room;
	struct event ev;

	user_touch(u);
	event_start(&ev, r->sfu->opts.events, "disconnected", r->id, u->id);
	json_str(&ev.json, "reason", reason);
	event_send(&ev, r->sfu->opts.events);
	if (l != u->pub)
		return; /* the receiving one: the user's clock decides */
	if (u->session) {
		user_free(u, reason);
		return;
	}
	tracks_free(u);
	link_free(u->pub);
	u->pub = NULL;
	notify_tracks(u);
	offer_refresh_room(r, NULL, NULL, NULL);
}
