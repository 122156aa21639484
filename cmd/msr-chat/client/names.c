/* A sorted array of names. */
#include "names.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../text.h"

enum { NAMES_MAX = 100000 }; /* more than a server takes; a bound all the same */

struct names {
	char **v; /* owned, each too */
	size_t n, cap;
};

int names_new(struct names **np)
{
	*np = calloc(1, sizeof(**np));
	return *np ? 0 : -ENOMEM;
}

static void clear(struct names *n)
{
	while (n->n)
		free(n->v[--n->n]);
}

void names_free(struct names *n)
{
	if (!n)
		return;
	clear(n);
	free(n->v);
	free(n);
}

/* Where a name is or belongs. */
static size_t place(const struct names *n, const char *name)
{
	size_t lo = 0, hi = n->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (strcmp(n->v[mid], name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool append(struct names *n, size_t at, const char *name)
{
	if (n->n == n->cap) {
		size_t cap = n->cap ? n->cap * 2 : 16;
		char **v = realloc(n->v, cap * sizeof(*v));
		if (!v)
			return false;
		n->v = v;
		n->cap = cap;
	}
	char *copy = strdup(name);
	if (!copy)
		return false;
	memmove(n->v + at + 1, n->v + at, (n->n - at) * sizeof(*n->v));
	n->v[at] = copy;
	n->n++;
	return true;
}

void names_add(struct names *n, const char *name)
{
	size_t at = place(n, name);
	char nfc[NAME_SIZE];

	if ((at < n->n && !strcmp(n->v[at], name)) || n->n >= NAMES_MAX)
		return;
	if (text_name(name, strlen(name), nfc) == 0)
		append(n, at, name);
}

void names_remove(struct names *n, const char *name)
{
	size_t at = place(n, name);

	if (at == n->n || strcmp(n->v[at], name) != 0)
		return;
	free(n->v[at]);
	memmove(n->v + at, n->v + at + 1, (--n->n - at) * sizeof(*n->v));
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_set(struct names *n, const char *json, size_t len)
{
	json_t *list = json_loadb(json, len, 0, NULL);
	char nfc[NAME_SIZE];

	if (json_is_array(list)) {
		clear(n);
		for (size_t i = 0; i < json_array_size(list) && n->n < NAMES_MAX; i++) {
			const char *s = json_string_value(json_array_get(list, i));
			if (s && text_name(s, strlen(s), nfc) == 0)
				append(n, n->n, nfc);
		}
		if (n->n)
			qsort(n->v, n->n, sizeof(*n->v), compare);
	}
	json_decref(list);
}

size_t names_count(const struct names *n)
{
	return n->n;
}

const char *names_at(const struct names *n, size_t i)
{
	return n->v[i];
}
