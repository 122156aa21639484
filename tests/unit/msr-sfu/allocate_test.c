/* Who gets which layer: a row of sounds and pictures, an estimate, and time that passes. */
#include "../../../cmd/msr-sfu/fwd/allocate.h"

#include "../../support/test.h"

#define N_MAX 40

static struct allocate_item item[N_MAX];
static struct allocate_grant grant[N_MAX];
static struct allocate_limits limits;
static unsigned n;
static int64_t now;

static void begin(void)
{
	memset(item, 0, sizeof(item));
	memset(grant, 0, sizeof(grant));
	limits = (struct allocate_limits){0};
	n = 0;
	now = 1000000;
}

static struct allocate_item *add(bool audio, unsigned layers, uint64_t low, uint64_t mid,
				 uint64_t high)
{
	struct allocate_item *i = &item[n];

	*i = (struct allocate_item){.audio = audio,
				    .wanted = (int)layers - 1,
				    .n_layers = layers,
				    .bps = {low, mid, high},
				    .grant = &grant[n]};
	n++;
	return i;
}

static struct allocate_item *sound(void)
{
	return add(true, 1, 40000, 0, 0);
}

static struct allocate_item *three(void)
{
	return add(false, 3, 150000, 500000, 1500000);
}

/* For some time, with decisions every 100 ms. */
static void hold(uint64_t bps, double seconds)
{
	limits.estimate_bps = bps;
	for (int k = 0; k < (int)(seconds * 10); k++) {
		now += 100000;
		allocate(item, n, &limits, now);
	}
}

TEST(without_limits_everything_is_sent_at_once)
{
	begin();
	sound();
	three();
	add(false, 1, 2000000, 0, 0);
	hold(0, 0.1);
	CHECK_INT(grant[1].layer, 2);
	CHECK_INT(grant[2].layer, 0);
	CHECK_INT(allocate_wanted_bps(item, n), 40000 + 1500000 + 2000000);
}

TEST(down_at_once_and_up_after_a_while_with_a_margin)
{
	begin();
	sound();
	three();
	hold(3000000, 2);
	CHECK_INT(grant[1].layer, 2);
	hold(600000, 0.1);
	CHECK_INT(grant[1].layer, 1);
	hold(300000, 0.1);
	CHECK_INT(grant[1].layer, 0);
	hold(560000, 10); /* 540 would just fit */
	CHECK_INT(grant[1].layer, 0);
	hold(650000, 0.5);
	CHECK_INT(grant[1].layer, 0);
	hold(650000, 5);
	CHECK_INT(grant[1].layer, 1);
}

TEST(what_flows_may_stay_at_the_edge)
{
	begin();
	sound();
	three();
	hold(650000, 10);
	CHECK_INT(grant[1].layer, 1);
	for (int k = 0; k < 50; k++) { /* weights and the estimate swing */
		item[1].bps[1] = k % 2 ? 530000 : 470000;
		hold(k % 3 ? 520000 : 650000, 0.2);
		CHECK_INT(grant[1].layer, 1);
	}
}

TEST(layers_that_failed_are_tried_later)
{
	begin();
	sound();
	three();
	int changes = 0, before = 0;
	hold(300000, 1);
	for (int k = 0; k < 600; k++) { /* as if the higher layer did not pass after all */
		hold(grant[1].layer == 1 ? 450000 : 700000, 0.1);
		changes += grant[1].layer != before;
		before = grant[1].layer;
	}
	CHECK(changes > 2 && changes < 26); /* in a minute */
}

TEST(a_layer_that_its_source_stopped_is_back_at_once)
{
	begin();
	sound();
	three();
	hold(3000000, 5);
	CHECK_INT(grant[1].layer, 2);
	item[1].bps[2] = 0;
	hold(3000000, 3);
	CHECK_INT(allocate_granted_bps(item, n), 40000 + 500000);
	item[1].bps[2] = 1500000;
	hold(3000000, 0.1);
	CHECK_INT(grant[1].layer, 2);
	item[1].bps[2] = 0;
	hold(650000, 3);
	CHECK_INT(allocate_granted_bps(item, n), 40000 + 500000);
	item[1].bps[2] = 1500000; /* but the path has become narrower meanwhile */
	hold(650000, 0.1);
	CHECK_INT(grant[1].layer, 1);
}

TEST(lowest_layers_of_all_come_before_higher_ones)
{
	begin();
	sound();
	for (int k = 0; k < 4; k++)
		three();
	hold(750000, 20);
	for (int k = 1; k <= 4; k++)
		CHECK_INT(grant[k].layer, 0);
	hold(1250000, 20);
	CHECK_INT(grant[1].layer, 1);
	for (int k = 2; k <= 4; k++)
		CHECK_INT(grant[k].layer, 0);
}

TEST(who_speaks_and_large_pictures_come_first)
{
	begin();
	sound();
	for (int k = 0; k < 4; k++)
		three();
	item[3].speaks = true;
	item[1].wanted = item[2].wanted = 1;
	hold(1250000, 20);
	CHECK_INT(grant[3].layer, 1);
	CHECK_INT(grant[4].layer, 0);
	item[3].speaks = false;
	item[3].wanted = 0;
	item[4].wanted = 2;
	hold(1250000, 20);
	CHECK_INT(grant[4].layer, 1); /* the largest wish */
	CHECK_INT(grant[3].layer, 0);
}

