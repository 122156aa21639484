/*
 * A simulated network path, in virtual time: a bottleneck with a queue that drops at its end, then
 * random loss, delay, jitter, and bursts as radio links make them. All may be changed while it
 * runs.
 */
#ifndef MSR_TESTS_PATH_H
#define MSR_TESTS_PATH_H

#include <stdbool.h>
#include <stdint.h>

struct path {
	double capacity;     /* bit/s of the bottleneck; 0: there is none */
	double queue_s;	     /* how long its queue may become */
	double loss;	     /* fraction, without congestion */
	int64_t delay_us;    /* one way */
	int64_t jitter_us;   /* up to so much is added to each packet */
	bool ordered;	     /* none overtakes another by that */
	int64_t burst_us;    /* arrivals are held back and delivered together, up to so long */
	uint32_t seed;	     /* of its chance */
	double max_queue_ms; /* the longest so far; may be set back */
	/* its state */
	int64_t free_us; /* when the bottleneck has worked off what it has */
	int64_t burst_at_us, last_at_us;
};

static inline double path_chance(struct path *p)
{
	p->seed = p->seed * 1664525 + 1013904223;
	return (p->seed >> 8) / 16777216.0;
}

/* When the bottleneck has passed it on; -1 when the queue is full. */
static inline int64_t path_bottleneck(struct path *p, unsigned bytes, int64_t now_us)
{
	int64_t from_us = p->free_us > now_us ? p->free_us : now_us;

	if (!p->capacity)
		return now_us;
	if ((double)(from_us - now_us) / 1e6 > p->queue_s)
		return -1;
	p->free_us = from_us + (int64_t)(bytes * 8 / p->capacity * 1e6);
	double queue_ms = (double)(p->free_us - now_us) / 1000;
	if (queue_ms > p->max_queue_ms)
		p->max_queue_ms = queue_ms;
	return p->free_us;
}

/* When a packet that leaves now arrives; -1: never. */
static inline int64_t path_arrival(struct path *p, unsigned bytes, int64_t now_us)
{
	int64_t at_us = path_bottleneck(p, bytes, now_us);

	if (at_us < 0 || path_chance(p) < p->loss)
		return -1;
	at_us += p->delay_us + (int64_t)(path_chance(p) * (double)p->jitter_us);
	if (p->ordered && at_us < p->last_at_us)
		at_us = p->last_at_us;
	p->last_at_us = at_us;
	if (p->burst_us) {
		if (at_us > p->burst_at_us)
			p->burst_at_us = at_us + (int64_t)(path_chance(p) * (double)p->burst_us);
		at_us = p->burst_at_us;
	}
	return at_us;
}

#endif
