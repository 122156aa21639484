/* Numbers and headers for one receiver. */
#include "../../../cmd/msr-sfu/fwd/rewrite.h"

#include <stdlib.h>

#include "../../support/test.h"

static int64_t map(struct rewrite *w, int64_t seq)
{
	int64_t out;
	uint32_t ts;

	return rewrite_map(w, seq, &out, &ts) ? out : -1;
}

TEST(numbers_go_on_where_they_were)
{
	struct rewrite w = {0};

	rewrite_begin(&w, 1000, 0, 70);
	CHECK_INT(map(&w, 1000), 70);
	CHECK_INT(map(&w, 1001), 71);
	rewrite_begin(&w, 5, 0, 70); /* another stream */
	CHECK_INT(map(&w, 5), 72);
	CHECK_INT(map(&w, 6), 73);
	CHECK_INT(map(&w, 4), -1); /* from before the change */
}

TEST(what_is_left_out_leaves_no_hole)
{
	struct rewrite w = {0};
	int64_t expected = 1;

	rewrite_begin(&w, 1, 0, 1);
	for (int64_t seq = 1; seq < 200000; seq++)
		if (seq % 7 == 0)
			CHECK(rewrite_skip(&w, seq));
		else
			CHECK_INT(map(&w, seq), expected++);
}

TEST(late_packets_get_the_number_kept_for_them)
{
	struct rewrite w = {0};

	rewrite_begin(&w, 10, 0, 70);
	CHECK_INT(map(&w, 10), 70);
	CHECK(rewrite_skip(&w, 12)); /* 11 is late */
	CHECK_INT(map(&w, 13), 72);
	CHECK_INT(map(&w, 11), 71);
	CHECK(!rewrite_skip(&w, 11)); /* too late to be left out */
}

TEST(a_nack_finds_its_packet)
{
	struct rewrite w = {0};
	int64_t seq, out;
	uint32_t ts;

	rewrite_begin(&w, 100000, 5, 300);
	for (int64_t s = 100000; s < 100100; s++)
		if (s % 10 == 3)
			rewrite_skip(&w, s);
		else
			map(&w, s);
	/* 100099 is the last; ten were left out. */
	CHECK(rewrite_source(&w, 300 + 89, &seq, &out, &ts));
	CHECK_INT(seq, 100099);
	CHECK_INT(ts, 5);
	CHECK(rewrite_source(&w, 300 + 3, &seq, &out, &ts));
	CHECK_INT(seq, 100004);
	CHECK(!rewrite_source(&w, 300 + 90, &seq, &out, &ts)); /* not sent yet */
	CHECK(!rewrite_source(&w, 299, &seq, &out, &ts));      /* before the start */
}

TEST(numbers_cross_the_roll_over)
{
	struct rewrite w = {0};
	int64_t seq, out;
	uint32_t ts;

	rewrite_begin(&w, 0, 0, 1);
	for (int64_t s = 0; s < 70000; s++)
		CHECK_INT(map(&w, s), s + 1);
	CHECK(rewrite_source(&w, (uint16_t)69999, &seq, &out, &ts));
	CHECK_INT(seq, 69998);
	CHECK(rewrite_source(&w, 65530, &seq, &out, &ts));
	CHECK_INT(seq, 65529);
}

/* A packet with an audio level (id 3), a mid (id 4) and a transport number (id 5). */
static size_t example(uint8_t *p, struct rtp_extmap *m)
{
	static const uint8_t level[] = {0x9e}, mid[] = "a", twcc[] = {1, 2};
	struct rtp_ext_item item[] = {{3, 1, 0, level}, {4, 1, 0, mid}, {5, 2, 0, twcc}};
	struct rtp_header h = {.pt = 111, .marker = true, .seq = 1, .ts = 2, .ssrc = 3};

	memset(m, 0, sizeof(*m));
	rtp_extmap_set(m, RTP_EXT_AUDIO_LEVEL, 3);
	rtp_extmap_set(m, RTP_EXT_MID, 4);
	rtp_extmap_set(m, RTP_EXT_TWCC, 5);
	int n = rtp_header_write(p, 100, &h, item, 3);
	memcpy(p + n, "sound", 5);
	return (size_t)n + 5;
}

TEST(headers_carry_the_receivers_values)
{
	uint8_t in[120], out[REWRITE_HEADER_MAX + 10];
	struct rtp_extmap theirs;
	struct rtp_packet p, q;
	struct rewrite_shape s = {.ssrc = 77, .pt = 100, .mid = "17"};
	struct rewrite_values v = {.seq = 9, .ts = 10, .twcc = 0x4243, .now_us = 1000000};
	char mid[RTP_MID_MAX + 1];
	uint8_t level;
	bool voice;
	uint16_t twcc;

	CHECK_INT(rtp_parse(&p, in, example(in, &theirs), &theirs), 0);
	rtp_extmap_set(&s.ext, RTP_EXT_MID, 9);
	rtp_extmap_set(&s.ext, RTP_EXT_AUDIO_LEVEL, 10);
	rtp_extmap_set(&s.ext, RTP_EXT_TWCC, 11);
	rtp_extmap_set(&s.ext, RTP_EXT_ABS_SEND_TIME, 12);
	rewrite_shape_done(&s);
	for (int own = 0; own < 2; own++) {
		size_t n = rewrite_header(&s, out, &p, own, &v);
		memcpy(out + n, "sound", 5);
		CHECK_INT(rtp_parse(&q, out, n + 5, &s.ext), 0);
		CHECK_INT(q.ssrc, 77);
		CHECK_INT(q.pt, 100);
		CHECK_INT(q.seq, 9);
		CHECK_INT(q.ts, 10);
		CHECK(q.marker);
		CHECK(rtp_ext_text(&q, RTP_EXT_MID, mid, sizeof(mid)));
		CHECK_STR(mid, "17");
		CHECK(rtp_twcc_seq(&q, &twcc));
		CHECK_INT(twcc, 0x4243);
		CHECK(rtp_has(&q, RTP_EXT_ABS_SEND_TIME));
		CHECK_INT(rtp_audio_level(&q, &level, &voice), own);
	}
}
