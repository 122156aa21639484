/*
 * What loss says about a sender's rate. Loss above the path's own begins a trial: less is sent.
 * Where loss does not fall with the rate it is the path's own (radio), and is tolerated then.
 * What is more than any path loses by itself lowers at once, to what arrives.
 *
 *	what each feedback tells of ── loss_packets ──> interval: a second, or sooner
 *	each feedback ── loss_step ──> nothing, lower or raise the estimate
 *
 *	watching ── more than the path's own ──> trial: lower, let it settle, measure ──┐
 *	   ^                                                                            │
 *	   └──────── loss fell: lower further, if need be; else: own, raise ────────────┘
 *
 * Pure: the time is the caller's. Loss is a fraction of the packets sent, 0 to 1.
 */
#ifndef MSR_RTP_LOSS_H
#define MSR_RTP_LOSS_H

#include <stdbool.h>
#include <stdint.h>

struct rtt;

#define LOSS_LITTLE	 0.7 /* of the estimate: a sender of less than that sends little */
#define LOSS_DOUBT_SMALL 0.3 /* the most not blamed without proof on a small sender */

/* Zeroed is ready. */
struct loss {
	int lost, got;	       /* packets of the interval under way; late ones make lost negative */
	uint64_t bytes;	       /* sent in it */
	int64_t begin_us;      /* of it; 0: none has begun */
	double now;	       /* loss of the last interval */
	double own;	       /* loss that the path has at any rate */
	bool trial;	       /* the rate was lowered to see whether loss falls */
	bool settled;	       /* and the lowered rate has arrived at the receiver */
	int64_t trial_us;      /* when the trial began */
	double before;	       /* loss before it */
	uint64_t before_bps;   /* estimate before it */
	double before_sent;    /* bit/s sent before it */
	int64_t before_rtt_us; /* response time before it */
};

/* What the caller knows about the path. */
struct loss_path {
	uint64_t bps;	    /* the estimate */
	double arrived_bps; /* 0: not known */
	const struct rtt *rtt;
	bool growing;	    /* delay grows now */
	int64_t lowered_us; /* when the estimate was last lowered, for whatever reason */
};

enum loss_change { LOSS_KEEP, LOSS_LOWER, LOSS_RAISE };

struct loss_verdict {
	enum loss_change change; /* of the estimate; never the other way round */
	double bps;		 /* to this */
};

/* Begins the first interval, before its packets. */
void loss_begin(struct loss *l, int64_t now_us);
/*
 * The receiver tells of packets: `got` came, and `lost` did not, of which it had not said that
 * before; those that only were late it takes back, so that `lost` may be negative. `bytes` of those
 * of which it had not told at all.
 */
static inline void loss_packets(struct loss *l, int lost, int got, uint64_t bytes)
{
	l->lost += lost;
	l->got += got;
	l->bytes += bytes;
}
/* After the packets of each feedback. */
struct loss_verdict loss_step(struct loss *l, const struct loss_path *path, int64_t now_us);

/* The part of what is sent that arrives when nothing is wrong: all but the path's own loss. */
double loss_passing(const struct loss *l);
/* The path's own loss; where that is not known yet, the loss now, but `most` at most. */
double loss_likely(const struct loss *l, double most);
/*
 * What was sent of which `arrived_bps` arrived, if the loss in this interval may be the path's own;
 * 0 if there is too much of it for that. Loss of which nothing is known yet is given the benefit of
 * the doubt.
 */
double loss_sent_bps(const struct loss *l, double arrived_bps);

#endif