TEST(nobody_gets_more_than_is_wanted)
{
	begin();
	three()->wanted = 1;
	three()->wanted = -1;
	hold(9000000, 10);
	CHECK_INT(grant[0].layer, 1);
	CHECK_INT(grant[1].layer, -1);
	CHECK_INT(allocate_wanted_bps(item, n), 500000);
	CHECK_INT(allocate_granted_bps(item, n), 500000);
	item[0].wanted = 0;
	hold(9000000, 0.1);
	CHECK_INT(grant[0].layer, 0);
}

TEST(pictures_pause_before_sound_suffers)
{
	begin();
	sound();
	three();
	three();
	hold(400000, 10);
	CHECK_INT(grant[1].layer, 0);
	CHECK_INT(grant[2].layer, 0);
	hold(200000, 1.3); /* not yet */
	CHECK_INT(grant[2].layer, 0);
	hold(200000, 0.4);
	CHECK_INT(grant[1].layer, 0);
	CHECK_INT(grant[2].layer, -1);
	hold(80000, 2);
	CHECK_INT(grant[1].layer, -1);
	CHECK_INT(grant[0].layer, 0);
	hold(500000, 3);
	CHECK_INT(grant[1].layer, 0);
	CHECK_INT(grant[2].layer, 0);
}

TEST(a_single_layer_pauses_only_after_a_while_and_resumes)
{
	begin();
	sound();
	add(false, 1, 1200000, 0, 0);
	hold(500000, 1);
	CHECK_INT(grant[1].layer, 0); /* new: the estimate has yet to grow */
	hold(1500000, 5);
	hold(700000, 1);
	hold(1500000, 1); /* a moment */
	CHECK_INT(grant[1].layer, 0);
	hold(700000, 2);
	CHECK_INT(grant[1].layer, -1);
	hold(1500000, 3);
	hold(300000, 1.4); /* by far not, but perhaps the estimate is wrong */
	CHECK_INT(grant[1].layer, 0);
	hold(1500000, 3);
	limits.overloaded = true;
	hold(300000, 0.9);
	CHECK_INT(grant[1].layer, -1);
	hold(1300000, 10); /* no margin */
	CHECK_INT(grant[1].layer, -1);
	hold(1500000, 3);
	CHECK_INT(grant[1].layer, 0);
}

TEST(the_receivers_own_limit_holds)
{
	begin();
	sound();
	three();
	limits.max_bps = 600000;
	hold(0, 1);
	CHECK_INT(grant[1].layer, 1);
	hold(9000000, 10);
	CHECK_INT(grant[1].layer, 1);
	limits.max_bps = 200000;
	hold(9000000, 0.1);
	CHECK_INT(grant[1].layer, 0);
	limits.max_bps = 0;
	hold(9000000, 10);
	CHECK_INT(grant[1].layer, 2);
}

TEST(retransmissions_are_left_room_for)
{
	begin();
	sound();
	three();
	hold(700000, 5);
	CHECK_INT(grant[1].layer, 1);
	limits.other_bps = 300000;
	hold(700000, 0.1);
	CHECK_INT(grant[1].layer, 0);
}

TEST(layers_that_do_not_come_are_passed_over)
{
	begin();
	sound();
	three();
	item[1].bps[2] = 0;
	hold(9000000, 5);
	CHECK_INT(grant[1].layer, 1);
	item[1].bps[1] = 0;
	hold(9000000, 5);
	CHECK_INT(allocate_granted_bps(item, n), 40000 + 150000);
	item[1].bps[0] = 0;
	hold(9000000, 5);
	CHECK_INT(grant[1].layer, 1); /* a mute tells nothing */
	item[1].bps[0] = 150000;
	item[1].bps[2] = 1500000; /* without a middle one */
	hold(9000000, 5);
	CHECK_INT(grant[1].layer, 2);
	hold(1000000, 0.1);
	CHECK_INT(grant[1].layer, 0);
}

static uint32_t seed = 7;

static unsigned chance(unsigned m)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % m;
}

/* Whatever comes, in whatever order: what is decided fits, as far as that is promised. */
TEST(random_rows)
{
	for (int round = 0; round < 300; round++) {
		begin();
		unsigned want = 1 + chance(N_MAX);
		while (n < want) {
			unsigned low = 50000 + chance(300000);
			struct allocate_item *i =
			    add(chance(3) == 0, 1 + chance(3), low, low * 3, low * 9);
			if (i->audio)
				*i = (struct allocate_item){true, false, 0, 1, {low / 5}, i->grant};
			i->speaks = chance(10) == 0;
			i->wanted = (int)(chance(i->n_layers + 1)) - 1;
		}
		for (int k = 0; k < 20; k++) {
			uint64_t bps = 100000 + chance(20000000);
			hold(bps, 4);
			uint64_t granted = allocate_granted_bps(item, n), sounds = 0;
			for (unsigned i = 0; i < n; i++) {
				CHECK(grant[i].layer <= item[i].wanted);
				if (item[i].audio && item[i].wanted >= 0)
					sounds += item[i].bps[0];
			}
			CHECK(granted <= 1.1 * 1.05 * bps + 1 || granted == sounds);
		}
	}
}
