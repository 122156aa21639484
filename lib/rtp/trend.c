/*
 * packets ── groups ──> delay of each against the one before ── sum, smooth ──> window of points
 *	── regression ──> slope ── against an adaptive threshold ──> over, normal or under use
 */
#include "trend.h"

#include <math.h>
#include <string.h>

#define BURST_MAX_US	250000	/* of a group of arrivals: starved receivers stall */
#define SMOOTHING	0.9	/* of delay: the weight of what was */
#define GAIN		4.0	/* of the slope, as the threshold is scaled */
#define DELTAS_MAX	60	/* groups that make the slope more certain */
#define THRESHOLD_MS	12.5	/* at first */
#define THRESHOLD_MIN	6.0	/* ms */
#define THRESHOLD_MAX	600.0	/* ms */
#define THRESHOLD_UP	0.0087	/* of the distance, per ms: how fast it follows a larger slope */
#define THRESHOLD_DOWN	0.039	/* of the distance, per ms: how fast it follows a smaller one */
#define ADAPT_MAX_MS	100	/* that count of a pause between groups */
#define NOISE_SMOOTHING 0.03	/* weight of a new delta */
#define NOISE_MAX	100.0	/* ms of a single delta */
#define NOISE_PART	0.8	/* of the noise: random slopes stay below that */
#define OUTLIER_MS	15.0	/* above the threshold: further ones it does not follow at all */
#define OVER_MS		10.0	/* above the threshold for this long is over use */
#define GAP_US		3000000 /* after a longer pause everything starts over */

/*
 * Slope of the least squares line through the window; false while it is not full enough. One pass:
 * around any of its points the sums are small enough for that.
 */
static bool slope(const struct trend *t, double *out)
{
	const struct trend_point *at = &t->point[0];
	double x = 0, y = 0, xy = 0, xx = 0;

	if (t->n < TREND_WINDOW)
		return false;
	for (unsigned i = 1; i < TREND_WINDOW; i++) {
		double dx = t->point[i].x_ms - at->x_ms, dy = t->point[i].y_ms - at->y_ms;
		x += dx;
		y += dy;
		xy += dx * dy;
		xx += dx * dx;
	}
	double down = TREND_WINDOW * xx - x * x;
	if (down <= 0)
		return false;
	*out = (TREND_WINDOW * xy - x * y) / down;
	return true;
}

static void adapt_threshold(struct trend *t, double trend, double passed_ms)
{
	double size = fabs(trend);

	if (size > t->threshold_ms + OUTLIER_MS)
		return;
	double rate = size < t->threshold_ms ? THRESHOLD_DOWN : THRESHOLD_UP;
	t->threshold_ms += rate * (size - t->threshold_ms) * fmin(passed_ms, ADAPT_MAX_MS);
	double floor_ms = fmax(THRESHOLD_MIN, NOISE_PART * t->noise_ms);
	t->threshold_ms = fmin(fmax(t->threshold_ms, floor_ms), THRESHOLD_MAX);
}

/* `rising`: the last group waited longer than the one before. What a single burst has left behind
 * falls again by itself. */
static void detect(struct trend *t, double trend, bool rising, double group_ms, double passed_ms)
{
	if (trend > t->threshold_ms && !rising) {
		t->state = TREND_NORMAL;
	} else if (trend > t->threshold_ms) {
		t->over_ms += t->over_n ? group_ms : group_ms / 2;
		t->over_n++;
		if (t->over_ms > OVER_MS && t->over_n > 1 && trend >= t->last_trend) {
			t->over_ms = 0;
			t->over_n = 0;
			t->state = TREND_OVER;
		}
	} else {
		t->over_ms = 0;
		t->over_n = 0;
		t->state = trend < -t->threshold_ms ? TREND_UNDER : TREND_NORMAL;
	}
	t->last_trend = trend;
	adapt_threshold(t, trend, passed_ms);
}

/* The group under way is complete: compares it with the one before. */
static void close_group(struct trend *t)
{
	const struct trend_group *a = &t->before, *b = &t->now;
	double arrival_ms = (double)(b->last_arrival_us - a->last_arrival_us) / 1000;
	double sent_ms = (double)(b->last_sent_us - a->last_sent_us) / 1000;
	double k;

	if (!t->n_deltas)
		t->origin_us = b->last_arrival_us;
	if (t->n_deltas < DELTAS_MAX)
		t->n_deltas++;
	double delta_ms = arrival_ms - sent_ms;
	t->noise_ms += NOISE_SMOOTHING * (fmin(fabs(delta_ms), NOISE_MAX) - t->noise_ms);
	t->delay_ms += delta_ms;
	t->smooth_ms = SMOOTHING * t->smooth_ms + (1 - SMOOTHING) * t->delay_ms;
	t->point[t->next] = (struct trend_point){
	    .x_ms = (double)(b->last_arrival_us - t->origin_us) / 1000, .y_ms = t->smooth_ms};
	t->next = (t->next + 1) % TREND_WINDOW;
	if (t->n < TREND_WINDOW)
		t->n++;
	double passed_ms = t->last_us ? (double)(b->last_arrival_us - t->last_us) / 1000 : 0;
	t->last_us = b->last_arrival_us;
	if (slope(t, &k))
		detect(t, k * GAIN * t->n_deltas, delta_ms > 0, sent_ms, fmax(passed_ms, 0));
}

/* Whether the packet belongs to the group under way. */
static bool joins(const struct trend *t, int64_t sent_us, int64_t arrival_us)
{
	const struct trend_group *g = &t->now;
	int64_t arrival = arrival_us - g->last_arrival_us;
	int64_t sent = sent_us - g->last_sent_us;

	if (sent_us - g->first_sent_us <= TREND_GROUP_US)
		return true;
	/* What some link held back and delivered at once says nothing about queues. */
	return sent > 0 && arrival <= TREND_GROUP_US && arrival - sent < 0 &&
	       arrival_us - g->first_arrival_us < BURST_MAX_US;
}

void trend_consider(struct trend *t, int64_t sent_us, int64_t arrival_us)
{
	struct trend_group *g = &t->now;

	if (t->threshold_ms == 0)
		t->threshold_ms = THRESHOLD_MS;
	if (t->has_now && sent_us < g->first_sent_us)
		return; /* reordered */
	if (t->has_now && joins(t, sent_us, arrival_us)) {
		trend_join(g, sent_us, arrival_us);
		return;
	}
	if (t->has_now && sent_us - g->last_sent_us > GAP_US) {
		double threshold_ms = t->threshold_ms;
		*t = (struct trend){.threshold_ms = threshold_ms};
	}
	if (t->has_before)
		close_group(t);
	t->before = t->now;
	t->has_before = t->has_now;
	*g = (struct trend_group){sent_us, sent_us, arrival_us, arrival_us};
	t->has_now = true;
}
