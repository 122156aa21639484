/* RTP time in the file: anchors, verdicts and sync by sender reports. */
#include "../../../cmd/msr-record/timeline.h"

#include "../../support/test.h"

#define MS     1000
#define SENDER 3900000000000000LL /* the sender's wall clock has nothing to do with ours */

static struct timeline audio(void)
{
	return (struct timeline){.clock = 48000};
}

TEST(rtp_time_counts_from_its_anchor_over_the_wrap)
{
	struct timeline t = audio();

	timeline_anchor(&t, 0xffffff00, 500 * MS);
	CHECK_INT(timeline_at(&t, 0xffffff00), 500 * MS);
	CHECK_INT(timeline_at(&t, 0xffffff00 + 48000), 1500 * MS);
	CHECK_INT(timeline_at(&t, 0xffffff00), 500 * MS);
}

TEST(late_and_wild_packets_are_told_apart)
{
	struct timeline t = audio();

	timeline_anchor(&t, 1000, 0);
	CHECK_INT(timeline_judge(&t, 1000 + 48000, 1000 * MS), TIMELINE_GOOD);
	CHECK_INT(timeline_judge(&t, 1000 + 48000, 1400 * MS), TIMELINE_GOOD);
	CHECK_INT(timeline_judge(&t, 1000 + 48000, 1600 * MS), TIMELINE_LATE);
	CHECK_INT(timeline_judge(&t, 1000 + 96000, 1000 * MS), TIMELINE_OFF);
	/* A wild jump does not spoil what follows. */
	CHECK_INT(timeline_judge(&t, 1000u + 0x7fffffff, 1000 * MS), TIMELINE_OFF);
	CHECK_INT(timeline_judge(&t, 1000 + 48000, 1000 * MS), TIMELINE_GOOD);
}

TEST(nothing_is_anchored_before_what_is_there)
{
	struct timeline t = audio();

	t.end_us = 2000 * MS;
	timeline_anchor(&t, 0, 1500 * MS);
	CHECK_INT(timeline_at(&t, 0), 2000 * MS);
}

/* A second of packets, the first of which has RTP time `ts` and arrives then. */
static void go_on(struct timeline *t, uint32_t ts, int64_t arrival_us)
{
	for (int ms = 0; ms <= 1000; ms += 20)
		timeline_learn(t, ts + (uint32_t)ms * (t->clock / 1000), arrival_us + ms * MS);
}

TEST(after_a_mute_sound_lies_where_it_would_have_with_a_first_packet_that_was_late)
{
	struct timeline a = audio();

	timeline_anchor(&a, 0, 250 * MS); /* came 250 ms late, the next in time */
	go_on(&a, 48000, 1000 * MS);
	CHECK_INT(timeline_at(&a, 48000), 1250 * MS);
	/* RTP time stands still for ten seconds; what comes then is no later than the picture is.
	 */
	a.end_us = 2250 * MS;
	timeline_anchor(&a, 96000, 12000 * MS);
	CHECK_INT(timeline_at(&a, 96000), 12250 * MS);
	CHECK_INT(timeline_judge(&a, 96000 + 48000, 13000 * MS), TIMELINE_GOOD);
	/* One that was late then is not made up for each time. */
	go_on(&a, 96000 + 48000, 12900 * MS);
	timeline_anchor(&a, 0, 30000 * MS);
	CHECK_INT(timeline_at(&a, 0), 30250 * MS);
}

TEST(a_picture_that_was_moved_is_anchored_again_where_it_is)
{
	struct timeline a = audio(), v = {.clock = 90000};

	timeline_anchor(&a, 0, 0);
	timeline_anchor(&v, 0, 120 * MS);
	timeline_report(&a, 48000, SENDER + 1000 * MS);
	timeline_report(&v, 90000, SENDER + 900 * MS); /* encoded 100 ms after it was taken */
	CHECK_INT(timeline_follow(&v, &a), -220 * MS);
	timeline_anchor(&v, 0, 9000 * MS);
	CHECK_INT(timeline_at(&v, 0), 8780 * MS);
}

