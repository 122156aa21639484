/*
 * Events to listeners (server-sent events of clients) and to the operator's event line. JSON is
 * built once an event, whoever listens.
 */
#include "room.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "event/event.h"
#include "link.h"

#define EVENT_MAX 8192 /* bytes; 32 tracks fit, offers are built apart */

static const char *kind_name(enum sdp_kind k)
{
	return k == SDP_AUDIO ? "audio" : "video";
}

void tracks_json(const struct user *u, struct json *j, const char *key)
{
	json_arr(j, key);
	list_each (i, &u->tracks) {
		const struct track *t = container_of(i, struct track, link);
		json_obj(j, NULL);
		json_str(j, "id", t->id);
		json_str(j, "kind", kind_name(t->kind));
		json_str(j, "codec", track_codec(t));
		json_str(j, "source", frame_source_name(t->source));
		json_obj_end(j);
	}
	json_arr_end(j);
}

static void tell(struct list *listeners, const char *name, const char *json, size_t len)
{
	list_each_safe (i, listeners) {
		struct listener *l = container_of(i, struct listener, link);
		l->event(l->arg, name, json, len);
	}
}

/* To everybody who listens in the room. */
static void tell_room(struct room *r, const char *name, struct json *j)
{
	int len = json_end(j);

	if (len < 0)
		return;
	tell(&r->listeners, name, j->out, (size_t)len);
	map_each (n, &r->users)
		tell(&container_of(n, struct user, node)->listeners, name, j->out, (size_t)len);
}

void notify_user_event(struct room *r, const char *name, const struct user *u, const char *reason)
{
	char text[EVENT_MAX];
	struct json j;
	struct event ev;

	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "user", u->id);
	if (reason)
		json_str(&j, "reason", reason);
	json_obj_end(&j);
	tell_room(r, name, &j);

	event_start(&ev, r->sfu->opts.events, name, r->id, u->id);
	if (reason)
		json_str(&ev.json, "reason", reason);
	event_send(&ev, r->sfu->opts.events);
}

void notify_tracks(struct user *u)
{
	char text[EVENT_MAX];
	struct json j;
	struct event ev;

	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "user", u->id);
	tracks_json(u, &j, "tracks");
	json_obj_end(&j);
	tell_room(u->room, "tracks", &j);

	event_start(&ev, u->room->sfu->opts.events, "tracks", u->room->id, u->id);
	json_uint(&ev.json, "n", u->n_tracks);
	event_send(&ev, u->room->sfu->opts.events);
}

void notify_speaker(struct room *r, const struct user *u, int level)
{
	char text[256 + ID_SIZE];
	struct json j;

	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "user", u ? u->id : "");
	json_int(&j, "level", level);
	json_obj_end(&j);
	tell_room(r, "speaker", &j);
}

void notify_layer(struct user *u, const struct track *t, const struct link_layer *l)
{
	char text[512 + 2 * ID_SIZE + TRACK_ID_SIZE];
	struct json j;

	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "to", u->id);
	json_str(&j, "user", t->user->id);
	json_str(&j, "track", t->id);
	json_str(&j, "layer", l->name);
	if (l->rid)
		json_str(&j, "rid", l->rid);
	if (l->width) {
		json_uint(&j, "width", l->width);
		json_uint(&j, "height", l->height);
	}
	json_str(&j, "reason", l->reason);
	json_obj_end(&j);
	int len = json_end(&j);
	if (len < 0)
		return;
	tell(&u->room->listeners, "layer", text, (size_t)len);
	tell(&u->listeners, "layer", text, (size_t)len);
}

void notify_record_gap(const struct track *t, uint64_t left_out)
{
	const struct user *u = t->user;
	struct events *events = u->room->sfu->opts.events;
	struct event ev;

	event_start(&ev, events, "record-gap", u->room->id, u->id);
	json_str(&ev.json, "track", t->id);
	json_uint(&ev.json, "left_out", left_out);
	event_send(&ev, events);
}

/* Offers are as long as the room is large, so their JSON has no fixed bound but the offer's own. */
static int offer_json(const struct user *u, struct buf *out)
{
	size_t cap = u->offer.len * 2 + 512 + ID_SIZE;
	char *text = (char *)buf_reserve(out, cap);
	struct json j;

	if (!text)
		return -1;
	json_start(&j, text, cap);
	json_obj(&j, NULL);
	json_str(&j, "user", u->id);
	json_strn(&j, "offer", u->offer.sdp, u->offer.len);
	json_uint(&j, "offer_id", u->offer.id);
	json_obj_end(&j);
	int len = json_end(&j);
	if (len < 0)
		return -1;
	buf_commit(out, (size_t)len);
	return 0;
}

static void tell_offer(struct user *u, struct listener *only)
{
	struct buf b;

	buf_init(&b, 0);
	if (offer_json(u, &b) == 0) {
		const char *json = (const char *)buf_data(&b);
		if (only)
			only->event(only->arg, "offer", json, buf_len(&b));
		else
			tell(&u->listeners, "offer", json, buf_len(&b));
	}
	buf_done(&b);
}

void notify_offer(struct user *u)
{
	if (!list_empty(&u->listeners))
		tell_offer(u, NULL);
}

void notify_closed(struct list *listeners, const char *reason)
{
	while (!list_empty(listeners)) {
		struct listener *l = container_of(listeners->next, struct listener, link);
		list_remove(&l->link);
		l->closed(l->arg, reason);
	}
}

void listen_user(struct user *u, struct listener *l)
{
	l->user = u;
	list_init(&l->link);
	list_push(&u->listeners, &l->link);
	u->n_listeners++;
	user_touch(u);
	if (offer_pending(u))
		tell_offer(u, l);
}

void listen_room(struct room *r, struct listener *l)
{
	l->user = NULL;
	list_init(&l->link);
	list_push(&r->listeners, &l->link);
}

void listen_end(struct listener *l)
{
	if (list_empty(&l->link))
		return;
	list_remove(&l->link);
	if (l->user) {
		l->user->n_listeners--;
		user_touch(l->user);
	}
}
