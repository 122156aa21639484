/* A request at a time over HTTP/1.0 (no chunks), while the clients' loop goes on. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define REPLY_MAX (512u << 10)

static int port;
static char reply[REPLY_MAX];

void http_port(int p)
{
	port = p;
}

/* Whether the reply is there whole: Janus keeps the connection, whatever one asks for. */
static bool complete(size_t got)
{
	const char *body = strstr(reply, "\r\n\r\n"),
		   *len = strcasestr(reply, "\r\ncontent-length:");

	return body && len && len < body &&
	       got >= (size_t)(body + 4 - reply) + strtoul(len + 17, NULL, 10);
}

static void exchange(const char *head, const char *body)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t got = 0;

	if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("cannot connect", strerror(errno));
	if (send(s, head, strlen(head), MSG_MORE | MSG_NOSIGNAL) < 0 ||
	    send(s, body, strlen(body), MSG_NOSIGNAL) < 0)
		fail("cannot send the request", strerror(errno));
	for (reply[0] = '\0'; !complete(got);) {
		struct pollfd p = {.fd = s, .events = POLLIN};
		while (!poll(&p, 1, 0))
			turn(1);
		ssize_t r = read(s, reply + got, sizeof(reply) - 1 - got);
		if (r <= 0)
			break;
		got += (size_t)r;
		reply[got] = '\0';
	}
	close(s);
}

json_t *http(const char *path, json_t *body)
{
	char head[512], *text = body ? json_dumps(body, JSON_COMPACT) : strdup("");
	json_error_t err;

	snprintf(head, sizeof(head),
		 "%s %s HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		 body ? "POST" : "GET", path, strlen(text));
	exchange(head, text);
	const char *data = strstr(reply, "\r\n\r\n");
	if (strncmp(reply, "HTTP/1.", 7) != 0 || strncmp(reply + 8, " 20", 3) != 0)
		fail(path, reply);
	json_t *j = json_loads(data ? data + 4 : "", 0, &err);
	if (!j)
		fail(err.text, reply);
	json_decref(body);
	free(text);
	return j;
}

const char *text_at(json_t *j, const char *path)
{
	char part[64];
	size_t n;

	for (const char *p = path; *p; p += n + (p[n] == '.')) {
		n = strcspn(p, ".");
		snprintf(part, sizeof(part), "%.*s", (int)n, p);
		j = json_object_get(j, part);
	}
	if (!json_is_string(j))
		fail("a member is missing in the reply", path);
	return json_string_value(j);
}
