/*
 * A peer's life and its packets, with another one of our own (pair.h); and what others send to its
 * sockets.
 */
#include "peer/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../support/hello.h"
#include "../../support/needs.h"
#include "../../support/test.h"
#include "loop/loop.h"
#include "pair.h"

static void check_media(const char *address)
{
	struct end a, b;
	uint8_t rr[8] = {0x80, 201, 0, 1, 0, 0, 0x12, 0x34};

	pair_start_on(address, 0, 0, false);
	pair_join(&a, &b, false);
	CHECK_STR(a.local.candidate[0].address, address);
	end_send(a.peer, 1, 1, 1000);
	CHECK(pair_until(&b.rtp, 1));
	CHECK_INT(b.last_len, 1012);
	CHECK_STR((char *)b.last + 12, "payload");
	end_send(b.peer, 3, 1, 100);
	CHECK(pair_until(&a.rtp, 3));
	peer_send_rtcp(a.peer, rr, sizeof(rr));
	CHECK(pair_until(&b.rtcp, 1));
	peer_close(a.peer);
	CHECK(pair_until_state(&b, PEER_ENDED));
	CHECK_INT(b.why, PEER_END_REMOTE);
	peer_close(b.peer);
	pair_stop();
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

	pair_start(0, 0, false);
	pair_join(&a, &b, true);
	uint64_t calls = peer_io_stats(pair.io)->tx_calls;
	end_send(a.peer, 33, 1, 1100);
	CHECK_INT(peer_io_stats(pair.io)->tx_calls - calls, 1);
	CHECK(pair_until(&b.rtp, 33));
	/* Mixed sizes: everything arrives in its own size. */
	for (unsigned i = 0; i < 10; i++)
		peer_send_rtp(a.peer, pair_header(peer_out(a.peer), (uint16_t)(100 + i)),
			      (const uint8_t *)"0123456789", 1 + i % 3, 100 + i);
	peer_flush(a.peer);
	CHECK(pair_until(&b.rtp, 43));
	CHECK_INT(b.last_len, 13);
	pair_part(&a, &b);
}

