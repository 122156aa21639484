/*
 * Load for chat servers: RECEIVERS users that listen and SENDERS that talk, in one thread.
 *
 *	chat_load flood PROTOCOL PORT PID RECEIVERS SENDERS WINDOW SIZE SECONDS
 *	chat_load paced PROTOCOL PORT PID RECEIVERS RATE SIZE SECONDS
 *	chat_load file PORT PID RECEIVERS MEGABYTES	one File message through msr-chat
 *	chat_load sendfile RECEIVERS MEGABYTES		the same bytes by sendfile(2) alone
 *
 * flood: each sender keeps WINDOW messages in flight; one has landed when its last receiver has
 * it. paced: one sender, RATE messages a second, latency from the time at which each was due.
 * Every message is counted at every receiver; one that is missing or out of order fails the run.
 * CPU is user and system time of PID, per delivery, between the first and the last second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/proc.h"

enum {
	IN_SIZE = 256 * 1024,
	SENDERS_MAX = 16,
	RING = 4096, /* messages of a sender that can be in flight */
	HEAD = 28,   /* sender, number and time at the beginning of each text, in hexadecimal */
	BUCKETS = 100000,
	WARM_US = 500000,
	GREETINGS = 8, /* awaited at once: ngIRCd has a backlog of 10 connections */
	LOGINS = 200,  /* under way at once: it takes three commands a second of each */
};

struct user {
	int fd;
	unsigned index;
	bool greeted, ready; /* greeted: something came */
	int step;	     /* of the login */
	char name[16];
	uint8_t *in; /* input not understood yet */
	size_t n_in;
	uint8_t *out; /* output not taken yet */
	size_t n_out, cap_out;
	bool blocked; /* waits for the socket to take more */
};

struct protocol {
	const char *name;
	bool senders_receive; /* senders get each other's messages */
	bool quick_ack; /* for a server that leaves Nagle's algorithm on: acknowledge at once */
	void (*hello)(struct user *u);
	/* Understands input; returns how many bytes it used. */
	size_t (*input)(struct user *u, const uint8_t *p, size_t n);
	void (*say)(struct user *u, const char *text, size_t n);
};

static const struct protocol *proto;
static struct user *users;
static unsigned n_users, n_greeted, n_ready, n_senders, fanout;
static int epfd;
static bool timed; /* measure latencies */
static size_t size;

static uint32_t *next_seq; /* of [receiver][sender]: what must come next */
static uint32_t landed[SENDERS_MAX][RING];
static uint32_t sent[SENDERS_MAX], flying[SENDERS_MAX];
static uint64_t deliveries;
static uint32_t latency[BUCKETS]; /* by tens of microseconds */

static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "chat_load: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(1);
}

/* ---- sockets ---- */

