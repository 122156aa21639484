/*
 * Forwarding without a network: packets go in at an endpoint, and what leaves is looked at
 * (box.h).
 */
#include "../../../cmd/msr-sfu/fwd/endpoint.h"

#include <stdlib.h>

#include "../../support/needs.h"
#include "../../support/test.h"
#include "box.h"

TEST(sending_begins_with_a_key_frame_and_goes_out_once_a_burst)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	box_feed(from, 1, false);
	box_flush(from);
	CHECK_INT(to->n_rtp, 0);
	endpoint_tick(&from->e, box_now);
	CHECK_INT(box_count(from, RTCP_PSFB, RTCP_PLI), 1); /* it was asked for */
	box_feed(from, 2, true);
	for (uint16_t seq = 3; seq < 20; seq++)
		box_feed(from, seq, false);
	box_flush(from);
	CHECK_INT(to->n_rtp, 18);
	CHECK_INT(to->flushes, 2); /* one of them for the burst before the key frame */
	for (unsigned i = 0; i < 18; i++) {
		CHECK_INT(box_number(to, i), (uint16_t)(box_number(to, 0) + i));
		CHECK_INT(box_mark(to, i), 2 + i);
		CHECK_INT(get_be32(to->rtp[i].p + 8), 5000);
		CHECK_INT(to->rtp[i].p[1] & 0x7f, 100);
		CHECK_INT(to->rtp[i].index & 0xffff, box_number(to, i));
	}
	box_free(to);
	box_free(from);
}

TEST(a_key_frame_that_begins_with_the_second_packet_is_sent_whole)
{
	struct rtcp_report r;

	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	struct track *t = box_publish(from, &box_video);
	box_subscribe(t, to, true);
	box_feed(from, 2, false);
	box_flush(from);
	box_feed(from, 1, true);
	box_feed(from, 3, false);
	box_flush(from);
	CHECK_INT(to->n_rtp, 2);
	CHECK_INT(box_mark(to, 0), 1);
	CHECK_INT(box_number(to, 1), box_number(to, 0) + 2);
	box_nack(to, (uint16_t)(box_number(to, 0) + 1));
	CHECK_INT(to->n_rtp, 3);
	CHECK_INT(box_mark(to, 2), 2);
	CHECK(stream_report(&t->stream[0], box_now, &r));
	CHECK_INT(r.lost, 0);
	box_free(to);
	box_free(from);
}

TEST(padding_leaves_no_hole_and_duplicates_go_nowhere)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	box_feed(from, 1, true);
	for (uint16_t seq = 2; seq < 30; seq++) {
		if (seq % 3) {
			box_feed(from, seq, false);
			box_feed(from, seq, false);
			continue;
		}
		box_feed_padding(from, seq);
	}
	box_flush(from);
	CHECK_INT(to->n_rtp, 20);
	for (unsigned i = 1; i < to->n_rtp; i++)
		CHECK_INT(box_number(to, i), (uint16_t)(box_number(to, i - 1) + 1));
	box_free(to);
	box_free(from);
}

/* Comfort noise, events, error correction that was not agreed: in the numbers of the stream. */
TEST(foreign_payload_types_leave_no_hole)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	uint64_t before = box_stats.rx_unknown;
	for (uint16_t seq = 1; seq < 30; seq++) {
		box_pt = seq % 3 ? 96 : 13;
		box_feed(from, seq, seq == 1);
	}
	box_pt = 96;
	box_flush(from);
	CHECK_INT(to->n_rtp, 20);
	for (unsigned i = 1; i < to->n_rtp; i++)
		CHECK_INT(box_number(to, i), (uint16_t)(box_number(to, i - 1) + 1));
	CHECK_INT(box_stats.rx_unknown - before, 9);
	box_now += FWD_TICK_US;
	endpoint_tick(&from->e, box_now);
	CHECK_INT(box_count(from, RTCP_RTPFB, RTCP_NACK), 0);
	box_free(to);
	box_free(from);
}

