/*
 * Forwarding without a network: packets go in at an endpoint, and what leaves is looked at. One
 * file, though a long one: each case needs the same publisher and receivers, and the clock between
 * them.
 */
#include "../../../cmd/msr-sfu/fwd/endpoint.h"

#include <stdlib.h>

#include "../../../cmd/msr-sfu/fwd/speaker.h"
#include "../../../cmd/msr-sfu/fwd/sub.h"
#include "../../../cmd/msr-sfu/fwd/track.h"
#include "../../support/needs.h"
#include "../../support/test.h"

#define KEPT 4096

/* What one peer was sent. */
struct box {
	struct endpoint e;
	struct {
		uint8_t p[1600];
		size_t n;
		uint64_t index;
	} rtp[KEPT];
	unsigned n_rtp, flushes;
	uint8_t rtcp[KEPT][1300];
	size_t rtcp_len[KEPT];
	unsigned n_rtcp;
};

static uint8_t *box_out(void *arg)
{
	struct box *b = arg;
	return b->rtp[b->n_rtp % KEPT].p;
}

static void box_send(void *arg, size_t header, const uint8_t *payload, size_t len, uint64_t index)
{
	struct box *b = arg;
	memcpy(b->rtp[b->n_rtp % KEPT].p + header, payload, len);
	b->rtp[b->n_rtp % KEPT].n = header + len;
	b->rtp[b->n_rtp++ % KEPT].index = index;
}

static void box_flush(void *arg)
{
	((struct box *)arg)->flushes++;
}

static void box_rtcp(void *arg, const uint8_t *p, size_t n)
{
	struct box *b = arg;
	CHECK(n <= sizeof(b->rtcp[0]));
	memcpy(b->rtcp[b->n_rtcp % KEPT], p, n);
	b->rtcp_len[b->n_rtcp++ % KEPT] = n;
}

static const struct wire wire = {box_out, box_send, box_flush, box_rtcp};
static struct media_stats stats;
static int64_t now;

static struct box *box_new(void)
{
	struct box *b = calloc(1, sizeof(*b));
	CHECK(b);
	endpoint_init(&b->e, &wire, b, &stats);
	endpoint_connected(&b->e, now);
	return b;
}

static void box_free(struct box *b)
{
	endpoint_done(&b->e);
	free(b);
}

static const struct media_track_config video = {.codec = RTP_CODEC_VP8,
						.pt = 96,
						.rtx_pt = 97,
						.ssrc = 1000,
						.rtx_ssrc = 1001,
						.feedback = {.nack = true, .pli = true}};

static struct track *publish(struct box *b, const struct media_track_config *c)
{
	struct track *t;
	CHECK_INT(track_new(&t, &b->e, 1, c), 0);
	return t;
}

static struct sub *subscribe(struct track *t, struct box *b, bool rtx)
{
	struct media_sub_config c = {.pt = 100,
				     .rtx_pt = rtx ? 101 : 0,
				     .ssrc = 5000,
				     .rtx_ssrc = rtx ? 5001 : 0,
				     .mid = "0",
				     .cname = "ann",
				     .feedback = {.nack = true}};
	struct sub *s;
	CHECK_INT(sub_new(&s, t, &b->e, 9, &c), 0);
	sub_wake(s, now);
	return s;
}

/* VP8: a descriptor with S, then a frame tag whose lowest bit says "no key frame". */
static size_t vp8(uint8_t *p, uint16_t seq, bool start, bool key, size_t len)
{
	memset(p, 0, 12 + len);
	p[0] = 0x80;
	p[1] = 96;
	put_be16(p + 2, seq);
	put_be32(p + 4, seq * 3000u);
	put_be32(p + 8, 1000);
	p[12] = start ? 0x10 : 0;
	p[13] = key ? 0 : 1;
	if (key && len > 11) {
		p[16] = 0x9d;
		p[17] = 0x01;
		p[18] = 0x2a;
	}
	put_be16(p + 12 + len - 2, seq); /* a mark of its own */
	return 12 + len;
}

static void feed(struct box *b, uint16_t seq, bool key)
{
	static uint8_t p[64][1500];
	static unsigned i;
	uint8_t *at = p[i++ % 64];
	size_t n = vp8(at, seq, true, key, 100);
	endpoint_rtp(&b->e, at, n, now);
}

