/* Origins (RFC 6454) that pages may come from. */
#include "web.h"

#include <string.h>
#include <strings.h>

#include "base/opt.h"

/* "host" or "host:port" after the scheme, or NULL. */
static const char *authority(const char *origin)
{
	if (strncasecmp(origin, "http://", 7) == 0)
		return origin + 7;
	if (strncasecmp(origin, "https://", 8) == 0)
		return origin + 8;
	return NULL;
}

static bool is_sent(const char *origin)
{
	const char *scheme_end = strstr(origin, "://"); /* extensions and apps have their own */

	if (!scheme_end)
		return !strcmp(origin, "null"); /* of a page in a sandbox */
	return scheme_end[3] && !strpbrk(scheme_end + 3, "/?#@ ");
}

int web_origins_check(const struct opt_program *p, const struct opt_list *given)
{
	for (size_t i = 0; i < given->n; i++)
		if (strcmp(given->v[i], "*") != 0 && !is_sent(given->v[i]))
			return opt_usage(p,
					 "--allow-origin wants scheme://host or "
					 "scheme://host:port, not '%s'",
					 given->v[i]);
	return 0;
}

static bool is_localhost(const char *host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		size_t n = strlen(names[i]);
		if (strncasecmp(host, names[i], n) != 0)
			continue;
		const char *rest = host + n;
		if (!*rest)
			return true;
		if (*rest == ':' && rest[1] && strspn(rest + 1, "0123456789") == strlen(rest + 1))
			return true;
	}
	return false;
}

/* Hosts are the same where only the default port of the scheme is spelled out. */
static bool same_host(const char *origin, const char *auth, const char *host)
{
	size_t n = strlen(auth);
	const char *port = strncasecmp(origin, "https", 5) == 0 ? ":443" : ":80";

	if (strcasecmp(auth, host) == 0)
		return true;
	return strncasecmp(auth, host, n) == 0 && strcmp(host + n, port) == 0;
}

static bool is_listed(const struct web_origins *o, const char *origin)
{
	for (size_t i = 0; i < o->n; i++)
		if (strcasecmp(o->list[i], origin) == 0)
			return true;
	return false;
}

bool web_origin_named(const struct web_origins *o, const char *origin)
{
	/* Not "null": that is every page in a sandbox. */
	return authority(origin) && is_listed(o, origin);
}

bool web_origin_ok(const struct web_origins *o, const char *origin, const char *host)
{
	if (is_listed(o, "*") || is_listed(o, origin))
		return true;
	const char *auth = authority(origin);
	if (!auth)
		return false;
	if (o->localhost && is_localhost(auth))
		return true;
	return o->same && host && same_host(origin, auth, host);
}