TEST(rtx_with_a_wrong_number_disturbs_nobody)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	for (uint16_t seq = 1; seq < 500; seq++) {
		box_feed(from, seq, seq == 1);
		box_feed_rtx(from, (uint16_t)(seq + 1000 + seq * 60)); /* anything */
		box_flush(from);
	}
	CHECK_INT(to->n_rtp, 499);
	for (unsigned i = 1; i < to->n_rtp; i++)
		CHECK_INT(box_mark(to, i), (uint16_t)(box_mark(to, i - 1) + 1));
	box_free(to);
	box_free(from);
}

TEST(lost_packets_are_sent_again_by_rtx)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	for (uint16_t seq = 1; seq < 100; seq++)
		box_feed(from, seq, seq == 1);
	box_flush(from);
	unsigned sent = to->n_rtp;
	box_nack(to, box_number(to, 50));
	CHECK_INT(to->n_rtp, sent + 1);
	const uint8_t *p = to->rtp[sent].p;
	CHECK_INT(get_be32(p + 8), 5001);
	CHECK_INT(p[1] & 0x7f, 101);
	CHECK_INT(box_mark(to, sent), box_mark(to, 50));
	CHECK_INT(get_be16(p + to->rtp[sent].n - 100 - 2), box_number(to, 50));
	box_nack(to, (uint16_t)(box_number(to, 0) - 5)); /* never sent */
	CHECK_INT(to->n_rtp, sent + 1);
	box_free(to);
	box_free(from);
}

/* Browsers go on asking for what was lost before a key frame until they have the whole of that. */
TEST(what_a_key_frame_has_replaced_is_not_sent_again)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	for (uint16_t seq = 1; seq < 30; seq++)
		box_feed(from, seq, seq == 1 || seq == 20);
	box_flush(from);
	unsigned sent = to->n_rtp;
	box_nack(to, box_number(to, 18));
	CHECK_INT(to->n_rtp, sent);
	box_nack(to, box_number(to, 19)); /* the key frame */
	box_nack(to, box_number(to, 25));
	CHECK_INT(to->n_rtp, sent + 2);
	box_free(to);
	box_free(from);
}

TEST(without_rtx_the_same_bytes_go_again)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	rtp_extmap_set(&to->e.extmap, RTP_EXT_TWCC, 5);
	rtp_extmap_set(&to->e.extmap, RTP_EXT_ABS_SEND_TIME, 6);
	box_subscribe(box_publish(from, &box_video), to, false);
	for (uint16_t seq = 1; seq < 20; seq++)
		box_feed(from, seq, seq == 1);
	box_flush(from);
	unsigned sent = to->n_rtp;
	box_now += 123456;
	box_nack(to, box_number(to, 7));
	CHECK_INT(to->n_rtp, sent + 1);
	CHECK_INT(to->rtp[sent].n, to->rtp[7].n);
	CHECK_INT(to->rtp[sent].index, to->rtp[7].index);
	CHECK_MEM(to->rtp[sent].p, to->rtp[7].p, to->rtp[7].n);
	box_free(to);
	box_free(from);
}

/* What transport-cc tells of the packets that came since `*seen`. */
static void tell_twcc(struct box *b, struct twcc_rx *rx, unsigned *seen)
{
	uint8_t out[1200];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	struct rtp_packet p;
	uint16_t seq;

	for (; *seen < b->n_rtp; ++*seen) {
		unsigned i = *seen % KEPT;
		CHECK_INT(rtp_parse(&p, b->rtp[i].p, b->rtp[i].n, &b->e.extmap), 0);
		if (rtp_twcc_seq(&p, &seq))
			twcc_rx_packet(rx, seq, box_now);
	}
	while (twcc_rx_pending(rx) && !twcc_rx_write(rx, &w, 7, 5000))
		;
	CHECK(w.len);
	endpoint_rtcp(&b->e, out, w.len, box_now);
}

