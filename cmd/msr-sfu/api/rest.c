/*
 * REST: see rest.h. A handler finds what its path names, reads the body, calls into room/, and
 * replies; errors have one place each.
 */
#include "rest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../room/publish.h"
#include "../room/receive.h"
#include "../room/room.h"
#include "base/clock.h"
#include "web/http.h"

#define ROOM_ID_BYTES 6

/* ---- replies ---- */

static void reply(struct web_req *req, int status, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	if (text)
		web_reply_json(req, status, text, strlen(text));
	else
		web_reply_error(req, 503, "limit", "out of memory");
	free(text);
	json_decref(j);
}

/* For what room/ returns. */
static void reply_failure(struct web_req *req, int err, const struct sdp_error *why)
{
	switch (err) {
	case -EADDRINUSE:
	case -EMFILE:
		web_reply_error(req, 503, "no_ports",
				"every media port is in use; try again later");
		break;
	case -EBADMSG:
	case -EPROTO:
		if (why && why->line)
			web_reply_error(req, 400, "bad_sdp", "line %u: %s", why->line, why->reason);
		else
			web_reply_error(req, 400, "bad_sdp", "%s", why ? why->reason : "");
		break;
	case -ENOSPC:
		web_reply_error(req, 503, "limit", "there are too many already");
		break;
	default:
		web_reply_error(req, 503, "limit", "%s; try again later", strerror(-err));
	}
}

/* ---- what a request names ---- */

static bool valid(struct web_req *req, const char *id)
{
	if (id_valid(id, strlen(id)))
		return true;
	web_reply_error(req, 400, "bad_id", "%s", ID_RULE);
	return false;
}

static struct room *room_of(struct rooms *rooms, struct web_req *req)
{
	const char *id = web_param(req, "room");

	if (!valid(req, id))
		return NULL;
	struct room *r = room_find(rooms, id);
	if (!r)
		web_reply_error(req, 404, "no_room", "there is no room '%s'", id);
	return r;
}

static struct user *user_of(struct rooms *rooms, struct web_req *req)
{
	const char *id = web_param(req, "user");
	struct room *r = room_of(rooms, req);

	if (!r || !valid(req, id))
		return NULL;
	struct user *u = user_find(r, id);
	if (!u)
		web_reply_error(req, 404, "no_user", "there is no user '%s' in this room", id);
	return u;
}

/* The body as an object; an empty one is {}. NULL after replying. */
static json_t *body_of(struct web_req *req)
{
	size_t len;
	json_error_t err;
	const char *text = web_body(req, &len);

	if (!len)
		return json_object();
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err);
	if (json_is_object(j))
		return j;
	web_reply_error(req, 400, "bad_json", "%s", j ? "the body is not an object" : err.text);
	json_decref(j);
	return NULL;
}

/* A description: a string, or an object with `sdp`. NULL after replying. */
static const char *sdp_of(struct web_req *req, const json_t *body, const char *name)
{
	const json_t *v = json_object_get(body, name);
	const char *s = json_string_value(json_is_object(v) ? json_object_get(v, "sdp") : v);

	if (!s)
		web_reply_error(req, 400, "bad_request", "'%s' is missing or is no description",
				name);
	return s;
}

/* ---- rooms ---- */

static json_t *offer_json(const struct user *u)
{
	char id[24];

	snprintf(id, sizeof(id), "%llu", (unsigned long long)u->offer_id);
	return json_pack("{ssss}", "offer", u->offer, "offer_id", id);
}

