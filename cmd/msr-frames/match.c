/* Conditions: one table of keys, each with how to get at its value in a frame. */
#include "match.h"

#include <stdint.h>
#include <string.h>

#include "base/id.h"
#include "command.h"

struct text {
	const char *s;
	size_t len;
};

static struct text of(const char *s)
{
	return (struct text){s, strlen(s)};
}
static struct text room(const struct frame *f)
{
	return (struct text){f->room, f->room_len};
}
static struct text session(const struct frame *f)
{
	return (struct text){f->session, f->session_len};
}
static struct text storage(const struct frame *f)
{
	return (struct text){f->storage, f->storage_len};
}
static struct text kind(const struct frame *f)
{
	return of(frame_kind_name(f->kind));
}
static struct text codec(const struct frame *f)
{
	return of(frame_codec_name(f->codec));
}
static struct text source(const struct frame *f)
{
	return of(frame_source_name(f->source));
}

static const struct {
	const char *name;
	struct text (*get)(const struct frame *f);
	int (*number)(const char *name); /* checks a name; NULL: an id */
} keys[] = {
    {"room", room, NULL},
    {"session", session, NULL},
    {"storage", storage, NULL},
    {"kind", kind, frame_kind_of},
    {"codec", codec, frame_codec_of},
    {"source", source, frame_source_of},
};
#define N_KEYS (int)(sizeof(keys) / sizeof(*keys))

/* The next alternative of a list; false at its end. */
static bool next_value(const char **list, struct text *v)
{
	if (!*list)
		return false;
	const char *comma = strchr(*list, ',');
	*v = (struct text){*list, comma ? (size_t)(comma - *list) : strlen(*list)};
	*list = comma ? comma + 1 : NULL;
	return true;
}

static int check_values(int key, const char *list)
{
	struct text v;

	while (next_value(&list, &v)) {
		char name[ID_SIZE] = "";
		if (v.len < sizeof(name))
			memcpy(name, v.s, v.len);
		if (keys[key].number && keys[key].number(name) < 0)
			return command_usage("no such %s: '%.*s'; msr-frame(5) lists them",
					     keys[key].name, (int)v.len, v.s);
		/* An empty storage= means frames without one. */
		if (!keys[key].number && !id_valid(v.s, v.len) &&
		    (v.len || keys[key].get != storage))
			return command_usage("'%.*s' is no %s; " ID_RULE, (int)v.len, v.s,
					     keys[key].name);
	}
	return 0;
}

int match_parse(struct match *m, int argc, char **argv)
{
	*m = (struct match){0};
	for (int i = 0; i < argc; i++) {
		const char *eq = strchr(argv[i], '=');
		int key = 0;
		while (key < N_KEYS &&
		       (!eq || strncmp(argv[i], keys[key].name, (size_t)(eq - argv[i])) != 0 ||
			keys[key].name[eq - argv[i]]))
			key++;
		if (key == N_KEYS)
			return command_usage(
			    "'%s' is not a condition; conditions are room= session= storage= "
			    "kind= codec= source=, what to read is given with -i",
			    argv[i]);
		if (m->n == MATCH_MAX)
			return command_usage("more than %d conditions", MATCH_MAX);
		if (check_values(key, eq + 1))
			return 2;
		m->cond[m->n++] = (struct match_cond){key, eq + 1};
	}
	return 0;
}

bool match_frame(const struct match *m, const struct frame *f)
{
	for (int i = 0; i < m->n; i++) {
		struct text have = keys[m->cond[i].key].get(f), v;
		const char *list = m->cond[i].values;
		bool any = false;
		while (!any && next_value(&list, &v))
			any = v.len == have.len && !memcmp(v.s, have.s, v.len);
		if (!any)
			return false;
	}
	return true;
}

bool match_has(const struct match *m, const char *key)
{
	for (int i = 0; i < m->n; i++)
		if (!strcmp(keys[m->cond[i].key].name, key))
			return true;
	return false;
}
