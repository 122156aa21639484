/*
 * Congestion control in virtual time (world.h): limits that come and go, and those who tell of
 * them otherwise than by transport feedback. Each case prints its figures.
 */
// computes
#include "../../../cmd/msr-sfu/fwd/congest.h"

#include <math.h>
#include <stdio.h>

#include "../../support/test.h"
#include "watcher.h"
#include "world.h"

TEST(a_picture_that_does_not_fit_pauses_and_comes_back)
{
	world_begin(1, world_one);
	struct watcher *v = world_add(3e6);
	world_run(15);
	watcher_tell("1200 kbit/s in 3000", v, 15, 3e6);
	CHECK_INT(v->video->grant.layer, 0);
	CHECK(v->freeze_us < 300000);
	v->path.capacity = 500e3;
	watcher_figures_begin(v);
	double down = world_until_layer(v, -1, 20);
	double bad = watcher_concealed(v, down) * down / 100;
	printf("# paused %.1f s after the limit came, when %.1f s of sound were concealed\n", down,
	       bad);
	CHECK(down < 3);
	CHECK(bad < 1.5);
	world_run(2);
	world_run(20);
	watcher_tell("paused in 500", v, 20, 500e3);
	CHECK(watcher_concealed(v, 20) < 2);
	CHECK(watcher_mean(v) > 0.7 * 500e3 && watcher_mean(v) < 1.3 * 500e3);
	CHECK_INT(v->frames, 0);
	v->path.capacity = 3e6;
	double up = world_until_layer(v, 0, 30);
	printf("# back %.1f s after the limit went\n", up);
	CHECK(up < 15);
	world_run(2);
	world_run(20);
	watcher_tell("1200 kbit/s in 3000 again", v, 20, 3e6);
	CHECK(v->freeze_us < 300000);
	world_end();
}

TEST(layers_follow_a_limit_that_comes_and_goes)
{
	world_begin(3, world_layered);
	struct watcher *v = world_add(4e6);
	double s = world_until_layer(v, 2, 20);
	printf("# highest layer after %.1f s\n", s);
	CHECK(s < 5);
	world_run(2);
	world_run(15);
	watcher_tell("three layers in 4000", v, 15, 4e6);
	CHECK(v->freeze_us < 200000);
	v->path.capacity = 500e3;
	watcher_figures_begin(v);
	double down = world_until_layer(v, 0, 20);
	double bad = watcher_concealed(v, down) * down / 100;
	printf("# at the lowest layer %.1f s after the limit came, %.1f s of sound concealed\n",
	       down, bad);
	CHECK(down < 3);
	CHECK(bad < 1);
	int64_t freeze_us = v->freeze_us;
	world_run(5);
	freeze_us = v->freeze_us > freeze_us ? v->freeze_us : freeze_us;
	printf("# frozen for %.0f ms\n", (double)freeze_us / 1e3);
	CHECK(freeze_us < SECOND);
	world_run(60);
	watcher_tell("three layers in 500", v, 60, 500e3);
	CHECK_INT(v->layer, 0);
	CHECK(v->frames > 60 * 29);
	CHECK(v->freeze_us < 300000);
	CHECK(watcher_concealed(v, 60) < 1);
	CHECK(watcher_mean(v) > 0.7 * 500e3 && watcher_mean(v) < 1.3 * 500e3);
	v->path.capacity = 4e6;
	double up = world_until_layer(v, 2, 40);
	printf("# highest layer %.1f s after the limit went\n", up);
	CHECK(up < 15);
	world_run(1);
	world_run(20);
	watcher_tell("three layers in 4000 again", v, 20, 4e6);
	CHECK_INT(v->layer, 2);
	CHECK(v->freeze_us < 300000);
	world_end();
}

/* Of many calls, for it is a matter of chance what a limit that comes makes of them. */
struct calls {
	double down_s;	 /* the longest until the lowest layer was seen */
	double still_ms; /* the longest without a picture meanwhile */
	unsigned still;	 /* calls that stood still for more than 1 s meanwhile */
	unsigned stood;	 /* and later */
	unsigned astray; /* calls with an estimate in the end that was off by 30 % */
	double low;	 /* part of the time with one that was too low by as much */
};

/* From the highest of three layers to 500 kbit/s, where it stays for 20 s. */
static void limited_call(const struct path *path, uint32_t seed, struct calls *c)
{
	const double limit = 500e3;
	unsigned low = 0, n = 0;

	world_begin(3, world_layered);
	struct watcher *v = world_add(0);
	v->path = *path;
	v->path.seed = seed * 7919;
	for (int64_t end_us = world.now + 20 * SECOND; v->layer < 2 && world.now < end_us;)
		world_step();
	world_run(3 + seed % 10 / 10.0);
	v->path.capacity = limit;
	watcher_figures_begin(v);
	int64_t from_us = world.now;
	while (v->layer && world.now - from_us < 10 * SECOND)
		world_step();
	c->down_s = fmax(c->down_s, (double)(world.now - from_us) / 1e6);
	c->still_ms = fmax(c->still_ms, (double)v->freeze_us / 1e3);
	c->still += v->freeze_us > SECOND;
	world_run(2);
	watcher_figures_begin(v);
	for (int64_t end_us = world.now + 20 * SECOND; world.now < end_us; n++) {
		world_step();
		low += (double)congest_bps(&v->e.congest, world.now) < 0.7 * limit;
	}
	double bps = (double)congest_bps(&v->e.congest, world.now);
	c->stood += v->freeze_us > SECOND || world.now - v->shown_us > SECOND;
	c->astray += bps < 0.7 * limit || bps > 1.3 * limit;
	c->low += (double)low / n;
	world_end();
}

