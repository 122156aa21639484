#include "pair.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/test.h"
#include "base/buf.h"
#include "base/clock.h"

struct pair pair;

static void on_state(void *arg, enum peer_state state, enum peer_end why)
{
	struct end *e = arg;
	e->state = state;
	e->why = why;
	if (e->on_securing && state == PEER_SECURING)
		e->on_securing(e);
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

void pair_start_at(const char *const *addresses, uint16_t min, uint16_t max, bool tcp)
{
	struct peer_env_config c = {
	    .addresses = addresses, .min_port = min, .max_port = max, .tcp = tcp};

	CHECK_INT(loop_new(&pair.loop), 0);
	CHECK_INT(peer_io_new(&pair.io, pair.loop), 0);
	CHECK_INT(peer_env_new(&pair.env, &c), 0);
}

void pair_start_on(const char *address, uint16_t min, uint16_t max, bool tcp)
{
	const char *const addresses[] = {address, NULL};

	pair_start_at(addresses, min, max, tcp);
}

void pair_start(uint16_t min, uint16_t max, bool tcp)
{
	pair_start_on("127.0.0.1", min, max, tcp);
}

bool pair_until(const unsigned *what, unsigned n)
{
	struct mono end = mono_add_us(mono_now(), 5000000);
	while (*what < n && mono_diff_us(end, mono_now()) > 0)
		loop_turn(pair.loop, 100);
	return *what >= n;
}

bool pair_until_state(const struct end *e, enum peer_state s)
{
	struct mono end = mono_add_us(mono_now(), 10000000);
	while (e->state < s && mono_diff_us(end, mono_now()) > 0)
		loop_turn(pair.loop, 100);
	return e->state >= s;
}

void pair_stop(void)
{
	struct mono end = mono_add_us(mono_now(), 5000000);
	unsigned used, total;

	while (peer_io_closing(pair.io) && mono_diff_us(end, mono_now()) > 0)
		loop_turn(pair.loop, 10);
	CHECK_INT(peer_io_closing(pair.io), 0);
	peer_env_ports(pair.env, &used, &total);
	CHECK_INT(used, 0);
	peer_io_free(pair.io);
	peer_env_free(pair.env);
	loop_free(pair.loop);
}

void pair_part(struct end *a, struct end *b)
{
	peer_close(a->peer);
	peer_close(b->peer);
	pair_stop();
}

void end_make(struct end *e, bool controlling)
{
	memset(e, 0, sizeof(*e));
	CHECK_INT(peer_new(&e->peer, pair.env, controlling, &e->local), 0);
	CHECK_INT(peer_attach(e->peer, pair.io, &handler, e), 0);
}

void end_describe(struct end *to, const struct end *from, bool client)
{
	struct peer_remote r = {.hash = "sha-256", .fingerprint_len = 32, .dtls_client = client};

	memcpy(r.ufrag, from->local.ufrag, sizeof(r.ufrag));
	memcpy(r.pwd, from->local.pwd, sizeof(r.pwd));
	memcpy(r.fingerprint, peer_env_fingerprint(pair.env), 32);
	CHECK_INT(peer_set_remote(to->peer, &r), 0);
}

void pair_join(struct end *server, struct end *client, bool server_is_dtls_client)
{
	end_make(server, true);
	end_make(client, false);
	end_describe(client, server, !server_is_dtls_client);
	end_describe(server, client, server_is_dtls_client);
	for (unsigned i = 0; i < server->local.n_candidates; i++)
		CHECK_INT(peer_add_candidate(client->peer, &server->local.candidate[i]), 0);
	CHECK(pair_until_state(server, PEER_CONNECTED));
	CHECK(pair_until_state(client, PEER_CONNECTED));
	CHECK_INT(server->state, PEER_CONNECTED);
	CHECK_INT(client->state, PEER_CONNECTED);
}

size_t pair_header(uint8_t *p, uint16_t seq)
{
	memset(p, 0, 12);
	p[0] = 0x80;
	p[1] = 96;
	put_be16(p + 2, seq);
	put_be32(p + 8, 0x1234);
	return 12;
}

void end_send(struct peer *p, unsigned n, unsigned first, size_t len)
{
	static const uint8_t payload[1200] = "payload";

	for (unsigned i = 0; i < n; i++) {
		uint8_t *h = peer_out(p);
		size_t head = pair_header(h, (uint16_t)(first + i));
		peer_send_rtp(p, head, payload, len, first + i);
	}
	peer_flush(p);
}

int end_outsider(const struct peer_candidate *c, struct sockaddr_in *to)
{
	*to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(c->port)};
	inet_pton(AF_INET, c->address, &to->sin_addr);
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}