TEST(pictures_follow_the_sound_by_sender_reports)
{
	struct timeline a = audio(), v = {.clock = 90000};

	timeline_anchor(&a, 0, 0);
	timeline_anchor(&v, 0, 120 * MS); /* came 120 ms late */
	CHECK_INT(timeline_follow(&v, &a), 0);
	timeline_report(&a, 48000, SENDER + 1000 * MS);
	timeline_report(&v, 90000, SENDER + 1000 * MS);
	CHECK_INT(timeline_follow(&v, &a), -120 * MS);
	CHECK_INT(timeline_at(&v, 90000), 1000 * MS);
	CHECK_INT(timeline_follow(&v, &a), 0);
	/* A new anchor needs a new report. */
	timeline_anchor(&a, 0, 9000 * MS);
	CHECK_INT(timeline_follow(&v, &a), 0);
	timeline_report(&a, 48000, SENDER + 100000 * MS); /* cannot be */
	CHECK_INT(timeline_follow(&v, &a), 0);
}

TEST(before_reports_sound_and_picture_lie_as_far_behind_their_arrivals)
{
	struct timeline a = audio(), v = {.clock = 90000};

	timeline_anchor(&v, 0, 245 * MS); /* the first picture took that long, no other did */
	CHECK_INT(timeline_follow(&v, &a), 0);
	timeline_anchor(&a, 0, 100 * MS); /* and the first sound this */
	go_on(&a, 960, 20 * MS);
	go_on(&v, 3600, 40 * MS);
	CHECK_INT(timeline_follow(&v, &a), (100 - 245) * MS);
	CHECK_INT(timeline_at(&v, 90000), timeline_at(&a, 48000));
	CHECK_INT(timeline_follow(&v, &a), 0);
	/* Reports know better, also after a pause in which the picture's time stood still. */
	timeline_report(&a, 48000, SENDER + 1000 * MS);
	timeline_report(&v, 90000, SENDER + 970 * MS);
	CHECK_INT(timeline_follow(&v, &a), -30 * MS);
	timeline_anchor(&v, 0, 9000 * MS);
	CHECK_INT(timeline_follow(&v, &a), 0);
	CHECK_INT(timeline_at(&v, 0), 9070 * MS);
}

TEST(a_wall_clock_that_is_set_moves_no_picture)
{
	struct timeline a = audio(), v = {.clock = 90000};

	timeline_anchor(&a, 0, 0);
	timeline_anchor(&v, 0, 120 * MS);
	for (int s = 1; s <= 2; s++) {
		timeline_report(&a, (uint32_t)s * 48000, SENDER + s * 1000 * MS);
		timeline_report(&v, (uint32_t)s * 90000, SENDER + s * 1000 * MS);
		CHECK_INT(timeline_follow(&v, &a), s == 1 ? -120 * MS : 0);
	}
	/* From here on it shows 1.5 s more; the picture's reports come first. */
	timeline_report(&v, 3 * 90000, SENDER + 4500 * MS);
	CHECK_INT(timeline_follow(&v, &a), 0);
	timeline_report(&a, 3 * 48000, SENDER + 4500 * MS);
	CHECK_INT(timeline_follow(&v, &a), 0);
	/* When both agree again they are heeded again, for what it is worth. */
	timeline_report(&v, 4 * 90000, SENDER + 5510 * MS);
	CHECK_INT(timeline_follow(&v, &a), 0);
	timeline_report(&a, 4 * 48000, SENDER + 5500 * MS);
	CHECK_INT(timeline_follow(&v, &a), 10 * MS);
}

TEST(what_a_clock_that_stands_still_has_moved_is_moved_back)
{
	struct timeline a = audio(), v = {.clock = 90000};

	timeline_anchor(&a, 0, 0);
	timeline_anchor(&v, 0, 0);
	timeline_report(&a, 48000, SENDER);
	timeline_report(&v, 90000 / 2, SENDER);
	CHECK_INT(timeline_follow(&v, &a), 500 * MS);
	timeline_report(&v, 90000 / 2, SENDER); /* the same once more says nothing */
	CHECK_INT(timeline_follow(&v, &a), 0);
	timeline_report(&a, 3 * 48000, SENDER);
	CHECK_INT(timeline_follow(&v, &a), -500 * MS);
	CHECK_INT(timeline_at(&v, 90000), 1000 * MS);
	timeline_report(&v, 3 * 90000, SENDER);
	CHECK_INT(timeline_follow(&v, &a), 0);
}
