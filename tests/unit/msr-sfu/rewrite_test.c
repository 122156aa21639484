/* Numbers and headers for one receiver. */
#include "../../../cmd/msr-sfu/fwd/rewrite.h"

#include <stdlib.h>

#include "../../support/test.h"

static int64_t map_of(struct rewrite *w, uint8_t stream, int64_t seq)
{
	int64_t out;

	return rewrite_map(w, stream, seq, &out) ? out : -1;
}

static int64_t map(struct rewrite *w, int64_t seq)
{
	return map_of(w, 0, seq);
}

static void begin(struct rewrite *w, uint8_t stream, int64_t seq, uint16_t first)
{
	rewrite_begin(w, (struct rewrite_cut){.from = seq, .stream = stream, .ts_distance = 5},
		      first);
}

TEST(numbers_go_on_where_they_were)
{
	struct rewrite w = {0};

	begin(&w, 0, 1000, 70);
	CHECK_INT(map(&w, 1000), 70);
	CHECK_INT(map(&w, 1001), 71);
	begin(&w, 1, 5, 70); /* another stream */
	CHECK_INT(map_of(&w, 1, 5), 72);
	CHECK_INT(map_of(&w, 1, 6), 73);
	CHECK_INT(map_of(&w, 1, 4), -1); /* from before the change */
}

TEST(late_packets_of_a_stream_that_was_left_fill_their_holes_only)
{
	struct rewrite w = {0};

	begin(&w, 0, 100, 1);
	CHECK_INT(map(&w, 100), 1);
	CHECK_INT(map(&w, 103), 4); /* 101 and 102 are missing */
	begin(&w, 1, 900, 1);
	CHECK_INT(map_of(&w, 1, 900), 5);
	CHECK_INT(map(&w, 102), 3);
	CHECK_INT(map(&w, 104), -1); /* would have been 5 */
	begin(&w, 0, 110, 1);	     /* and back */
	CHECK_INT(map(&w, 110), 6);
	CHECK_INT(map(&w, 101), 2);
	CHECK_INT(map(&w, 105), -1);
	CHECK_INT(map_of(&w, 1, 901), -1);
}

TEST(a_nack_finds_the_stream_that_was_sent_then)
{
	struct rewrite w = {0};
	int64_t seq, out;

	/* Packets of three streams in turns: more changes than are remembered. */
	for (int64_t i = 0; i < 60; i++) {
		uint8_t stream = (uint8_t)(i % 3);
		begin(&w, stream, 1000 * stream + i * 10, 1);
		for (int64_t k = 0; k < 5; k++)
			CHECK_INT(map_of(&w, stream, 1000 * stream + i * 10 + k), 1 + i * 5 + k);
	}
	for (int64_t i = 60 - REWRITE_CUTS; i < 60; i++)
		for (int64_t k = 0; k < 5; k++) {
			const struct rewrite_cut *c =
			    rewrite_source(&w, (uint16_t)(1 + i * 5 + k), &seq, &out);
			CHECK(c);
			CHECK_INT(c->stream, i % 3);
			CHECK_INT(seq, 1000 * (i % 3) + i * 10 + k);
		}
	CHECK(!rewrite_source(&w, 1, &seq, &out));
}

TEST(what_is_left_out_leaves_no_hole)
{
	struct rewrite w = {0};
	int64_t expected = 1;

	begin(&w, 0, 1, 1);
	for (int64_t seq = 1; seq < 200000; seq++)
		if (seq % 7 == 0)
			CHECK(rewrite_skip(&w, seq));
		else
			CHECK_INT(map(&w, seq), expected++);
}

/* Probes of a publisher are runs of padding. */
TEST(a_run_of_what_is_left_out_is_one_change)
{
	struct rewrite w = {0};
	int64_t seq, out;

	begin(&w, 0, 10, 70);
	CHECK_INT(map(&w, 10), 70);
	for (int64_t s = 12; s < 12 + 3 * REWRITE_CUTS; s++) /* 11 is late */
		CHECK(rewrite_skip(&w, s));
	CHECK_INT(map(&w, 12 + 3 * REWRITE_CUTS), 72);
	CHECK_INT(map(&w, 11), 71);
	CHECK_INT(map(&w, 12), -1);
	CHECK(rewrite_source(&w, 70, &seq, &out));
	CHECK_INT(seq, 10);
	CHECK(rewrite_source(&w, 72, &seq, &out));
	CHECK_INT(seq, 12 + 3 * REWRITE_CUTS);
	/* Also where a stream begins with one. */
	begin(&w, 1, 900, 70);
	for (int64_t s = 900; s < 900 + 3 * REWRITE_CUTS; s++)
		CHECK(rewrite_skip(&w, s));
	CHECK_INT(map_of(&w, 1, 900 + 3 * REWRITE_CUTS), 73);
	CHECK(rewrite_source(&w, 72, &seq, &out));
	CHECK_INT(seq, 12 + 3 * REWRITE_CUTS);
}