static void new_room(void *arg, struct web_req *req)
{
	struct rooms *rooms = arg;
	json_t *body = body_of(req);
	char made[2 * ROOM_ID_BYTES + 1];
	uint8_t bits[ROOM_ID_BYTES];
	struct room *r;

	if (!body)
		return;
	const json_t *given = json_object_get(body, "room_id");
	const char *id = json_string_value(given);
	if (!given) {
		if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
			abort(); /* see getrandom(2): not for so few bytes */
		for (unsigned i = 0; i < sizeof(bits); i++)
			sprintf(made + 2 * i, "%02x", bits[i]);
		id = made;
	}
	if (!id) {
		web_reply_error(req, 400, "bad_request", "'room_id' is not a string");
	} else if (valid(req, id)) {
		int ret = room_new(&r, rooms, id);
		if (ret == -EEXIST)
			web_reply_error(req, 409, "room_exists", "the room '%s' exists", id);
		else if (ret < 0)
			reply_failure(req, ret, NULL);
		else
			reply(req, 201, json_pack("{ss}", "room_id", r->id));
	}
	json_decref(body);
}

static void list_rooms(void *arg, struct web_req *req)
{
	struct rooms *rooms = arg;
	json_t *list = json_array();

	map_each (i, &rooms->by_id) {
		struct room *r = container_of(i, struct room, node);
		char created[CLOCK_RFC3339_SIZE];
		clock_rfc3339(r->created_us, created);
		json_array_append_new(list, json_pack("{sssiss}", "room_id", r->id, "users",
						      (int)r->n_users, "created", created));
	}
	reply(req, 200, json_pack("{so}", "rooms", list));
}

static json_t *user_json(const struct user *u)
{
	json_t *tracks = json_array();

	list_each (i, &u->pubs) {
		const struct pub *p = container_of(i, struct pub, link);
		json_array_append_new(tracks,
				      json_pack("{ssssssss}", "id", p->mid, "kind",
						p->kind == SDP_AUDIO ? "audio" : "video", "codec",
						rtp_codec_name(p->codec), "source", p->source));
	}
	return json_pack("{sssbso}", "id", u->id, "connected", u->in.connected || u->out.connected,
			 "tracks", tracks);
}

static void show_room(void *arg, struct web_req *req)
{
	struct room *r = room_of(arg, req);

	if (!r)
		return;
	json_t *users = json_array();
	list_each (i, &r->users)
		json_array_append_new(users, user_json(container_of(i, struct user, link)));
	reply(req, 200, json_pack("{ssso}", "room_id", r->id, "users", users));
}

static void delete_room(void *arg, struct web_req *req)
{
	struct room *r = room_of(arg, req);

	if (!r)
		return;
	room_free(r);
	reply(req, 200, json_object());
}

/* ---- users ---- */

/* Fresh offers for everybody to whom one can be made now. */
static json_t *outbound(struct room *r)
{
	json_t *list = json_array();

	list_each (i, &r->users) {
		struct user *u = container_of(i, struct user, link);
		if (receive_offer(u, false) != 1)
			continue;
		json_t *j = offer_json(u);
		json_object_set_new(j, "id", json_string(u->id));
		json_array_append_new(list, j);
	}
	return list;
}

static void new_user(void *arg, struct web_req *req)
{
	struct room *r = room_of(arg, req);
	const char *id = web_param(req, "user");
	json_t *body = r && valid(req, id) ? body_of(req) : NULL;
	struct user *u;

	if (!body)
		return;
	bool replace = json_is_true(json_object_get(body, "replace"));
	json_decref(body);
	if (replace && (u = user_find(r, id)))
		user_free(u);
	int ret = user_new(&u, r, id);
	if (ret == -EEXIST)
		web_reply_error(req, 409, "user_exists", "the user '%s' is in this room", id);
	else if (ret < 0)
		reply_failure(req, ret, NULL);
	else
		reply(req, 201, offer_json(u));
}

static void show_user(void *arg, struct web_req *req)
{
	struct user *u = user_of(arg, req);

	if (!u)
		return;
	json_t *j = user_json(u);
	if (u->offer_unanswered) {
		json_t *offer = offer_json(u);
		json_object_update(j, offer);
		json_decref(offer);
	}
	reply(req, 200, j);
}