static void flush(struct box *b)
{
	endpoint_batch_end(&b->e, now);
}

static uint16_t number(const struct box *b, unsigned i)
{
	return get_be16(b->rtp[i].p + 2);
}

static uint16_t mark(const struct box *b, unsigned i)
{
	return get_be16(b->rtp[i].p + b->rtp[i].n - 2);
}

/* How many messages of that kind went to a peer. */
static unsigned count(const struct box *b, uint8_t type, uint8_t fmt)
{
	unsigned n = 0;
	struct rtcp_msg m;
	for (unsigned i = 0; i < b->n_rtcp && i < KEPT; i++) {
		CHECK_INT(rtcp_check(b->rtcp[i], b->rtcp_len[i]), 0);
		for (struct rtcp_iter it = rtcp_begin(b->rtcp[i], b->rtcp_len[i]);
		     rtcp_next(&it, &m);)
			n += m.type == type && (type < RTCP_RTPFB || m.count == fmt);
	}
	return n;
}

static void nack(struct box *b, uint16_t seq)
{
	uint8_t out[100];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	CHECK_INT(rtcp_put_nack(&w, 7, 5000, &seq, 1), 0);
	endpoint_rtcp(&b->e, out, w.len, now);
}

TEST(sending_begins_with_a_key_frame_and_goes_out_once_a_burst)
{
	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(publish(from, &video), to, true);
	feed(from, 1, false);
	flush(from);
	CHECK_INT(to->n_rtp, 0);
	endpoint_tick(&from->e, now);
	CHECK_INT(count(from, RTCP_PSFB, RTCP_PLI), 1); /* it was asked for */
	feed(from, 2, true);
	for (uint16_t seq = 3; seq < 20; seq++)
		feed(from, seq, false);
	flush(from);
	CHECK_INT(to->n_rtp, 18);
	CHECK_INT(to->flushes, 2); /* one of them for the burst before the key frame */
	for (unsigned i = 0; i < 18; i++) {
		CHECK_INT(number(to, i), (uint16_t)(number(to, 0) + i));
		CHECK_INT(mark(to, i), 2 + i);
		CHECK_INT(get_be32(to->rtp[i].p + 8), 5000);
		CHECK_INT(to->rtp[i].p[1] & 0x7f, 100);
		CHECK_INT(to->rtp[i].index & 0xffff, number(to, i));
	}
	box_free(to);
	box_free(from);
}

TEST(many_who_want_a_key_frame_ask_once_a_while)
{
	uint8_t pli[12];
	struct rtcp_writer w = rtcp_writer(pli, sizeof(pli));

	now = 1000000;
	struct box *from = box_new(), *to[20];
	struct track *t = publish(from, &video);
	for (unsigned i = 0; i < 20; i++) {
		to[i] = box_new();
		subscribe(t, to[i], true);
	}
	feed(from, 1, true);
	flush(from);
	from->n_rtcp = 0;
	CHECK_INT(rtcp_put_pli(&w, 7, 5000), 0);
	for (unsigned ms = 0; ms < 5000; ms += 20, now += 20000) {
		for (unsigned i = 0; i < 20; i++)
			endpoint_rtcp(&to[i]->e, pli, w.len, now);
		endpoint_tick(&from->e, now);
	}
	unsigned asked = count(from, RTCP_PSFB, RTCP_PLI);
	CHECK(asked >= 4 && asked <= 7);
	for (unsigned i = 0; i < 20; i++)
		box_free(to[i]);
	box_free(from);
}