TEST(calls_behind_a_limit_that_comes)
{
	static const struct {
		const char *what;
		double loss;
		int64_t delay_us, jitter_us;
		double low;	/* at most */
		unsigned still; /* at most */
	} paths[] = {
	    {"500", 0, 1000, 0, 0.01, 0},
	    {"500, 5 %", 0.05, 1000, 0, 0.03, 0},
	    {"500, 100 ms, 50 ms jitter", 0, 100000, 50000, 0.01, 1},
	    {"500, 5 %, 100 ms, 50 ms jitter", 0.05, 100000, 50000, 0.05, 4},
	    {"500, 20 %", 0.2, 1000, 0, 0.03, 1},
	    {"500, 20 %, 100 ms, 50 ms jitter", 0.2, 100000, 50000, 0.03, 3},
	};
	const unsigned calls = 48;

	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct path path = {.queue_s = 0.2,
					  .loss = paths[i].loss,
					  .delay_us = paths[i].delay_us,
					  .jitter_us = paths[i].jitter_us,
					  .ordered = true};
		struct calls c = {0};
		for (uint32_t seed = 1; seed <= calls; seed++)
			limited_call(&path, seed, &c);
		c.low /= calls;
		printf("# %-34s down within %.1f s, still for %.0f ms at most meanwhile, for more "
		       "than 1 s in %u of %u calls, and in %u later; estimate too low for %.1f %% "
		       "of the time, off by 30 %% in the end in %u calls\n",
		       paths[i].what, c.down_s, c.still_ms, c.still, calls, c.stood, 100 * c.low,
		       c.astray);
		CHECK(c.down_s < 3);
		CHECK(c.still <= paths[i].still);
		CHECK(c.stood <= (paths[i].loss < 0.2 ? 0 : 2));
		CHECK(c.low < paths[i].low);
		CHECK(c.astray <= calls / 8);
	}
}

TEST(a_receivers_own_limit_is_kept_to)
{
	world_begin(1, world_one);
	struct watcher *v = world_add(5e6);
	world_run(10);
	v->e.max_bps = 300000;
	CHECK(world_until_layer(v, -1, 10) < 3);
	uint64_t probes = world.stats.probes;
	world_run(10);
	CHECK(world.stats.probes <= probes + 1); /* nothing more is wanted */
	v->e.max_bps = 0;
	CHECK(world_until_layer(v, 0, 15) < 10);
	world_end();
}

TEST(without_transport_feedback_remb_counts)
{
	world_begin(1, world_one);
	struct watcher *v = world_add(5e6);
	v->feedback = REMB;
	v->remb_bps = 2000000;
	world_run(10);
	CHECK_INT(v->video->grant.layer, 0);
	CHECK_INT(congest_bps(&v->e.congest, world.now), 2000000);
	CHECK_INT(world.stats.probes, 0);
	world_end();
	world_begin(3, world_layered);
	v = world_add(5e6);
	v->feedback = REMB;
	v->remb_bps = 2000000;
	CHECK(world_until_layer(v, 2, 10) < 5);
	v->remb_bps = 800000;
	CHECK(world_until_layer(v, 1, 10) < 3);
	world_end();
}

/* A limit that comes, and of which only losses tell. */
static void limit_pauses(struct watcher *v, double bps, const char *by)
{
	v->path.capacity = bps;
	double down = world_until_layer(v, -1, 20);
	printf("# by %s, paused after %.1f s\n", by, down);
	CHECK(down < 8);
}

/* And that goes. */
static void comes_back(struct watcher *v)
{
	v->path.capacity = 5e6;
	double up = world_until_layer(v, 0, 60);
	printf("# and back after %.1f s\n", up);
	CHECK(up < 30);
}

/* As aiortc's first one: what the picture took just then, without the sound. */
TEST(a_remb_pauses_only_who_loses_as_well)
{
	world_begin(1, world_one);
	struct watcher *v = world_add(5e6);
	v->feedback = REMB;
	v->remb_bps = 500000;
	world_run(10);
	CHECK_INT(v->video->grant.layer, 0);
	CHECK(v->frames > 10 * 28);
	/* Its own limit pauses it, and so long as that lasts. */
	v->e.max_bps = 300000;
	CHECK(world_until_layer(v, -1, 10) < 3);
	world_run(3);
	CHECK_INT(v->video->grant.layer, -1);
	v->e.max_bps = 2000000;
	CHECK(world_until_layer(v, 0, 10) < 5);
	limit_pauses(v, 500e3, "REMB and reports");
	v->remb_bps = 2000000;
	comes_back(v);
	world_end();
}

TEST(without_either_loss_counts)
{
	world_begin(1, world_one);
	struct watcher *v = world_add(5e6);
	v->feedback = REPORTS;
	world_run(10);
	CHECK_INT(v->video->grant.layer, 0);
	CHECK_INT(congest_bps(&v->e.congest, world.now), 0); /* nothing is known against it */
	limit_pauses(v, 400e3, "reports alone");
	world_run(5);
	world_run(10);
	watcher_tell("by reports alone", v, 10, 400e3);
	CHECK(watcher_concealed(v, 10) < 3);
	comes_back(v);
	world_end();
}

/* Where nothing limits it, it is not held against what comes later. */
TEST(what_was_sent_again_without_a_limit_is_no_debt)
{
	struct congest c = {0};

	world.now = SECOND;
	for (unsigned i = 0; i < 10000; i++, world.now += SECOND / 10)
		CHECK(congest_again(&c, 1200, false, world.now));
	congest_remb(&c, 500000, world.now);
	CHECK(congest_again(&c, 1200, false, world.now));
	congest_done(&c);
}
