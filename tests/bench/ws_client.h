/*
 * What the load generators share: a blocking WebSocket handshake, and heads of frames (RFC 6455
 * section 5.2). Errors end the program: a generator without its server measures nothing.
 */
#ifndef MSR_TESTS_BENCH_WS_CLIENT_H
#define MSR_TESTS_BENCH_WS_CLIENT_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"

#define WS_HEAD_MAX 14 /* bytes, with the mask */

static inline void ws_die(const char *what)
{
	perror(what);
	exit(1);
}

/* As many descriptors as the system allows. */
static inline void ws_raise_nofile(void)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

/* A WebSocket to `path` on loopback, open and not blocking. */
static inline int ws_client_open(int port, const char *path)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	char text[1024];
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		ws_die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	int n = snprintf(text, sizeof(text),
			 "GET %s HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\n"
			 "Connection: Upgrade\r\nSec-WebSocket-Key: bXNyIGJlbmNobWFyayAxMg==\r\n"
			 "Sec-WebSocket-Version: 13\r\n\r\n",
			 path, port);
	if (write(fd, text, (size_t)n) != n)
		ws_die("write");
	const char *end;
	do { /* not a byte beyond the head */
		ssize_t got = recv(fd, text, sizeof(text) - 1, MSG_PEEK);
		if (got <= 0 || got == sizeof(text) - 1)
			ws_die("handshake");
		text[got] = '\0';
		end = strstr(text, "\r\n\r\n");
	} while (!end);
	if (read(fd, text, (size_t)(end + 4 - text)) < 0)
		ws_die("handshake");
	if (!strstr(text, " 101 ")) {
		fprintf(stderr, "%s", text);
		exit(1);
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* The head of a whole client's message of `len` bytes with opcode `op`. Returns its size. */
static inline size_t ws_client_head(uint8_t *out, int op, size_t len, const uint8_t mask[static 4])
{
	size_t n = 2;

	out[0] = (uint8_t)(0x80 | op);
	if (len < 126) {
		out[1] = (uint8_t)(0x80 | len);
	} else if (len < 65536) {
		out[1] = 0x80 | 126;
		put_be16(out + 2, (uint16_t)len);
		n = 4;
	} else {
		out[1] = 0x80 | 127;
		put_be64(out + 2, len);
		n = 10;
	}
	memcpy(out + n, mask, 4);
	return n + 4;
}

/* Size of a server's head at `h`, of which `n` bytes are there, and of what follows; 0: more. */
static inline size_t ws_server_head(const uint8_t *h, size_t n, size_t *payload)
{
	if (n < 2)
		return 0;
	size_t len = h[1] & 0x7f, need = len < 126 ? 2 : len == 126 ? 4 : 10;
	if (n < need)
		return 0;
	*payload = len == 126 ? get_be16(h + 2) : len == 127 ? get_be64(h + 2) : len;
	return need;
}

#endif
