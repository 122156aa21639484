/*
 * Delay trend: whether queues on the way to a receiver grow, from send and arrival times of groups
 * of packets (draft-ietf-rmcat-gcc-02, with the trendline filter of the WebRTC implementation in
 * place of the Kalman filter). Pure; no queue delay is measured, only its slope, so clocks need not
 * agree.
 */
#ifndef MSR_RTP_TREND_H
#define MSR_RTP_TREND_H

#include <stdbool.h>
#include <stdint.h>

#define TREND_WINDOW 20 /* groups in the regression */

enum trend_state { TREND_NORMAL, TREND_OVER, TREND_UNDER };

/* Packets that left within 5 ms, or arrived as one burst. */
struct trend_group {
	int64_t first_sent_us, last_sent_us, first_arrival_us, last_arrival_us;
};

/* A group in the regression. */
struct trend_point {
	double x_ms, y_ms; /* when it arrived, since the first; its delay, smoothed */
};

/* Zeroed is ready. */
struct trend {
	struct trend_group now, before;
	bool has_now, has_before;
	unsigned n_deltas;
	double delay_ms, smooth_ms; /* accumulated, and smoothed */
	int64_t origin_us;	    /* arrival of the first group */
	unsigned n, next;	    /* points in the window, where the next goes */
	struct trend_point point[TREND_WINDOW];
	double noise_ms;     /* how delays scatter from group to group, absolute mean */
	double threshold_ms; /* adapts to the jitter of the path */
	double last_trend;
	int64_t last_us; /* arrival time of the last update */
	double over_ms;	 /* how long it has been above the threshold */
	unsigned over_n;
	enum trend_state state;
};

#define TREND_GROUP_US 5000 /* packets sent within this are a group */

/* trend_packet for one that may begin another group. */
void trend_consider(struct trend *t, int64_t sent_us, int64_t arrival_us);

static inline void trend_join(struct trend_group *g, int64_t sent_us, int64_t arrival_us)
{
	if (sent_us > g->last_sent_us)
		g->last_sent_us = sent_us;
	if (arrival_us > g->last_arrival_us)
		g->last_arrival_us = arrival_us;
}

/* A packet with its times, in order of sending. Here, for it is every packet's. */
static inline void trend_packet(struct trend *t, int64_t sent_us, int64_t arrival_us)
{
	uint64_t behind_us = (uint64_t)(sent_us - t->now.first_sent_us); /* huge: before it */

	if (t->has_now && behind_us <= TREND_GROUP_US)
		trend_join(&t->now, sent_us, arrival_us);
	else
		trend_consider(t, sent_us, arrival_us);
}

#endif
