/* Rooms and users: the calls of the original, and what completes them. */
#include "api.h"

#include <string.h>

#include "../room/link.h"
#include "base/buf.h"

#define HINTS_MAX SDP_MEDIA_MAX /* members of "sources": an offer has no more mids */

/* ---- rooms ---- */

static void get_rooms(void *arg, struct web_req *req)
{
	struct sfu *sfu = arg;
	json_t *all = json_array();

	map_each (n, &sfu->rooms) {
		const struct room *r = container_of(n, struct room, node);
		char created[CLOCK_RFC3339_SIZE];
		clock_rfc3339(r->created_us, created);
		json_array_append_new(all, json_pack("{s:s, s:i, s:s}", "room_id", r->id, "users",
						     (int)r->users.n, "created", created));
	}
	reply_object(req, 200,
		     json_pack("{s:b, s:o}", "recording", sfu->opts.recording, "rooms", all));
}

static void post_rooms(void *arg, struct web_req *req)
{
	json_t *body = body_object(req), *id, *until_empty;
	struct room *r;
	struct fail f;

	if (!body)
		return;
	id = json_object_get(body, "room_id");
	until_empty = json_object_get(body, "until_empty");
	if (id && !json_is_string(id)) {
		web_reply_error(req, 400, "bad_request", "'room_id' is a string");
	} else if (until_empty && !json_is_boolean(until_empty)) {
		web_reply_error(req, 400, "bad_request", "'until_empty' is true or false");
	} else if (room_new(arg, id ? json_string_value(id) : NULL, &r, &f) < 0) {
		reply_fail(req, &f);
	} else {
		if (json_is_true(until_empty))
			room_end_when_empty(r);
		reply_object(req, 201, json_pack("{s:s}", "room_id", r->id));
	}
	json_decref(body);
}

static json_t *tracks_array(const struct user *u)
{
	json_t *all = json_array();

	list_each (i, &u->tracks) {
		const struct track *t = container_of(i, struct track, link);
		json_t *one = json_pack("{s:s, s:s, s:s, s:s}", "id", t->id, "kind",
					t->kind == SDP_AUDIO ? "audio" : "video", "codec",
					track_codec(t), "source", frame_source_name(t->source));
		json_array_append_new(all, one);
	}
	return all;
}

static json_t *user_json(const struct user *u)
{
	uint64_t bps = u->sub ? link_estimate_bps(u->sub) : 0;
	json_t *obj = json_pack("{s:s, s:b, s:o}", "id", u->id, "connected", user_connected(u),
				"tracks", tracks_array(u));

	if (obj && bps)
		json_object_set_new(obj, "estimate_kbps", json_integer((json_int_t)(bps / 1000)));
	return obj;
}

static void get_room(void *arg, struct web_req *req)
{
	struct room *r = path_room(arg, req);
	json_t *users;

	if (!r)
		return;
	users = json_array();
	map_each (n, &r->users)
		json_array_append_new(users, user_json(container_of(n, struct user, node)));
	reply_object(req, 200,
		     json_pack("{s:s, s:b, s:o}", "room_id", r->id, "recording",
			       r->sfu->opts.recording, "users", users));
}

static void delete_room(void *arg, struct web_req *req)
{
	struct room *r = path_room(arg, req);

	if (!r)
		return;
	room_free(r, "room deleted");
	reply_object(req, 200, json_object());
}

/* ---- users ---- */

static void reply_offer(struct web_req *req, int status, const struct user *u)
{
	reply_object(req, status,
		     json_pack("{s:s%, s:I}", "offer", u->offer.sdp, u->offer.len, "offer_id",
			       (json_int_t)u->offer.id));
}

/* Adds the offer that waits for an answer, if there is one. */
static void set_pending(json_t *obj, const struct user *u)
{
	if (!obj || !offer_pending(u))
		return;
	json_object_set_new(obj, "offer", json_stringn(u->offer.sdp, u->offer.len));
	json_object_set_new(obj, "offer_id", json_integer((json_int_t)u->offer.id));
}

static void post_user(void *arg, struct web_req *req)
{
	struct room *r = path_room(arg, req);
	json_t *body, *replace;
	struct user *u;
	struct fail f;

	if (!r || !path_id(req, "user"))
		return;
	if ((u = user_get(r, web_param(req, "user"))))
		user_touch(u); /* also where it stays as it is */
	if (!(body = body_object(req)))
		return;
	replace = json_object_get(body, "replace");
	if (replace && !json_is_boolean(replace))
		web_reply_error(req, 400, "bad_request", "'replace' is true or false");
	else if (user_new(r, web_param(req, "user"), json_is_true(replace), &u, &f) < 0)
		reply_fail(req, &f);
	else
		reply_offer(req, 201, u);
	json_decref(body);
}

static void get_user(void *arg, struct web_req *req)
{
	struct user *u = path_user(arg, req);
	json_t *obj;

	if (!u)
		return;
	obj = user_json(u);
	json_object_set_new(obj, "subscription", subscription_json(u));
	set_pending(obj, u);
	reply_object(req, 200, obj);
}

static void delete_user(void *arg, struct web_req *req)
{
	struct user *u = path_user(arg, req);

	if (!u)
		return;
	struct room *r = u->room;
	json_t *outbound = json_array();
	/* Leaving makes the others' offers; these are the ones made since. */
	struct mono before = mono_now();
	user_free(u, "ended");
	map_each (n, &r->users) {
		const struct user *other = container_of(n, struct user, node);
		if (offer_pending(other) && mono_diff_us(other->offer.made, before) >= 0)
			json_array_append_new(outbound, outbound_json(other));
	}
	reply_object(req, 200, json_pack("{s:o}", "outbound", outbound));
}

