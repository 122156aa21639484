/*
 * Congestion control towards one receiver: what its path carries, and what it is sent so that it
 * fits.
 *
 *	each numbered packet ── congest_sent ──────────────┐
 *	transport-cc, else REMB and loss in reports ───────┴──> estimate ── allocate ──> sub_target
 *	congest_tick, congest_pad ── what a probe lacks ──> sub_pad
 *
 * Packets are never held back: what arrives leaves at once, so that a burst stays one system call.
 * An estimate is of what transport-wide numbers were given to (with the SRTP tag, without UDP and
 * IP); what has none lives beside it.
 */
#ifndef MSR_SFU_FWD_CONGEST_H
#define MSR_SFU_FWD_CONGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "rtp/bwe.h"
#include "rtp/rtcp.h"

#define CONGEST_START_BPS 600000
#define CONGEST_MIN_BPS	  30000
#define CONGEST_MAX_BPS	  100000000
#define CONGEST_TAG	  16	   /* bytes that sealing adds to a packet */
#define CONGEST_DECIDE_US 100000   /* between decisions; at once when the estimate was lowered */
#define CONGEST_PAD_US	  5000	   /* between calls of congest_pad while a probe runs */
#define CONGEST_REMB_US	  10000000 /* how long a REMB counts */
#define CONGEST_LOSS_US	  1000000  /* between steps of the limit by loss */

struct endpoint;

/* For receivers without transport-cc, from what they lost (draft-ietf-rmcat-gcc-02, section 6). */
struct congest_loss {
	uint64_t bps;  /* 0: no limit */
	uint8_t worst; /* of the reports since the last step, of 256 */
	bool reported;
	int64_t step_us, lowered_us;
};

/* Zeroed is ready. */
struct congest {
	struct bwe *bwe; /* owned; NULL until the first numbered packet */
	uint64_t remb_bps;
	int64_t remb_us; /* when it came; 0: never */
	struct congest_loss loss;
	uint64_t granted_bps; /* of what it is sent, at the last decision */
	uint64_t n_lowered;   /* bwe.n_lowered at the last decision */
	uint64_t n_probes;    /* bwe.n_probes that were counted */
	int64_t decided_us;   /* of the last decision */
	bool limited;	      /* something was known then */
	unsigned paused;      /* subs that are, by the last decision */
	uint64_t again;	      /* bytes sent again since the last decision */
	double again_bps;     /* the same as a smoothed rate */
	double again_tokens;  /* bytes that may be */
	int64_t again_us;     /* when they were counted */
	int64_t lost_us;      /* when packets were last told lost; 0: never */
};

void congest_done(struct congest *c);

/* A packet with transport-wide number `seq` of `bytes`, header included, leaves now. */
void congest_sent(struct congest *c, uint16_t seq, size_t bytes, int64_t now_us);
/*
 * Whether a lost packet may be sent again, which counts it: where too much is sent already, what is
 * sent again must not add to that. `spare`: a copy of what has been sent again just now, which
 * leaves room for what has not.
 */
bool congest_again(struct congest *c, size_t bytes, bool spare, int64_t now_us);
/*
 * The least time until the receiver may have told that a packet came: on a path that has become
 * longer, not what it was at best. 0: not known.
 */
int64_t congest_answer_us(const struct congest *c);

/* Whether the path loses packets, now or in the last seconds. */
bool congest_loses(const struct congest *c, int64_t now_us);
/* Whether one retransmission is often too little: the path itself loses much, and is long. */
bool congest_lossy(const struct congest *c);

/*
 * When what leaves now and must arrive is to leave once more; 0: nothing gets lost. Where a queue
 * is full, that has to have room by then. And again and again until `*until_us`, when the receiver
 * may have asked for what it lacks.
 */
void congest_repeat(const struct congest *c, int64_t now_us, int64_t *from_us, int64_t *until_us);
/* How long so many bytes, and what is sent besides, keep the path busy. */
int64_t congest_takes_us(const struct congest *c, size_t bytes, int64_t now_us);

/* What the receiver says. */
void congest_feedback(struct congest *c, const struct rtcp_msg *m, int64_t now_us);
void congest_remb(struct congest *c, uint64_t bps, int64_t now_us);
void congest_report(struct congest *c, uint8_t fraction_lost);

/* Bit/s that the path carries; 0: not known. */
uint64_t congest_bps(const struct congest *c, int64_t now_us);

/* Every FWD_TICK_US: decides, and pads. */
void congest_tick(struct endpoint *e, int64_t now_us);
/* Sends what a probe wants now. True while one runs: then to be called every CONGEST_PAD_US. */
bool congest_pad(struct endpoint *e, int64_t now_us);

#endif
