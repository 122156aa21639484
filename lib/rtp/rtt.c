/* Response times and standing queues: see rtt.h. */
#include "rtt.h"

#define DEFAULT_US	200000	/* while nothing is known: a long path's */
#define STANDING_US	150000	/* delay that a queue adds to the path's own, at least */
#define LIKELY_US	100000	/* the same when a queue is likely */
#define STANDING_NOISES 3	/* multiples of the delay noise, added to either */
#define STANDING_FOR_US 1200000 /* until it counts: no burst takes that long to drain */

int64_t rtt_us(const struct rtt *r)
{
	return r->us ? r->us : DEFAULT_US;
}

/* Whether it takes longer than the shortest, by `us` and by more than the delay noise explains. */
static bool is_longer(const struct rtt *r, int64_t us, double noise_ms)
{
	return r->us >= r->min_us + us + (int64_t)(STANDING_NOISES * 1000 * noise_ms);
}

bool rtt_queue_likely(const struct rtt *r, double noise_ms)
{
	return is_longer(r, LIKELY_US, noise_ms);
}

bool rtt_queue_stands(struct rtt *r, double noise_ms, int64_t now_us)
{
	if (!is_longer(r, STANDING_US, noise_ms)) {
		r->standing_us = 0;
		r->drained = false;
		return false;
	}
	if (!r->standing_us)
		r->standing_us = now_us;
	if (now_us - r->standing_us < STANDING_FOR_US)
		return false;
	r->standing_us = now_us;
	if (r->drained)
		r->min_us = r->us;
	r->drained = !r->drained;
	return r->drained;
}
