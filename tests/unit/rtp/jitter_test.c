/* The reorder buffer: order, holes, bounds, jumps. */
#include "rtp/jitter.h"

#include <errno.h>
#include <stdint.h>

#include "../../support/test.h"

#define MS 1000

static struct jitter *make(unsigned packets, int64_t wait_us)
{
	struct jitter *j = NULL;
	struct jitter_limits l = {packets, wait_us, 0};

	CHECK_INT(jitter_new(&j, &l), 0);
	return j;
}

static int put(struct jitter *j, uint16_t seq, int64_t now)
{
	uint8_t byte = (uint8_t)seq;

	return jitter_put(j, seq, &byte, 1, now);
}

TEST(packets_come_out_in_order)
{
	static const uint16_t in[] = {65533, 65535, 65534, 1, 0, 2};
	struct jitter *j = make(64, 100 * MS);
	struct jitter_packet p;
	uint16_t want = 65533;

	for (int i = 0; i < 6; i++) {
		CHECK_INT(put(j, in[i], i), 0);
		while (jitter_get(j, i, &p)) {
			CHECK_INT((uint16_t)p.seq, want);
			CHECK_INT(p.data[0], (uint8_t)want);
			CHECK_INT(p.lost, 0);
			want++;
		}
	}
	CHECK_INT(want, 3);
	jitter_free(j);
}

TEST(a_hole_is_waited_for_and_then_passed_over)
{
	struct jitter *j = make(64, 100 * MS);
	struct jitter_packet p;

	put(j, 1, 0);
	CHECK_INT(jitter_get(j, 0, &p), 1);
	CHECK_INT(jitter_deadline(j), INT64_MAX);
	put(j, 4, 10 * MS);
	put(j, 5, 20 * MS);
	CHECK_INT(jitter_get(j, 109 * MS, &p), 0);
	CHECK_INT(jitter_deadline(j), 110 * MS);
	CHECK_INT(jitter_get(j, 110 * MS, &p), 1);
	CHECK_INT(p.seq, 4);
	CHECK_INT(p.lost, 2);
	CHECK_INT(jitter_get(j, 110 * MS, &p), 1);
	CHECK_INT(p.lost, 0);
	CHECK_INT(put(j, 3, 111 * MS), -ESTALE);
	CHECK_INT(put(j, 7, 112 * MS), 0);
	CHECK_INT(put(j, 7, 112 * MS), -EEXIST);
	CHECK_INT(jitter_drain(j, &p), 1);
	CHECK_INT(p.seq, 7);
	jitter_free(j);
}

TEST(a_full_buffer_does_not_wait)
{
	struct jitter *j = make(16, INT64_MAX / 2);
	struct jitter_packet p;
	int out = 0;

	put(j, 0, 0);
	CHECK_INT(jitter_get(j, 0, &p), 1);
	for (uint16_t seq = 2; seq < 500; seq++) {
		put(j, seq, 0);
		while (jitter_get(j, 0, &p))
			out++;
	}
	CHECK(out > 480);
	jitter_free(j);
}

TEST(a_jump_gives_out_what_waits_and_begins_anew)
{
	struct jitter *j = make(64, 100 * MS);
	struct jitter_packet p;
	int64_t before;

	put(j, 10, 0);
	put(j, 12, 0);
	put(j, 40000, 1);
	CHECK_INT(jitter_get(j, 1, &p), 1);
	CHECK_INT(p.seq, 10);
	CHECK_INT(jitter_get(j, 1, &p), 1);
	CHECK_INT(p.seq, 12);
	CHECK_INT(p.lost, 1);
	before = p.seq;
	CHECK_INT(jitter_get(j, 1, &p), 1);
	CHECK_INT((uint16_t)p.seq, 40000);
	CHECK(p.reset && p.seq > before);
	put(j, 40001, 2);
	CHECK_INT(jitter_get(j, 2, &p), 1);
	CHECK(!p.reset);
	CHECK_INT(p.lost, 0);
	CHECK_INT(jitter_resets(j), 1);
	jitter_free(j);
}

TEST(a_pause_with_lost_packets_is_a_hole_not_a_jump)
{
	struct jitter *j = make(64, 100 * MS);
	struct jitter_packet p;

	put(j, 10, 0);
	CHECK_INT(jitter_get(j, 0, &p), 1);
	put(j, 510, 5000 * MS);
	CHECK_INT(jitter_get(j, 5000 * MS, &p), 1);
	CHECK_INT(p.seq, 510);
	CHECK_INT(p.lost, 499);
	CHECK(!p.reset);
	jitter_free(j);
}

TEST(the_first_packet_waits_for_earlier_ones)
{
	struct jitter_limits l = {64, 100 * MS, 20 * MS};
	struct jitter_packet p;
	struct jitter *j;

	CHECK_INT(jitter_new(&j, &l), 0);
	CHECK_INT(put(j, 2, 0), 0);
	CHECK_INT(jitter_get(j, 0, &p), 0);
	CHECK_INT(put(j, 65535, 5 * MS), 0);
	CHECK_INT(put(j, 0, 6 * MS), 0);
	CHECK_INT(put(j, 1, 6 * MS), 0);
	CHECK_INT(jitter_get(j, 19 * MS, &p), 0);
	CHECK_INT(jitter_deadline(j), 20 * MS);
	for (uint16_t seq = 65535; seq != 3; seq++) {
		CHECK_INT(jitter_get(j, 20 * MS, &p), 1);
		CHECK_INT((uint16_t)p.seq, seq);
	}
	CHECK_INT(put(j, 65534, 21 * MS), -ESTALE);
	jitter_free(j);
}

TEST(limits_are_checked)
{
	struct jitter *j;

	CHECK_INT(jitter_new(&j, &(struct jitter_limits){0, 1, 0}), -EINVAL);
	CHECK_INT(jitter_new(&j, &(struct jitter_limits){5000, 1, 0}), -EINVAL);
	CHECK_INT(jitter_new(&j, &(struct jitter_limits){1, -1, 0}), -EINVAL);
}