TEST(late_packets_get_the_number_kept_for_them)
{
	struct rewrite w = {0};

	begin(&w, 0, 10, 70);
	CHECK_INT(map(&w, 10), 70);
	CHECK(rewrite_skip(&w, 12)); /* 11 is late */
	CHECK_INT(map(&w, 13), 72);
	CHECK_INT(map(&w, 11), 71);
	CHECK(!rewrite_skip(&w, 11)); /* too late to be left out */
}

/* The packet index makes the nonce of AES-GCM: two payloads under one would give the keys away. */
TEST(no_number_is_given_twice_where_packets_are_missing_before_a_skip)
{
	struct rewrite w = {0};

	begin(&w, 0, 100, 1);
	CHECK_INT(map(&w, 100), 1);
	CHECK(rewrite_skip(&w, 104)); /* 101 to 103 are late */
	begin(&w, 1, 900, 1);
	int64_t other = map_of(&w, 1, 900);
	CHECK_INT(other, 5);
	begin(&w, 0, 105, 1); /* and back */
	CHECK_INT(map(&w, 105), 6);
	for (int64_t seq = 101; seq < 104; seq++) {
		int64_t out = map(&w, seq);
		CHECK(out == -1 || out == seq - 99);
		CHECK(out != other);
	}
}

TEST(a_nack_finds_its_packet)
{
	struct rewrite w = {0};
	int64_t seq, out;

	begin(&w, 0, 100000, 300);
	for (int64_t s = 100000; s < 100100; s++)
		if (s % 10 == 3)
			rewrite_skip(&w, s);
		else
			map(&w, s);
	/* 100099 is the last; ten were left out. */
	const struct rewrite_cut *c = rewrite_source(&w, 300 + 89, &seq, &out);
	CHECK(c);
	CHECK_INT(seq, 100099);
	CHECK_INT(c->ts_distance, 5);
	CHECK(rewrite_source(&w, 300 + 3, &seq, &out));
	CHECK_INT(seq, 100004);
	CHECK(!rewrite_source(&w, 300 + 90, &seq, &out)); /* not sent yet */
	CHECK(!rewrite_source(&w, 299, &seq, &out));	  /* before the start */
}

TEST(numbers_cross_the_roll_over)
{
	struct rewrite w = {0};
	int64_t seq, out;

	begin(&w, 0, 0, 1);
	for (int64_t s = 0; s < 70000; s++)
		CHECK_INT(map(&w, s), s + 1);
	CHECK(rewrite_source(&w, (uint16_t)69999, &seq, &out));
	CHECK_INT(seq, 69998);
	CHECK(rewrite_source(&w, 65530, &seq, &out));
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
	for (enum rewrite_own own = REWRITE_NONE; own <= REWRITE_MORE; own++) {
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
		CHECK_INT(rtp_audio_level(&q, &level, &voice), own != REWRITE_NONE);
	}
}

/* Whatever ids the receiver has, and whatever it does not get. */
TEST(a_header_that_was_written_beforehand_is_the_same)
{
	uint8_t in[120], out[2][REWRITE_HEADER_MAX];
	struct rtp_extmap theirs;
	struct rtp_packet p;
	struct rewrite_values v = {.seq = 9, .ts = 10, .twcc = 0x4243, .now_us = 1000000};
	static const uint8_t id[][4] = {{1, 2, 3, 4},	{1, 2, 3, 0},  {0, 0, 0, 1},
					{0, 2, 0, 200}, {1, 20, 3, 4}, {1, 2, 3, 15},
					{0, 0, 0, 15},	{1, 0, 3, 4},  {0, 0, 0, 0}};

	CHECK_INT(rtp_parse(&p, in, example(in, &theirs), &theirs), 0);
	CHECK_INT(rewrite_own(&p), REWRITE_LEVEL);
	for (unsigned i = 0; i < sizeof(id) / sizeof(id[0]); i++) {
		struct rewrite_shape s = {.ssrc = 77, .pt = 100, .mid = "0123456789abcdef"};
		rtp_extmap_set(&s.ext, RTP_EXT_MID, id[i][0]);
		rtp_extmap_set(&s.ext, RTP_EXT_TWCC, id[i][1]);
		rtp_extmap_set(&s.ext, RTP_EXT_ABS_SEND_TIME, id[i][2]);
		rtp_extmap_set(&s.ext, RTP_EXT_AUDIO_LEVEL, id[i][3]);
		rewrite_shape_done(&s);
		size_t n = rewrite_header(&s, out[0], &p, REWRITE_LEVEL, &v);
		CHECK_INT(rewrite_header(&s, out[1], &p, REWRITE_MORE, &v), n);
		CHECK_MEM(out[0], out[1], n);
	}
	p.ext[RTP_EXT_AUDIO_LEVEL].len = 2;
	CHECK_INT(rewrite_own(&p), REWRITE_MORE);
	p.ext[RTP_EXT_AUDIO_LEVEL].len = 1;
	p.ext[RTP_EXT_ORIENTATION] = p.ext[RTP_EXT_AUDIO_LEVEL];
	CHECK_INT(rewrite_own(&p), REWRITE_MORE);
}
