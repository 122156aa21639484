/*
 * What a plain forwarder costs on this machine, to compare msr-sfu with: one process that receives
 * a packet, opens it, and for each receiver seals it and sends it with one system call. No ICE, no
 * numbers, nothing kept, nothing batched.
 *
 *	sfu_bare RECEIVERS SECONDS PACKETS_PER_SECOND SIZE even|burst gcm|cm
 *
 *	child: publisher ──> parent: forwarder ──> child: receivers
 *
 * Prints one line of JSON: packets forwarded, and CPU of the forwarder in µs for each of them.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "peer/srtp.h"

#define RECEIVERS_MAX 1000
#define FRAMES	      30
#define HEADER	      12

static struct srtp_master key = {.key = "0123456789abcde", .salt = "saltsaltsalts"};
static enum srtp_kind kind;

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_socket(struct sockaddr_in *at)
{
	int size = 1 << 20, s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*at);

	*at =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (s < 0 || bind(s, (struct sockaddr *)at, len) < 0 ||
	    getsockname(s, (struct sockaddr *)at, &len) < 0)
		fail("socket");
	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return s;
}

static struct srtp_session *session(void)
{
	struct srtp_session *s;

	if (srtp_session_new(&s, kind, &key, &key) < 0)
		fail("srtp");
	return s;
}

static size_t header(uint8_t *p, uint64_t number, uint32_t ssrc)
{
	memset(p, 0, HEADER);
	p[0] = 0x80;
	p[1] = 96;
	put_be16(p + 2, (uint16_t)number);
	put_be32(p + 8, ssrc);
	return HEADER;
}

static _Noreturn void publisher(struct sockaddr_in to, double seconds, unsigned rate, size_t size,
				bool burst)
{
	struct srtp_session *srtp = session();
	uint8_t p[1600], payload[1400] = {0};
	struct sockaddr_in own;
	int s = open_socket(&own);
	uint64_t total = (uint64_t)(seconds * rate), step = burst ? rate / FRAMES : 1;
	int64_t start = mono_now().us;

	for (uint64_t n = 1; n <= total;) {
		int64_t wait_us = start + (int64_t)(n * 1000000 / rate) - mono_now().us;
		if (wait_us > 0)
			usleep((unsigned)wait_us);
		for (uint64_t i = 0; i < step; i++, n++) {
			size_t len = srtp_seal_rtp(srtp, p, header(p, n, 1), payload, size, n);
			sendto(s, p, len, 0, (struct sockaddr *)&to, sizeof(to));
		}
	}
	exit(0);
}

static _Noreturn void receivers(const int *fd, unsigned n)
{
	struct epoll_event ev[64];
	int ep = epoll_create1(EPOLL_CLOEXEC);
	uint8_t p[2048];

	for (unsigned i = 0; i < n; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.fd = fd[i]};
		epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], &e);
	}
	for (;;) {
		int got = epoll_wait(ep, ev, 64, -1);
		for (int i = 0; i < got; i++)
			while (recv(ev[i].data.fd, p, sizeof(p), MSG_DONTWAIT) > 0)
				;
		usleep(2000); /* as sockets of clients are read now and then */
	}
}

static uint64_t forward(int in, pid_t until, const struct sockaddr_in *to, unsigned n)
{
	static struct srtp_session *out[RECEIVERS_MAX];
	struct srtp_session *srtp = session();
	uint8_t p[2048] __attribute__((aligned(8))), q[2048];
	struct timeval wait = {.tv_usec = 200000};
	struct sockaddr_in own;
	uint64_t sent = 0;
	int s = open_socket(&own);

	for (unsigned i = 0; i < n; i++)
		out[i] = session();
	setsockopt(in, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	for (;;) {
		ssize_t got = recv(in, p, sizeof(p), 0);
		size_t len = (size_t)got;
		if (got < 0 && waitpid(until, NULL, WNOHANG) == until)
			return sent;
		if (got < 0 || srtp_open_rtp(srtp, p, &len) < 0)
			continue;
		uint16_t seq = get_be16(p + 2);
		for (unsigned i = 0; i < n; i++) {
			header(q, seq, 100 + i);
			size_t m = srtp_seal_rtp(out[i], q, HEADER, p + HEADER, len - HEADER, seq);
			sent += sendto(s, q, m, MSG_DONTWAIT, (const struct sockaddr *)&to[i],
				       sizeof(to[i])) > 0;
		}
	}
}

int main(int argc, char **argv)
{
	static struct sockaddr_in to[RECEIVERS_MAX];
	static int fd[RECEIVERS_MAX];
	struct sockaddr_in own;
	struct rusage u;

	unsigned n = argc == 7 ? (unsigned)atoi(argv[1]) : 0,
		 rate = n ? (unsigned)atoi(argv[3]) : 0;
	size_t size = n ? (size_t)atoi(argv[4]) : 0;
	if (!n || n > RECEIVERS_MAX || rate < FRAMES || size > 1300) {
		fprintf(stderr, "usage: sfu_bare RECEIVERS SECONDS RATE SIZE even|burst gcm|cm\n");
		return 2;
	}
	kind = strcmp(argv[6], "cm") ? SRTP_AES_GCM : SRTP_AES_CM;
	key.salt_len = kind == SRTP_AES_GCM ? 12 : 14;
	int in = open_socket(&own);
	for (unsigned i = 0; i < n; i++)
		fd[i] = open_socket(&to[i]);
	pid_t sink = fork();
	if (!sink) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		receivers(fd, n);
	}
	pid_t source = fork();
	if (!source) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		publisher(own, atof(argv[2]), rate, size, !strcmp(argv[5], "burst"));
	}
	uint64_t sent = forward(in, source, to, n);
	getrusage(RUSAGE_SELF, &u);
	double us = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
		    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
	printf("{\"server\": \"bare loop\", \"receivers\": %u, \"rate\": %u, \"size\": %zu, "
	       "\"pace\": \"%s\", \"srtp\": \"%s\", \"received\": %llu, "
	       "\"us_per_packet\": %.3f}\n",
	       n, rate, size, argv[5], argv[6], (unsigned long long)sent,
	       us / (double)(sent ? sent : 1));
	kill(sink, SIGKILL);
	waitpid(sink, NULL, 0);
	return sent ? 0 : 1;
}
