/* What all calls have in common: reading bodies and paths, writing errors and offers. */
#include "api.h"

#include <stdlib.h>
#include <string.h>

json_t *body_object(struct web_req *req)
{
	size_t len;
	const char *text = web_body(req, &len);
	json_error_t err;
	json_t *body;

	if (!len)
		return json_object();
	body = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err);
	if (json_is_object(body))
		return body;
	if (body)
		web_reply_error(req, 400, "bad_json", "the body is not a JSON object");
	else
		web_reply_error(req, 400, "bad_json", "line %d column %d: %s", err.line, err.column,
				err.text);
	json_decref(body);
	return NULL;
}

const char *body_sdp(struct web_req *req, json_t *body, const char *key, size_t *len)
{
	json_t *v = json_object_get(body, key);
	const char *type = json_string_value(json_object_get(v, "type"));

	if (type && strcmp(type, key) != 0) {
		web_reply_error(req, 400, "bad_request", "'%s' has the type '%.16s'", key, type);
		return NULL;
	}
	if (json_is_object(v))
		v = json_object_get(v, "sdp");
	if (!json_is_string(v)) {
		web_reply_error(req, 400, "bad_request",
				"'%s' is missing; it is a session description, as a string or as "
				"{\"type\", \"sdp\"}",
				key);
		return NULL;
	}
	*len = json_string_length(v);
	return json_string_value(v);
}

bool path_id(struct web_req *req, const char *name)
{
	const char *id = web_param(req, name);

	if (id_valid(id, strlen(id)))
		return true;
	web_reply_error(req, 400, "bad_id", "%s: " ID_RULE, name);
	return false;
}

struct room *path_room(struct sfu *sfu, struct web_req *req)
{
	struct room *r;

	if (!path_id(req, "room"))
		return NULL;
	r = room_get(sfu, web_param(req, "room"));
	if (!r)
		web_reply_error(req, 404, "no_room",
				"there is no room '%s'; make it with POST /rooms",
				web_param(req, "room"));
	return r;
}

struct user *path_user(struct sfu *sfu, struct web_req *req)
{
	struct room *r = path_room(sfu, req);
	struct user *u;

	if (!r || !path_id(req, "user"))
		return NULL;
	u = user_get(r, web_param(req, "user"));
	if (u)
		user_touch(u);
	else
		web_reply_error(req, 404, "no_user", "there is no user '%s' in room '%s'",
				web_param(req, "user"), r->id);
	return u;
}

void reply_fail(struct web_req *req, const struct fail *f)
{
	web_reply_error(req, fail_status(f->code), fail_name(f->code), "%s", f->text);
}

void reply_object(struct web_req *req, int status, json_t *obj)
{
	char *text = obj ? json_dumps(obj, JSON_COMPACT) : NULL;

	json_decref(obj);
	if (!text) {
		web_reply_error(req, 503, "no_memory", "out of memory");
		return;
	}
	web_reply_json(req, status, text, strlen(text));
	free(text);
}

json_t *outbound_json(const struct user *u)
{
	return json_pack("{s:s, s:s%, s:I}", "id", u->id, "offer", u->offer.sdp, u->offer.len,
			 "offer_id", (json_int_t)u->offer.id);
}

static void add_outbound(void *arg, const struct user *u)
{
	json_array_append_new(arg, outbound_json(u));
}

json_t *outbound_of(struct room *r, const struct user *except)
{
	json_t *all = json_array();

	if (all)
		offer_refresh_room(r, except, add_outbound, all);
	return all;
}