/* ---- media ---- */

static int source_number(const char *name)
{
	for (int s = SOURCE_MICROPHONE; s <= SOURCE_SCREEN; s++)
		if (name && !strcmp(name, frame_source_name(s)))
			return s;
	return -1;
}

/* Reads {"sources": {mid: name}}; the mids are lent by `body`. -1: replied. */
static int read_hints(struct web_req *req, json_t *body, struct source_hint *out)
{
	json_t *sources = json_object_get(body, "sources"), *v;
	const char *mid;
	int n = 0;

	if (sources && !json_is_object(sources)) {
		web_reply_error(req, 400, "bad_request", "'sources' is an object {mid: source}");
		return -1;
	}
	json_object_foreach(sources, mid, v)
	{
		int s = source_number(json_string_value(v));
		if (s < 0) {
			web_reply_error(req, 400, "bad_request",
					"a source is microphone, camera or screen");
			return -1;
		}
		if (n == HINTS_MAX) {
			web_reply_error(req, 400, "bad_request",
					"'sources' has more than the %d mids of an offer",
					HINTS_MAX);
			return -1;
		}
		out[n++] = (struct source_hint){mid, (enum frame_source)s};
	}
	return n;
}

static void produce(void *arg, struct web_req *req)
{
	struct user *u = path_user(arg, req);
	struct source_hint hints[HINTS_MAX];
	struct buf answer;
	struct fail f;
	const char *sdp;
	json_t *body;
	size_t len;
	int n;

	if (!u || !(body = body_object(req)))
		return;
	buf_init(&answer, 0);
	if ((sdp = body_sdp(req, body, "offer", &len)) && (n = read_hints(req, body, hints)) >= 0) {
		if (user_produce(u, sdp, len, hints, (size_t)n, &answer, &f) < 0)
			reply_fail(req, &f);
		else
			reply_object(req, 200,
				     json_pack("{s:s%, s:o}", "answer", buf_data(&answer),
					       buf_len(&answer), "outbound",
					       outbound_of(u->room, u)));
	}
	buf_done(&answer);
	json_decref(body);
}

/* A conflict is told with the offer that should be answered instead. */
static void reply_consume_fail(struct web_req *req, const struct user *u, const struct fail *f)
{
	json_t *obj = json_pack("{s:s, s:s}", "error", fail_name(f->code), "message", f->text);

	if (f->code == FAIL_STALE_OFFER)
		set_pending(obj, u);
	reply_object(req, fail_status(f->code), obj);
}

static void consume_answer(struct web_req *req, struct user *u, json_t *body)
{
	json_t *id = json_object_get(body, "offer_id");
	struct fail f;
	const char *sdp;
	size_t len;

	if (id && (!json_is_integer(id) || json_integer_value(id) < 1)) {
		web_reply_error(req, 400, "bad_request", "'offer_id' is a number from 1");
	} else if ((sdp = body_sdp(req, body, "answer", &len))) {
		uint64_t offer_id = id ? (uint64_t)json_integer_value(id) : 0;
		if (user_consume(u, sdp, len, offer_id, &f) < 0)
			reply_consume_fail(req, u, &f);
		else if (offer_refresh(u))
			reply_offer(req, 200, u);
		else
			reply_object(req, 200, json_object());
	}
}

static void consume(void *arg, struct web_req *req)
{
	struct user *u = path_user(arg, req);
	json_t *body, *restart;
	struct fail f;

	if (!u || !(body = body_object(req)))
		return;
	restart = json_object_get(body, "restart");
	if (restart && (!json_is_boolean(restart) || json_object_get(body, "answer")))
		web_reply_error(req, 400, "bad_request",
				"'restart' is true or false, and comes without an answer");
	else if (!json_is_true(restart))
		consume_answer(req, u, body);
	else if (user_restart(u, &f) < 0)
		reply_fail(req, &f);
	else
		reply_offer(req, 200, u);
	json_decref(body);
}

/* The description of this interface, taken into the program when it is built. */
extern const char openapi_json[];
extern const uint64_t openapi_json_size;
__asm__(".section .rodata\n"
	".global openapi_json, openapi_json_size\n"
	"openapi_json:\n"
	".incbin \"examples/msr-sfu.openapi.json\"\n"
	"1:\n"
	".balign 8\n"
	"openapi_json_size:\n"
	".quad 1b - openapi_json\n"
	".previous\n");

static void get_openapi(void *arg, struct web_req *req)
{
	(void)arg;
	web_reply_json(req, 200, openapi_json, (size_t)openapi_json_size);
}

void rest_routes(struct web_server *s, struct sfu *sfu)
{
	static const struct {
		const char *method, *pattern;
		web_handler *handler;
	} routes[] = {
	    {"GET", "/rooms", get_rooms},
	    {"POST", "/rooms", post_rooms},
	    {"GET", "/rooms/:room", get_room},
	    {"DELETE", "/rooms/:room", delete_room},
	    {"POST", "/rooms/:room/users/:user", post_user},
	    {"GET", "/rooms/:room/users/:user", get_user},
	    {"DELETE", "/rooms/:room/users/:user", delete_user},
	    {"POST", "/rooms/:room/users/:user/produce", produce},
	    {"POST", "/rooms/:room/users/:user/consume", consume},
	    {"GET", "/openapi.json", get_openapi},
	};

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		web_route(s, routes[i].method, routes[i].pattern, BODY_MAX, routes[i].handler, sfu);
}
