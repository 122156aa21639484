/*
 * Load on msr-audiod, or on any WebSocket echo, in one process; every packet that comes back is
 * compared with what was sent.
 *
 *	audiod_load PORT PID CLIENTS SIZE SECONDS flood WINDOW [bare]
 *	audiod_load PORT PID CLIENTS SIZE SECONDS paced RATE [bare]
 *
 * flood keeps WINDOW packets of SIZE bytes under way for each client, paced sends RATE a second for
 * each, spread evenly, whatever comes back. "bare": no welcome and no start command. PID is the
 * server's, whose CPU time and memory are reported with those of its children. Prints one line:
 *
 *	packets/s  CPU us a packet  lost  wrong  p50 us  p99 us  memory KiB
 *
 * Half a second of the same load goes before and is not measured: in it every client touches its
 * memory for the first time, all within one interval of the pace, which no crowd of callers does.
 * Latency counts from the write of a packet; memory is PSS, so that what processes share counts
 * once. Exits with 1 when a packet was lost or wrong, or a client was closed.
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

#define DRAIN_US  20000000  /* for what is under way at the end */
#define START_US  120000000 /* for all receivers to start */
#define WARM_S	  0.5	    /* of load before what is measured */
#define TURN_US	  500	    /* the paced load looks around no more often */
#define LATENCIES 2000000   /* us; what takes longer counts as this */
#define READ_STEP 65536

struct client {
	int fd, number;
	int op; /* of the message that is coming in */
	uint64_t sent, received;
	struct buf in, out, message; /* message: what came in several frames */
	bool ready, dead, writing;   /* writing: waits for room in the socket */
};

/* Leads each packet; the rest is pattern. */
struct stamp {
	uint64_t sequence;
	int64_t at_us;
	uint64_t client;
};

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
static struct client *clients;
static struct mono begin;
static uint8_t *pattern; /* size + 256 bytes */
static uint32_t *latency;
static size_t size;
static int n_clients, n_ready, window, epfd;
static uint64_t n_sent, n_received, n_wrong, n_measured;
static bool stopping, measuring;

static int64_t now_us(void)
{
	return mono_diff_us(mono_now(), begin);
}

/* ---- the server's processes ---- */

/* Its children, one level deep. Returns how many. */
static int children(int pid, int *out, int max)
{
	char path[64];
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	FILE *f = fopen(path, "re");
	while (f && n < max && fscanf(f, "%d", &out[n]) == 1)
		n++;
	if (f)
		fclose(f);
	return n;
}

static double read_figure(int pid, const char *file, const char *format)
{
	char path[64], line[256];
	double v = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, format, &v) != 1)
		;
	if (f)
		fclose(f);
	return v;
}

static double sum_figure(int pid, const char *file, const char *format)
{
	int child[64], n = children(pid, child, 64);
	double sum = read_figure(pid, file, format);

	for (int i = 0; i < n; i++)
		sum += read_figure(child[i], file, format);
	return sum;
}

/* ---- one client ---- */

static void watch(struct client *c, bool writing)
{
	struct epoll_event ev = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.ptr = c};

	if (writing == c->writing)
		return;
	c->writing = writing;
	epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void lose(struct client *c)
{
	if (!c->dead)
		epoll_ctl(epfd, EPOLL_CTL_DEL, c->fd, NULL);
	c->dead = true;
}

static void flush(struct client *c)
{
	while (buf_len(&c->out) && !c->dead) {
		ssize_t n = write(c->fd, buf_data(&c->out), buf_len(&c->out));
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			lose(c);
		else
			buf_consume(&c->out, (size_t)n);
	}
	if (!c->dead)
		watch(c, buf_len(&c->out) > 0);
}

static void put_frame(struct client *c, int op, const uint8_t *data, size_t len)
{
	uint8_t *p = buf_reserve(&c->out, WS_HEAD_MAX + len);

	if (!p)
		ws_die("memory");
	size_t n = ws_client_head(p, op, len, mask);
	for (size_t i = 0; i < len; i++)
		p[n + i] = data[i] ^ mask[i & 3];
	buf_commit(&c->out, n + len);
}

