/*
 * Where the RTP time of a track lies in its file.
 *
 * A timeline is anchored at its first packet to the time of arrival, and from there on follows the
 * sender's own clock. That clock and ours drift apart slowly, which is learned. When they part at
 * once and for good (a mute during which RTP time stood still, a sender
 * that restarted) it is anchored again, so that time continues in the file as it did in the call;
 * when packets only came late, it is not. Sender reports tell how the timelines of one sender lie
 * to each other (RFC 3550 section 6.4.1).
 */
#ifndef MSR_RECORD_TIMELINE_H
#define MSR_RECORD_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "rtp/unwrap.h"

/* Media ahead of its arrival by more than this is anchored again; behind it, suspected. */
#define TIMELINE_OFF_US 500000
/* A suspicion has passed when media is no longer behind by more than this. */
#define TIMELINE_NEAR_US 300000
/* A sender's clock may differ from ours by this much. */
#define TIMELINE_DRIFT_PPM 1000
/* Sender reports that disagree by more are not believed. */
#define TIMELINE_SYNC_MAX_US 2000000
/* From one report to the next both clocks of a sender go on alike, but for this much. */
#define TIMELINE_REPORT_US 100000

/* Zeroed, but for the clock, is ready. All times are µs in the file. */
struct timeline {
	uint32_t clock; /* Hz */
	bool anchored;
	struct rtp_unwrap unwrap;
	int64_t ts, at_us;	      /* the anchor: this RTP time is at that time */
	int64_t drift_us;	      /* how far arrivals have come to lie behind it, or before */
	int64_t learned_us;	      /* the arrival that it is of */
	int64_t first_us;	      /* the first arrival of all */
	int64_t behind_us;	      /* how far behind its arrival in time media lies */
	int64_t end_us;		      /* end of what is in the file: nothing goes before */
	bool reported;		      /* a sender report has come since the last anchor */
	bool doubted;		      /* the latest one does not agree with that before */
	unsigned agreed;	      /* how many did, since then */
	int64_t report_ts, report_us; /* RTP time, and the sender's wall clock */
	int64_t moved_us;	      /* how far reports have moved it since then */
	bool synced;		      /* reports have told where it lies to its master */
	uint64_t anchors;	      /* times it was anchored */
};

enum timeline_verdict {
	TIMELINE_GOOD,
	TIMELINE_LATE, /* behind its arrival: the network was slow, or time stood still */
	TIMELINE_OFF,  /* ahead of its arrival: to be anchored again */
};

/* Puts RTP time `ts`, which arrived at `arrival_us`, there, or at the end of what there is. */
void timeline_anchor(struct timeline *t, uint32_t ts, int64_t arrival_us);
/* Where `ts` lies; anchored timelines only. */
int64_t timeline_at(struct timeline *t, uint32_t ts);
/* How late a packet with RTP time `ts` is that arrived at `arrival_us`; drift is not lateness. */
int64_t timeline_late_us(struct timeline *t, uint32_t ts, int64_t arrival_us);
/* Such a packet was neither late nor wild: its clock may have drifted a little. */
void timeline_learn(struct timeline *t, uint32_t ts, int64_t arrival_us);
/* What to think of a packet with RTP time `ts` that arrived at `arrival_us`. */
enum timeline_verdict timeline_judge(struct timeline *t, uint32_t ts, int64_t arrival_us);
/* Where what arrives at `arrival_us` lies. */
int64_t timeline_arrival(const struct timeline *t, int64_t arrival_us);

/* A sender report: at `wall_us` of the sender's clock RTP time was `ts`. */
void timeline_report(struct timeline *t, uint32_t ts, int64_t wall_us);
/*
 * Moves `t` so that it lies to `master` as their sender reports say; before there are any, so that
 * both lie as far behind their arrivals. Returns by how much (µs), 0 when the reports are not to be
 * believed: a wall clock that was set means nothing until two reports agree again. One of which no
 * two ever agreed stands still or goes wild, and what it has moved is moved back.
 */
int64_t timeline_follow(struct timeline *t, struct timeline *master);

#endif