/* Everything that a call does all the time: bursts, feedback, packets sent again, ticks. */
TEST(packets_need_no_memory_and_no_lock)
{
	static struct twcc_rx rx[8];
	struct media_track_config c = box_video;
	struct box *to[8];
	uint16_t seq = 1;
	unsigned before = 0, seen[8] = {0};

	box_now = 1000000;
	c.feedback.twcc = true;
	struct box *from = box_new();
	struct track *t = box_publish(from, &c);
	for (unsigned i = 0; i < 8; i++) {
		to[i] = box_new();
		rtp_extmap_set(&to[i]->e.extmap, RTP_EXT_TWCC, 5);
		struct sub *s = box_subscribe(t, to[i], i & 1);
		struct media_sub_config sc = s->config;
		sc.feedback.twcc = true;
		sub_change(s, &sc);
	}
	for (unsigned turn = 0; turn < 300; turn++, box_now += FWD_TICK_US) {
		if (turn == 100)
			before = needs; /* till then things were set up */
		for (unsigned i = 0; i < 20; i++, seq++)
			if (seq % 97) /* one is lost now and then */
				box_feed(from, seq, seq == 1);
		box_flush(from);
		endpoint_tick(&from->e, box_now);
		for (unsigned i = 0; i < 8; i++) {
			box_nack(to[i],
				 (uint16_t)(box_number(to[i], (to[i]->n_rtp - 1) % KEPT) - 5));
			if (i & 1)
				tell_twcc(to[i], &rx[i], &seen[i]);
			endpoint_tick(&to[i]->e, box_now);
		}
	}
	CHECK(before > 0);
	CHECK_INT(needs, before);
	for (unsigned i = 0; i < 8; i++)
		box_free(to[i]);
	box_free(from);
}

TEST(a_flood_of_nacks_is_bounded)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	for (uint16_t seq = 1; seq < 100; seq++)
		box_feed(from, seq, seq == 1);
	box_flush(from);
	unsigned sent = to->n_rtp;
	for (unsigned i = 0; i < 5000; i++)
		box_nack(to, box_number(to, i % 99));
	CHECK(to->n_rtp - sent <= SUB_RESEND_MAX + 1);
	/* What was never sent is looked for, too. */
	box_now += 1000000;
	sent = to->n_rtp;
	uint64_t not_kept = box_stats.not_kept;
	for (unsigned i = 0; i < SUB_RESEND_MAX; i++)
		box_nack(to, (uint16_t)(box_number(to, 0) - 5));
	box_nack(to, box_number(to, 50));
	CHECK_INT(to->n_rtp, sent);
	CHECK_INT(box_stats.not_kept - not_kept, SUB_RESEND_MAX + 1);
	box_free(to);
	box_free(from);
}

TEST(sender_reports_keep_the_publishers_clock)
{
	uint8_t out[200];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	struct rtcp_sr sr = {.ssrc = 1000, .ntp = 5ull << 32, .ts = 90000}, got = {0};
	struct rtcp_msg m;

	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	box_feed(from, 1, true);
	box_flush(from);
	CHECK_INT(rtcp_put_sr(&w, &sr, NULL, 0), 0);
	endpoint_rtcp(&from->e, out, w.len, box_now);
	box_now += 2000000;
	endpoint_tick(&to->e, box_now);
	CHECK_INT(to->n_rtcp, 1);
	struct rtcp_iter it = rtcp_begin(to->rtcp[0], to->rtcp_len[0]);
	CHECK(rtcp_next(&it, &m));
	CHECK_INT(rtcp_get_sr(&m, &got), 0);
	CHECK_INT(got.ssrc, 5000);
	CHECK_INT(got.ntp >> 32, 7);
	CHECK_INT(got.ts, 90000 + 2 * 90000);
	CHECK_INT(got.packets, 1);
	box_free(to);
	box_free(from);
}