/* Older clients ask by FIR (RFC 5104), and some take nothing else. */
TEST(fir_is_understood_and_sent_where_pli_is_not_taken)
{
	struct media_track_config c = video;
	uint8_t fir[100];
	struct rtcp_writer w = rtcp_writer(fir, sizeof(fir));
	struct rtcp_msg m;
	uint32_t ssrc;
	uint8_t seq;
	unsigned n = 0;

	now = 1000000;
	c.feedback.pli = false;
	c.feedback.fir = true;
	struct box *from = box_new(), *to = box_new();
	subscribe(publish(from, &c), to, true);
	feed(from, 1, true);
	flush(from);
	uint64_t before = stats.key_requests_received;
	CHECK_INT(rtcp_put_fir(&w, 7, 4999, 3), 0); /* not one of ours */
	CHECK_INT(rtcp_put_fir(&w, 7, 5000, 3), 0);
	for (uint16_t i = 0; i < 3; i++, now += STREAM_KEY_US) {
		endpoint_rtcp(&to->e, fir, w.len, now);
		endpoint_tick(&from->e, now);
		feed(from, (uint16_t)(2 + i), true);
		flush(from);
	}
	CHECK_INT(stats.key_requests_received, before + 3);
	CHECK_INT(count(from, RTCP_PSFB, RTCP_PLI), 0);
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

TEST(padding_leaves_no_hole_and_duplicates_go_nowhere)
{
	uint8_t p[64] = {0xa0, 96};

	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(publish(from, &video), to, true);
	feed(from, 1, true);
	for (uint16_t seq = 2; seq < 30; seq++) {
		if (seq % 3) {
			feed(from, seq, false);
			feed(from, seq, false);
			continue;
		}
		put_be16(p + 2, seq);
		put_be32(p + 8, 1000);
		p[31] = 20; /* all of it is padding */
		endpoint_rtp(&from->e, p, 32, now);
	}
	flush(from);
	CHECK_INT(to->n_rtp, 20);
	for (unsigned i = 1; i < to->n_rtp; i++)
		CHECK_INT(number(to, i), (uint16_t)(number(to, i - 1) + 1));
	box_free(to);
	box_free(from);
}

TEST(lost_packets_are_sent_again_by_rtx)
{
	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(publish(from, &video), to, true);
	for (uint16_t seq = 1; seq < 100; seq++)
		feed(from, seq, seq == 1);
	flush(from);
	unsigned sent = to->n_rtp;
	nack(to, number(to, 50));
	CHECK_INT(to->n_rtp, sent + 1);
	const uint8_t *p = to->rtp[sent].p;
	CHECK_INT(get_be32(p + 8), 5001);
	CHECK_INT(p[1] & 0x7f, 101);
	CHECK_INT(mark(to, sent), mark(to, 50));
	CHECK_INT(get_be16(p + to->rtp[sent].n - 100 - 2), number(to, 50));
	nack(to, (uint16_t)(number(to, 0) - 5)); /* never sent */
	CHECK_INT(to->n_rtp, sent + 1);
	box_free(to);
	box_free(from);
}

/* Browsers go on asking for what was lost before a key frame until they have the whole of that. */
TEST(what_a_key_frame_has_replaced_is_not_sent_again)
{
	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(publish(from, &video), to, true);
	for (uint16_t seq = 1; seq < 30; seq++)
		feed(from, seq, seq == 1 || seq == 20);
	flush(from);
	unsigned sent = to->n_rtp;
	nack(to, number(to, 18));
	CHECK_INT(to->n_rtp, sent);
	nack(to, number(to, 19)); /* the key frame */
	nack(to, number(to, 25));
	CHECK_INT(to->n_rtp, sent + 2);
	box_free(to);
	box_free(from);
}

TEST(without_rtx_the_same_bytes_go_again)
{
	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	rtp_extmap_set(&to->e.extmap, RTP_EXT_TWCC, 5);
	rtp_extmap_set(&to->e.extmap, RTP_EXT_ABS_SEND_TIME, 6);
	subscribe(publish(from, &video), to, false);
	for (uint16_t seq = 1; seq < 20; seq++)
		feed(from, seq, seq == 1);
	flush(from);
	unsigned sent = to->n_rtp;
	now += 123456;
	nack(to, number(to, 7));
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
			twcc_rx_packet(rx, seq, now);
	}
	while (twcc_rx_pending(rx) && !twcc_rx_write(rx, &w, 7, 5000))
		;
	CHECK(w.len);
	endpoint_rtcp(&b->e, out, w.len, now);
}

