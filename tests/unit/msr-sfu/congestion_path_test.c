/*
 * Congestion control in virtual time (world.h): paths with loss, delay and jitter, which are no
 * congestion, and bad ones beside good ones. Each case prints its figures.
 */
// computes
#include <stdio.h>

#include "../../support/test.h"
#include "watcher.h"
#include "world.h"

TEST(layers_on_bad_paths)
{
	static const struct {
		const char *what;
		double capacity, loss;
		int64_t delay_us, jitter_us;
		int layer;	   /* at least */
		int64_t freeze_us; /* at most: with the last, pictures wait for a third answer */
	} paths[] = {
	    {"3000, 5 % loss", 3e6, 0.05, 30000, 0, 2, 1000000},
	    {"3000, 20 % loss", 3e6, 0.2, 30000, 0, 2, 1000000},
	    {"3000, 100 ms, 50 ms jitter", 3e6, 0, 100000, 50000, 1, 1000000},
	    {"500", 500e3, 0, 30000, 0, 0, 1000000},
	    {"500, 5 %, 100 ms, 50 ms jitter", 500e3, 0.05, 100000, 50000, 0, 1000000},
	    {"500, 20 %, 100 ms, 50 ms jitter", 500e3, 0.2, 100000, 50000, 0, 1500000},
	};

	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		world_begin(3, world_layered);
		struct watcher *v = world_add(paths[i].capacity);
		v->path.loss = paths[i].loss;
		v->path.delay_us = paths[i].delay_us;
		v->path.jitter_us = paths[i].jitter_us;
		world_run(20);
		uint64_t switches = world.stats.layer_switches;
		world_run(60);
		watcher_tell(paths[i].what, v, 60, paths[i].capacity);
		switches = world.stats.layer_switches - switches;
		printf("# layer %d, %d switches in 60 s\n", v->layer, (int)switches);
		CHECK(v->layer >= paths[i].layer);
		CHECK(switches <= 8);
		CHECK(v->frames > 60 * 29);
		CHECK(v->freeze_us < paths[i].freeze_us);
		CHECK(watcher_concealed(v, 60) < 100 * paths[i].loss + 3);
		/* The layers end at 1600 kbit/s: nothing further is looked for. */
		CHECK(watcher_mean(v) > 0.7 * (paths[i].capacity < 2e6 ? paths[i].capacity : 2e6));
		CHECK(watcher_mean(v) < 1.3 * paths[i].capacity);
		world_end();
	}
}

TEST(loss_without_congestion_pauses_nothing)
{
	static const double loss[] = {0.05, 0.2};

	for (unsigned i = 0; i < 2; i++) {
		char what[40];
		world_begin(1, world_one);
		struct watcher *v = world_add(3e6);
		v->path.loss = loss[i];
		world_run(15);
		world_run(45);
		snprintf(what, sizeof(what), "%.0f %% loss", 100 * loss[i]);
		watcher_tell(what, v, 45, 3e6);
		CHECK_INT(v->video->grant.layer, 0);
		CHECK(v->frames > 45 * 28);
		CHECK(watcher_concealed(v, 45) < 100 * loss[i] + 2);
		CHECK(v->freeze_us < SECOND);
		world_end();
	}
}

TEST(delay_and_jitter_pause_nothing)
{
	world_begin(1, world_one);
	struct watcher *v = world_add(3e6);
	v->path.delay_us = 100000;
	v->path.jitter_us = 50000;
	world_run(15);
	world_run(45);
	watcher_tell("100 ms delay, 50 ms jitter", v, 45, 3e6);
	CHECK_INT(v->video->grant.layer, 0);
	CHECK(v->frames > 45 * 28);
	CHECK(watcher_concealed(v, 45) < 2);
	world_end();
}

/*
 * A call has just begun, with little to send, when its network becomes far, uneven and lossy: many
 * times over, for it is a matter of chance. Where a fifth of all is lost, that may for a while be
 * taken for too much, and by who sends more, more often.
 */
TEST(little_to_send_on_a_path_that_gets_worse_seldom_pauses)
{
	static const double rates[] = {60e3, 100e3, 250e3, 500e3};
	static const struct {
		double loss;
		unsigned stood; /* of the calls, at most */
	} paths[] = {{0, 0}, {0.05, 0}, {0.2, 2}};
	const unsigned calls = 30;

	for (unsigned i = 0; i < 12; i++) {
		double bps = rates[i / 3], loss = paths[i % 3].loss, low = 1e12;
		unsigned stood = 0;
		int64_t freeze_us = 0;
		for (uint32_t seed = 1; seed <= calls; seed++) {
			world_begin(1, &bps);
			struct watcher *v = world_add(0);
			v->path.seed = seed * 7919;
			v->path.delay_us = 1000;
			v->path.ordered = seed % 2;
			world_run(1.5);
			v->path.delay_us = 100000;
			v->path.jitter_us = 50000;
			v->path.loss = loss;
			world_run(12);
			low = v->estimate_low < low ? v->estimate_low : low;
			stood += v->freeze_us > SECOND;
			freeze_us = v->freeze_us > freeze_us ? v->freeze_us : freeze_us;
			world_end();
		}
		printf("# %.0f kbit/s, %.0f %% loss: estimate at least %.0f kbit/s, %u of %u calls "
		       "stood still for more than 1 s, the longest %.0f ms\n",
		       bps / 1e3, 100 * loss, low / 1e3, stood, calls, (double)freeze_us / 1e3);
		CHECK(stood <= paths[i % 3].stood * (i / 3 == 3 ? 6 : 1));
	}
}

/* Two see the same; what one of them has for a path is nothing to the other. */
TEST(a_bad_path_changes_nothing_for_others)
{
	world_begin(1, world_one);
	struct watcher *good = world_add(5e6);
	world_run(20);
	unsigned alone = good->frames, keys = world.keys;
	double estimate = watcher_mean(good);
	world_end();
	world_begin(1, world_one);
	good = world_add(5e6);
	struct watcher *bad = world_add(400e3);
	bad->path.loss = 0.2;
	bad->path.jitter_us = 50000;
	world_run(20);
	watcher_tell("beside a bad one", good, 20, 5e6);
	watcher_tell("the bad one", bad, 20, 400e3);
	CHECK(good->frames + 2 >= alone && good->frames <= alone + 2);
	CHECK(watcher_mean(good) > 0.9 * estimate);
	CHECK(world.keys <= keys + 8); /* which both are sent */
	CHECK(good->freeze_us < 200000);
	CHECK(watcher_concealed(good, 20) < 1);
	world_end();
}
