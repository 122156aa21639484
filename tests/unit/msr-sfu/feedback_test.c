/*
 * What publishers are told of what came, and asked for (box.h).
 */
#include "../../../cmd/msr-sfu/fwd/endpoint.h"

#include <string.h>

#include "../../support/test.h"
#include "box.h"

/* A publisher that is told what came of each packet. */
static struct box *with_transport_feedback(struct track **t)
{
	struct media_track_config c = box_video;

	box_now = 1000000;
	c.feedback.twcc = true;
	struct box *from = box_new();
	rtp_extmap_set(&from->e.extmap, RTP_EXT_TWCC, 5);
	*t = box_publish(from, &c);
	endpoint_tick(&from->e, box_now);
	return from;
}

TEST(publishers_get_reports_and_transport_feedback)
{
	struct track *t;
	struct box *from = with_transport_feedback(&t);

	for (uint16_t i = 0; i < 100; i++, box_now += 10000) {
		box_feed(from, i, false);
		endpoint_batch_end(&from->e, box_now);
		endpoint_tick(&from->e, box_now);
	}
	box_now += 1000000;
	endpoint_tick(&from->e, box_now);
	CHECK(box_count(from, RTCP_RTPFB, RTCP_TWCC) >= 10);
	CHECK(box_count(from, RTCP_RR, 0) >= 1);
	box_free(from);
}

/* Behind an outage there is much to tell: what is asked for is not asked for again so soon. */
TEST(much_transport_feedback_displaces_no_request)
{
	struct track *t;
	struct box *from = with_transport_feedback(&t);

	from->n_rtcp = 0;
	for (uint16_t i = 0; i < 1000; i++, box_now += 500) {
		if (i % 10 != 5)
			box_feed(from, i, false);
		endpoint_batch_end(&from->e, box_now);
	}
	stream_want_key(&t->stream[0]);
	endpoint_tick(&from->e, box_now);
	CHECK(!twcc_rx_pending(from->e.twcc));
	CHECK_INT(box_count(from, RTCP_RTPFB, RTCP_NACK), 1);
	CHECK_INT(box_count(from, RTCP_PSFB, RTCP_PLI), 1);
	CHECK(from->n_rtcp > 1);
	box_free(from);
}

/* Whether each packet to a peer begins with a report and says whose it is (RFC 3550, 6.1). */
static bool all_whole(const struct box *b)
{
	for (unsigned i = 0; i < b->n_rtcp; i++) {
		struct rtcp_iter it = rtcp_begin(b->rtcp[i], b->rtcp_len[i]);
		struct rtcp_msg m;
		if (!rtcp_next(&it, &m) || (m.type != RTCP_SR && m.type != RTCP_RR) ||
		    !rtcp_next(&it, &m) || m.type != RTCP_SDES || m.count != 1 || m.len != 12 ||
		    memcmp(m.body, "\0\0\0\1\1\3our\0\0", 12) != 0)
			return false;
	}
	return b->n_rtcp > 0;
}

/* Losses, a key frame wanted and much transport feedback, over more than a second. */
static struct box *publish_badly(bool rsize)
{
	struct media_track_config c = box_video;

	box_now = 1000000;
	c.feedback.twcc = true;
	c.feedback.rsize = rsize;
	struct box *b = box_new(), *to = box_new();
	strcpy(b->e.cname, "our");
	rtp_extmap_set(&b->e.extmap, RTP_EXT_TWCC, 5);
	box_subscribe(box_publish(b, &c), to, false);
	for (uint16_t i = 0; i < 3000; i++, box_now += 500) {
		if (i % 10 != 5)
			box_feed(b, i, false);
		endpoint_batch_end(&b->e, box_now);
		if (i % 40 == 0)
			endpoint_tick(&b->e, box_now);
	}
	CHECK(box_count(b, RTCP_RTPFB, RTCP_NACK) > 10);
	CHECK(box_count(b, RTCP_PSFB, RTCP_PLI) > 0);
	CHECK(box_count(b, RTCP_RTPFB, RTCP_TWCC) > 10);
	box_free(to);
	return b;
}

TEST(feedback_goes_alone_only_to_those_that_take_it)
{
	struct box *b = publish_badly(false);
	CHECK(all_whole(b));
	box_free(b);
	b = publish_badly(true);
	CHECK(!all_whole(b));
	CHECK_INT(box_count(b, RTCP_RR, 0), 2); /* a second apart */
	CHECK_INT(box_count(b, RTCP_SDES, 0), 2);
	box_free(b);
}

TEST(every_stream_is_reported_about)
{
	uint8_t p[60] = {0x80, 111};
	struct rtcp_report r;
	struct rtcp_msg m;
	unsigned n = 0;

	box_now = 1000000;
	struct box *from = box_new();
	for (uint32_t i = 0; i < 40; i++) {
		struct media_track_config c = {
		    .codec = RTP_CODEC_OPUS, .pt = 111, .ssrc = 1000 + i};
		box_publish(from, &c);
		put_be32(p + 8, c.ssrc);
		endpoint_rtp(&from->e, p, sizeof(p), box_now);
		box_flush(from);
	}
	endpoint_tick(&from->e, box_now);
	for (unsigned i = 0; i < from->n_rtcp; i++)
		for (struct rtcp_iter it = rtcp_begin(from->rtcp[i], from->rtcp_len[i]);
		     rtcp_next(&it, &m);)
			for (unsigned k = 0; m.type == RTCP_RR && !rtcp_get_report(&m, k, &r);
			     k++, n++)
				CHECK_INT(r.ssrc, 1000 + n);
	CHECK_INT(n, 40);
	box_free(from);
}

