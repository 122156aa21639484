/*
 * Two peers of our own, one as the server is and one as a client, over real sockets. One file,
 * though a long one: each case needs that pair, and what listens to both.
 */
#include "peer/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "../../support/hello.h"
#include "../../support/needs.h"
#include "../../support/skip.h"
#include "../../support/stun.h"
#include "../../support/test.h"

struct end {
	struct peer *peer;
	struct peer_local local;
	unsigned rtp, rtcp, batches;
	uint8_t last[1500];
	size_t last_len;
	enum peer_state state;
	enum peer_end why;
	bool close_on_rtp;
	int forger; /* where forge_hello sends from once DTLS may start; 0: nowhere */
};

static struct loop *loop;
static struct peer_io *io;
static struct peer_env *env;

static void forge_hello(int s, const struct end *to);

static void on_state(void *arg, enum peer_state state, enum peer_end why)
{
	struct end *e = arg;
	e->state = state;
	e->why = why;
	if (e->forger && state == PEER_SECURING)
		forge_hello(e->forger, e);
}

static void on_rtp(void *arg, uint8_t *p, size_t n, int64_t now_us)
{
	struct end *e = arg;
	(void)now_us;
	e->rtp++;
	memcpy(e->last, p, n);
	e->last_len = n;
	if (e->close_on_rtp)
		peer_close(e->peer);
}

static void on_rtcp(void *arg, const uint8_t *p, size_t n, int64_t now_us)
{
	struct end *e = arg;
	(void)p;
	(void)n;
	(void)now_us;
	e->rtcp++;
}

static void on_batch(void *arg, int64_t now_us)
{
	(void)now_us;
	((struct end *)arg)->batches++;
}

static const struct peer_handler handler = {on_state, on_rtp, on_rtcp, on_batch};

static void start_at(const char *const *addresses, uint16_t min, uint16_t max, bool tcp)
{
	struct peer_env_config c = {
	    .addresses = addresses, .min_port = min, .max_port = max, .tcp = tcp};

	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(peer_io_new(&io, loop), 0);
	CHECK_INT(peer_env_new(&env, &c), 0);
}

static void start_on(const char *address, uint16_t min, uint16_t max, bool tcp)
{
	const char *const addresses[] = {address, NULL};

	start_at(addresses, min, max, tcp);
}

static void start(uint16_t min, uint16_t max, bool tcp)
{
	start_on("127.0.0.1", min, max, tcp);
}

static bool is_free(uint16_t port, int type)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bool ok = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	close(fd);
	return ok;
}

/* The first of `n` ports in a row that nobody has, below those that the kernel gives away. */
static uint16_t free_range(unsigned n)
{
	unsigned first = 20000 + (unsigned)getpid() % 10000, found = 0;

	for (; found < n && first < 32000; found++)
		if (!is_free((uint16_t)(first + found), SOCK_DGRAM) ||
		    !is_free((uint16_t)(first + found), SOCK_STREAM)) {
			first += found + 1;
			found = (unsigned)-1;
		}
	return (uint16_t)first;
}

/* Turns the loop until `*what` is at least `n`, or 5 s have passed. */
static bool until(const unsigned *what, unsigned n)
{
	struct mono end = mono_add_us(mono_now(), 5000000);
	while (*what < n && mono_diff_us(end, mono_now()) > 0)
		loop_turn(loop, 100);
	return *what >= n;
}

static bool until_state(const struct end *e, enum peer_state s)
{
	struct mono end = mono_add_us(mono_now(), 10000000);
	while (e->state < s && mono_diff_us(end, mono_now()) > 0)
		loop_turn(loop, 100);
	return e->state >= s;
}

static void stop(void)
{
	struct mono end = mono_add_us(mono_now(), 5000000);
	unsigned used, total;

	while (peer_io_closing(io) && mono_diff_us(end, mono_now()) > 0)
		loop_turn(loop, 10);
	CHECK_INT(peer_io_closing(io), 0);
	peer_env_ports(env, &used, &total);
	CHECK_INT(used, 0);
	peer_io_free(io);
	peer_env_free(env);
	loop_free(loop);
}

static void make(struct end *e, bool controlling)
{
	memset(e, 0, sizeof(*e));
	CHECK_INT(peer_new(&e->peer, env, controlling, &e->local), 0);
	CHECK_INT(peer_attach(e->peer, io, &handler, e), 0);
}

