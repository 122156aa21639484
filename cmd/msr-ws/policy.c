/* What the page may load and where it may connect to (CSP level 3). */
#include "policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAGE_POLICY                                                                             \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "       \
	"media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " \
	"connect-src 'self'"

enum { SOURCE_SIZE = 300 };

/*
 * The source expression of a URL: its scheme and host, for a server on every address any host,
 * since the page takes its own. An IPv6 address cannot be written in a policy: there the scheme
 * alone.
 */
static void source_of(const char *url, char out[static SOURCE_SIZE])
{
	const char *host = strstr(url, "://");

	*out = '\0';
	if (!host)
		return; /* a path: 'self' covers it */
	int scheme = (int)(host - url);
	host += 3;
	size_t n = strcspn(host, "/?#");
	const char *port = host + n;
	while (port > host && *port != ':' && *port != ']')
		port--;
	int port_len = *port == ':' ? (int)(host + n - port) : 0;
	if (strncmp(host, "0.0.0.0", 7) == 0 || strncmp(host, "[::]", 4) == 0)
		snprintf(out, SOURCE_SIZE, " %.*s://*%.*s", scheme, url, port_len, port);
	else if (*host == '[')
		snprintf(out, SOURCE_SIZE, " %.*s:", scheme, url);
	else
		snprintf(out, SOURCE_SIZE, " %.*s://%.*s", scheme, url, (int)n, host);
	/* Nothing of an option ends the directive or begins another. */
	for (char *p = out + 1; *p; p++)
		if (*p == ';' || *p == ',' || (unsigned char)*p <= 0x20)
			*p = '_';
}

int policy_make(char *out, size_t size, const char *sfu_url, const char *audiod_url)
{
	const char *urls[] = {sfu_url, audiod_url};
	size_t used = (size_t)snprintf(out, size, "%s", PAGE_POLICY);

	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls) && used < size; i++) {
		char source[SOURCE_SIZE], plain[SOURCE_SIZE + 8] = "";
		if (!urls[i])
			continue;
		source_of(urls[i], source);
		/* Whether msr-audiod is there at all is asked with plain HTTP. */
		if (strncmp(source, " ws", 3) == 0)
			snprintf(plain, sizeof(plain), " http%s", source + 3);
		used += (size_t)snprintf(out + used, size - used, "%s%s", source, plain);
	}
	return used < size ? 0 : -ENOSPC;
}