#define MANY 20

/* Each with its own first packet; later all at one time. */
TEST(sender_reports_go_together)
{
	struct media_sub_config c = {.pt = 100, .mid = "0", .cname = "0123456789abcdef01234567"};
	struct box *from[MANY], *to;
	uint8_t out[200];
	struct sub *s;

	box_now = 1000000;
	to = box_new();
	for (unsigned i = 0; i < MANY; i++, box_now += 77000) {
		struct rtcp_writer w = rtcp_writer(out, sizeof(out));
		struct rtcp_sr sr = {.ssrc = 1000, .ntp = 5ull << 32};
		from[i] = box_new();
		c.ssrc = 5000 + i;
		CHECK_INT(sub_new(&s, box_publish(from[i], &box_video), &to->e, 9, &c), 0);
		box_feed(from[i], 1, true);
		box_flush(from[i]);
		rtcp_put_sr(&w, &sr, NULL, 0);
		endpoint_rtcp(&from[i]->e, out, w.len, box_now);
		box_feed(from[i], 2, false);
		box_flush(from[i]);
		CHECK_INT(to->n_rtcp, i + 1);
	}
	box_now = 3500000;
	unsigned calls = to->n_rtcp, reports = box_count(to, RTCP_SR, 0);
	for (; box_now < 13500000; box_now += FWD_TICK_US)
		endpoint_tick(&to->e, box_now);
	CHECK_INT(box_count(to, RTCP_SR, 0) - reports, (10 + 1) * MANY);
	CHECK_INT(to->n_rtcp - calls, (10 + 1) * 2);
	box_free(to);
	for (unsigned i = 0; i < MANY; i++)
		box_free(from[i]);
}

TEST(a_publisher_that_starts_anew_is_followed_from_its_key_frame)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	box_feed(from, 1, true);
	box_feed(from, 2, false);
	box_feed(from, 30000, false); /* a jump: the encoder was reset */
	box_feed(from, 30001, true);
	box_feed(from, 30002, false);
	box_flush(from);
	CHECK_INT(to->n_rtp, 4);
	for (unsigned i = 1; i < 4; i++)
		CHECK_INT(box_number(to, i), (uint16_t)(box_number(to, i - 1) + 1));
	box_free(to);
	box_free(from);
}

TEST(unknown_and_broken_packets_are_counted_and_dropped)
{
	uint8_t p[2000];

	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	box_feed(from, 1, true);
	box_flush(from);
	uint64_t before = box_stats.rx_unknown;
	srand(2);
	for (unsigned i = 0; i < 20000; i++) {
		size_t n = (size_t)rand() % sizeof(p);
		for (size_t k = 0; k < n; k++)
			p[k] = (uint8_t)rand();
		if (n > 1) {
			p[0] = (uint8_t)(0x80 | (p[0] & 0x3f));
			p[1] = (uint8_t)(i & 1 ? 200 + i % 8 : p[1]);
		}
		if (i & 1)
			endpoint_rtcp(&to->e, p, n, box_now);
		else
			endpoint_rtp(&from->e, p, n, box_now);
		box_flush(from);
	}
	CHECK(box_stats.rx_unknown > before);
	CHECK_INT(to->n_rtp, 1);
	box_free(to);
	box_free(from);
}

TEST(an_ended_track_takes_its_subscriptions_along)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	struct track *t = box_publish(from, &box_video);
	box_subscribe(t, to, true);
	box_feed(from, 1, true);
	endpoint_drop_track(&from->e, t);
	box_flush(from);
	CHECK(list_empty(&to->e.subs));
	CHECK_INT(to->n_rtp, 0);
	box_free(to);
	box_free(from);
}