static void describe(struct end *to, const struct end *from, bool client)
{
	struct peer_remote r = {.hash = "sha-256", .fingerprint_len = 32, .dtls_client = client};

	memcpy(r.ufrag, from->local.ufrag, sizeof(r.ufrag));
	memcpy(r.pwd, from->local.pwd, sizeof(r.pwd));
	memcpy(r.fingerprint, peer_env_fingerprint(env), 32);
	CHECK_INT(peer_set_remote(to->peer, &r), 0);
}

/* The client knows the server's candidates; the server learns the client's from its checks. */
static void join(struct end *server, struct end *client, bool server_is_dtls_client)
{
	make(server, true);
	make(client, false);
	describe(client, server, !server_is_dtls_client);
	describe(server, client, server_is_dtls_client);
	for (unsigned i = 0; i < server->local.n_candidates; i++)
		CHECK_INT(peer_add_candidate(client->peer, &server->local.candidate[i]), 0);
	CHECK(until_state(server, PEER_CONNECTED));
	CHECK(until_state(client, PEER_CONNECTED));
	CHECK_INT(server->state, PEER_CONNECTED);
	CHECK_INT(client->state, PEER_CONNECTED);
}

static size_t header(uint8_t *p, uint16_t seq)
{
	memset(p, 0, 12);
	p[0] = 0x80;
	p[1] = 96;
	put_be16(p + 2, seq);
	put_be32(p + 8, 0x1234);
	return 12;
}

static void send_packets(struct peer *p, unsigned n, unsigned first, size_t len)
{
	static const uint8_t payload[1200] = "payload";

	for (unsigned i = 0; i < n; i++) {
		uint8_t *h = peer_out(p);
		size_t head = header(h, (uint16_t)(first + i));
		peer_send_rtp(p, head, payload, len, first + i);
	}
	peer_flush(p);
}

static void check_media(const char *address)
{
	struct end a, b;
	uint8_t rr[8] = {0x80, 201, 0, 1, 0, 0, 0x12, 0x34};

	start_on(address, 0, 0, false);
	join(&a, &b, false);
	CHECK_STR(a.local.candidate[0].address, address);
	send_packets(a.peer, 1, 1, 1000);
	CHECK(until(&b.rtp, 1));
	CHECK_INT(b.last_len, 1012);
	CHECK_STR((char *)b.last + 12, "payload");
	send_packets(b.peer, 3, 1, 100);
	CHECK(until(&a.rtp, 3));
	peer_send_rtcp(a.peer, rr, sizeof(rr));
	CHECK(until(&b.rtcp, 1));
	peer_close(a.peer);
	CHECK(until_state(&b, PEER_ENDED));
	CHECK_INT(b.why, PEER_END_REMOTE);
	peer_close(b.peer);
	stop();
}

TEST(media_flows_both_ways)
{
	check_media("127.0.0.1");
}

TEST(media_flows_over_ipv6)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool have = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	close(fd);
	if (have) /* some containers have no IPv6 at all */
		check_media("::1");
}

TEST(a_burst_is_one_system_call)
{
	struct end a, b;

	start(0, 0, false);
	join(&a, &b, true);
	uint64_t calls = peer_io_stats(io)->tx_calls;
	send_packets(a.peer, 33, 1, 1100);
	CHECK_INT(peer_io_stats(io)->tx_calls - calls, 1);
	CHECK(until(&b.rtp, 33));
	/* Mixed sizes: everything arrives in its own size. */
	for (unsigned i = 0; i < 10; i++)
		peer_send_rtp(a.peer, header(peer_out(a.peer), (uint16_t)(100 + i)),
			      (const uint8_t *)"0123456789", 1 + i % 3, 100 + i);
	peer_flush(a.peer);
	CHECK(until(&b.rtp, 43));
	CHECK_INT(b.last_len, 13);
	peer_close(a.peer);
	peer_close(b.peer);
	stop();
}

TEST(packets_need_no_memory_and_no_lock_of_ours)
{
	struct end a, b;
	unsigned before = 0;

	start(0, 0, false);
	join(&a, &b, true);
	for (unsigned turn = 0; turn < 60; turn++) {
		if (turn == 10)
			before = needs;
		send_packets(a.peer, 33, 1 + 33 * turn, 1100);
		send_packets(b.peer, 3, 1 + 3 * turn, 100);
		CHECK(until(&b.rtp, 33 * (turn + 1)));
		CHECK(until(&a.rtp, 3 * (turn + 1)));
	}
	CHECK(before > 0);
	CHECK_INT(needs, before);
	peer_close(a.peer);
	peer_close(b.peer);
	stop();
}