TEST(packets_need_no_memory_and_no_lock_of_ours)
{
	struct end a, b;
	unsigned before = 0;

	pair_start(0, 0, false);
	pair_join(&a, &b, true);
	for (unsigned turn = 0; turn < 60; turn++) {
		if (turn == 10)
			before = needs;
		end_send(a.peer, 33, 1 + 33 * turn, 1100);
		end_send(b.peer, 3, 1 + 3 * turn, 100);
		CHECK(pair_until(&b.rtp, 33 * (turn + 1)));
		CHECK(pair_until(&a.rtp, 3 * (turn + 1)));
	}
	CHECK(before > 0);
	CHECK_INT(needs, before);
	pair_part(&a, &b);
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

TEST(a_full_range_is_an_error_and_recovers)
{
	struct peer_local local;
	struct peer *p[3];
	unsigned used, total;

	uint16_t port = free_range(2);
	pair_start(port, (uint16_t)(port + 1), true);
	CHECK_INT(peer_new(&p[0], pair.env, true, &local), 0);
	CHECK_INT(local.n_candidates, 2); /* UDP and TCP */
	CHECK_INT(peer_new(&p[1], pair.env, true, &local), 0);
	CHECK_INT(peer_new(&p[2], pair.env, true, &local), -EADDRINUSE);
	peer_env_ports(pair.env, &used, &total);
	CHECK_INT(used, 2);
	CHECK_INT(total, 2);
	peer_free(p[0]);
	CHECK_INT(peer_new(&p[2], pair.env, true, &local), 0);
	peer_free(p[1]);
	peer_free(p[2]);
	pair_stop();
}

TEST(joining_and_leaving_leaks_no_descriptor_and_no_port)
{
	unsigned before = 0;

	uint16_t port = free_range(10);
	pair_start(port, (uint16_t)(port + 9), true);
	for (int i = 0; i < 12; i++) {
		struct end a, b;
		pair_join(&a, &b, i & 1);
		peer_close(a.peer);
		peer_close(b.peer);
		while (peer_io_closing(pair.io))
			loop_turn(pair.loop, 10);
		if (i == 1)
			before = test_descriptors();
	}
	CHECK_INT(test_descriptors(), before);
	pair_stop();
}

TEST(another_certificate_is_refused)
{
	struct end a, b;
	struct peer_remote r = {.hash = "sha-256", .fingerprint_len = 32};

	pair_start(0, 0, false);
	end_make(&a, true);
	end_make(&b, false);
	memcpy(r.ufrag, b.local.ufrag, sizeof(r.ufrag));
	memcpy(r.pwd, b.local.pwd, sizeof(r.pwd));
	CHECK_INT(peer_set_remote(a.peer, &r), 0); /* a fingerprint of zeros */
	end_describe(&b, &a, true);
	CHECK_INT(peer_add_candidate(b.peer, &a.local.candidate[0]), 0);
	CHECK(pair_until_state(&a, PEER_ENDED));
	CHECK_INT(a.why, PEER_END_FINGERPRINT);
	pair_part(&a, &b);
}

TEST(a_peer_may_be_closed_by_its_own_handler)
{
	struct end a, b;

	pair_start(0, 0, false);
	pair_join(&a, &b, false);
	b.close_on_rtp = true;
	end_send(a.peer, 20, 1, 500);
	CHECK(pair_until(&b.rtp, 1));
	CHECK(pair_until_state(&a, PEER_ENDED));
	CHECK_INT(b.rtp, 1);
	peer_close(a.peer);
	pair_stop();
}

TEST(strangers_disturb_nobody)
{
	struct end a, b;
	struct sockaddr_in to;
	uint8_t junk[1600] = {0};
	/* The begin of a ClientHello, RTP, RTCP, STUN, something else. */
	static const uint8_t first[] = {22, 0x80, 0x80, 0, 200};

	pair_start(0, 0, false);
	pair_join(&a, &b, false);
	int s = end_outsider(&a.local.candidate[0], &to);
	for (unsigned i = 0; i < 400; i++) {
		junk[0] = first[i % 5];
		junk[1] = i % 5 == 2 ? 200 : 96;
		size_t n = i % 7 == 0 ? i % 20 : sizeof(junk) - i;
		sendto(s, junk, n, 0, (struct sockaddr *)&to, sizeof(to));
		if (i % 16 == 0)
			loop_turn(pair.loop, 0);
	}
	end_send(b.peer, 1, 1, 1000);
	CHECK(pair_until(&a.rtp, 1));
	CHECK_INT(a.state, PEER_CONNECTED);
	CHECK(peer_io_stats(pair.io)->rx_stray > 0);
	CHECK(peer_io_stats(pair.io)->rx_unauthentic > 0);
	close(s);
	pair_part(&a, &b);
}

/* A whole, genuine hello from an address that ICE knows nothing of. */
static void forge_hello(int s, const struct end *e)
{
	static struct hello h;
	struct sockaddr_in to;
	SSL *client = hello_client(1200, NULL, NULL);

	close(end_outsider(&e->local.candidate[0], &to));
	SSL_do_handshake(client);
	hello_take(client, &h);
	for (unsigned i = 0; i < h.n; i++)
		sendto(s, h.p[i], h.len[i], 0, (const struct sockaddr *)&to, sizeof(to));
	SSL_free(client);
}

static int forger; /* where it comes from once DTLS may start */

static void forge_another(const struct end *e)
{
	forge_hello(forger, e);
}

TEST(a_hello_from_elsewhere_starts_nothing)
{
	struct end a, b;
	struct sockaddr_in to;
	uint8_t reply[1500];

	pair_start(0, 0, false);
	end_make(&a, true);
	end_make(&b, false);
	int s = end_outsider(&a.local.candidate[0], &to);
	/* Before anything is known, before a pair is, before the true hello, and in the call. */
	forge_hello(s, &a);
	end_describe(&b, &a, true);
	end_describe(&a, &b, false);
	forge_hello(s, &a);
	forger = s;
	a.on_securing = forge_another;
	CHECK_INT(peer_add_candidate(b.peer, &a.local.candidate[0]), 0);
	CHECK(pair_until_state(&a, PEER_CONNECTED));
	CHECK(pair_until_state(&b, PEER_CONNECTED));
	CHECK_INT(a.state, PEER_CONNECTED);
	CHECK_INT(b.state, PEER_CONNECTED);
	forge_hello(s, &a);
	end_send(b.peer, 1, 1, 1000);
	CHECK(pair_until(&a.rtp, 1));
	CHECK(peer_io_stats(pair.io)->rx_stray >= 2);
	CHECK(recv(s, reply, sizeof(reply), MSG_DONTWAIT) < 0); /* nobody answered */
	close(s);
	pair_part(&a, &b);
}

TEST(an_ice_restart_keeps_the_media)
{
	struct end a, b;
	struct peer_local next;

	pair_start(0, 0, false);
	pair_join(&a, &b, false);
	peer_credentials(next.ufrag, next.pwd);
	CHECK_INT(peer_restart(a.peer, next.ufrag, next.pwd), 0);
	memcpy(a.local.ufrag, next.ufrag, sizeof(next.ufrag));
	memcpy(a.local.pwd, next.pwd, sizeof(next.pwd));
	peer_credentials(next.ufrag, next.pwd);
	CHECK_INT(peer_restart(b.peer, next.ufrag, next.pwd), 0);
	memcpy(b.local.ufrag, next.ufrag, sizeof(next.ufrag));
	memcpy(b.local.pwd, next.pwd, sizeof(next.pwd));
	end_describe(&a, &b, false);
	end_describe(&b, &a, true);
	CHECK_INT(peer_add_candidate(b.peer, &a.local.candidate[0]), 0);
	for (int i = 0; i < 20; i++)
		loop_turn(pair.loop, 20);
	end_send(a.peer, 2, 1, 1000);
	CHECK(pair_until(&b.rtp, 2));
	CHECK_INT(a.state, PEER_CONNECTED);
	CHECK_INT(b.state, PEER_CONNECTED);
	pair_part(&a, &b);
}
