/*
 * Load for SFUs, for programs beside this folder: clients (client.c), the two ways of signalling
 * (msr.c, janus.c), and requests to the server (http.c).
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
	bool with_sound; /* a publisher that sends sound besides pictures */
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

/* ---- client.c ---- */

/* What a publisher sends. */
#define PICTURE_PT   96 /* VP8 */
#define PICTURE_SSRC 1000u
#define SOUND_PT     111 /* Opus */
#define SOUND_SSRC   1001u

/* First of all: clients at that address, all with this handler and themselves as its argument.
 * `no_estimation`: none wants transport-wide numbers. */
void clients_start(const char *at, bool gcm, bool no_estimation, const struct peer_handler *h);
void client_open(struct client *c, bool controlling);
/* Until that many are connected. */
void clients_wait(unsigned n);
/* For handlers. */
void client_state(void *arg, enum peer_state state, enum peer_end why);
/* Parses a packet that came, and notes it for the feedback. 0 or -EBADMSG. */
int client_received(struct client *c, struct rtp_packet *k, uint8_t *p, size_t n, int64_t now_us);
void client_feedback(void *arg, int64_t now_us);
void client_no_rtcp(void *arg, const uint8_t *p, size_t n, int64_t now_us);

/* Waits that long at most for something to do, and does it; until then (mono_now). */
void turn(int timeout_ms);
void turn_until(int64_t us);

/* Takes the server's description. */
void connect_to(struct client *c, const char *sdp);
/* An offer of the publisher. Owned by the caller. */
char *publisher_offer(const struct client *c);
/* Takes an offer; the answer to it is owned by the caller. */
char *answer(struct client *c, const char *offer, unsigned n);

/* ---- http.c ---- */

/*
 * One request, and its reply; clients go on meanwhile. `body` is taken, NULL for none: then it is a
 * GET. Ends the program unless the status is 200 to 299.
 */
json_t *http(const char *path, json_t *body);
void http_port(int port);
/* A member by a dotted path; ends the program when it is missing. */
const char *text_at(json_t *reply, const char *path);

#endif
