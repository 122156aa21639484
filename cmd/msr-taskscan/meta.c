/* Reads NAME.json; whatever it does not say, or says in another type, stays unknown. */
#include "meta.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <jansson.h>

void meta_init(struct meta *m)
{
	*m = (struct meta){.bytes = -1, .duration = -1};
}

/* An optional id. False when there is one that breaks the rule. */
static bool get_id(const json_t *o, const char *key, char out[static ID_SIZE])
{
	const json_t *v = json_object_get(o, key);
	size_t len = json_string_length(v);

	if (!json_is_string(v))
		return !v || json_is_null(v);
	if (!id_valid(json_string_value(v), len))
		return false;
	memcpy(out, json_string_value(v), len + 1);
	return true;
}

/* A string that fits and has only visible ASCII, otherwise nothing. */
static void get_text(const json_t *v, char *out, size_t size)
{
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);

	if (!s || len >= size)
		return;
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return;
	memcpy(out, s, len + 1);
}

static void get_sha256(const json_t *v, char out[static META_SHA256])
{
	const char *s = json_string_value(v);

	if (!s || json_string_length(v) != META_SHA256 - 1 ||
	    strspn(s, "0123456789abcdef") != META_SHA256 - 1)
		return;
	memcpy(out, s, META_SHA256);
}

static void add_codec(struct meta *m, const json_t *v)
{
	char one[META_CODEC] = "";
	size_t len = strlen(m->codec);

	get_text(v, one, sizeof(one));
	if (!one[0] || len + 1 + strlen(one) >= sizeof(m->codec))
		return;
	if (len)
		m->codec[len++] = ',';
	strcpy(m->codec + len, one);
}

/* A name, an array of names, or an object of names by kind: video first, as in the file. */
static void get_codecs(const json_t *v, struct meta *m)
{
	if (json_is_string(v))
		add_codec(m, v);
	for (size_t i = 0; i < json_array_size(v); i++)
		add_codec(m, json_array_get(v, i));
	add_codec(m, json_object_get(v, "video"));
	add_codec(m, json_object_get(v, "audio"));
}

int meta_parse(const void *data, size_t len, struct meta *m, const char **why)
{
	int ret = -EINVAL;
	json_t *o;

	meta_init(m);
	o = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
	*why = "it is not JSON";
	if (!o)
		return ret;
	*why = "it is not a JSON object";
	if (!json_is_object(o))
		goto out;
	*why = "its room or session is not an id; " ID_RULE;
	if (!get_id(o, "room", m->room) || !get_id(o, "session", m->session)) {
		meta_init(m);
		goto out;
	}
	get_text(json_object_get(o, "start"), m->start, sizeof(m->start));
	get_sha256(json_object_get(o, "sha256"), m->sha256);
	get_codecs(json_object_get(o, "codecs"), m);
	if (!m->codec[0])
		get_codecs(json_object_get(o, "codec"), m);
	const json_t *bytes = json_object_get(o, "bytes");
	if (json_is_integer(bytes) && json_integer_value(bytes) >= 0)
		m->bytes = json_integer_value(bytes);
	const json_t *duration = json_object_get(o, "duration");
	if (json_is_number(duration) && isfinite(json_number_value(duration)) &&
	    json_number_value(duration) >= 0)
		m->duration = json_number_value(duration);
	ret = 0;
out:
	json_decref(o);
	return ret;
}
