/* Transport-wide feedback: what is written is what is read, with loss, reordering and gaps. */
#include "rtp/twcc.h"

#include <errno.h>
#include <stdlib.h>

#include "../../support/test.h"

#define N 4000

static struct twcc_rx rx;
static int64_t sent_at[N]; /* arrival of each number; 0: lost */

static uint32_t seed = 1;
static unsigned rnd(unsigned n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Reads all feedback that is pending into `got` (arrival, or -1 for "lost"); returns messages. */
static int read_all(int64_t got[N], uint16_t first)
{
	uint8_t out[1200];
	int messages = 0;

	while (twcc_rx_pending(&rx)) {
		struct rtcp_writer w = rtcp_writer(out, sizeof(out));
		struct twcc_reader r;
		struct twcc_status s;
		CHECK_INT(twcc_rx_write(&rx, &w, 1, 2), 0);
		CHECK_INT(rtcp_check(out, w.len), 0);
		struct rtcp_iter it = rtcp_begin(out, w.len);
		struct rtcp_msg m;
		CHECK(rtcp_next(&it, &m));
		CHECK_INT(twcc_read_begin(&r, &m), 0);
		CHECK_INT(m.body[15], (uint8_t)(rx.fb_count - 1)); /* it numbers its messages */
		while (twcc_read(&r, &s))
			got[(uint16_t)(s.seq - first)] = s.received ? s.arrival_us : -1;
		messages++;
	}
	return messages;
}

static void check_round_trip(unsigned loss_percent, unsigned jitter_us, unsigned gap_us)
{
	static int64_t got[N];
	uint16_t first = 65000; /* wraps */
	int64_t now = 10000000;

	memset(&rx, 0, sizeof(rx));
	memset(got, 0, sizeof(got));
	for (unsigned i = 0; i < N; i++) {
		now += gap_us;
		bool lost = i && i != N - 1 && rnd(100) < loss_percent;
		sent_at[i] = lost ? 0 : now + rnd(jitter_us + 1);
		if (!lost)
			twcc_rx_packet(&rx, (uint16_t)(first + i), sent_at[i]);
		if (i % 100 == 99)
			CHECK(read_all(got, first) >= (i == 99));
	}
	read_all(got, first);
	for (unsigned i = 0; i < N; i++) {
		if (!sent_at[i]) {
			CHECK_INT(got[i], -1);
			continue;
		}
		int64_t error = got[i] - sent_at[i];
		CHECK(got[i] > 0 && error <= 0 && error > -TWCC_TICK_US);
	}
	CHECK_INT(rx.dropped, 0);
}

TEST(round_trip_steady)
{
	check_round_trip(0, 0, 1000);
}
TEST(round_trip_with_loss)
{
	check_round_trip(20, 300, 1000);
}
TEST(round_trip_with_much_loss_and_reordered_arrivals)
{
	check_round_trip(70, 100000, 700);
}
TEST(round_trip_slow)
{
	check_round_trip(5, 0, 200000);
}
TEST(round_trip_in_bursts)
{
	check_round_trip(1, 0, 1);
}

TEST(silence_longer_than_a_delta_begins_another_message)
{
	static int64_t got[N];

	memset(&rx, 0, sizeof(rx));
	twcc_rx_packet(&rx, 0, 1000000);
	twcc_rx_packet(&rx, 1, 1000000 + 9000000); /* 16 bits of 250 us are 8.2 s */
	CHECK_INT(read_all(got, 0), 2);
	CHECK_INT(got[1] - got[0], 9000000);
}

TEST(a_long_outage_does_not_make_endless_reports)
{
	static int64_t got[N];

	memset(&rx, 0, sizeof(rx));
	twcc_rx_packet(&rx, 0, 1000000);
	CHECK_INT(read_all(got, 0), 1);
	twcc_rx_packet(&rx, 900, 2000000);
	CHECK_INT(read_all(got, 0), 1);
	CHECK(got[900] > 0);
	twcc_rx_packet(&rx, 30000, 3000000); /* begins anew */
	CHECK(twcc_rx_pending(&rx));
}

TEST(a_late_packet_takes_its_loss_back_and_a_duplicate_does_nothing)
{
	static int64_t got[N];

	memset(&rx, 0, sizeof(rx));
	twcc_rx_packet(&rx, 10, 1000000);
	twcc_rx_packet(&rx, 12, 1001000);
	CHECK_INT(read_all(got, 0), 1);
	CHECK_INT(got[11], -1);
	twcc_rx_packet(&rx, 11, 1002000);
	CHECK_INT(read_all(got, 0), 1);
	CHECK_INT(got[11], 1002000);
	CHECK_INT(got[12], 1001000);
	twcc_rx_packet(&rx, 11, 1003000);
	twcc_rx_packet(&rx, 9, 1003000); /* before the first: nobody asked */
	CHECK(!twcc_rx_pending(&rx));
	CHECK_INT(rx.dropped, 2);
	twcc_rx_packet(&rx, 13, 1003000);
	CHECK_INT(read_all(got, 0), 1);
	CHECK(got[13] > 0);
}

TEST(the_ring_is_bounded)
{
	static int64_t got[65536];

	memset(&rx, 0, sizeof(rx));
	for (unsigned i = 0; i < 3000; i++)
		twcc_rx_packet(&rx, (uint16_t)i, 1000000 + i);
	CHECK_INT(rx.dropped, 3000 - TWCC_RX_PACKETS);
	read_all(got, 0);
	CHECK(got[2999] > 0 && got[3000 - TWCC_RX_PACKETS] > 0 && !got[0]);
}

/* draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.3 and .4: chunks by hand. */
TEST(all_forms_of_chunks_are_read)
{
	static const uint8_t fb[] = {
	    0x8f, 205,	0, 8, 0,  0,	0,    1,    0, 0,    0,
	    2,	  0,	5, 0, 26, 0xff, 0xff, 0xff, 3, 0x20, 0x05, /* run of 5 small */
	    0x9c, 0x00,		 /* 14 one-bit symbols: 0 1 1 1 0 0 ... */
	    0xcd, 0x50,		 /* 7 two-bit symbols: 0 3 1 1 1 0 0 */
	    4,	  4,	4, 4, 4, /* deltas of the run */
	    1,	  1,	1,	 /* of the one-bit symbols */
	    2,	  2,	2,	 /* of the two-bit symbols */
	    0,
	};
	_Static_assert(sizeof(fb) == 4 * 9 + 2, "length");
	uint8_t p[40] = {0};
	memcpy(p, fb, sizeof(fb));
	p[3] = 9;
	struct rtcp_iter it = rtcp_begin(p, sizeof(p));
	struct rtcp_msg m;
	struct twcc_reader r;
	struct twcc_status s;
	unsigned received = 0, n = 0;

	CHECK(rtcp_next(&it, &m));
	CHECK_INT(twcc_read_begin(&r, &m), 0);
	CHECK_INT(r.time_us, -TWCC_REF_US); /* the reference time is signed */
	while (twcc_read(&r, &s)) {
		CHECK_INT(s.seq, 5 + n);
		n++;
		received += s.received;
	}
	CHECK_INT(n, 26);
	CHECK_INT(received, 5 + 3 + 3);
	CHECK_INT(s.arrival_us, -TWCC_REF_US + (5 * 4 + 3 * 1 + 3 * 2) * TWCC_TICK_US);
}

TEST(the_shortest_message_tells_of_one_packet)
{
	/* As browsers send it: what fills it up to a whole word is padding, and cut off. */
	static const uint8_t body[] = {0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 1, 0, 0, 1, 0, 0x20, 1, 4};
	struct rtcp_msg m = {RTCP_RTPFB, RTCP_TWCC, body, sizeof(body)};
	struct twcc_reader r;
	struct twcc_status s;

	CHECK_INT(twcc_read_begin(&r, &m), 0);
	CHECK(twcc_read(&r, &s));
	CHECK(s.received);
	CHECK_INT(s.seq, 5);
	CHECK_INT(s.arrival_us, TWCC_REF_US + 4 * TWCC_TICK_US);
	CHECK(!twcc_read(&r, &s));
}

TEST(messages_whose_lengths_disagree_are_refused)
{
	uint8_t body[20] = {0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 1, 0, 0, 0, 0, 0x20, 1, 4, 0};
	struct rtcp_msg m = {RTCP_RTPFB, RTCP_TWCC, body, sizeof(body)};
	struct twcc_reader r;

	CHECK_INT(twcc_read_begin(&r, &m), 0);
	body[11] = 0; /* about no packet */
	CHECK_INT(twcc_read_begin(&r, &m), -EBADMSG);
	body[11] = 9; /* more statuses than chunks */
	CHECK_INT(twcc_read_begin(&r, &m), -EBADMSG);
	body[17] = 9; /* a run of nine without their deltas */
	CHECK_INT(twcc_read_begin(&r, &m), -EBADMSG);
	body[11] = 1;
	body[16] = body[17] = 0; /* a run of none */
	CHECK_INT(twcc_read_begin(&r, &m), -EBADMSG);
}

TEST(runs_of_losses_can_be_passed_over)
{
	/* Runs of 0, of 1, of the reserved 3; one-bit symbols; another run, longer than what is
	 * left. */
	uint8_t body[28] = {0, 0, 0,	1,  0,	  0, 0,	   2, 0xff, 0xf0, 0,	60,   0, 0,
			    1, 0, 0x00, 20, 0x20, 2, 0x60, 9, 0x80, 0,	  0x1f, 0xff, 4, 4};
	struct rtcp_msg m = {RTCP_RTPFB, RTCP_TWCC, body, sizeof(body)};
	struct twcc_reader r;
	struct twcc_status s;

	for (unsigned step = 1; step < 40; step++) {
		unsigned n = 0, passed = 0, received = 0;
		CHECK_INT(twcc_read_begin(&r, &m), 0);
		for (;;) {
			unsigned by = twcc_skip_lost(&r, step);
			CHECK(by <= step);
			CHECK_INT(r.seq, (uint16_t)(0xfff0 + n + by));
			n += by;
			passed += by;
			if (!by && !twcc_read(&r, &s))
				break;
			n += !by;
			received += !by && s.received;
		}
		CHECK_INT(n, 60);
		CHECK_INT(passed, 20 + 9 + 60 - 20 - 2 - 9 - 14);
		CHECK_INT(received, 2);
	}
	CHECK_INT(twcc_read_begin(&r, &m), 0);
	CHECK_INT(twcc_skip_lost(&r, 0), 0);
}
