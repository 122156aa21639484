/*
 * Load on a WebSocket server: many clients in one process, paced.
 *
 *	ws_load PORT PATH CLIENTS RATE SIZE SECONDS [text]
 *
 * Opens CLIENTS connections to PATH, in which %d is the number of the client. Each sends RATE
 * messages of SIZE bytes a second (spread evenly; "text": only the first client sends, as text),
 * and reads and counts what comes back. Answers pings. Prints one line:
 *
 *	sent N received M late L bytes B
 *
 * where late is the number of messages that could not be sent in their millisecond.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "ws_client.h"

struct client {
	int fd;
	size_t skip;	  /* bytes of a payload still to come */
	uint8_t head[10]; /* of a frame that came in pieces */
	size_t head_len;
	bool dead;
};

static struct client *clients;
static int n_clients, epfd;
static uint64_t n_sent, n_received, n_late, n_bytes;

/* One masked frame, made once: all clients send the same. */
static size_t make_frame(uint8_t *out, int op, size_t len)
{
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	size_t n = ws_client_head(out, op, len, mask);

	for (size_t i = 0; i < len; i++)
		out[n + i] = (uint8_t)((op == 1 ? 'a' : i * 7) ^ mask[i & 3]);
	return n + len;
}

static void answer_ping(struct client *c)
{
	static const uint8_t pong[] = {0x8a, 0x80, 1, 2, 3, 4};

	if (write(c->fd, pong, sizeof(pong)) < 0)
		c->dead = true;
}

static void take(struct client *c, const uint8_t *p, size_t n)
{
	while (n) {
		if (c->skip) {
			size_t k = n < c->skip ? n : c->skip;
			c->skip -= k;
			p += k;
			n -= k;
			continue;
		}
		c->head[c->head_len++] = *p++;
		n--;
		size_t payload;
		if (!ws_server_head(c->head, c->head_len, &payload))
			continue;
		int op = c->head[0] & 15;
		if (op == 9)
			answer_ping(c);
		else if (op < 8)
			n_received++;
		n_bytes += payload;
		c->skip = payload;
		c->head_len = 0;
	}
}

static void read_all(int timeout_ms)
{
	static uint8_t mem[1 << 16];
	struct epoll_event ev[256];
	int n = epoll_wait(epfd, ev, 256, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct client *c = ev[i].data.ptr;
		ssize_t got = read(c->fd, mem, sizeof(mem));
		if (got > 0) {
			take(c, mem, (size_t)got);
		} else if (got == 0 || errno != EAGAIN) {
			c->dead = true;
			epoll_ctl(epfd, EPOLL_CTL_DEL, c->fd, NULL);
		}
	}
}

static void send_one(struct client *c, const uint8_t *frame, size_t len)
{
	if (c->dead)
		return;
	ssize_t n = write(c->fd, frame, len);
	if (n < 0) {
		n_late++;
		return;
	}
	/* A frame in part: the rest must follow before anything else. */
	for (size_t done = (size_t)n; done<len; done += n> 0 ? (size_t)n : 0) {
		n = write(c->fd, frame + done, len - done);
		if (n < 0 && errno != EAGAIN)
			return;
		if (n < 0)
			read_all(1);
	}
	n_sent++;
}

int main(int argc, char **argv)
{
	if (argc < 7) {
		fprintf(stderr, "usage: ws_load PORT PATH CLIENTS RATE SIZE SECONDS [text]\n");
		return 2;
	}
	double rate = atof(argv[4]), seconds = atof(argv[6]);
	size_t size = (size_t)atol(argv[5]);
	bool text = argc > 7;
	n_clients = atoi(argv[3]);
	clients = calloc((size_t)n_clients, sizeof(*clients));
	uint8_t *frame = malloc(size + WS_HEAD_MAX);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (!clients || !frame || epfd < 0)
		ws_die("start");
	ws_raise_nofile();
	size_t len = make_frame(frame, text ? 1 : 2, size);
	for (int i = 0; i < n_clients; i++) {
		struct client *c = &clients[i];
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
		char path[512];
		snprintf(path, sizeof(path), argv[2], i);
		c->fd = ws_client_open(atoi(argv[1]), path);
		epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
	}
	printf("open\n");
	fflush(stdout);

	int senders = text ? 1 : n_clients;
	uint64_t due, total = (uint64_t)(rate * seconds * senders), next = 0;
	struct mono start = mono_now();
	for (;;) {
		int64_t us = mono_diff_us(mono_now(), start);
		due = (uint64_t)((double)us * 1e-6 * rate * senders);
		for (; next < due && next < total; next++)
			send_one(&clients[next % (uint64_t)senders], frame, len);
		if ((double)us > seconds * 1e6 + 300000)
			break;
		read_all(1);
	}
	int dead = 0;
	for (int i = 0; i < n_clients; i++)
		dead += clients[i].dead;
	printf("sent %llu received %llu late %llu bytes %llu dead %d\n", (unsigned long long)n_sent,
	       (unsigned long long)n_received, (unsigned long long)n_late,
	       (unsigned long long)n_bytes, dead);
	free(clients);
	free(frame);
	return dead != 0;
}