TEST(those_without_transport_feedback_get_remb)
{
	struct media_track_config c = box_video;

	box_now = 1000000;
	c.feedback.remb = true;
	struct box *from = box_new();
	box_publish(from, &c);
	for (uint16_t i = 0; i < 200; i++, box_now += 20000) {
		box_feed(from, i, i == 0);
		box_flush(from);
		endpoint_tick(&from->e, box_now);
	}
	CHECK(box_count(from, RTCP_PSFB, RTCP_AFB) >= 3);
	box_free(from);
}

/* Publishers without transport feedback go by it, and so does what we tell them that they may. */
TEST(what_was_lost_is_reported_though_it_came_again)
{
	struct media_track_config c = box_video;
	struct rtcp_report r;

	box_now = 1000000;
	c.feedback.remb = true;
	struct box *from = box_new();
	struct track *t = box_publish(from, &c);
	for (uint16_t i = 0; i < 200; i++, box_now += 20000) {
		if (i % 5 == 2)
			continue;
		box_feed(from, i, i == 0);
		if (i % 5 == 3)
			box_feed_rtx(from, (uint16_t)(i - 1));
		box_flush(from);
		endpoint_tick(&from->e, box_now);
	}
	CHECK(stream_report(&t->stream[0], box_now, &r));
	CHECK_INT(r.lost, 40);
	CHECK(r.fraction_lost > 45 && r.fraction_lost < 60);
	CHECK(from->e.remb.bps < REMB_START);
	box_free(from);
}

TEST(many_who_want_a_key_frame_ask_once_a_while)
{
	uint8_t pli[12];
	struct rtcp_writer w = rtcp_writer(pli, sizeof(pli));

	box_now = 1000000;
	struct box *from = box_new(), *to[20];
	struct track *t = box_publish(from, &box_video);
	for (unsigned i = 0; i < 20; i++) {
		to[i] = box_new();
		box_subscribe(t, to[i], true);
	}
	box_feed(from, 1, true);
	box_flush(from);
	from->n_rtcp = 0;
	CHECK_INT(rtcp_put_pli(&w, 7, 5000), 0);
	for (unsigned ms = 0; ms < 5000; ms += 20, box_now += 20000) {
		for (unsigned i = 0; i < 20; i++)
			endpoint_rtcp(&to[i]->e, pli, w.len, box_now);
		endpoint_tick(&from->e, box_now);
	}
	unsigned asked = box_count(from, RTCP_PSFB, RTCP_PLI);
	CHECK(asked >= 4 && asked <= 7);
	for (unsigned i = 0; i < 20; i++)
		box_free(to[i]);
	box_free(from);
}

/* Older clients ask by FIR (RFC 5104), and some take nothing else. */
TEST(fir_is_understood_and_sent_where_pli_is_not_taken)
{
	struct media_track_config c = box_video;
	uint8_t fir[100];
	struct rtcp_writer w = rtcp_writer(fir, sizeof(fir));
	struct rtcp_msg m;
	uint32_t ssrc;
	uint8_t seq;
	unsigned n = 0;

	box_now = 1000000;
	c.feedback.pli = false;
	c.feedback.fir = true;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &c), to, true);
	box_feed(from, 1, true);
	box_flush(from);
	uint64_t before = box_stats.key_requests_received;
	CHECK_INT(rtcp_put_fir(&w, 7, 4999, 3), 0); /* not one of ours */
	CHECK_INT(rtcp_put_fir(&w, 7, 5000, 3), 0);
	for (uint16_t i = 0; i < 3; i++, box_now += STREAM_KEY_US) {
		endpoint_rtcp(&to->e, fir, w.len, box_now);
		endpoint_tick(&from->e, box_now);
		box_feed(from, (uint16_t)(2 + i), true);
		box_flush(from);
	}
	CHECK_INT(box_stats.key_requests_received, before + 3);
	CHECK_INT(box_count(from, RTCP_PSFB, RTCP_PLI), 0);
	for (unsigned i = 0; i < from->n_rtcp; i++)
		for (struct rtcp_iter it = rtcp_begin(from->rtcp[i], from->rtcp_len[i]);
		     rtcp_next(&it, &m);)
			if (!rtcp_get_fir(&m, 0, &ssrc, &seq)) {
				CHECK_INT(ssrc, 1000);
				CHECK_INT(seq, n++); /* each is a new request */
			}
	CHECK_INT(n, 3);
	box_free(to);
	box_free(from);
}

TEST(holes_are_asked_for_and_filled_from_rtx)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	box_subscribe(box_publish(from, &box_video), to, true);
	box_feed(from, 1, true);
	box_feed(from, 2, false);
	box_feed(from, 4, false);
	box_flush(from);
	endpoint_tick(&from->e, box_now);
	CHECK_INT(box_count(from, RTCP_RTPFB, RTCP_NACK), 1);
	box_feed_rtx(from, 3);
	box_flush(from);
	CHECK_INT(to->n_rtp, 4);
	CHECK_INT(box_mark(to, 3), 3);
	CHECK_INT(box_number(to, 3), (uint16_t)(box_number(to, 0) + 2));
	box_free(to);
	box_free(from);
}
