/* Path patterns: "/rooms/:room/users/:user". */
#include "web_int.h"

#include <string.h>

bool web_route_match(const char *pattern, const char *path, struct params *out)
{
	out->n = 0;
	while (*pattern && *path) {
		if (*pattern != ':') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		size_t name = strcspn(pattern + 1, "/"), value = strcspn(path, "/");
		if (!value || out->n == PARAMS_MAX)
			return false;
		out->name[out->n] = pattern + 1;
		out->name_len[out->n] = name;
		out->value[out->n] = path;
		out->value_len[out->n++] = value;
		pattern += 1 + name;
		path += value;
	}
	return !*pattern && !*path;
}
