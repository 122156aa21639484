/* Redundant sound: what was lost comes with the next packet, from publishers and to receivers. */
#include "../../../cmd/msr-sfu/fwd/redundant.h"

#include <stdlib.h>

#include "../../support/test.h"
#include "box.h"

#define OPUS  111
#define RED   63
#define SOUND 40  /* bytes of a packet */
#define STEP  960 /* between them, at 48 kHz */

static const struct media_track_config sound = {
    .codec = RTP_CODEC_OPUS, .pt = OPUS, .red_pt = RED, .ssrc = 1000};

static struct sub *subscribe(struct track *t, struct box *b, uint8_t red_pt, bool nack)
{
	struct media_sub_config c = {.pt = 100,
				     .red_pt = red_pt,
				     .ssrc = 5000,
				     .mid = "0",
				     .cname = "ann",
				     .feedback = {.nack = nack}};
	struct sub *s;

	CHECK_INT(sub_new(&s, t, &b->e, 9, &c), 0);
	return s;
}

/* The sound of a number: it ends with that. */
static size_t put_sound(uint8_t *p, uint16_t seq)
{
	memset(p, 0x55, SOUND);
	put_be16(p + SOUND - 2, seq);
	return SOUND;
}

/* A packet with the `older` ones before it; they live until the batch ends. */
static void feed(struct box *b, uint16_t seq, unsigned older)
{
	static uint8_t ring[64][1500];
	static unsigned i;
	struct rtp_header h = {.pt = RED, .seq = seq, .ts = seq * STEP, .ssrc = 1000};
	uint8_t *p = ring[i++ % 64];
	size_t n = (size_t)rtp_header_write(p, 100, &h, NULL, 0);

	for (unsigned k = older; k > 0; k--, n += 4) {
		p[n] = 0x80 | OPUS;
		put_be24(p + n + 1, k * STEP << 10 | SOUND);
	}
	p[n++] = OPUS;
	for (unsigned k = older; k > 0; k--)
		n += put_sound(p + n, (uint16_t)(seq - k));
	n += put_sound(p + n, seq);
	endpoint_rtp(&b->e, p, n, box_now);
}

/* That all of them left, in order and plain. */
static void check_plain(const struct box *to, uint16_t first, unsigned n)
{
	CHECK_INT(to->n_rtp, n);
	for (unsigned i = 0; i < n; i++) {
		struct rtp_packet p;
		CHECK_INT(rtp_parse(&p, to->rtp[i].p, to->rtp[i].n, NULL), 0);
		CHECK_INT(p.pt, 100);
		CHECK_INT(p.seq, (uint16_t)(box_number(to, 0) + i));
		CHECK_INT(p.payload_len, SOUND);
		CHECK_INT(box_mark(to, i), (uint16_t)(first + i));
		if (i)
			CHECK_INT(p.ts - get_be32(to->rtp[i - 1].p + 4), STEP);
	}
}

TEST(what_was_lost_comes_with_the_next)
{
	struct rtcp_report r;

	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	struct track *t = box_publish(from, &sound);
	subscribe(t, to, 0, false);
	uint64_t recovered = box_stats.sound_recovered;
	for (uint16_t seq = 1; seq <= 41; seq++, box_now += 20000) {
		if (seq % 5)
			feed(from, seq, 1);
		box_flush(from);
	}
	check_plain(to, 1, 41);
	CHECK_INT(box_stats.sound_recovered - recovered, 8);
	CHECK(stream_report(&t->stream[0], box_now, &r)); /* the network did lose them */
	CHECK_INT(r.lost, 8);
	CHECK_INT(r.jitter, 0);
	box_free(to);
	box_free(from);
}

TEST(two_in_a_row_need_two_older_ones)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(box_publish(from, &sound), to, 0, false);
	feed(from, 1, 0);
	feed(from, 4, 2);
	box_flush(from);
	check_plain(to, 1, 4);
	feed(from, 7, 1); /* 5 is lost for good */
	box_flush(from);
	CHECK_INT(to->n_rtp, 6);
	CHECK_INT(box_mark(to, 4), 6);
	CHECK_INT(box_mark(to, 5), 7);
	CHECK_INT(box_number(to, 5), (uint16_t)(box_number(to, 0) + 6));
	box_free(to);
	box_free(from);
}