TEST(a_full_range_is_an_error_and_recovers)
{
	struct peer_local local;
	struct peer *p[3];
	unsigned used, total;

	uint16_t port = free_range(2);
	start(port, (uint16_t)(port + 1), true);
	CHECK_INT(peer_new(&p[0], env, true, &local), 0);
	CHECK_INT(local.n_candidates, 2); /* UDP and TCP */
	CHECK_INT(peer_new(&p[1], env, true, &local), 0);
	CHECK_INT(peer_new(&p[2], env, true, &local), -EADDRINUSE);
	peer_env_ports(env, &used, &total);
	CHECK_INT(used, 2);
	CHECK_INT(total, 2);
	peer_free(p[0]);
	CHECK_INT(peer_new(&p[2], env, true, &local), 0);
	peer_free(p[1]);
	peer_free(p[2]);
	stop();
}

TEST(joining_and_leaving_leaks_no_descriptor_and_no_port)
{
	unsigned before = 0;

	uint16_t port = free_range(10);
	start(port, (uint16_t)(port + 9), true);
	for (int i = 0; i < 12; i++) {
		struct end a, b;
		join(&a, &b, i & 1);
		peer_close(a.peer);
		peer_close(b.peer);
		while (peer_io_closing(io))
			loop_turn(loop, 10);
		if (i == 1)
			before = test_descriptors();
	}
	CHECK_INT(test_descriptors(), before);
	stop();
}

TEST(another_certificate_is_refused)
{
	struct end a, b;
	struct peer_remote r = {.hash = "sha-256", .fingerprint_len = 32};

	start(0, 0, false);
	make(&a, true);
	make(&b, false);
	memcpy(r.ufrag, b.local.ufrag, sizeof(r.ufrag));
	memcpy(r.pwd, b.local.pwd, sizeof(r.pwd));
	CHECK_INT(peer_set_remote(a.peer, &r), 0); /* a fingerprint of zeros */
	describe(&b, &a, true);
	CHECK_INT(peer_add_candidate(b.peer, &a.local.candidate[0]), 0);
	CHECK(until_state(&a, PEER_ENDED));
	CHECK_INT(a.why, PEER_END_FINGERPRINT);
	peer_close(a.peer);
	peer_close(b.peer);
	stop();
}

TEST(a_peer_may_be_closed_by_its_own_handler)
{
	struct end a, b;

	start(0, 0, false);
	join(&a, &b, false);
	b.close_on_rtp = true;
	send_packets(a.peer, 20, 1, 500);
	CHECK(until(&b.rtp, 1));
	CHECK(until_state(&a, PEER_ENDED));
	CHECK_INT(b.rtp, 1);
	peer_close(a.peer);
	stop();
}

static int outsider(const struct peer_candidate *c, struct sockaddr_in *to)
{
	*to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(c->port)};
	inet_pton(AF_INET, c->address, &to->sin_addr);
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

TEST(strangers_disturb_nobody)
{
	struct end a, b;
	struct sockaddr_in to;
	uint8_t junk[1600] = {0};
	/* The begin of a ClientHello, RTP, RTCP, STUN, something else. */
	static const uint8_t first[] = {22, 0x80, 0x80, 0, 200};

	start(0, 0, false);
	join(&a, &b, false);
	int s = outsider(&a.local.candidate[0], &to);
	for (unsigned i = 0; i < 400; i++) {
		junk[0] = first[i % 5];
		junk[1] = i % 5 == 2 ? 200 : 96;
		size_t n = i % 7 == 0 ? i % 20 : sizeof(junk) - i;
		sendto(s, junk, n, 0, (struct sockaddr *)&to, sizeof(to));
		if (i % 16 == 0)
			loop_turn(loop, 0);
	}
	send_packets(b.peer, 1, 1, 1000);
	CHECK(until(&a.rtp, 1));
	CHECK_INT(a.state, PEER_CONNECTED);
	CHECK(peer_io_stats(io)->rx_stray > 0);
	CHECK(peer_io_stats(io)->rx_unauthentic > 0);
	close(s);
	peer_close(a.peer);
	peer_close(b.peer);
	stop();
}