static int connect_to(int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("cannot connect to port %d: %s", port, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void flush(struct user *u)
{
	while (u->n_out) {
		ssize_t n = send(u->fd, u->out, u->n_out, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			fail("%s: send: %s", u->name, strerror(errno));
		if (n <= 0)
			break;
		memmove(u->out, u->out + n, u->n_out - (size_t)n);
		u->n_out -= (size_t)n;
	}
	if ((u->n_out > 0) == u->blocked)
		return;
	u->blocked = u->n_out > 0;
	struct epoll_event ev = {.events = EPOLLIN | (u->blocked ? (uint32_t)EPOLLOUT : 0u),
				 .data.ptr = u};
	epoll_ctl(epfd, EPOLL_CTL_MOD, u->fd, &ev);
}

static void put(struct user *u, const void *data, size_t n)
{
	if (u->n_out + n > u->cap_out) {
		u->cap_out = 2 * (u->n_out + n);
		u->out = realloc(u->out, u->cap_out);
		if (!u->out)
			fail("out of memory");
	}
	memcpy(u->out + u->n_out, data, n);
	u->n_out += n;
}

static void read_user(struct user *u)
{
	static uint8_t bytes[IN_SIZE];
	size_t have = u->n_in;

	memcpy(bytes, u->in, have);
	ssize_t n = recv(u->fd, bytes + have, sizeof(bytes) - have, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		fail("%s was disconnected", u->name);
	if (proto->quick_ack) {
		int one = 1;
		setsockopt(u->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
	}
	n_greeted += !u->greeted;
	u->greeted = true;
	have += (size_t)n;
	size_t used = proto->input(u, bytes, have);
	u->n_in = have - used;
	if (u->n_in > IN_SIZE / 2)
		fail("%s: a message is too long", u->name);
	if (u->n_in) {
		u->in = realloc(u->in, u->n_in);
		memcpy(u->in, bytes + used, u->n_in);
	}
}

static void turn(int timeout_ms)
{
	struct epoll_event ev[256];
	int n = epoll_wait(epfd, ev, 256, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct user *u = ev[i].data.ptr;
		if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			read_user(u);
		if (u->n_out)
			flush(u);
	}
}

static void is_ready(struct user *u)
{
	if (!u->ready)
		n_ready++;
	u->ready = true;
}

/* Whether another may log in, or, when all have begun, whether the last are done. */
static bool may_go_on(unsigned begun)
{
	if (begun == n_users)
		return n_ready == n_users;
	return begun - n_greeted < GREETINGS && begun - n_ready < LOGINS;
}

/* Logs in a few at a time, so that the kernel's backlog is no part of what is measured. */
static void log_in(int port, unsigned receivers)
{
	n_users = receivers + n_senders;
	users = calloc(n_users, sizeof(*users));
	next_seq = calloc((size_t)n_users * n_senders, sizeof(*next_seq));
	epfd = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < n_users; i++) {
		struct user *u = &users[i];
		*u = (struct user){.fd = connect_to(port), .index = i};
		snprintf(u->name, sizeof(u->name), "u%u", i);
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = u};
		epoll_ctl(epfd, EPOLL_CTL_ADD, u->fd, &ev);
		proto->hello(u);
		flush(u);
		struct mono end = mono_add_us(mono_now(), 10000000);
		while (!may_go_on(i + 1)) {
			turn(100);
			if (mono_diff_us(mono_now(), end) > 0)
				fail("%u of %u are logged in after 10 s", n_ready, i + 1);
		}
	}
	fanout = receivers + (proto->senders_receive ? n_senders - 1 : 0);
}

/* ---- messages ---- */

static uint64_t hex(const uint8_t *p, int n)
{
	uint64_t v = 0;

	while (n--) {
		uint8_t c = *p++;
		v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return v;
}

static void say(unsigned s, int64_t due_us)
{
	char text[4096];

	snprintf(text, sizeof(text), "%04x%08x%016llx", s, sent[s], (unsigned long long)due_us);
	memset(text + HEAD, 'x', size - HEAD);
	landed[s][sent[s] % RING] = 0;
	sent[s]++;
	flying[s]++;
	proto->say(&users[s], text, size);
}

/* For paced loads: how long after it was due a text arrived. */
static void note_latency(const uint8_t *text)
{
	int64_t us = mono_now().us - (int64_t)hex(text + 12, 16);
	int64_t bucket = us < 0 ? 0 : us / 10;

	latency[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static void delivered(struct user *u, const uint8_t *text, size_t n)
{
	if (n != size)
		fail("%s got a text of %zu bytes", u->name, n);
	unsigned s = (unsigned)hex(text, 4);
	uint32_t seq = (uint32_t)hex(text + 4, 8);
	if (s >= n_senders || seq != next_seq[u->index * n_senders + s]++)
		fail("%s: message %u of %u came out of order", u->name, seq, s);
	deliveries++;
	if (timed)
		note_latency(text);
	if (++landed[s][seq % RING] == fanout)
		flying[s]--;
}

/* ---- msr: msr-chat(7) ---- */

static void msr_hello(struct user *u)
{
	uint8_t desc[16] = {0, 1, 0, (uint8_t)strlen(u->name)};

	put(u, desc, sizeof(desc));
	put(u, u->name, strlen(u->name));
}

static size_t msr_input(struct user *u, const uint8_t *p, size_t n)
{
	size_t used = 0;

	while (n - used >= 16) {
		const uint8_t *d = p + used;
		size_t head = get_be16(d + 2), content = (size_t)get_be64(d + 8);
		unsigned type = get_be16(d);
		if (n - used < 16 + head + content)
			break;
		if (type == 2)
			is_ready(u);
		else if (type == 7)
			delivered(u, d + 16 + head, content);
		else
			fail("%s got a message of type %u", u->name, type);
		used += 16 + head + content;
	}
	return used;
}

static void msr_say(struct user *u, const char *text, size_t n)
{
	uint8_t desc[16] = {0, 7};

	put_be64(desc + 8, n);
	put(u, desc, sizeof(desc));
	put(u, text, n);
}

/* ---- irc: RFC 1459 ---- */

static void put_text(struct user *u, const char *text)
{
	put(u, text, strlen(text));
}

static void irc_hello(struct user *u)
{
	char line[64];

	snprintf(line, sizeof(line), "NICK %s\r\nUSER %s 0 * :x\r\n", u->name, u->name);
	put_text(u, line);
}

/* The command of a line, behind ":prefix ". */
static const char *irc_command(const char *line, const char *end)
{
	const char *blank = *line == ':' ? memchr(line, ' ', (size_t)(end - line)) : NULL;

	return blank ? blank + 1 : line;
}

static void irc_line(struct user *u, const char *line, const char *end)
{
	const char *c = irc_command(line, end);

	if (end - c > 8 && !memcmp(c, "PRIVMSG ", 8)) {
		const char *text = memchr(c, ':', (size_t)(end - c));
		if (text)
			delivered(u, (const uint8_t *)text + 1, (size_t)(end - text - 1));
	} else if (!memcmp(c, "PING", 4)) {
		put_text(u, "PONG :x\r\n");
	} else if (!memcmp(c, "001", 3)) {
		/* Operators are not slowed down. */
		put_text(u, "OPER load load\r\nJOIN #load\r\n");
	} else if (!memcmp(c, "366", 3)) {
		is_ready(u);
	} else if (!memcmp(c, "ERROR", 5)) {
		fail("%s: %.*s", u->name, (int)(end - line), line);
	}
}

static size_t irc_input(struct user *u, const uint8_t *p, size_t n)
{
	size_t used = 0;

	for (;;) {
		const uint8_t *end = memchr(p + used, '\n', n - used);
		if (!end)
			return used;
		if (end - p - (ptrdiff_t)used > 5)
			irc_line(u, (const char *)p + used, (const char *)end - 1);
		used = (size_t)(end - p) + 1;
	}
}

static void irc_say(struct user *u, const char *text, size_t n)
{
	put(u, "PRIVMSG #load :", 15);
	put(u, text, n);
	put(u, "\r\n", 2);
}

/* ---- mqtt: MQTT 3.1.1 with QoS 0; senders do not subscribe ---- */

static void mqtt_hello(struct user *u)
{
	size_t name = strlen(u->name);
	uint8_t connect[] = {0x10, (uint8_t)(12 + name), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0,
			     0,	   (uint8_t)name};

	put(u, connect, sizeof(connect));
	put(u, u->name, name);
	static const uint8_t subscribe[] = {0x82, 9, 0, 1, 0, 4, 'l', 'o', 'a', 'd', 0};
	if (u->index >= n_senders)
		put(u, subscribe, sizeof(subscribe));
}

static size_t mqtt_input(struct user *u, const uint8_t *p, size_t n)
{
	size_t used = 0;

	while (n - used >= 2) {
		const uint8_t *at = p + used + 1, *end = p + n;
		size_t len = 0;
		for (int shift = 0; at < end; shift += 7) {
			len |= (size_t)(*at & 0x7f) << shift;
			if (!(*at++ & 0x80))
				break;
			if (at == end)
				return used;
		}
		if ((size_t)(end - at) < len)
			break;
		switch (p[used] >> 4) {
		case 2: /* CONNACK */
			if (u->index < n_senders)
				is_ready(u);
			break;
		case 9: /* SUBACK */
			is_ready(u);
			break;
		case 3: /* PUBLISH: the topic, then the text */
			delivered(u, at + 6, len - 6);
			break;
		}
		used = (size_t)(at - p) + len;
	}
	return used;
}

static void mqtt_say(struct user *u, const char *text, size_t n)
{
	static const uint8_t topic[] = {0, 4, 'l', 'o', 'a', 'd'};
	uint8_t head[8] = {0x30};
	size_t len = sizeof(topic) + n, used = 1;

	for (; len >= 128; len /= 128)
		head[used++] = (uint8_t)(len % 128 + 128);
	head[used++] = (uint8_t)len;
	put(u, head, used);
	put(u, topic, sizeof(topic));
	put(u, text, n);
}

static const struct protocol protocols[] = {
    {"msr", true, false, msr_hello, msr_input, msr_say},
    {"irc", true, true, irc_hello, irc_input, irc_say},
    {"mqtt", false, false, mqtt_hello, mqtt_input, mqtt_say},
};

/* ---- measuring ---- */

static double cpu_s(int pid)
{
	char path[64], text[1024];
	unsigned long user = 0, system = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	if (!f || !fgets(text, sizeof(text), f))
		fail("no process %d", pid);
	fclose(f);
	const char *p = strrchr(text, ')');
	if (!p || sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			 &system) != 2)
		fail("cannot read %s", path);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static long rss_kib(int pid, const char *what)
{
	char path[64], line[256];
	long kib = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, what, strlen(what)))
			kib = strtol(line + strlen(what) + 1, NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

static double percentile(double q)
{
	uint64_t all = 0, seen = 0;

	for (int i = 0; i < BUCKETS; i++)
		all += latency[i];
	for (int i = 0; i < BUCKETS; i++)
		if ((double)(seen += latency[i]) >= q * (double)all)
			return i * 0.01;
	return BUCKETS * 0.01;
}

/* Until everybody has everything, or nothing comes for 10 s. */
static void land_all(void)
{
	struct mono end = mono_add_us(mono_now(), 10000000);

	for (unsigned s = 0; s < n_senders; s++)
		while (flying[s]) {
			uint64_t before = deliveries;
			turn(100);
			if (deliveries != before)
				end = mono_add_us(mono_now(), 10000000);
			else if (mono_diff_us(mono_now(), end) > 0)
				fail("%u messages did not arrive everywhere", flying[s]);
		}
}

static void flood(int pid, unsigned window, double seconds)
{
	struct mono start = mono_now(), now = start, from = {0};
	struct mono end = mono_add_us(start, (int64_t)(seconds * 1e6) + WARM_US);
	uint64_t base = 0;
	double cpu = 0;

	while (now.us < end.us) {
		for (unsigned s = 0; s < n_senders; s++) {
			bool any = flying[s] < window;
			while (flying[s] < window)
				say(s, now.us);
			if (any)
				flush(&users[s]);
		}
		turn(1000);
		now = mono_now();
		if (!from.us && mono_diff_us(now, start) >= WARM_US) {
			from = now;
			base = deliveries;
			cpu = cpu_s(pid);
		}
	}
	double t = (double)mono_diff_us(now, from) / 1e6, used = cpu_s(pid) - cpu;
	double n = (double)(deliveries - base);
	land_all();
	printf("%.0f %.3f\n", n / t, used / n * 1e6);
}

static void paced(int pid, double rate, double seconds)
{
	struct mono start = mono_now();
	double cpu = cpu_s(pid);
	uint64_t total = (uint64_t)(rate * seconds);

	for (uint64_t i = 0; i < total;) {
		int64_t due = start.us + (int64_t)((double)i / rate * 1e6);
		int64_t wait = due - mono_now().us;
		if (wait > 0) {
			turn((int)(wait / 1000));
			continue;
		}
		say(0, due);
		flush(&users[0]);
		i++;
	}
	land_all();
	printf("%.2f %.2f %.2f %.3f\n", percentile(0.5), percentile(0.99), percentile(0.999),
	       (cpu_s(pid) - cpu) / (double)deliveries * 1e6);
}

/* ---- files ---- */

static int make_file(uint64_t bytes)
{
	static char block[1 << 20];
	int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	memset(block, 'f', sizeof(block));
	for (uint64_t i = 0; i < bytes; i += sizeof(block))
		if (fd < 0 || write(fd, block, sizeof(block)) != sizeof(block))
			fail("cannot make a file: %s", strerror(errno));
	return fd;
}

/* Reads away what comes, without copying it, until each of `n` sockets got `bytes`. */
static void swallow(const int *fds, unsigned n, uint64_t bytes)
{
	uint64_t *got = calloc(n, sizeof(*got));
	unsigned open = n;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	for (unsigned i = 0; i < n; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
		epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev);
	}
	while (open) {
		struct epoll_event ev[64];
		int k = epoll_wait(ep, ev, 64, 30000);
		if (k <= 0)
			fail("nothing came for 30 s");
		for (int i = 0; i < k; i++) {
			uint32_t at = ev[i].data.u32;
			ssize_t r = recv(fds[at], NULL, 1 << 20, MSG_TRUNC | MSG_DONTWAIT);
			if (r <= 0 && errno != EAGAIN)
				fail("a receiver was disconnected");
			bool before = got[at] < bytes;
			got[at] += r > 0 ? (uint64_t)r : 0;
			open -= before && got[at] >= bytes;
		}
	}
	free(got);
	close(ep);
}

static void upload(int port, int file, uint64_t bytes)
{
	uint8_t desc[16] = {0, 8};
	int fd = users[0].fd;
	off_t at = 0;

	(void)port;
	for (int i = 0; i < 8; i++)
		desc[8 + i] = (uint8_t)(bytes >> (56 - 8 * i));
	fcntl(fd, F_SETFL, 0);
	if (send(fd, desc, sizeof(desc), MSG_NOSIGNAL) != sizeof(desc))
		fail("upload: %s", strerror(errno));
	while ((uint64_t)at < bytes)
		if (sendfile(fd, file, &at, 1 << 30) <= 0)
			fail("upload: %s", strerror(errno));
}

static void file_through_chat(int port, int pid, unsigned receivers, uint64_t bytes)
{
	int *fds = calloc(receivers, sizeof(*fds));
	int file = make_file(bytes);

	n_senders = 1;
	log_in(port, receivers);
	for (unsigned i = 0; i < receivers; i++)
		fds[i] = users[i + 1].fd;
	double cpu = cpu_s(pid);
	struct mono start = mono_now();
	pid_t child = fork();
	if (!child) {
		upload(port, file, bytes);
		_exit(0);
	}
	swallow(fds, receivers, bytes);
	double t = (double)mono_diff_us(mono_now(), start) / 1e6;
	waitpid(child, NULL, 0);
	double gb = (double)bytes * receivers / 1e9;
	printf("%.0f %.3f %ld\n", gb * 1000 / t, (cpu_s(pid) - cpu) / gb, rss_kib(pid, "VmHWM"));
}

/* The bare minimum: every socket gets a megabyte of the file in turn. */
static void send_to_all(int listener, unsigned receivers, int file, uint64_t bytes)
{
	int *fds = calloc(receivers, sizeof(*fds));
	off_t *at = calloc(receivers, sizeof(*at));
	int ep = epoll_create1(EPOLL_CLOEXEC);
	unsigned open = receivers;

	for (unsigned i = 0; i < receivers; i++) {
		fds[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		struct epoll_event ev = {.events = EPOLLOUT, .data.u32 = i};
		epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev);
	}
	while (open) {
		struct epoll_event ev[64];
		int k = epoll_wait(ep, ev, 64, -1);
		for (int i = 0; i < k; i++) {
			uint32_t r = ev[i].data.u32;
			sendfile(fds[r], file, &at[r], 1 << 20);
			if ((uint64_t)at[r] < bytes)
				continue;
			epoll_ctl(ep, EPOLL_CTL_DEL, fds[r], NULL);
			open--;
		}
	}
}

static void file_by_sendfile(unsigned receivers, uint64_t bytes)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	socklen_t len = sizeof(any);
	int file = make_file(bytes), listener = socket(AF_INET, SOCK_STREAM, 0);
	int *fds = calloc(receivers, sizeof(*fds));

	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&any, len) < 0 || listen(listener, 128) < 0 ||
	    getsockname(listener, (struct sockaddr *)&any, &len) < 0)
		fail("cannot listen: %s", strerror(errno));
	pid_t child = fork();
	if (!child) {
		send_to_all(listener, receivers, file, bytes);
		pause(); /* the receivers close */
	}
	for (unsigned i = 0; i < receivers; i++)
		fds[i] = connect_to(ntohs(any.sin_port));
	double cpu = cpu_s(child);
	struct mono start = mono_now();
	swallow(fds, receivers, bytes);
	double t = (double)mono_diff_us(mono_now(), start) / 1e6;
	double gb = (double)bytes * receivers / 1e9;
	printf("%.0f %.3f\n", gb * 1000 / t, (cpu_s(child) - cpu) / gb);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* ---- main ---- */

static const struct protocol *protocol_of(const char *name)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (!strcmp(protocols[i].name, name))
			return &protocols[i];
	fail("no protocol '%s': msr, irc or mqtt", name);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	proc_raise_nofile();

	if (!strcmp(what, "flood") && argc == 10) {
		proto = protocol_of(argv[2]);
		n_senders = (unsigned)atoi(argv[6]);
		size = (size_t)atoi(argv[8]);
		log_in(atoi(argv[3]), (unsigned)atoi(argv[5]));
		flood(atoi(argv[4]), (unsigned)atoi(argv[7]), atof(argv[9]));
	} else if (!strcmp(what, "paced") && argc == 9) {
		proto = protocol_of(argv[2]);
		n_senders = 1;
		timed = true;
		size = (size_t)atoi(argv[7]);
		log_in(atoi(argv[3]), (unsigned)atoi(argv[5]));
		paced(atoi(argv[4]), atof(argv[6]), atof(argv[8]));
	} else if (!strcmp(what, "file") && argc == 6) {
		proto = protocol_of("msr");
		file_through_chat(atoi(argv[2]), atoi(argv[3]), (unsigned)atoi(argv[4]),
				  (uint64_t)atoi(argv[5]) << 20);
	} else if (!strcmp(what, "sendfile") && argc == 4) {
		file_by_sendfile((unsigned)atoi(argv[2]), (uint64_t)atoi(argv[3]) << 20);
	} else {
		fprintf(stderr, "usage: see the top of tests/bench/chat_load.c\n");
		return 2;
	}
	return 0;
}
