/*
 * A probe: a burst that is sent faster than the estimate, and what its arrivals tell of the path.
 *
 *	probe_begin ── probe_due: padding wanted ── probe_sent ──┐
 *	             result <── probe_arrival, probe_loss <──────┘
 *
 * Pure: times are the caller's, and the receiver's clock need not agree with them.
 */
#ifndef MSR_RTP_PROBE_H
#define MSR_RTP_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: none has begun. */
struct probe {
	bool running, waiting; /* sending; sent, and feedback not complete */
	bool was_late;	       /* the last bytes were asked for, too late */
	bool overused;	       /* delay grew meanwhile; noted and read by the caller */
	int64_t begin_us, end_us;
	uint64_t bps;
	uint64_t sent;			/* bytes since begin, media and padding */
	uint16_t first, last;		/* transport-wide numbers */
	unsigned n_sent, n_got, n_lost; /* the rest: feedback that did not come */
	uint16_t first_got, last_got;	/* of those that arrived */
	int64_t first_arrival_us, last_arrival_us, first_sent_us, last_sent_us;
	uint64_t got, first_bytes;
	int64_t base_us;     /* delay of the first to arrive, the clocks' difference included */
	double x, y, xx, xy; /* sums: s since begin when sent, s of delay above base */
};

/* Sends at `bps`, for longer where delays scatter by `noise_ms`. */
void probe_begin(struct probe *p, double bps, double noise_ms, int64_t now_us);
/* Bytes of padding that are due now; 0 also when it has ended, and waits for its feedback. */
unsigned probe_due(struct probe *p, int64_t now_us);

/* A packet leaves while it runs. */
void probe_sent(struct probe *p, uint16_t seq, unsigned bytes);
/* One of them has arrived, or has not. Others are left alone. */
void probe_arrival(struct probe *p, uint16_t seq, unsigned bytes, int64_t sent_us,
		   int64_t arrival_us);
void probe_loss(struct probe *p, uint16_t seq);

/* Whether all that can be known about it is, or should have been by now. */
bool probe_is_over(const struct probe *p, int64_t rtt_us, int64_t now_us);
/* Whether enough arrived to tell anything, on a path that loses the fraction `own` in any case. */
bool probe_tells(const struct probe *p, double own);

struct probe_result {
	double sent_bps, got_bps; /* of the same packets: how they were sent, and came */
	bool through;		  /* they came as they were sent */
};

/* What it has measured. Loss of the path's own is not held against it. */
struct probe_result probe_result(const struct probe *p, double own, double noise_ms);

#endif
