/* What a user wants to receive: reading the wishes strictly, and showing them. */
#include "api.h"

#include <stdlib.h>
#include <string.h>

#define MAX_KBPS 10000000 /* no network of a client has more */

static const char *const levels[MEDIA_LEVELS] = {
    [MEDIA_AUTO] = "auto", [MEDIA_HIGH] = "high", [MEDIA_MID] = "mid",
    [MEDIA_LOW] = "low",   [MEDIA_OFF] = "off",
};

json_t *subscription_json(const struct user *u)
{
	json_t *users = json_object();

	map_each (n, &u->wants) {
		const struct want *w = container_of(n, struct want, node);
		json_object_set_new(users, w->id,
				    json_pack("{s:s, s:s}", "audio", w->mute ? "off" : "on",
					      "video", levels[w->video]));
	}
	return json_pack("{s:o, s:o}", "users", users, "max_kbps",
			 u->max_kbps ? json_integer((json_int_t)u->max_kbps) : json_null());
}

/* A wish and room for what it points to. */
struct read_wish {
	enum media_level audio, video;
};

static bool refuse(struct web_req *req, const char *what, const char *user, const char *rule)
{
	web_reply_error(req, 400, "bad_request", "'%.64s'%s%.128s: %s", what, user ? " of " : "",
			user ? user : "", rule);
	return false;
}

static bool read_level(const json_t *v, enum media_level *out)
{
	const char *name = json_string_value(v);

	for (int i = 0; name && i < MEDIA_LEVELS; i++)
		if (!strcmp(levels[i], name)) {
			*out = (enum media_level)i;
			return true;
		}
	return false;
}

/* {"audio": "on"|"off", "video": level}, each optional. False: replied. */
static bool read_wish(struct web_req *req, const char *id, json_t *obj, struct wish *wish,
		      struct read_wish *room)
{
	const char *key;
	json_t *v;

	*wish = (struct wish){.user = id};
	if (!id_valid(id, strlen(id))) {
		web_reply_error(req, 400, "bad_id", "users: " ID_RULE);
		return false;
	}
	if (!json_is_object(obj))
		return refuse(req, id, NULL, "a wish is an object {\"audio\", \"video\"}");
	json_object_foreach(obj, key, v)
	{
		const char *text = json_string_value(v);
		if (!strcmp(key, "audio")) {
			if (!text || (strcmp(text, "on") != 0 && strcmp(text, "off") != 0))
				return refuse(req, key, id, "it is on or off");
			room->audio = strcmp(text, "off") == 0 ? MEDIA_OFF : MEDIA_AUTO;
			wish->audio = &room->audio;
		} else if (!strcmp(key, "video")) {
			if (!read_level(v, &room->video))
				return refuse(req, key, id, "it is auto, high, mid, low or off");
			wish->video = &room->video;
		} else {
			return refuse(req, key, id, "there is no such member");
		}
	}
	return true;
}

/* Everything is read before anything is changed. False: replied. */
static bool read_users(struct web_req *req, json_t *users, struct wish *wishes,
		       struct read_wish *rooms)
{
	const char *id;
	json_t *v;
	size_t n = 0;

	json_object_foreach(users, id, v)
	{
		if (!read_wish(req, id, v, &wishes[n], &rooms[n]))
			return false;
		n++;
	}
	return true;
}

/* False: replied. */
static bool read_body(struct web_req *req, json_t *body, uint64_t *max_kbps)
{
	const char *key;
	json_t *v;

	json_object_foreach(body, key, v)
	{
		if (!strcmp(key, "users")) {
			if (!json_is_object(v))
				return refuse(req, key, NULL, "it is an object {user: wish}");
		} else if (!strcmp(key, "max_kbps")) {
			json_int_t kbps = json_integer_value(v);
			if (!json_is_null(v) &&
			    (!json_is_integer(v) || kbps < 0 || kbps > MAX_KBPS))
				return refuse(req, key, NULL,
					      "it is a number from 0 to 10000000; 0 or null is "
					      "no limit");
			*max_kbps = (uint64_t)kbps;
		} else {
			return refuse(req, key, NULL, "there is no such member");
		}
	}
	return true;
}

static void patch_subscription(void *arg, struct web_req *req)
{
	struct user *u = path_user(arg, req);
	struct wish *wishes = NULL;
	struct read_wish *rooms = NULL;
	uint64_t max_kbps = 0;
	struct fail f;
	json_t *body;

	if (!u || !(body = body_object(req)))
		return;
	json_t *users = json_object_get(body, "users");
	size_t n = json_object_size(users);
	wishes = calloc(n + 1, sizeof(*wishes));
	rooms = calloc(n + 1, sizeof(*rooms));
	if (!wishes || !rooms)
		web_reply_error(req, 503, "no_memory", "out of memory");
	else if (!read_body(req, body, &max_kbps) || !read_users(req, users, wishes, rooms))
		; /* replied */
	else if (user_subscribe(u, wishes, n, json_object_get(body, "max_kbps") ? &max_kbps : NULL,
				&f) < 0)
		reply_fail(req, &f);
	else
		reply_object(req, 200, subscription_json(u));
	free(wishes);
	free(rooms);
	json_decref(body);
}

void subscription_routes(struct web_server *s, struct sfu *sfu)
{
	web_route(s, "PATCH", "/rooms/:room/users/:user/subscription", BODY_MAX, patch_subscription,
		  sfu);
}
