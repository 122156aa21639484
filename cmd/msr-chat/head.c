/* JSON headers, read with jansson. */
#include "head.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "proto.h"

static const struct {
	const char *code, *text;
} errors[] = {
    [CHAT_OK] = {"ok", ""},
    [CHAT_ALREADY_LOGGED_IN] = {"already_logged_in", "you are logged in already"},
    [CHAT_BAD_HEADER] = {"bad_header", "the header is empty or a JSON object with to and filename"},
    [CHAT_BAD_TEXT] = {"bad_text", "the text is not UTF-8"},
    [CHAT_BAD_TYPE] = {"bad_type", "clients send the types 6, 7, 8 and 9"},
    [CHAT_BUSY] = {"busy", "this user has not taken earlier messages yet; try again later"},
    [CHAT_FLOOD] = {"flood", "far too many messages"},
    [CHAT_NO_SPACE] = {"no_space", "the server has no space for this now; try again later"},
    [CHAT_RATE] = {"rate", "too many messages; this one was dropped"},
    [CHAT_RATE_WARNING] = {"rate_warning", "too many messages; slow down"},
    [CHAT_SERVER_FULL] = {"server_full", "too many users; try again later"},
    [CHAT_SHUTTING_DOWN] = {"shutting_down", "the server stops"},
    [CHAT_TIMEOUT] = {"timeout", "nothing came for too long"},
    [CHAT_TOO_LARGE] = {"too_large", "the content is too large for this server"},
    [CHAT_USER_NOT_FOUND] = {"user_not_found", "nobody here has that name"},
};
_Static_assert(sizeof(errors) / sizeof(errors[0]) == CHAT_ERRORS, "each error has a text");

const char *chat_error_code(enum chat_error e)
{
	return errors[e].code;
}

const char *chat_error_text(enum chat_error e)
{
	return errors[e].text;
}

/* A JSON object, or NULL. Owned by the caller. */
static json_t *object_of(const void *data, size_t n)
{
	json_t *o = json_loadb(data, n, JSON_REJECT_DUPLICATES, NULL);

	if (o && !json_is_object(o)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* A string member: 1, 0 when absent or null, -EINVAL for another type. Borrowed from `o`. */
static int string_of(const json_t *o, const char *key, const char **s, size_t *n)
{
	const json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return -EINVAL;
	*s = json_string_value(v);
	*n = json_string_length(v);
	return 1;
}

/* Copies a member that fits and is there; otherwise leaves `out` as it is. */
static int copy_of(const json_t *o, const char *key, char *out, size_t size)
{
	const char *s;
	size_t n;
	int got = string_of(o, key, &s, &n);

	if (got <= 0)
		return got;
	if (n >= size)
		return -EINVAL;
	memcpy(out, s, n);
	out[n] = '\0';
	return 0;
}

int head_login(const void *data, size_t n, struct login_head *out)
{
	const char *name;
	size_t len;
	int ret = -EINVAL;

	*out = (struct login_head){0};
	json_t *o = n && *(const char *)data == '{' ? object_of(data, n) : NULL;
	if (!o)
		return text_name(data, n, out->name);
	if (string_of(o, "to", &name, &len) > 0)
		ret = text_name(name, len, out->name);
	out->bad_password = copy_of(o, "password", out->password, sizeof(out->password)) < 0;
	out->presence = json_is_true(json_object_get(o, "presence"));
	json_decref(o);
	return ret;
}

enum chat_error head_message(unsigned type, const void *data, size_t n, struct message_head *out)
{
	const char *s;
	size_t len;

	out->to[0] = out->filename[0] = '\0';
	if (!n)
		return CHAT_OK;
	json_t *o = object_of(data, n);
	if (!o) {
		if (type != PROTO_FILE || !text_is_utf8(data, n))
			return CHAT_BAD_HEADER;
		text_filename(data, n, out->filename);
		return CHAT_OK;
	}
	enum chat_error e = CHAT_OK;
	int to = string_of(o, "to", &s, &len);
	if (to > 0 && text_name(s, len, out->to) < 0)
		e = CHAT_USER_NOT_FOUND;
	int file = string_of(o, "filename", &s, &len);
	if (file > 0 && type != PROTO_UTF8)
		text_filename(s, len, out->filename);
	json_decref(o);
	return to < 0 || file < 0 ? CHAT_BAD_HEADER : e;
}

int head_server(const void *data, size_t n, struct server_head *out)
{
	const char *s;
	size_t len;
	json_t *o = object_of(data, n);

	*out = (struct server_head){0};
	if (!o)
		return -EINVAL;
	int ret = copy_of(o, "from", out->from, sizeof(out->from));
	if (!ret)
		ret = copy_of(o, "to", out->to, sizeof(out->to));
	if (!ret)
		ret = copy_of(o, "timestamp", out->timestamp, sizeof(out->timestamp));
	if (!ret)
		ret = copy_of(o, "error", out->error, sizeof(out->error));
	if (!ret)
		ret = copy_of(o, "message", out->message, sizeof(out->message));
	int file = string_of(o, "filename", &s, &len);
	if (file > 0)
		text_filename(s, len, out->filename);
	json_decref(o);
	return file < 0 ? file : ret;
}
