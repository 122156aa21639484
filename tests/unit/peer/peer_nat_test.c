/* Two peers (pair.h) with a NAT between them whose mappings change, or which falls silent. */
#include "peer/peer.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../support/skip.h"
#include "../../support/test.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "pair.h"

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
	loop_turn(pair.loop, 2);
}

/* Two peers with the NAT between them. */
static void join_through(struct nat *n, struct end *server, struct end *client)
{
	struct sockaddr_in near;
	socklen_t len = sizeof(near);

	n->near = bound();
	n->far = bound();
	pair_start(0, 0, false);
	end_make(server, true);
	end_make(client, false);
	close(end_outsider(&server->local.candidate[0], &n->server));
	getsockname(n->near, (struct sockaddr *)&near, &len);
	struct peer_candidate way = server->local.candidate[0];
	way.port = ntohs(near.sin_port);
	end_describe(client, server, true);
	end_describe(server, client, false);
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
		loop_turn(pair.loop, 2);
	CHECK_INT(a.state, PEER_CONNECTED);
	skip(10000000);
	CHECK(pair_until_state(&a, PEER_ENDED));
	CHECK_INT(a.why, PEER_END_CONSENT);
	pair_part(&a, &b);
}

TEST(media_follows_a_client_whose_address_changes)
{
	struct end a, b;
	struct nat n = {0};

	join_through(&n, &a, &b);
	struct mono end = mono_add_us(mono_now(), 10000000);
	end_send(b.peer, 1, 1, 100);
	while (!a.rtp && mono_diff_us(end, mono_now()) > 0)
		nat_turn(&n);
	CHECK_INT(a.rtp, 1);

	/* The mapping is forgotten; the client notices nothing and sends on. */
	close(n.far);
	n.far = bound();
	end = mono_add_us(mono_now(), 10000000);
	for (unsigned i = 0; !b.rtp && mono_diff_us(end, mono_now()) > 0; i++) {
		end_send(b.peer, 1, 2 + i, 100);
		end_send(a.peer, 1, 1 + i, 100);
		for (int k = 0; k < 10; k++)
			nat_turn(&n);
	}
	CHECK(b.rtp > 0);
	close(n.near);
	close(n.far);
	pair_part(&a, &b);
}

/* A new mapping, to candidate `c` alone: nothing comes in from elsewhere. */
static void nat_map(struct nat *n, const struct peer_candidate *c)
{
	close(n->far);
	n->far = bound();
	close(end_outsider(c, &n->server));
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

	pair_start_at(addresses, 0, 0, false);
	end_make(&a, true);
	end_make(&b, false);
	const struct peer_candidate *worse = &a.local.candidate[0], *better = worse + 1;
	if (worse->priority > better->priority)
		worse = better, better = &a.local.candidate[0];
	nat_map(&first, worse);
	nat_map(&second, better);
	end_describe(&b, &a, true);
	end_describe(&a, &b, false);
	struct peer_candidate way = nat_candidate(&first, worse, 1000);
	CHECK_INT(peer_add_candidate(b.peer, &way), 0);
	struct mono end = mono_add_us(mono_now(), 10000000);
	while ((a.state < PEER_CONNECTED || b.state < PEER_CONNECTED) &&
	       mono_diff_us(end, mono_now()) > 0)
		nat_turn(&first);
	way = nat_candidate(&second, better, 2000);
	CHECK_INT(peer_add_candidate(b.peer, &way), 0);
	for (unsigned i = 0; second.from_server < 20 && mono_diff_us(end, mono_now()) > 0; i++) {
		end_send(a.peer, 1, 1 + i, 100);
		end_send(b.peer, 1, 1 + i, 100);
		nat_turn(&first);
		nat_turn(&second);
	}
	CHECK(second.from_server >= 20);

	/* The way to the better one dies; the client's media takes the other. */
	nat_map(&second, worse);
	b.rtp = 0;
	end = mono_add_us(mono_now(), 6000000);
	for (unsigned i = 0; !b.rtp && mono_diff_us(end, mono_now()) > 0; i++) {
		end_send(a.peer, 1, 10000 + i, 100);
		end_send(b.peer, 1, 10000 + i, 100);
		for (int k = 0; k < 10; k++)
			nat_turn(&second);
	}
	CHECK(b.rtp > 0);
	close(first.near);
	close(first.far);
	close(second.near);
	close(second.far);
	pair_part(&a, &b);
}