static void fill(uint8_t *packet, const struct stamp *s)
{
	memcpy(packet, pattern + (s->sequence * 7 + s->client * 31) % 256, size);
	memcpy(packet, s, sizeof(*s));
}

static void put_packet(struct client *c)
{
	static uint8_t packet[1 << 20];
	struct stamp s = {c->sent++, now_us(), (uint64_t)c->number};

	fill(packet, &s);
	put_frame(c, 2, packet, size);
	n_sent++;
}

/* What came back must be the next packet, byte for byte. */
static void take_packet(struct client *c, const uint8_t *data, size_t len)
{
	static uint8_t want[1 << 20];
	struct stamp s = {0};

	n_received++;
	if (len == size)
		memcpy(&s, data, sizeof(s));
	int64_t took = now_us() - s.at_us;
	s.sequence = c->received++;
	s.client = (uint64_t)c->number;
	fill(want, &s);
	if (len != size || memcmp(want, data, size) != 0 || took < 0)
		n_wrong++;
	if (measuring) {
		n_measured++;
		latency[took < LATENCIES - 1 ? took : LATENCIES - 1]++;
	}
	if (window && !stopping)
		put_packet(c);
}

static void take_message(struct client *c, int op, const uint8_t *data, size_t len)
{
	static const char start[] = "{\"command\":\"start_audio_receiver\"}";

	if (op == 9) {
		put_frame(c, 10, data, len);
	} else if (op == 8) {
		lose(c);
	} else if (op == 2) {
		take_packet(c, data, len);
	} else if (op == 1 && memmem(data, len, "\"connected\"", 11)) {
		put_frame(c, 1, (const uint8_t *)start, sizeof(start) - 1);
	} else if (op == 1 && memmem(data, len, "\"receiver_started\"", 18)) {
		c->ready = true;
		n_ready++;
	} else {
		if (op == 1 && !n_wrong)
			fprintf(stderr, "%.*s\n", (int)len, data);
		n_wrong++;
	}
}

/* A server may split a message into frames as it likes (RFC 6455 section 5.4). */
static void take_frame(struct client *c, uint8_t first, const uint8_t *data, size_t len)
{
	int op = first & 15;
	bool final = first & 0x80;

	if (op && op < 8)
		c->op = op;
	else if (!op)
		op = c->op;
	if (op >= 8 || (final && !buf_len(&c->message))) {
		take_message(c, op, data, len);
		return;
	}
	if (buf_append(&c->message, data, len) < 0)
		ws_die("memory");
	if (!final)
		return;
	take_message(c, op, buf_data(&c->message), buf_len(&c->message));
	buf_consume(&c->message, buf_len(&c->message));
}

static void take(struct client *c)
{
	uint8_t *p = buf_reserve(&c->in, READ_STEP);
	ssize_t got = p ? read(c->fd, p, READ_STEP) : 0;
	size_t len;

	if (got <= 0) {
		if (got == 0 || errno != EAGAIN)
			lose(c);
		return;
	}
	buf_commit(&c->in, (size_t)got);
	for (;;) {
		const uint8_t *in = buf_data(&c->in);
		size_t have = buf_len(&c->in), head = ws_server_head(in, have, &len);
		if (!head || have < head + len)
			break;
		take_frame(c, in[0], in + head, len);
		buf_consume(&c->in, head + len);
	}
	flush(c);
}

static void turn(int timeout_ms)
{
	struct epoll_event ev[256];
	int n = epoll_wait(epfd, ev, 256, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct client *c = ev[i].data.ptr;
		if (ev[i].events & EPOLLOUT)
			flush(c);
		if (ev[i].events & ~(unsigned)EPOLLOUT && !c->dead)
			take(c);
	}
}

/* ---- the run ---- */

static void open_clients(int port, bool bare)
{
	for (int i = 0; i < n_clients; i++) {
		struct client *c = &clients[i];
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
		*c = (struct client){.number = i, .fd = ws_client_open(port, "/ws"), .ready = bare};
		buf_init(&c->in, 16 << 20);
		buf_init(&c->out, 16 << 20);
		buf_init(&c->message, 16 << 20);
		epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
	}
	if (bare)
		n_ready = n_clients;
	for (int64_t end = now_us() + START_US; n_ready < n_clients && now_us() < end;)
		turn(100);
	if (n_ready < n_clients) {
		fprintf(stderr, "only %d of %d receivers started\n", n_ready, n_clients);
		exit(1);
	}
}

