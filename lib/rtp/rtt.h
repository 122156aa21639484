/*
 * Response times: from sending a packet to the feedback about it, and whether a queue stands on the
 * way. A queue that is full, or is fed as fast as it empties, grows no more: trend.h sees nothing
 * of it, but its delay is there.
 */
#ifndef MSR_RTP_RTT_H
#define MSR_RTP_RTT_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed is ready. */
struct rtt {
	int64_t us;	     /* smoothed; 0: unknown */
	int64_t min_us;	     /* the shortest recently: rises slowly; 0: unknown */
	int64_t standing_us; /* since when a queue stands; 0: none does */
	bool drained;	     /* less was sent for that, once */
};

#define RTT_SMOOTHING	8 /* a new response time weighs one part in this many */
#define RTT_MIN_RISE_US 1 /* a packet: the shortest is forgotten within minutes */

/* Feedback about a packet came `age_us` after it was sent. Here, for it is every packet's. */
static inline void rtt_packet(struct rtt *r, int64_t age_us)
{
	r->us = r->us ? ((RTT_SMOOTHING - 1) * r->us + age_us) / RTT_SMOOTHING : age_us;
	r->min_us = !r->min_us || age_us < r->min_us ? age_us : r->min_us + RTT_MIN_RISE_US;
}

/*
 * After the packets of each feedback, on a path whose delays scatter by `noise_ms`. True when a
 * queue has stood for long enough: less is to be sent, once. Where that does not help, the path has
 * become that long, and this is its shortest response time from then on.
 */
bool rtt_queue_stands(struct rtt *r, double noise_ms, int64_t now_us);

/* Whether there seems to be one, for however short a time: not the moment to send more. */
bool rtt_queue_likely(const struct rtt *r, double noise_ms);

/* The response time, or a long one while it is unknown. */
int64_t rtt_us(const struct rtt *r);

#endif
