/*
 * A peer (pair.h) and a client by hand: ICE over UDP, and over TCP with the framing of RFC 4571
 * (RFC 6544).
 */
#include "peer/peer.h"

#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../support/hello.h"
#include "../../support/stun.h"
#include "../../support/test.h"
#include "base/buf.h"
#include "loop/loop.h"
#include "pair.h"

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
		loop_turn(pair.loop, 10);
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

	pair_start(0, 0, false);
	end_make(&a, false);
	CHECK_INT(peer_set_remote(a.peer, &by_hand), 0);
	int s = end_outsider(&a.local.candidate[0], &to);
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
		loop_turn(pair.loop, 5);
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
	pair_stop();
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

	pair_start(0, 0, false);
	end_make(&a, false);
	CHECK_INT(peer_set_remote(a.peer, &by_hand), 0);
	int s = end_outsider(&a.local.candidate[0], &to);
	CHECK_INT(connect(s, (struct sockaddr *)&to, sizeof(to)), 0);
	send(s, p, binding_request(p, &a.local, true), 0);
	CHECK(next_datagram(s, p, sizeof(p)) > 20);
	/* Until libnice has nothing more to ask. */
	while (next_datagram(s, p, sizeof(p)))
		;
	CHECK_INT(a.state, PEER_SECURING);
	CHECK_INT(
	    setsockopt(socket_at(&to), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &all, sizeof(all)), 0);
	uint64_t stray = peer_io_stats(pair.io)->rx_stray;
	send(s, p, binding_request(p, &a.local, false), 0);
	CHECK(next_datagram(s, p, sizeof(p)) > 20);
	CHECK_INT(get_be16(p), 0x0101);
	/* Without the password it is nothing. */
	size_t n = binding_request(p, &a.local, false);
	p[n - 10] ^= 1;
	send(s, p, n, 0);
	CHECK_INT(next_datagram(s, p, sizeof(p)), 0);
	CHECK_INT(peer_io_stats(pair.io)->rx_stray, stray + 1);
	close(s);
	peer_close(a.peer);
	pair_stop();
}

static int connect_tcp(const struct end *e)
{
	const struct peer_candidate *c = &e->local.candidate[0];
	struct sockaddr_in to;

	while (!c->tcp)
		c++;
	close(end_outsider(c, &to));
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(connect(s, (struct sockaddr *)&to, sizeof(to)), 0);
	return s;
}

/* A success response to ours comes; libnice's own check may stand before it. */
static bool is_answered(int s)
{
	uint8_t reply[400];
	ssize_t got = -1;

	for (int i = 0; i < 40 && got <= 0; i++) {
		loop_turn(pair.loop, 50);
		got = recv(s, reply, sizeof(reply), MSG_DONTWAIT);
	}
	for (ssize_t at = 0; at + 22 <= got; at += 2 + get_be16(reply + at))
		if (get_be16(reply + at + 2) == 0x0101 &&
		    !memcmp(reply + at + 10, "transaction1", 12))
			return true;
	return false;
}

/* A connection to a peer that takes some. */
static int start_tcp(struct end *a)
{
	pair_start(42340, 42345, true);
	end_make(a, false);
	CHECK_INT(peer_set_remote(a->peer, &by_hand), 0);
	return connect_tcp(a);
}

static void end_tcp(struct end *a, int s)
{
	close(s);
	peer_close(a->peer);
	pair_stop();
}

TEST(passive_tcp_answers_checks)
{
	struct end a;
	uint8_t frame[400];
	int s = start_tcp(&a);
	size_t n = framed_request(frame, &a.local);

	/* In two pieces, as TCP may. */
	CHECK_INT(send(s, frame, 7, 0), 7);
	loop_turn(pair.loop, 50);
	CHECK_INT(send(s, frame + 7, n - 7, 0), n - 7);
	CHECK(is_answered(s));
	end_tcp(&a, s);
}

TEST(tcp_clients_may_come_back)
{
	struct end a;
	uint8_t frame[400];
	int s = start_tcp(&a);
	size_t n = framed_request(frame, &a.local);

	for (int i = 0; i < 5; i++) {
		CHECK_INT(send(s, frame, n, 0), n);
		CHECK(is_answered(s));
		/* Both are news in the same turn, and may have one number. */
		close(s);
		s = connect_tcp(&a);
	}
	end_tcp(&a, s);
}