/* A whole, genuine hello from an address that ICE knows nothing of. */
static void forge_hello(int s, const struct end *e)
{
	static struct hello h;
	struct sockaddr_in to;
	SSL *client = hello_client(1200, NULL, NULL);

	close(outsider(&e->local.candidate[0], &to));
	SSL_do_handshake(client);
	hello_take(client, &h);
	for (unsigned i = 0; i < h.n; i++)
		sendto(s, h.p[i], h.len[i], 0, (const struct sockaddr *)&to, sizeof(to));
	SSL_free(client);
}

TEST(a_hello_from_elsewhere_starts_nothing)
{
	struct end a, b;
	struct sockaddr_in to;
	uint8_t reply[1500];

	start(0, 0, false);
	make(&a, true);
	make(&b, false);
	int s = outsider(&a.local.candidate[0], &to);
	/* Before anything is known, before a pair is, before the true hello, and in the call. */
	forge_hello(s, &a);
	describe(&b, &a, true);
	describe(&a, &b, false);
	forge_hello(s, &a);
	a.forger = s;
	CHECK_INT(peer_add_candidate(b.peer, &a.local.candidate[0]), 0);
	CHECK(until_state(&a, PEER_CONNECTED));
	CHECK(until_state(&b, PEER_CONNECTED));
	CHECK_INT(a.state, PEER_CONNECTED);
	CHECK_INT(b.state, PEER_CONNECTED);
	forge_hello(s, &a);
	send_packets(b.peer, 1, 1, 1000);
	CHECK(until(&a.rtp, 1));
	CHECK(peer_io_stats(io)->rx_stray >= 2);
	CHECK(recv(s, reply, sizeof(reply), MSG_DONTWAIT) < 0); /* nobody answered */
	close(s);
	peer_close(a.peer);
	peer_close(b.peer);
	stop();
}

/* The way between two peers as a NAT: what it forwards to the server comes from `far`. */
struct nat {
	int near, far;
	struct sockaddr_in client, server;
	unsigned from_server; /* datagrams */
};

