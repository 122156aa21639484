/* Splitting addresses. */
#include "address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX 65535 /* getaddrinfo() takes larger ones for others */

int address_split(const char *text, const char *port, char host_out[static HOST_SIZE],
		  char port_out[static PORT_SIZE])
{
	const char *host = text, *end, *colon;

	if (*text == '[') {
		host++;
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		colon = end[1] ? end + 1 : NULL;
	} else {
		colon = strrchr(text, ':');
		/* Several colons without brackets are an IPv6 address alone. */
		if (colon && strchr(text, ':') != colon)
			colon = NULL;
		end = colon ? colon : text + strlen(text);
	}
	if (colon)
		port = colon + 1;
	if (!port)
		port = DEFAULT_PORT;
	size_t n = (size_t)(end - host);
	if (n >= HOST_SIZE || !*port || strlen(port) >= PORT_SIZE ||
	    port[strspn(port, "0123456789")] || strtoul(port, NULL, 10) > PORT_MAX)
		return -EINVAL;
	snprintf(host_out, HOST_SIZE, "%.*s", (int)n, n ? host : DEFAULT_ADDRESS);
	if (!n)
		strcpy(host_out, DEFAULT_ADDRESS);
	strcpy(port_out, port);
	return 0;
}