static void delete_user(void *arg, struct web_req *req)
{
	struct user *u = user_of(arg, req);

	if (!u)
		return;
	struct room *r = u->room;
	user_free(u);
	reply(req, 200, json_pack("{so}", "outbound", outbound(r)));
}

static const char *source_of(void *arg, const char *mid)
{
	return json_string_value(json_object_get(arg, mid));
}

static bool sources_ok(struct web_req *req, json_t *sources)
{
	const char *mid;
	json_t *v;

	if (!sources)
		return true;
	bool ok = json_is_object(sources);
	json_object_foreach(sources, mid, v)
	{
		const char *s = json_string_value(v);
		ok = ok && s &&
		     (!strcmp(s, "microphone") || !strcmp(s, "camera") || !strcmp(s, "screen"));
	}
	if (!ok)
		web_reply_error(req, 400, "bad_request",
				"'sources' maps mids to \"microphone\", \"camera\" or \"screen\"");
	return ok;
}

static void produce(void *arg, struct web_req *req)
{
	struct user *u = user_of(arg, req);
	json_t *body = u ? body_of(req) : NULL;
	const char *offer = body ? sdp_of(req, body, "offer") : NULL;
	json_t *sources = json_object_get(body, "sources");
	struct sdp_error why = {0};
	struct buf answer;

	if (offer && sources_ok(req, sources)) {
		buf_init(&answer, SDP_MAX);
		int ret = publish(u, offer, strlen(offer), sources ? source_of : NULL, sources,
				  &answer, &why);
		if (ret < 0)
			reply_failure(req, ret, &why);
		else
			reply(req, 200,
			      json_pack("{ssso}", "answer", buf_data(&answer), "outbound",
					outbound(u->room)));
		buf_done(&answer);
	}
	json_decref(body);
}

/* Whether the answer is to the offer that is open; else replied. */
static bool current(struct web_req *req, const struct user *u, const json_t *body)
{
	const json_t *given = json_object_get(body, "offer_id");
	char id[24];

	if (!u->offer_unanswered) {
		web_reply_error(req, 409, "no_offer", "nothing was offered that is not answered");
		return false;
	}
	snprintf(id, sizeof(id), "%llu", (unsigned long long)u->offer_id);
	if (!given || (json_is_string(given) && !strcmp(json_string_value(given), id)))
		return true;
	json_t *j = offer_json(u);
	json_object_set_new(j, "error", json_string("stale_offer"));
	json_object_set_new(j, "message",
			    json_string("the offer was replaced; this is the current one"));
	reply(req, 409, j);
	return false;
}

static void consume(void *arg, struct web_req *req)
{
	struct user *u = user_of(arg, req);
	json_t *body = u ? body_of(req) : NULL;
	const char *answer = body ? sdp_of(req, body, "answer") : NULL;
	struct sdp_error why = {0};

	if (answer && current(req, u, body)) {
		int ret = receive_answer(u, answer, strlen(answer), &why);
		if (ret < 0)
			reply_failure(req, ret, &why);
		else
			reply(req, 200,
			      receive_offer(u, false) == 1 ? offer_json(u) : json_object());
	}
	json_decref(body);
}

void rest_route(struct web_server *s, struct rooms *rooms)
{
	static const struct {
		const char *method, *pattern;
		web_handler *handler;
	} routes[] = {
	    {"POST", "/rooms", new_room},
	    {"GET", "/rooms", list_rooms},
	    {"GET", "/rooms/:room", show_room},
	    {"DELETE", "/rooms/:room", delete_room},
	    {"POST", "/rooms/:room/users/:user", new_user},
	    {"GET", "/rooms/:room/users/:user", show_user},
	    {"DELETE", "/rooms/:room/users/:user", delete_user},
	    {"POST", "/rooms/:room/users/:user/produce", produce},
	    {"POST", "/rooms/:room/users/:user/consume", consume},
	};

	for (unsigned i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		web_route(s, routes[i].method, routes[i].pattern, 0, routes[i].handler, rooms);
}