static int bound(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK_INT(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void nat_turn(struct nat *n)
{
	uint8_t p[2000];
	socklen_t len = sizeof(n->client);
	ssize_t got;

	while ((got = recvfrom(n->near, p, sizeof(p), 0, (struct sockaddr *)&n->client, &len)) > 0)
		sendto(n->far, p, (size_t)got, 0, (struct sockaddr *)&n->server, sizeof(n->server));
	while ((got = recv(n->far, p, sizeof(p), 0)) > 0) {
		n->from_server++;
		sendto(n->near, p, (size_t)got, 0, (struct sockaddr *)&n->client,
		       sizeof(n->client));
	}
	loop_turn(loop, 2);
}

/* Two peers with the NAT between them. */
static void join_through(struct nat *n, struct end *server, struct end *client)
{
	struct sockaddr_in near;
	socklen_t len = sizeof(near);

	n->near = bound();
	n->far = bound();
	start(0, 0, false);
	make(server, true);
	make(client, false);
	close(outsider(&server->local.candidate[0], &n->server));
	getsockname(n->near, (struct sockaddr *)&near, &len);
	struct peer_candidate way = server->local.candidate[0];
	way.port = ntohs(near.sin_port);
	describe(client, server, true);
	describe(server, client, false);
	CHECK_INT(peer_add_candidate(client->peer, &way), 0);
	struct mono end = mono_add_us(mono_now(), 10000000);
	while ((server->state < PEER_CONNECTED || client->state < PEER_CONNECTED) &&
	       mono_diff_us(end, mono_now()) > 0)
		nat_turn(n);
	CHECK_INT(server->state, PEER_CONNECTED);
	CHECK_INT(client->state, PEER_CONNECTED);
}

/* RFC 7675. Without media a connection lives by the checks that both ask for. */
TEST(who_falls_silent_is_gone_after_thirty_seconds)
{
	struct end a, b;
	struct nat n = {0};

	join_through(&n, &a, &b);
	for (unsigned i = 0; i < 4; i++) {
		skip(PEER_CONSENT_US - 5000000);
		for (int k = 0; k < 20; k++)
			nat_turn(&n);
		CHECK_INT(a.state, PEER_CONNECTED);
	}
	close(n.near);
	close(n.far);
	skip(PEER_CONSENT_US - 5000000);
	for (int k = 0; k < 20; k++)
		loop_turn(loop, 2);
	CHECK_INT(a.state, PEER_CONNECTED);
	skip(10000000);
	CHECK(until_state(&a, PEER_ENDED));
	CHECK_INT(a.why, PEER_END_CONSENT);
	peer_close(a.peer);
	peer_close(b.peer);
	stop();
}

TEST(media_follows_a_client_whose_address_changes)
{
	struct end a, b;
	struct nat n = {0};

	join_through(&n, &a, &b);
	struct mono end = mono_add_us(mono_now(), 10000000);
	send_packets(b.peer, 1, 1, 100);
	while (!a.rtp && mono_diff_us(end, mono_now()) > 0)
		nat_turn(&n);
	CHECK_INT(a.rtp, 1);

	/* The mapping is forgotten; the client notices nothing and sends on. */
	close(n.far);
	n.far = bound();
	end = mono_add_us(mono_now(), 10000000);
	for (unsigned i = 0; !b.rtp && mono_diff_us(end, mono_now()) > 0; i++) {
		send_packets(b.peer, 1, 2 + i, 100);
		send_packets(a.peer, 1, 1 + i, 100);
		for (int k = 0; k < 10; k++)
			nat_turn(&n);
	}
	CHECK(b.rtp > 0);
	close(n.near);
	close(n.far);
	peer_close(a.peer);
	peer_close(b.peer);
	stop();
}

/* A new mapping, to candidate `c` alone: nothing comes in from elsewhere. */
static void nat_map(struct nat *n, const struct peer_candidate *c)
{
	close(n->far);
	n->far = bound();
	close(outsider(c, &n->server));
	CHECK_INT(connect(n->far, (struct sockaddr *)&n->server, sizeof(n->server)), 0);
}

/* The NAT as a candidate that its client can be told of. */
static struct peer_candidate nat_candidate(const struct nat *n, const struct peer_candidate *c,
					   uint32_t priority)
{
	struct peer_candidate way = *c;
	struct sockaddr_in near;
	socklen_t len = sizeof(near);

	getsockname(n->near, (struct sockaddr *)&near, &len);
	snprintf(way.address, sizeof(way.address), "127.0.0.1");
	way.port = ntohs(near.sin_port);
	way.priority = priority;
	return way;
}

TEST(media_follows_a_client_to_another_address_of_ours)
{
	static const char *const addresses[] = {"127.0.0.1", "127.0.0.2", NULL};
	struct end a, b;
	struct nat first = {.near = bound(), .far = -1}, second = {.near = bound(), .far = -1};

	start_at(addresses, 0, 0, false);
	make(&a, true);
	make(&b, false);
	const struct peer_candidate *worse = &a.local.candidate[0], *better = worse + 1;
	if (worse->priority > better->priority)
		worse = better, better = &a.local.candidate[0];
	nat_map(&first, worse);
	nat_map(&second, better);
	describe(&b, &a, true);
	describe(&a, &b, false);
	struct peer_candidate way = nat_candidate(&first, worse, 1000);
	CHECK_INT(peer_add_candidate(b.peer, &way), 0);
	struct mono end = mono_add_us(mono_now(), 10000000);
	while ((a.state < PEER_CONNECTED || b.state < PEER_CONNECTED) &&
	       mono_diff_us(end, mono_now()) > 0)
		nat_turn(&first);
	way = nat_candidate(&second, better, 2000);
	CHECK_INT(peer_add_candidate(b.peer, &way), 0);
	for (unsigned i = 0; second.from_server < 20 && mono_diff_us(end, mono_now()) > 0; i++) {
		send_packets(a.peer, 1, 1 + i, 100);
		send_packets(b.peer, 1, 1 + i, 100);
		nat_turn(&first);
		nat_turn(&second);
	}
	CHECK(second.from_server >= 20);

	/* The way to the better one dies; the client's media takes the other. */
	nat_map(&second, worse);
	b.rtp = 0;
	end = mono_add_us(mono_now(), 6000000);
	for (unsigned i = 0; !b.rtp && mono_diff_us(end, mono_now()) > 0; i++) {
		send_packets(a.peer, 1, 10000 + i, 100);
		send_packets(b.peer, 1, 10000 + i, 100);
		for (int k = 0; k < 10; k++)
			nat_turn(&second);
	}
	CHECK(b.rtp > 0);
	close(first.near);
	close(first.far);
	close(second.near);
	close(second.far);
	peer_close(a.peer);
	peer_close(b.peer);
	stop();
}

TEST(an_ice_restart_keeps_the_media)
{
	struct end a, b;
	struct peer_local next;

	start(0, 0, false);
	join(&a, &b, false);
	peer_credentials(next.ufrag, next.pwd);
	CHECK_INT(peer_restart(a.peer, next.ufrag, next.pwd), 0);
	memcpy(a.local.ufrag, next.ufrag, sizeof(next.ufrag));
	memcpy(a.local.pwd, next.pwd, sizeof(next.pwd));
	peer_credentials(next.ufrag, next.pwd);
	CHECK_INT(peer_restart(b.peer, next.ufrag, next.pwd), 0);
	memcpy(b.local.ufrag, next.ufrag, sizeof(next.ufrag));
	memcpy(b.local.pwd, next.pwd, sizeof(next.pwd));
	describe(&a, &b, false);
	describe(&b, &a, true);
	CHECK_INT(peer_add_candidate(b.peer, &a.local.candidate[0]), 0);
	for (int i = 0; i < 20; i++)
		loop_turn(loop, 20);
	send_packets(a.peer, 2, 1, 1000);
	CHECK(until(&b.rtp, 2));
	CHECK_INT(a.state, PEER_CONNECTED);
	CHECK_INT(b.state, PEER_CONNECTED);
	peer_close(a.peer);
	peer_close(b.peer);
	stop();
}

/* ---- ICE-TCP, by hand: RFC 6544 and the framing of RFC 4571 ---- */

static const struct peer_remote by_hand = {.ufrag = "theirs",
					   .pwd = "theirpasswordtheirpassword",
					   .hash = "sha-256",
					   .fingerprint_len = 32};

/* A datagram that came to `s` within 2 s: its length, or 0. Checks are answered on the way. */
static size_t next_datagram(int s, uint8_t *p, size_t size)
{
	uint8_t reply[400];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	for (int i = 0; i < 200; i++) {
		ssize_t n = recvfrom(s, p, size, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
		if (n > 0 && get_be16(p) == 1) {
			size_t m = binding_response(reply, p, &from, by_hand.pwd);
			sendto(s, reply, m, 0, (struct sockaddr *)&from, sizeof(from));
		} else if (n > 0) {
			return (size_t)n;
		}
		loop_turn(loop, 10);
	}
	return 0;
}

TEST(a_hello_in_pieces_may_overtake_the_nomination)
{
	static struct hello h;
	struct end a;
	struct sockaddr_in to;
	uint8_t p[1500];
	size_t n;

	start(0, 0, false);
	make(&a, false);
	CHECK_INT(peer_set_remote(a.peer, &by_hand), 0);
	int s = outsider(&a.local.candidate[0], &to);
	CHECK_INT(connect(s, (struct sockaddr *)&to, sizeof(to)), 0);
	send(s, p, binding_request(p, &a.local, false), 0);
	CHECK(next_datagram(s, p, sizeof(p)) > 20);
	CHECK_INT(get_be16(p), 0x0101);
	SSL *client = hello_client(256, NULL, NULL);
	SSL_do_handshake(client);
	hello_take(client, &h);
	for (unsigned i = 0; i < h.n; i++)
		send(s, h.p[i], h.len[i], 0);
	for (int i = 0; i < 5; i++)
		loop_turn(loop, 5);
	CHECK(a.state < PEER_SECURING);
	send(s, p, binding_request(p, &a.local, true), 0);
	/* The server's flight follows from what came early: nothing is sent again. */
	while ((n = next_datagram(s, p, sizeof(p))) && p[0] < 20)
		;
	CHECK(n > 13);
	CHECK_INT(p[0], 22);
	CHECK_INT(p[13], 2); /* ServerHello */
	SSL_free(client);
	close(s);
	peer_close(a.peer);
	stop();
}

/* A socket of this process that is bound to `at`; there are libnice's and that for media. */
static int socket_at(const struct sockaddr_in *at)
{
	struct sockaddr_in a;
	int found = -1;

	for (int fd = 3; fd < 256; fd++) {
		socklen_t len = sizeof(a);
		if (!getsockname(fd, (struct sockaddr *)&a, &len) && a.sin_family == AF_INET &&
		    a.sin_port == at->sin_port && a.sin_addr.s_addr == at->sin_addr.s_addr)
			found = fd;
	}
	return found;
}

/* While the socket for media is new, and not yet filtered, the kernel picks either. */
TEST(a_check_that_falls_to_the_socket_for_media_is_answered)
{
	struct sock_filter second[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
	struct sock_fprog all = {1, second};
	struct end a;
	struct sockaddr_in to;
	uint8_t p[1500];

	start(0, 0, false);
	make(&a, false);
	CHECK_INT(peer_set_remote(a.peer, &by_hand), 0);
	int s = outsider(&a.local.candidate[0], &to);
	CHECK_INT(connect(s, (struct sockaddr *)&to, sizeof(to)), 0);
	send(s, p, binding_request(p, &a.local, true), 0);
	CHECK(next_datagram(s, p, sizeof(p)) > 20);
	/* Until libnice has nothing more to ask. */
	while (next_datagram(s, p, sizeof(p)))
		;
	CHECK_INT(a.state, PEER_SECURING);
	CHECK_INT(
	    setsockopt(socket_at(&to), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &all, sizeof(all)), 0);
	uint64_t stray = peer_io_stats(io)->rx_stray;
	send(s, p, binding_request(p, &a.local, false), 0);
	CHECK(next_datagram(s, p, sizeof(p)) > 20);
	CHECK_INT(get_be16(p), 0x0101);
	/* Without the password it is nothing. */
	size_t n = binding_request(p, &a.local, false);
	p[n - 10] ^= 1;
	send(s, p, n, 0);
	CHECK_INT(next_datagram(s, p, sizeof(p)), 0);
	CHECK_INT(peer_io_stats(io)->rx_stray, stray + 1);
	close(s);
	peer_close(a.peer);
	stop();
}

static int connect_tcp(const struct end *e)
{
	const struct peer_candidate *c = &e->local.candidate[0];
	struct sockaddr_in to;

	while (!c->tcp)
		c++;
	close(outsider(c, &to));
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(connect(s, (struct sockaddr *)&to, sizeof(to)), 0);
	return s;
}

static size_t framed_request(uint8_t *frame, const struct end *e)
{
	size_t n = binding_request(frame + 2, &e->local, true);

	put_be16(frame, (uint16_t)n);
	return n + 2;
}

/* A success response to ours comes; libnice's own check may stand before it. */
static bool is_answered(int s)
{
	uint8_t reply[400];
	ssize_t got = -1;

	for (int i = 0; i < 40 && got <= 0; i++) {
		loop_turn(loop, 50);
		got = recv(s, reply, sizeof(reply), MSG_DONTWAIT);
	}
	for (ssize_t at = 0; at + 22 <= got; at += 2 + get_be16(reply + at))
		if (get_be16(reply + at + 2) == 0x0101 &&
		    !memcmp(reply + at + 10, "transaction1", 12))
			return true;
	return false;
}

TEST(passive_tcp_answers_checks)
{
	struct end a;
	uint8_t frame[400];

	start(42340, 42345, true);
	make(&a, false);
	CHECK_INT(peer_set_remote(a.peer, &by_hand), 0);
	int s = connect_tcp(&a);
	size_t n = framed_request(frame, &a);
	/* In two pieces, as TCP may. */
	CHECK_INT(send(s, frame, 7, 0), 7);
	loop_turn(loop, 50);
	CHECK_INT(send(s, frame + 7, n - 7, 0), n - 7);
	CHECK(is_answered(s));
	close(s);
	peer_close(a.peer);
	stop();
}

TEST(tcp_clients_may_come_back)
{
	struct end a;
	uint8_t frame[400];

	start(42340, 42345, true);
	make(&a, false);
	CHECK_INT(peer_set_remote(a.peer, &by_hand), 0);
	int s = connect_tcp(&a);
	size_t n = framed_request(frame, &a);
	for (int i = 0; i < 5; i++) {
		CHECK_INT(send(s, frame, n, 0), n);
		CHECK(is_answered(s));
		/* Both are news in the same turn, and may have one number. */
		close(s);
		s = connect_tcp(&a);
	}
	close(s);
	peer_close(a.peer);
	stop();
}
