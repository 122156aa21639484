/*
 * Bandwidth estimate of a sender, from transport-wide feedback: a state machine in the caller's
 * time, without clock or I/O (after draft-ietf-rmcat-gcc-02).
 *
 *	every numbered packet ── bwe_sent ──────┐
 *	transport-cc feedback ── bwe_feedback ──┼──> bwe_bps: what may be sent
 *	every few ms ── bwe_padding ────────────┘    (and how much padding a probe wants now)
 *
 * Growing delay lowers the estimate to what arrives. While delay is steady it rises, and is no less
 * than what arrives; short probes of padding find free capacity at once. Loss lowers it too, unless
 * loss does not fall with the rate: then it is the path's own (radio), and is tolerated.
 */
#ifndef MSR_RTP_BWE_H
#define MSR_RTP_BWE_H

#include <stdbool.h>
#include <stdint.h>

#include "rtp/loss.h"
#include "rtp/probe.h"
#include "rtp/rtcp.h"
#include "rtp/rtt.h"
#include "rtp/trend.h"

#define BWE_SENT 1024 /* packets on their way, 10 Mbit/s for a second; older ones are forgotten */

/* A packet on its way. */
struct bwe_packet {
	uint32_t sent_us; /* modulo 2^32 */
	uint16_t seq;
	uint16_t bytes : 15; /* 0 if empty, or acknowledged */
	uint16_t lost : 1;   /* the receiver said so; it may take that back */
};

/* Bytes that arrived, in slices of time: the rate of the last half second. */
#define BWE_SLICES   10
#define BWE_SLICE_US 50000
#define BWE_RING     16 /* places for them: a power of two, for they are summed up often */

struct bwe_rate {
	int64_t slice;		  /* the newest one's number */
	int64_t first;		  /* the first one's ever; 0: nothing yet */
	uint32_t bytes[BWE_RING]; /* by number, modulo that */
};

struct bwe {
	uint64_t bps; /* the estimate */
	uint64_t min_bps, max_bps;
	uint64_t wanted_bps; /* what the caller could use: probes go no higher; 0: none */
	struct trend trend;
	struct bwe_rate arrived, missing; /* missing: told of when others arrived */
	struct probe probe;
	struct loss loss;
	struct rtt rtt;
	int64_t feedback_us;	 /* when the last feedback came; 0: never */
	int64_t sent_us;	 /* when the last packet was sent */
	int64_t lowered_us;	 /* when it was last lowered */
	int64_t over_us;	 /* when that was last because delay grew */
	int64_t narrow_us;	 /* and the path had become narrow */
	int64_t unsteady_us;	 /* when delay was last seen to grow or to fall */
	int64_t probed_us;	 /* when the last probe ended */
	double capacity_bps;	 /* what arrived at over use; 0: unknown */
	double capacity_dev;	 /* how that scatters, absolute mean */
	int64_t arrival_base_us; /* unwraps the receiver's clock */
	int64_t arrival_last_us;
	bool has_arrival;
	uint16_t sent_next;	  /* number behind the last that was sent */
	uint16_t told_next;	  /* the same of what feedback told of */
	unsigned n_probes_failed; /* in succession */
	uint64_t n_probes;
	uint64_t n_lowered; /* how often the estimate was */
	struct bwe_packet sent[BWE_SENT];
};

void bwe_init(struct bwe *b, uint64_t start_bps, uint64_t min_bps, uint64_t max_bps);
/* How much the caller would send if it could; probes stop at a fifth more. */
void bwe_want(struct bwe *b, uint64_t bps);

/* A packet with transport-wide number `seq` and `bytes` on the wire leaves now. */
void bwe_sent(struct bwe *b, uint16_t seq, unsigned bytes, int64_t now_us);
/* Transport-wide feedback. 0, or -EBADMSG when it is something else; then nothing changes. */
int bwe_feedback(struct bwe *b, const struct rtcp_msg *m, int64_t now_us);

/*
 * To be called every 5 to 20 ms. Returns how many bytes of padding a probe wants to be sent now,
 * besides what is sent anyway (announce them with bwe_sent); usually 0. Lowers the estimate when
 * feedback stays away.
 */
unsigned bwe_padding(struct bwe *b, int64_t now_us);

/*
 * Whether the path is overloaded just now: delay grows, or more is lost than any path loses by
 * itself. The estimate alone may be low for other reasons: the path has become longer, or loses
 * more.
 */
bool bwe_overloaded(const struct bwe *b);

/* What may be sent, in bit/s, on the wire. */
static inline uint64_t bwe_bps(const struct bwe *b)
{
	return b->bps;
}

#endif