TEST(what_was_only_late_leaves_once)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(box_publish(from, &sound), to, 0, false);
	feed(from, 1, 1);
	feed(from, 3, 1);
	feed(from, 2, 1);
	feed(from, 4, 3);
	box_flush(from);
	check_plain(to, 1, 4);
	box_free(to);
	box_free(from);
}

TEST(a_packet_that_makes_no_sense_leaves_no_hole)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(box_publish(from, &sound), to, 0, false);
	uint8_t bad[] = {0x80, RED, 0,	  3,	0,   0, 0, 0, 0, 0, 0x03, 0xe8, /* SSRC 1000 */
			 0xef, 1,   0xff, 0xff, OPUS};
	feed(from, 1, 0);
	feed(from, 2, 1);
	endpoint_rtp(&from->e, bad, sizeof(bad), box_now);
	feed(from, 4, 1);
	box_flush(from);
	CHECK_INT(to->n_rtp, 3);
	CHECK_INT(box_mark(to, 2), 4);
	CHECK_INT(box_number(to, 2), (uint16_t)(box_number(to, 1) + 1));
	box_free(to);
	box_free(from);
}

/* Each of them is repeated for itself, and what else the batch brought still leaves. */
TEST(a_batch_full_of_losses_goes_out_whole)
{
	static const struct media_track_config pictures = {
	    .codec = RTP_CODEC_VP8, .pt = 96, .ssrc = 2000};

	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	struct track *t;
	subscribe(box_publish(from, &sound), to, 0, false);
	CHECK_INT(track_new(&t, &from->e, 2, &pictures), 0);
	for (uint16_t seq = 1; seq <= 2 * MEDIA_TRACKS_MAX + 21; seq += 2)
		feed(from, seq, 1);
	box_feed_from(from, 2000, 1, true);
	CHECK_INT(t->n_burst, 1);
	box_flush(from);
	CHECK_INT(t->n_burst, 0);
	check_plain(to, 1, 2 * MEDIA_TRACKS_MAX + 21);
	box_free(to);
	box_free(from);
}

/* Of what a receiver got as a redundant packet: its own number and the one that it repeats. */
static void check_wrapped(const struct box *to, unsigned i, uint16_t seq)
{
	struct red_block b[RED_BLOCKS];
	struct rtp_packet p;

	CHECK_INT(rtp_parse(&p, to->rtp[i].p, to->rtp[i].n, NULL), 0);
	CHECK_INT(p.pt, 77);
	CHECK_INT(redundant_blocks(b, &p, 100), 2);
	CHECK_INT(b[0].before, STEP);
	CHECK_INT(b[0].len, SOUND);
	CHECK_INT(get_be16(rtp_payload(&p) + b[0].off + SOUND - 2), seq - 1);
	CHECK_INT(get_be16(rtp_payload(&p) + b[1].off + SOUND - 2), seq);
}

TEST(where_packets_are_lost_receivers_get_each_twice)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(box_publish(from, &sound), to, 77, false);
	feed(from, 1, 0);
	feed(from, 2, 1);
	box_flush(from);
	check_plain(to, 1, 2);
	to->e.congest.lost_us = box_now;
	feed(from, 3, 1);
	feed(from, 5, 1); /* what is recovered is repeated as well */
	feed(from, 8, 1); /* 6 is lost: 7 has nothing before it */
	box_flush(from);
	CHECK_INT(to->n_rtp, 7);
	check_wrapped(to, 2, 3);
	check_wrapped(to, 3, 4);
	check_wrapped(to, 4, 5);
	CHECK_INT(to->rtp[5].n, RTP_HEADER + SOUND); /* alone */
	check_wrapped(to, 6, 8);
	box_now += 20000000; /* the path has been good for long */
	feed(from, 9, 1);
	box_flush(from);
	CHECK_INT(to->rtp[7].p[1] & 0x7f, 100);
	box_free(to);
	box_free(from);
}

TEST(who_asks_for_lost_sound_is_not_sent_it_twice)
{
	box_now = 1000000;
	struct box *from = box_new(), *to = box_new();
	subscribe(box_publish(from, &sound), to, 77, true);
	to->e.congest.lost_us = box_now;
	for (uint16_t seq = 1; seq <= 10; seq++)
		feed(from, seq, 1);
	box_flush(from);
	check_plain(to, 1, 10);
	box_free(to);
	box_free(from);
}