static void fill_windows(void)
{
	for (int i = 0; i < n_clients; i++) {
		for (int k = 0; k < window; k++)
			put_packet(&clients[i]);
		flush(&clients[i]);
	}
}

static void flood(double seconds)
{
	for (int64_t end = now_us() + (int64_t)(seconds * 1e6); now_us() < end;)
		turn(100);
}

static void paced(double seconds, double rate)
{
	int64_t from = now_us(), end = from + (int64_t)(seconds * 1e6);
	uint64_t next = 0;

	for (int64_t now = from; now < end; now = now_us()) {
		uint64_t due = (uint64_t)((double)(now - from) * 1e-6 * rate * n_clients);
		for (; next < due; next++) {
			struct client *c = &clients[next % (uint64_t)n_clients];
			if (c->dead)
				continue;
			put_packet(c);
			flush(c);
		}
		turn(1);
		/* Or else the load would be busy all the time, with a packet a turn. */
		int64_t early = now + TURN_US - now_us();
		if (early > 0)
			usleep((useconds_t)early);
	}
}

static void load(double seconds, double rate)
{
	if (window)
		flood(seconds);
	else
		paced(seconds, rate);
}

static int64_t percentile(double share)
{
	uint64_t want = (uint64_t)((double)n_measured * share), sum = 0;

	for (int64_t us = 0; us < LATENCIES; us++)
		if ((sum += latency[us]) > want)
			return us;
	return 0;
}

static int number_dead(void)
{
	int dead = 0;

	for (int i = 0; i < n_clients; i++)
		dead += clients[i].dead;
	return dead;
}

int main(int argc, char **argv)
{
	if (argc < 8) {
		fprintf(stderr, "usage: audiod_load PORT PID CLIENTS SIZE SECONDS flood|paced "
				"WINDOW|RATE [bare]\n");
		return 2;
	}
	int pid = atoi(argv[2]);
	double seconds = atof(argv[5]), rate = atof(argv[7]);
	n_clients = atoi(argv[3]);
	size = (size_t)atol(argv[4]);
	window = strcmp(argv[6], "flood") == 0 ? atoi(argv[7]) : 0;
	clients = calloc((size_t)n_clients, sizeof(*clients));
	pattern = malloc(size + 256);
	latency = calloc(LATENCIES, sizeof(*latency));
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (!clients || !pattern || !latency || epfd < 0 || size < sizeof(struct stamp) ||
	    size > 1 << 20)
		ws_die("start");
	for (size_t i = 0; i < size + 256; i++)
		pattern[i] = (uint8_t)(i * 2654435761u >> 13);
	begin = mono_now();
	ws_raise_nofile();
	open_clients(atoi(argv[1]), argc > 8);

	fill_windows();
	load(WARM_S, rate);
	double cpu = sum_figure(pid, "schedstat", "%lf");
	uint64_t before = n_received;
	int64_t from = now_us();
	measuring = true;
	load(seconds, rate);
	double took = (double)(now_us() - from) * 1e-6;
	uint64_t in_time = n_received - before;
	double memory = sum_figure(pid, "smaps_rollup", "Pss: %lf");
	stopping = true;
	for (int64_t end = now_us() + DRAIN_US; n_received < n_sent && now_us() < end;)
		turn(10);
	cpu = sum_figure(pid, "schedstat", "%lf") - cpu;
	uint64_t lost = n_sent - n_received;
	int dead = number_dead();
	printf("%.0f %.3f %llu %llu %lld %lld %.0f\n", (double)in_time / took,
	       n_measured ? cpu / 1e3 / (double)n_measured : 0, (unsigned long long)lost,
	       (unsigned long long)n_wrong, (long long)percentile(0.5), (long long)percentile(0.99),
	       memory);
	if (dead)
		fprintf(stderr, "%d clients were closed\n", dead);
	return lost || n_wrong || dead;
}
