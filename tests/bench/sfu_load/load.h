/*
 * What the two ways of signalling (msr.c, janus.c) need and give: clients are made by sfu_load.c,
 * the server is asked through http.c, and answers go to connect_to.
 */
#ifndef MSR_BENCH_SFU_LOAD_H
#define MSR_BENCH_SFU_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "peer/peer.h"
#include "rtp/packet.h"
#include "rtp/twcc.h"

struct client {
	struct peer *peer;
	struct peer_local local;
	bool connected;
	uint64_t received;
	uint32_t ssrc;	       /* of what a receiver is sent; 0: nothing yet */
	struct rtp_extmap ext; /* of what it answers with transport-wide feedback */
	struct twcc_rx rx;
	int64_t feedback_us; /* of the last one */
};

struct target {
	const char *name;
	bool lite; /* the server does ICE-lite: clients are controlling */
	/* A room of that number, and who publishes in it. */
	void (*publish)(struct client *publisher, unsigned room);
	/* Receiver number `n`, in one of the rooms. */
	void (*receive)(struct client *c, unsigned n, unsigned room);
};

extern const struct target msr, janus;

_Noreturn void fail(const char *what, const char *more);
/* Waits that long at most for something to do, and does it. */
void turn(int timeout_ms);

/* Takes the server's description. */
void connect_to(struct client *c, const char *sdp);
/* An offer of the publisher: one video section, VP8. Owned by the caller. */
char *publisher_offer(const struct client *c);
/* Takes an offer; the answer to it is owned by the caller. */
char *answer(struct client *c, const char *offer, unsigned n);

/*
 * One request, and its reply; clients go on meanwhile. `body` is taken, NULL for none: then it is a
 * GET. Ends the program unless the status is 200 to 299.
 */
json_t *http(const char *path, json_t *body);
void http_port(int port);
/* A member by a dotted path; ends the program when it is missing. */
const char *text_at(json_t *reply, const char *path);

#endif