/* Everything that a call does all the time: bursts, feedback, packets sent again, ticks. */
TEST(packets_need_no_memory_and_no_lock)
{
	static struct twcc_rx rx[8];
	struct media_track_config c = video;
	struct box *to[8];
	uint16_t seq = 1;
	unsigned before = 0, seen[8] = {0};

	now = 1000000;
	c.feedback.twcc = true;
	struct box *from = box_new();
	struct track *t = publish(from, &c);
	for (unsigned i = 0; i < 8; i++) {
		to[i] = box_new();
		rtp_extmap_set(&to[i]->e.extmap, RTP_EXT_TWCC, 5);
		struct sub *s = subscribe(t, to[i], i & 1);
		struct media_sub_config sc = s->config;
		sc.feedback.twcc = true;
		sub_change(s, &sc);
	}
	for (unsigned turn = 0; turn < 300; turn++, now += FWD_TICK_US) {
		if (turn == 100)
			before = needs; /* till then things were set up */
		for (unsigned i = 0; i < 20; i++, seq++)
			if (seq % 97) /* one is lost now and then */
				feed(from, seq, seq == 1);
		flush(from);
		endpoint_tick(&from->e, now);
		for (unsigned i = 0; i < 8; i++) {
			nack(to[i], (uint16_t)(number(to[i], (to[i]->n_rtp - 1) % KEPT) - 5));
			if (i & 1)
				tell_twcc(to[i], &rx[i], &seen[i]);
			endpoint_tick(&to[i]->e, now);
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
	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(publish(from, &video), to, true);
	for (uint16_t seq = 1; seq < 100; seq++)
		feed(from, seq, seq == 1);
	flush(from);
	unsigned sent = to->n_rtp;
	for (unsigned i = 0; i < 5000; i++)
		nack(to, number(to, i % 99));
	CHECK(to->n_rtp - sent <= SUB_RESEND_MAX + 1);
	box_free(to);
	box_free(from);
}

static void feed_rtx(struct box *b, uint16_t seq)
{
	static uint8_t rtx[200];
	uint8_t p[200];
	size_t n = vp8(p, seq, true, false, 100);

	memcpy(rtx, p, 12);
	rtx[1] = 97;
	put_be16(rtx + 2, seq); /* whatever */
	put_be32(rtx + 8, 1001);
	put_be16(rtx + 12, seq);
	memcpy(rtx + 14, p + 12, n - 12);
	endpoint_rtp(&b->e, rtx, n + 2, now);
}

TEST(holes_are_asked_for_and_filled_from_rtx)
{
	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(publish(from, &video), to, true);
	feed(from, 1, true);
	feed(from, 2, false);
	feed(from, 4, false);
	flush(from);
	endpoint_tick(&from->e, now);
	CHECK_INT(count(from, RTCP_RTPFB, RTCP_NACK), 1);
	feed_rtx(from, 3);
	flush(from);
	CHECK_INT(to->n_rtp, 4);
	CHECK_INT(mark(to, 3), 3);
	CHECK_INT(number(to, 3), (uint16_t)(number(to, 0) + 2));
	box_free(to);
	box_free(from);
}

TEST(sender_reports_keep_the_publishers_clock)
{
	uint8_t out[200];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	struct rtcp_sr sr = {.ssrc = 1000, .ntp = 5ull << 32, .ts = 90000}, got = {0};
	struct rtcp_msg m;

	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	struct sub *s = subscribe(publish(from, &video), to, true);
	feed(from, 1, true);
	flush(from);
	CHECK_INT(rtcp_put_sr(&w, &sr, NULL, 0), 0);
	endpoint_rtcp(&from->e, out, w.len, now);
	now += 2000000;
	sub_tick(s, now);
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

TEST(a_publisher_that_starts_anew_is_followed_from_its_key_frame)
{
	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(publish(from, &video), to, true);
	feed(from, 1, true);
	feed(from, 2, false);
	feed(from, 30000, false); /* a jump: the encoder was reset */
	feed(from, 30001, true);
	feed(from, 30002, false);
	flush(from);
	CHECK_INT(to->n_rtp, 4);
	for (unsigned i = 1; i < 4; i++)
		CHECK_INT(number(to, i), (uint16_t)(number(to, i - 1) + 1));
	box_free(to);
	box_free(from);
}

TEST(publishers_get_reports_and_transport_feedback)
{
	struct media_track_config c = video;
	static const uint8_t twcc[] = {0, 1};
	struct rtp_ext_item item = {5, 2, 0, twcc};
	uint8_t p[300];

	now = 1000000;
	c.feedback.twcc = true;
	struct box *from = box_new();
	rtp_extmap_set(&from->e.extmap, RTP_EXT_TWCC, 5);
	publish(from, &c);
	endpoint_tick(&from->e, now);
	for (uint16_t i = 0; i < 100; i++, now += 10000) {
		struct rtp_header h = {.pt = 96, .seq = i, .ts = i * 900u, .ssrc = 1000};
		int n = rtp_header_write(p, sizeof(p), &h, &item, 1);
		rtp_ext_put_twcc(p, item.off, i);
		memset(p + n, 0, 100);
		endpoint_rtp(&from->e, p, (size_t)n + 100, now);
		endpoint_batch_end(&from->e, now);
		endpoint_tick(&from->e, now);
	}
	now += 1000000;
	endpoint_tick(&from->e, now);
	CHECK(count(from, RTCP_RTPFB, RTCP_TWCC) >= 10);
	CHECK(count(from, RTCP_RR, 0) >= 1);
	box_free(from);
}

/* Behind an outage there is much to tell: what is asked for is not asked for again so soon. */
TEST(much_transport_feedback_displaces_no_request)
{
	struct media_track_config c = video;
	static const uint8_t twcc[] = {0, 1};
	struct rtp_ext_item item = {5, 2, 0, twcc};
	uint8_t p[300];

	now = 1000000;
	c.feedback.twcc = true;
	struct box *from = box_new();
	rtp_extmap_set(&from->e.extmap, RTP_EXT_TWCC, 5);
	struct track *t = publish(from, &c);
	endpoint_tick(&from->e, now);
	from->n_rtcp = 0;
	for (uint16_t i = 0; i < 1000; i++, now += 500) {
		struct rtp_header h = {.pt = 96, .seq = i, .ts = i * 900u, .ssrc = 1000};
		int n = rtp_header_write(p, sizeof(p), &h, &item, 1);
		rtp_ext_put_twcc(p, item.off, i);
		memset(p + n, 0, 100);
		if (i % 10 != 5)
			endpoint_rtp(&from->e, p, (size_t)n + 100, now);
		endpoint_batch_end(&from->e, now);
	}
	stream_want_key(&t->stream[0]);
	endpoint_tick(&from->e, now);
	CHECK(!twcc_rx_pending(from->e.twcc));
	CHECK_INT(count(from, RTCP_RTPFB, RTCP_NACK), 1);
	CHECK_INT(count(from, RTCP_PSFB, RTCP_PLI), 1);
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
	struct media_track_config c = video;
	static const uint8_t twcc[] = {0, 1};
	struct rtp_ext_item item = {5, 2, 0, twcc};
	uint8_t p[300];

	now = 1000000;
	c.feedback.twcc = true;
	c.feedback.rsize = rsize;
	struct box *b = box_new(), *to = box_new();
	strcpy(b->e.cname, "our");
	rtp_extmap_set(&b->e.extmap, RTP_EXT_TWCC, 5);
	subscribe(publish(b, &c), to, false);
	for (uint16_t i = 0; i < 3000; i++, now += 500) {
		struct rtp_header h = {.pt = 96, .seq = i, .ts = i * 900u, .ssrc = 1000};
		int n = rtp_header_write(p, sizeof(p), &h, &item, 1);
		rtp_ext_put_twcc(p, item.off, i);
		memset(p + n, 0, 100);
		if (i % 10 != 5)
			endpoint_rtp(&b->e, p, (size_t)n + 100, now);
		endpoint_batch_end(&b->e, now);
		if (i % 40 == 0)
			endpoint_tick(&b->e, now);
	}
	CHECK(count(b, RTCP_RTPFB, RTCP_NACK) > 10);
	CHECK(count(b, RTCP_PSFB, RTCP_PLI) > 0);
	CHECK(count(b, RTCP_RTPFB, RTCP_TWCC) > 10);
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
	CHECK_INT(count(b, RTCP_RR, 0), 2); /* a second apart */
	CHECK_INT(count(b, RTCP_SDES, 0), 2);
	box_free(b);
}

TEST(every_stream_is_reported_about)
{
	uint8_t p[60] = {0x80, 111};
	struct rtcp_report r;
	struct rtcp_msg m;
	unsigned n = 0;

	now = 1000000;
	struct box *from = box_new();
	for (uint32_t i = 0; i < 40; i++) {
		struct media_track_config c = {
		    .codec = RTP_CODEC_OPUS, .pt = 111, .ssrc = 1000 + i};
		publish(from, &c);
		put_be32(p + 8, c.ssrc);
		endpoint_rtp(&from->e, p, sizeof(p), now);
		flush(from);
	}
	endpoint_tick(&from->e, now);
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
	struct media_track_config c = video;

	now = 1000000;
	c.feedback.remb = true;
	struct box *from = box_new();
	publish(from, &c);
	for (uint16_t i = 0; i < 200; i++, now += 20000) {
		feed(from, i, i == 0);
		flush(from);
		endpoint_tick(&from->e, now);
	}
	CHECK(count(from, RTCP_PSFB, RTCP_AFB) >= 3);
	box_free(from);
}

/* Publishers without transport feedback go by it, and so does what we tell them that they may. */
TEST(what_was_lost_is_reported_though_it_came_again)
{
	struct media_track_config c = video;
	struct rtcp_report r;

	now = 1000000;
	c.feedback.remb = true;
	struct box *from = box_new();
	struct track *t = publish(from, &c);
	for (uint16_t i = 0; i < 200; i++, now += 20000) {
		if (i % 5 == 2)
			continue;
		feed(from, i, i == 0);
		if (i % 5 == 3)
			feed_rtx(from, (uint16_t)(i - 1));
		flush(from);
		endpoint_tick(&from->e, now);
	}
	CHECK(stream_report(&t->stream[0], now, &r));
	CHECK_INT(r.lost, 40);
	CHECK(r.fraction_lost > 45 && r.fraction_lost < 60);
	CHECK(from->e.remb.bps < REMB_START);
	box_free(from);
}

TEST(unknown_and_broken_packets_are_counted_and_dropped)
{
	uint8_t p[2000];

	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(publish(from, &video), to, true);
	feed(from, 1, true);
	flush(from);
	uint64_t before = stats.rx_unknown;
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
			endpoint_rtcp(&to->e, p, n, now);
		else
			endpoint_rtp(&from->e, p, n, now);
		flush(from);
	}
	CHECK(stats.rx_unknown > before);
	CHECK_INT(to->n_rtp, 1);
	box_free(to);
	box_free(from);
}

TEST(an_ended_track_takes_its_subscriptions_along)
{
	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	struct track *t = publish(from, &video);
	subscribe(t, to, true);
	feed(from, 1, true);
	endpoint_drop_track(&from->e, t);
	flush(from);
	CHECK(list_empty(&to->e.subs));
	CHECK_INT(to->n_rtp, 0);
	box_free(to);
	box_free(from);
}

static void feed_from(struct box *b, uint32_t ssrc, uint16_t seq, bool key)
{
	static uint8_t p[64][1500];
	static unsigned i;
	uint8_t *at = p[i++ % 64];
	size_t n = vp8(at, seq, true, key, 100);
	put_be32(at + 8, ssrc);
	endpoint_rtp(&b->e, at, n, now);
	flush(b);
}

TEST(a_publisher_may_change_its_ssrc_but_not_send_two)
{
	struct media_track_config c = video;

	now = 1000000;
	c.ssrc = c.rtx_ssrc = 0; /* Firefox signals none */
	struct box *from = box_new(), *to = box_new();
	subscribe(publish(from, &c), to, true);
	for (uint16_t seq = 1000; seq < 1010; seq++)
		feed_from(from, 1000, seq, seq == 1000);
	CHECK_INT(to->n_rtp, 10);
	feed_from(from, 2000, 500, true); /* beside the other */
	CHECK_INT(to->n_rtp, 10);
	now += STREAM_SILENT_US;
	for (uint16_t seq = 500; seq < 510; seq++)
		feed_from(from, 2000, seq, seq == 500);
	CHECK_INT(to->n_rtp, 20);
	CHECK_INT(mark(to, 10), 500);
	CHECK_INT(number(to, 19), (uint16_t)(number(to, 0) + 19));
	feed_from(from, 1000, 1010, true); /* late */
	CHECK_INT(to->n_rtp, 20);
	now += FWD_TICK_US;
	endpoint_tick(&from->e, now);
	CHECK_INT(count(from, RTCP_RTPFB, RTCP_NACK), 0);
	box_free(to);
	box_free(from);
}

TEST(jitter_is_measured_however_long_the_machine_is_up)
{
	static struct stream s;
	const int64_t begin_us = 5000ll * 24 * 3600 * 1000000;
	struct rtp_packet p = {.data = (const uint8_t *)"", .len = 1, .payload_len = 1};
	bool reset;
	int64_t seq;

	CHECK_INT(stream_init(&s, RTP_CODEC_VP8), 0);
	for (uint16_t i = 0; i < 500; i++) { /* each second one is a millisecond late */
		p.seq = i;
		p.ts = i * 3600u;
		CHECK(
		    stream_take(&s, &p, false, begin_us + i * 40000 + i % 2 * 1000, &seq, &reset));
	}
	CHECK(s.jitter >> 4 >= 88 && s.jitter >> 4 <= 90);
	stream_done(&s);
}

/* A publisher that is muted for hours sends no reports. */
TEST(clocks_go_on_for_days_behind_a_report)
{
	static struct stream s;
	const struct rtcp_sr sr = {.ntp = 7ull << 32 | 1u << 31, .ts = 100};
	uint64_t ntp;
	uint32_t ts;

	CHECK_INT(stream_init(&s, RTP_CODEC_VP8), 0);
	stream_sender_report(&s, &sr, 1000000);
	for (uint64_t hours = 0; hours < 100; hours++) {
		CHECK(stream_clocks(&s, (int64_t)(hours * 3600 + 1) * 1000000 + 500000, &ntp, &ts));
		CHECK_INT(ntp, (hours * 3600 + 8) << 32);
		CHECK_INT(ts, (uint32_t)(100 + hours * 3600 * 90000 + 45000));
	}
	stream_done(&s);
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

	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	for (unsigned life = 0; life < 3; life++) {
		struct track *t = publish(from, &video);
		CHECK_INT(sub_new(&s, t, &to->e, 9, &c), 0);
		for (uint16_t i = 0; i < 4; i++, now += 33000)
			feed(from, (uint16_t)(1000 - 300 * life + i), i == 0);
		flush(from);
		CHECK_INT(to->n_rtp, 5 * life + 4);
		nack(to, number(to, 5 * life + 1));
		CHECK_INT(to->n_rtp, 5 * life + 5);
		if (life)
			nack(to, number(to, 5 * life - 2)); /* is not kept any more */
		CHECK_INT(to->n_rtp, 5 * life + 5);
		endpoint_drop_track(&from->e, t);
		now += 2000000;
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
	uint8_t padding[32] = {0xa0, 96};
	struct sub *s;

	now = 1000000;
	struct box *from = box_new(), *to = box_new();
	for (unsigned life = 0; life < 2; life++) {
		struct track *t = publish(from, &video);
		CHECK_INT(sub_new(&s, t, &to->e, 9, &c), 0);
		feed(from, 1, true);
		feed(from, 2, false);
		put_be16(padding + 2, 4);
		put_be32(padding + 8, 1000);
		padding[31] = 20;
		endpoint_rtp(&from->e, padding, sizeof(padding), now);
		feed(from, 3, false);
		flush(from);
		endpoint_drop_track(&from->e, t);
	}
	CHECK_INT(to->n_rtp, 6);
	for (unsigned i = 1; i < to->n_rtp; i++)
		CHECK_INT(to->rtp[i].index, to->rtp[0].index + i);
	box_free(to);
	box_free(from);
}

static uint64_t look(struct speaker *s, int a, int b, int64_t at_ms)
{
	speaker_begin(s);
	speaker_level(s, 1, a);
	speaker_level(s, 2, b);
	speaker_end(s, at_ms * 1000);
	return s->now;
}

TEST(the_speaker_changes_with_inertia)
{
	struct speaker s = {0};

	CHECK_INT(look(&s, 127, 120, 0), 0);
	CHECK_INT(look(&s, 20, 127, 200), 1);
	CHECK_INT(look(&s, 30, 20, 400), 1); /* louder, but not for long yet */
	CHECK_INT(look(&s, 30, 20, 600), 1);
	CHECK_INT(look(&s, 20, 22, 800), 1); /* and quiet again: a cough */
	CHECK_INT(look(&s, 127, 20, 1000), 1);
	CHECK_INT(look(&s, 127, 20, 1200), 1);
	CHECK_INT(look(&s, 127, 20, 1700), 2);
	CHECK_INT(look(&s, 127, 127, 2000), 2);
	CHECK_INT(look(&s, 127, 127, 4000), 0);
}
