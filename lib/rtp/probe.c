/* A burst, and its arrivals: see probe.h. */
#include "probe.h"

#include <math.h>

#define MIN_US	   25000  /* of a burst */
#define MAX_US	   200000 /* of a burst */
#define MIN_BYTES  10000  /* of a burst */
#define NOISES	   9	  /* burst length, in multiples of the delay noise */
#define SPREAD	   5	  /* how far the noise draws a burst's ends apart at most, in multiples */
#define STEADY_MS  4.0	  /* noise that bursts of media cause by themselves: not counted in that */
#define PATIENT_US 250000 /* for feedback, above the response time */
#define PACKETS	   5	  /* fewer tell nothing */
#define KNOWN	   3	  /* feedback must have come of one packet in this many */
#define CAME	   0.7	  /* of what the path's own loss lets through, for a verdict */
#define THROUGH	   0.9	  /* of the rate that it was sent with: it came through */
#define ARRIVAL_S  0.001  /* the shortest time that a rate is reckoned with */

static double seconds(int64_t us)
{
	return (double)us / 1e6;
}

void probe_begin(struct probe *p, double bps, double noise_ms, int64_t now_us)
{
	int64_t long_us = (int64_t)fmax(MIN_BYTES * 8 / bps * 1e6, NOISES * 1000 * noise_ms);

	if (long_us < MIN_US)
		long_us = MIN_US;
	if (long_us > MAX_US)
		long_us = MAX_US;
	*p = (struct probe){
	    .running = true, .begin_us = now_us, .end_us = now_us + long_us, .bps = (uint64_t)bps};
}

unsigned probe_due(struct probe *p, int64_t now_us)
{
	if (!p->running)
		return 0;
	/* The last call is a little late: the rate continues for that long. */
	bool late = now_us >= p->end_us + MIN_US;
	int64_t until_us = late ? p->end_us : now_us;
	uint64_t due = (uint64_t)((double)p->bps / 8 * seconds(until_us - p->begin_us));
	/* The caller may have no packet that small, or none at all: if the request brings nothing,
	 * give up. */
	if (now_us >= p->end_us && (p->sent >= due || p->was_late)) {
		p->running = false;
		p->waiting = true;
		return 0;
	}
	p->was_late = late;
	return due > p->sent ? (unsigned)(due - p->sent) : 0;
}

/* ---- its packets ---- */

void probe_sent(struct probe *p, uint16_t seq, unsigned bytes)
{
	if (!p->n_sent)
		p->first = seq;
	p->last = seq;
	p->n_sent++;
	p->sent += bytes;
}

static bool has(const struct probe *p, uint16_t seq)
{
	return p->n_sent && (uint16_t)(seq - p->first) <= (uint16_t)(p->last - p->first);
}

void probe_arrival(struct probe *p, uint16_t seq, unsigned bytes, int64_t sent_us,
		   int64_t arrival_us)
{
	if (!has(p, seq))
		return;
	if (!p->n_got || sent_us < p->first_sent_us) {
		p->first_got = seq;
		p->first_sent_us = sent_us;
		p->first_bytes = bytes;
	}
	if (!p->n_got || sent_us > p->last_sent_us) {
		p->last_got = seq;
		p->last_sent_us = sent_us;
	}
	if (!p->n_got) {
		p->base_us = arrival_us - sent_us;
		p->first_arrival_us = p->last_arrival_us = arrival_us;
	}
	p->first_arrival_us = arrival_us < p->first_arrival_us ? arrival_us : p->first_arrival_us;
	p->last_arrival_us = arrival_us > p->last_arrival_us ? arrival_us : p->last_arrival_us;
	double x = seconds(sent_us - p->begin_us), y = seconds(arrival_us - sent_us - p->base_us);
	p->x += x;
	p->y += y;
	p->xx += x * x;
	p->xy += x * y;
	p->n_got++;
	p->got += bytes;
}

void probe_loss(struct probe *p, uint16_t seq)
{
	p->n_lost += has(p, seq);
}

/* ---- what it tells ---- */

static unsigned known(const struct probe *p)
{
	return p->n_got + p->n_lost;
}

bool probe_is_over(const struct probe *p, int64_t rtt_us, int64_t now_us)
{
	return known(p) >= p->n_sent || now_us >= p->end_us + rtt_us + PATIENT_US;
}

bool probe_tells(const struct probe *p, double own)
{
	return p->n_got >= PACKETS && KNOWN * known(p) >= p->n_sent &&
	       p->n_got >= CAME * (1 - own) * known(p);
}

/*
 * The time that its packets took to arrive, had each met the same jitter: from the line through
 * their delays, for the first and the last alone tell what jitter did to these two. But what was
 * sent in one moment is not on that line: no less than from the first to the last but jitter.
 */
static double arrival_time(const struct probe *p, double noise_ms)
{
	double n = p->n_got, square = n * p->xx - p->x * p->x;
	double slope = square > 0 ? (n * p->xy - p->x * p->y) / square : 0;
	double all_s = seconds(p->last_arrival_us - p->first_arrival_us);
	double spread_s = SPREAD * fmax(noise_ms - STEADY_MS, 0) / 1000;
	double line_s = seconds(p->last_sent_us - p->first_sent_us) * (1 + slope);

	return fmax(fmax(line_s, all_s - spread_s), ARRIVAL_S);
}

struct probe_result probe_result(const struct probe *p, double own, double noise_ms)
{
	/* From the first to the last; those that lost feedback told of count, too. */
	double all = (double)(uint16_t)(p->last_got - p->first_got) + 1;
	double bits = (double)(p->got - p->first_bytes) * 8 / (1 - own) * fmax(all / known(p), 1);
	double sent_s = fmax(seconds(p->last_sent_us - p->first_sent_us), ARRIVAL_S);
	struct probe_result r = {.sent_bps = bits / sent_s,
				 .got_bps = bits / arrival_time(p, noise_ms)};

	r.through = r.got_bps >= THROUGH * r.sent_bps;
	return r;
}
