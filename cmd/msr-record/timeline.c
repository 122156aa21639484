/* Anchors, verdicts and sender reports. */
#include "timeline.h"

#include <stdlib.h>

/* Drift is learned from packets this far apart; a pause tells no more than its last second. */
#define LEARN_MIN_US 1000
#define LEARN_MAX_US 1000000
/* A track's first packets are late often: what comes this long after them tells by how much. */
#define FIRST_US 3000000

static int64_t us_of(const struct timeline *t, int64_t ticks)
{
	/* Ticks are differences of 64-bit unwrapped values from 32 bits: far from overflow. */
	return ticks * 1000000 / (int64_t)t->clock;
}

void timeline_anchor(struct timeline *t, uint32_t ts, int64_t arrival_us)
{
	int64_t at_us = arrival_us + t->behind_us;

	if (!t->anchors)
		t->first_us = arrival_us;
	t->unwrap = (struct rtp_unwrap){0};
	t->ts = rtp_unwrap32(&t->unwrap, ts);
	t->at_us = at_us > t->end_us ? at_us : t->end_us;
	t->drift_us = arrival_us - t->at_us;
	t->learned_us = arrival_us;
	t->anchored = true;
	t->reported = t->doubted = false;
	t->agreed = 0;
	t->moved_us = 0;
	t->anchors++;
}

int64_t timeline_at(struct timeline *t, uint32_t ts)
{
	return t->at_us + us_of(t, rtp_unwrap32(&t->unwrap, ts) - t->ts);
}

int64_t timeline_late_us(struct timeline *t, uint32_t ts, int64_t arrival_us)
{
	return timeline_arrival(t, arrival_us) - timeline_at(t, ts);
}

int64_t timeline_arrival(const struct timeline *t, int64_t arrival_us)
{
	return arrival_us - t->drift_us;
}

void timeline_learn(struct timeline *t, uint32_t ts, int64_t arrival_us)
{
	int64_t late_us = timeline_late_us(t, ts, arrival_us);
	int64_t since_us = arrival_us - t->learned_us;

	if (since_us < LEARN_MIN_US)
		return;
	int64_t most_us =
	    (since_us < LEARN_MAX_US ? since_us : LEARN_MAX_US) * TIMELINE_DRIFT_PPM / 1000000;
	t->drift_us += late_us > most_us ? most_us : late_us < -most_us ? -most_us : late_us;
	t->learned_us = arrival_us;
	int64_t behind_us = timeline_at(t, ts) - arrival_us;
	if (arrival_us - t->first_us < FIRST_US && behind_us > t->behind_us)
		t->behind_us = behind_us;
}

enum timeline_verdict timeline_judge(struct timeline *t, uint32_t ts, int64_t arrival_us)
{
	/* Of a wild jump the unwrapped value is not kept, or what follows would jump as well. */
	struct rtp_unwrap kept = t->unwrap;
	int64_t late_us = timeline_late_us(t, ts, arrival_us);

	if (late_us < -TIMELINE_OFF_US) {
		t->unwrap = kept;
		return TIMELINE_OFF;
	}
	return late_us > TIMELINE_OFF_US ? TIMELINE_LATE : TIMELINE_GOOD;
}

void timeline_report(struct timeline *t, uint32_t ts, int64_t wall_us)
{
	struct rtp_unwrap u = t->unwrap;

	if (!t->anchored)
		return;
	int64_t at = rtp_unwrap32(&u, ts);
	int64_t wall_d_us = wall_us - t->report_us, media_d_us = us_of(t, at - t->report_ts);
	if (t->reported && !wall_d_us && !media_d_us) /* the same once more */
		return;
	if (t->reported) {
		t->doubted = llabs(wall_d_us - media_d_us) >
			     TIMELINE_REPORT_US + llabs(media_d_us) / 1000000 * TIMELINE_DRIFT_PPM;
		t->agreed += !t->doubted;
	}
	t->report_ts = at;
	t->report_us = wall_us;
	t->reported = true;
}

static bool lies(const struct timeline *t)
{
	return t->doubted && !t->agreed;
}

static int64_t move(struct timeline *t, int64_t by_us)
{
	t->at_us += by_us;
	t->drift_us -= by_us;
	t->behind_us += by_us;
	return by_us;
}

static int64_t move_as_reported(struct timeline *t, int64_t by_us)
{
	t->moved_us += by_us;
	t->synced = true;
	return move(t, by_us);
}

/* For want of reports: what was sent at one moment is taken to be as fast on either way. */
static int64_t follow_arrivals(struct timeline *t, const struct timeline *master)
{
	if (t->synced || !t->anchored || !master->anchored)
		return 0;
	return move(t, master->behind_us - t->behind_us);
}

int64_t timeline_follow(struct timeline *t, struct timeline *master)
{
	if (lies(t) || lies(master))
		return move_as_reported(t, -t->moved_us);
	if (!t->reported || !master->reported || t->doubted || master->doubted)
		return follow_arrivals(t, master);
	/* What the sender's clock shows at time 0 of the file, by each timeline. */
	int64_t zero = t->report_us - (t->at_us + us_of(t, t->report_ts - t->ts));
	int64_t master_zero =
	    master->report_us - (master->at_us + us_of(master, master->report_ts - master->ts));
	int64_t shift = zero - master_zero;

	if (llabs(shift) > TIMELINE_SYNC_MAX_US)
		return 0;
	return move_as_reported(t, shift);
}