TEST(a_publisher_may_change_its_ssrc_but_not_send_two)
{
	struct media_track_config c = box_video;

	box_now = 1000000;
	c.ssrc = c.rtx_ssrc = 0; /* Firefox signals none */
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &c), to, true);
	for (uint16_t seq = 1000; seq < 1010; seq++)
		box_feed_from(from, 1000, seq, seq == 1000);
	box_flush(from);
	CHECK_INT(to->n_rtp, 10);
	box_feed_from(from, 2000, 500, true);
	box_flush(from); /* beside the other */
	CHECK_INT(to->n_rtp, 10);
	box_now += STREAM_SILENT_US;
	for (uint16_t seq = 500; seq < 510; seq++)
		box_feed_from(from, 2000, seq, seq == 500);
	box_flush(from);
	CHECK_INT(to->n_rtp, 20);
	CHECK_INT(box_mark(to, 10), 500);
	CHECK_INT(box_number(to, 19), (uint16_t)(box_number(to, 0) + 19));
	box_feed_from(from, 1000, 1010, true);
	box_flush(from); /* late */
	CHECK_INT(to->n_rtp, 20);
	box_now += FWD_TICK_US;
	endpoint_tick(&from->e, box_now);
	CHECK_INT(box_count(from, RTCP_RTPFB, RTCP_NACK), 0);
	box_free(to);
	box_free(from);
}

/* A WHEP player's SSRCs stand in its answer; whoever it plays may go and come back. */
TEST(the_numbers_of_a_lasting_ssrc_go_on_with_the_next_track)
{
	struct media_sub_config c = {.pt = 100,
				     .rtx_pt = 101,
				     .ssrc = 5000,
				     .rtx_ssrc = 5001,
				     .feedback = {.nack = true},
				     .lasting = true};
	struct sub *s;

	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	for (unsigned life = 0; life < 3; life++) {
		struct track *t = box_publish(from, &box_video);
		CHECK_INT(sub_new(&s, t, &to->e, 9, &c), 0);
		for (uint16_t i = 0; i < 4; i++, box_now += 33000)
			box_feed(from, (uint16_t)(1000 - 300 * life + i), i == 0);
		box_flush(from);
		CHECK_INT(to->n_rtp, 5 * life + 4);
		box_nack(to, box_number(to, 5 * life + 1));
		CHECK_INT(to->n_rtp, 5 * life + 5);
		if (life)
			box_nack(to, box_number(to, 5 * life - 2)); /* is not kept any more */
		CHECK_INT(to->n_rtp, 5 * life + 5);
		endpoint_drop_track(&from->e, t);
		box_now += 2000000;
	}
	/* Of each life four packets, and one of RTX. */
	for (unsigned i = 5; i < to->n_rtp; i++) {
		uint32_t ahead = get_be32(to->rtp[i].p + 4) - get_be32(to->rtp[i - 5].p + 4);
		CHECK_INT(to->rtp[i].index, to->rtp[i - 5].index + (i % 5 == 4 ? 1 : 4));
		CHECK(ahead > 90000 && ahead < 4 * 90000);
	}
	box_free(to);
	box_free(from);
}

/* A number that was kept for a late packet may have gone out, and is not the highest. */
TEST(a_lasting_ssrc_gives_no_number_twice)
{
	struct media_sub_config c = {.pt = 100, .ssrc = 5000, .lasting = true};
	struct sub *s;

	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	for (unsigned life = 0; life < 2; life++) {
		struct track *t = box_publish(from, &box_video);
		CHECK_INT(sub_new(&s, t, &to->e, 9, &c), 0);
		box_feed(from, 1, true);
		box_feed(from, 2, false);
		box_feed_padding(from, 4);
		box_feed(from, 3, false);
		box_flush(from);
		endpoint_drop_track(&from->e, t);
	}
	CHECK_INT(to->n_rtp, 6);
	for (unsigned i = 1; i < to->n_rtp; i++)
		CHECK_INT(to->rtp[i].index, to->rtp[0].index + i);
	box_free(to);
	box_free(from);
}
