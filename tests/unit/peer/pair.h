/*
 * Two peers of our own, one as the server is and one as a client, over real sockets in one loop.
 *
 *	struct end a, b;
 *	pair_start(0, 0, false);
 *	pair_join(&a, &b, false);
 *	end_send(a.peer, 1, 1, 1000);
 *	CHECK(pair_until(&b.rtp, 1));
 *	pair_part(&a, &b);
 */
#ifndef MSR_TESTS_PEER_PAIR_H
#define MSR_TESTS_PEER_PAIR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "peer/peer.h"

extern struct pair {
	struct loop *loop;
	struct peer_io *io;
	struct peer_env *env;
} pair;

/* A peer, and what came to it. */
struct end {
	struct peer *peer;
	struct peer_local local;
	unsigned rtp, rtcp, batches;
	uint8_t last[1500];
	size_t last_len;
	enum peer_state state;
	enum peer_end why;
	bool close_on_rtp;
	void (*on_securing)(const struct end *e); /* DTLS may start; or NULL */
};

/* On 127.0.0.1, ports from `min` to `max`; 0: any. */
void pair_start(uint16_t min, uint16_t max, bool tcp);
void pair_start_on(const char *address, uint16_t min, uint16_t max, bool tcp);
void pair_start_at(const char *const *addresses, uint16_t min, uint16_t max, bool tcp);
/* When all are closed; nothing may be left behind. */
void pair_stop(void);
/* Closes both, and stops. */
void pair_part(struct end *a, struct end *b);

/* Turns the loop until `*what` is at least `n`, or 5 s have passed. */
bool pair_until(const unsigned *what, unsigned n);
/* Or until it has come as far as `s`, or 10 s have passed. */
bool pair_until_state(const struct end *e, enum peer_state s);

void end_make(struct end *e, bool controlling);
/* `to` is told of `from`, which is a client of DTLS or not. */
void end_describe(struct end *to, const struct end *from, bool client);
/*
 * Both are made and connected. The client knows the server's candidates; the server learns the
 * client's from its checks.
 */
void pair_join(struct end *server, struct end *client, bool server_is_dtls_client);

/* An RTP header's 12 bytes. */
size_t pair_header(uint8_t *p, uint16_t seq);
/* A burst of `n` packets with payloads of `len` bytes, numbered from `first`. */
void end_send(struct peer *p, unsigned n, unsigned first, size_t len);
/* A socket that is none of theirs, and the address of a candidate. */
int end_outsider(const struct peer_candidate *c, struct sockaddr_in *to);

#endif
