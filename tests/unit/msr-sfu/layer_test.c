/* Layers of simulcast without a network: order, life, moving over, times, pictures, repair. */
#include "../../../cmd/msr-sfu/fwd/layer.h"

#include "../../support/test.h"
#include "scene.h"

/* ---- the table of streams ---- */

static struct stream stream_of(uint16_t width, uint64_t bps, int64_t at_us)
{
	return (struct stream){
	    .width = width, .height = width / 2, .bps = bps, .media_us = at_us, .clock = 90000};
}

TEST(layers_lie_by_the_size_of_their_pictures_not_by_their_names)
{
	struct layers l;
	struct stream s[3] = {stream_of(1280, 1000, START), stream_of(320, 9000, START),
			      stream_of(640, 500, START)};

	layers_init(&l, 3);
	CHECK(layers_update(&l, s, START));
	CHECK_INT(l.order[0], 1);
	CHECK_INT(l.order[1], 2);
	CHECK_INT(l.order[2], 0);
	CHECK_INT(layers_of(&l, 2), 1);
	CHECK(!layers_update(&l, s, START)); /* nothing new */
}

TEST(without_sizes_they_lie_by_rate_with_a_margin)
{
	struct layers l;
	struct stream s[2] = {stream_of(0, 1000000, START), stream_of(0, 900000, START)};

	layers_init(&l, 2);
	layers_update(&l, s, START);
	CHECK_INT(l.order[0], 0); /* too near to each other to be sure */
	s[1].bps = 500000;
	CHECK(layers_update(&l, s, START));
	CHECK_INT(l.order[0], 1);
	s[0].bps = 600000; /* and it does not flicker */
	CHECK(!layers_update(&l, s, START));
}

TEST(a_layer_dies_when_others_go_on_without_it)
{
	struct layers l;
	struct stream s[3] = {stream_of(320, 0, START), stream_of(640, 0, START),
			      stream_of(1280, 0, START)};

	layers_init(&l, 3);
	layers_update(&l, s, START);
	CHECK_INT(l.alive, 7);
	CHECK(!layers_update(&l, s, START + 60000000)); /* all are silent: muted, not dead */
	s[0].media_us = s[1].media_us = START + LAYER_SILENT_US;
	CHECK(layers_update(&l, s, START + LAYER_SILENT_US));
	CHECK_INT(l.alive, 3);
	CHECK_INT(layers_best(&l, 2), 1);
	CHECK_INT(layers_best(&l, 0), 0);
	s[0].media_us = START - 1;
	layers_update(&l, s, START + LAYER_SILENT_US);
	CHECK_INT(layers_best(&l, 0), 1); /* better one too many than none */
}

TEST(levels_mean_layers)
{
	struct layers l;

	layers_init(&l, 3);
	CHECK_INT(layers_wanted(&l, MEDIA_AUTO), 2);
	CHECK_INT(layers_wanted(&l, MEDIA_HIGH), 2);
	CHECK_INT(layers_wanted(&l, MEDIA_MID), 1);
	CHECK_INT(layers_wanted(&l, MEDIA_LOW), 0);
	CHECK_INT(layers_wanted(&l, MEDIA_OFF), LAYER_NONE);
	CHECK_INT(layers_best(&l, 2), LAYER_NONE); /* nothing has come */
	layers_init(&l, 1);
	CHECK_INT(layers_wanted(&l, MEDIA_MID), 0);
}

TEST(times_of_two_streams_meet_by_their_reports)
{
	/* The same moment: 5 s and 7.5 s of NTP time, clocks with beginnings of their own. */
	struct layer_clock a = {5ull << 32, 1000}, b = {7ull << 32 | 1u << 31, 4000000000u},
			   none = {0};
	uint32_t at_b = 1000 + 77 + 225000; /* what `a`, moved by 77, shows at b's report */

	uint32_t d = layer_ts_distance(&a, 77, &b, 4000000000u, at_b + 900, 90000);
	CHECK_INT(4000000000u + d, at_b);
	/* Later packets too, over the roll-over of the clock. */
	CHECK_INT(500000000u + layer_ts_distance(&a, 77, &b, 500000000u, at_b + 794967296u, 90000),
		  at_b + 794967296u);
	/* Without reports, or where they cannot be right, by arrival. */
	CHECK_INT(5u + layer_ts_distance(&a, 77, &none, 5, 4711, 90000), 4711);
	CHECK_INT(5u + layer_ts_distance(&none, 77, &b, 5, 4711, 90000), 4711);
	CHECK_INT(4000000000u + layer_ts_distance(&a, 77, &b, 4000000000u, at_b + 270000, 90000),
		  at_b + 270000);
	b.ntp = UINT64_MAX;
	CHECK_INT(5u + layer_ts_distance(&a, 77, &b, 5, 4711, 90000), 4711);
}
/* ---- whole tracks ---- */

TEST(the_viewer_goes_through_all_layers_without_a_seam)
{
	struct scene x = scene_new(MEDIA_AUTO);

	scene_play(&x, 400000);
	CHECK_INT(x.s->layer.current, 0);
	sub_want(x.s, MEDIA_LOW, scene_now);
	CHECK_INT(sub_wanted(x.s), 0);
	CHECK_INT(x.s->layer.current, 0); /* until the other has a key frame */
	scene_play(&x, 200000);
	CHECK_INT(x.s->layer.current, 2);
	sub_want(x.s, MEDIA_MID, scene_now);
	scene_play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 1);
	sub_want(x.s, MEDIA_HIGH, scene_now);
	scene_play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 0);
	CHECK_INT(x.to->last.reason, MEDIA_WANTED);
	CHECK(scene_check_stream(x.to, 0) >= 4);
	/* Every moment from the first on was shown. */
	CHECK(x.to->n_rtp >= 2 * 2600000 / FRAME - 4);
	scene_free(&x);
}

/* A publisher that is asked for a key frame gives one of each layer, at one time. */
TEST(times_do_not_jump_where_several_layers_begin_in_one_burst)
{
	struct scene x = scene_new(MEDIA_AUTO);

	scene_picture(&x);
	CHECK_INT(x.to->n_rtp, 6); /* each layer is better than the one before, as far as known */
	for (unsigned i = 1; i < x.to->n_rtp; i++)
		CHECK((int32_t)(scene_seen(x.to, i).ts - scene_seen(x.to, i - 1).ts) <= 90);
	scene_free(&x);
}

TEST(off_sends_nothing_and_back_goes_on)
{
	struct scene x = scene_new(MEDIA_LOW);

	scene_play(&x, 400000);
	sub_want(x.s, MEDIA_OFF, scene_now);
	CHECK_INT(sub_wanted(x.s), -1);
	CHECK_INT(x.to->last.target, LAYER_NONE);
	unsigned sent = x.to->n_rtp, told = x.to->told;
	scene_play(&x, 4000000);
	CHECK_INT(x.to->n_rtp, sent);
	sub_want(x.s, MEDIA_HIGH, scene_now);
	scene_play(&x, 200000);
	CHECK(x.to->n_rtp > sent);
	CHECK_INT(x.to->told, told + 1);
	scene_check_stream(x.to, 0);
	/* Time went on. */
	int32_t pause = (int32_t)(scene_seen(x.to, sent).ts - scene_seen(x.to, sent - 1).ts);
	CHECK(pause > 90000 * 39 / 10 && pause < 90000 * 43 / 10);
	scene_free(&x);
}

TEST(a_single_layer_goes_on_over_pauses_and_restarts)
{
	struct media_track_config c = scene_video;

	c.n_rids = 1;
	struct scene x = scene_new_of(&c, MEDIA_AUTO);
	x.layer[1].silent = x.layer[2].silent = true;
	scene_play(&x, 400000);
	sub_want(x.s, MEDIA_OFF, scene_now);
	scene_play(&x, 400000);
	sub_want(x.s, MEDIA_AUTO, scene_now);
	scene_play(&x, 400000);
	for (unsigned restart = 0; restart < 2; restart++) {
		struct layer_source *l = &x.layer[0];
		l->seq = (uint16_t)(l->seq + 20000);
		l->picture = 9;
		l->tl0 = 3;
		l->key = true;
		scene_play(&x, 400000);
	}
	CHECK_INT(x.to->n_rtp, 2 * 4 * 400000 / FRAME);
	CHECK_INT(scene_check_stream(x.to, 0), 1);
	scene_free(&x);
}

/* A descriptor that could be one of VP8, with a picture's number in it. */
static const uint8_t vp9[100] = {0x88, 0xf0, 7, 0x11, 0x22, 0x33, 0x44};

static size_t put_vp9(uint8_t *p, char rid, uint16_t seq)
{
	struct rtp_header h = {.pt = 96, .seq = seq, .ts = seq * 3000u, .ssrc = (uint8_t)rid};
	struct rtp_ext_item item = {.id = 3, .len = 1, .value = (const uint8_t *)&rid};
	int n = rtp_header_write(p, 100, &h, &item, 1);

	memcpy(p + n, vp9, sizeof(vp9));
	return (size_t)n + sizeof(vp9);
}

TEST(only_vp8_has_pictures_that_are_counted_on)
{
	struct media_track_config c = scene_video;
	uint8_t p[200];

	c.codec = RTP_CODEC_VP9;
	struct scene x = scene_new_of(&c, MEDIA_LOW);
	for (uint16_t seq = 1; seq < 40; seq++, scene_now += FRAME) {
		if (seq % 10 == 0)
			sub_want(x.s, seq % 20 ? MEDIA_HIGH : MEDIA_LOW, scene_now);
		for (unsigned i = 0; i < 3; i++) {
			size_t n = put_vp9(p, c.rid[i][0], seq);
			endpoint_rtp(&x.from->e, p, n, scene_now);
			endpoint_batch_end(&x.from->e, scene_now);
		}
	}
	CHECK(x.s->layer.rewrite.n_cuts > 3);
	for (unsigned i = 0; i < x.to->n_rtp; i++)
		CHECK_MEM(x.to->rtp[i].p + x.to->rtp[i].n - sizeof(vp9), vp9, sizeof(vp9));
	scene_free(&x);
}

TEST(what_the_network_carries_bounds_what_the_viewer_wants)
{
	struct scene x = scene_new(MEDIA_AUTO);

	scene_play(&x, 400000);
	sub_target(x.s, 1, scene_now);
	scene_play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 1);
	CHECK_INT(x.to->last.reason, MEDIA_BANDWIDTH);
	sub_want(x.s, MEDIA_LOW, scene_now);
	scene_play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 2);
	sub_want(x.s, MEDIA_AUTO, scene_now);
	scene_play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 1); /* the network has not become better */
	sub_target(x.s, -1, scene_now);
	unsigned sent = x.to->n_rtp;
	scene_play(&x, 400000);
	CHECK_INT(x.to->n_rtp, sent);
	sub_target(x.s, 2, scene_now);
	scene_play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 0);
	scene_check_stream(x.to, 0);
	scene_free(&x);
}

TEST(a_layer_that_stops_is_left_within_a_second_and_taken_again)
{
	struct scene x = scene_new(MEDIA_AUTO);

	scene_play(&x, 2000000);
	unsigned told = x.to->told, sent = x.to->n_rtp;
	x.layer[0].silent = true;
	int64_t from = scene_now;
	while (x.to->n_rtp == sent && scene_now - from < 2000000)
		scene_play(&x, FRAME);
	CHECK(scene_now - from < 1000000);
	CHECK_INT(x.s->layer.current, 1);
	CHECK_INT(x.to->told, told + 1);
	CHECK_INT(x.to->last.reason, MEDIA_SOURCE);
	scene_play(&x, 1000000);
	x.layer[0].silent = false;
	x.layer[0].key = true;
	scene_play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 0);
	scene_check_stream(x.to, 0);
	scene_free(&x);
}

TEST(times_go_on_by_reports_and_never_back)
{
	struct scene x = scene_new(MEDIA_LOW);

	scene_play(&x, 400000);
	scene_report(&x, 2, 100000000);
	scene_report(&x, 0, 100062500); /* what comes together was not seen together */
	scene_play(&x, 400000);
	struct rtcp_sr low = x.to->sr;
	sub_want(x.s, MEDIA_HIGH, scene_now);
	unsigned sent = x.to->n_rtp;
	scene_play(&x, 400000);
	CHECK_INT(x.s->layer.current, 0);
	scene_check_stream(x.to, 0);
	/* One of the camera's steps after the other, but for the change. */
	for (unsigned i = sent; i < x.to->n_rtp; i += 2)
		CHECK_INT(scene_seen(x.to, i).ts - scene_seen(x.to, i - 1).ts,
			  scene_seen(x.to, i).d.key ? 3600 + 5625 : 3600);
	/* The receiver was told at once, and its line from times to moments is the same. */
	CHECK_INT(low.ssrc, 5000);
	CHECK(x.to->sr.ntp > low.ntp);
	uint64_t apart = (x.to->sr.ntp - low.ntp) >> 16; /* 16.16 s */
	int64_t off = (int64_t)(x.to->sr.ts - low.ts) - (int64_t)(apart * 90000 >> 16);
	CHECK(off >= -3 && off <= 3);
	/* A target whose clock says that its key frame is older than what went out already. */
	scene_report(&x, 0, 200060000);
	scene_report(&x, 2, 200000000);
	sub_want(x.s, MEDIA_LOW, scene_now);
	scene_play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 2);
	scene_check_stream(x.to, 0);
	scene_free(&x);
}

TEST(a_nack_is_answered_over_changes_of_the_layer)
{
	struct scene x = scene_new(MEDIA_AUTO);
	uint8_t out[100];
	unsigned n_replaced = 0, n_answered = 0;

	scene_play(&x, 400000);
	for (unsigned i = 0; i < 4; i++) {
		sub_want(x.s, i & 1 ? MEDIA_HIGH : MEDIA_LOW, scene_now);
		scene_play(&x, 1000000);
	}
	unsigned sent = x.to->n_rtp;
	CHECK(scene_check_stream(x.to, 0) >= 5);
	for (unsigned i = sent - 100; i < sent; i += 3) {
		struct rtcp_writer w = rtcp_writer(out, sizeof(out));
		uint16_t seq = scene_seen(x.to, i).seq;
		CHECK_INT(rtcp_put_nack(&w, 7, 5000, &seq, 1), 0);
		unsigned n = x.to->n_rtp;
		endpoint_rtcp(&x.to->e, out, w.len, scene_now);
		/* The last layer has begun with a key frame: what was before is of no use. */
		bool replaced = seq < x.s->key;
		CHECK_INT(x.to->n_rtp, replaced ? n : n + 1);
		n_replaced += replaced;
		if (replaced)
			continue;
		n_answered++;
		struct rtp_packet a, b;
		CHECK_INT(rtp_parse(&a, x.to->rtp[i].p, x.to->rtp[i].n, NULL), 0);
		CHECK_INT(rtp_parse(&b, x.to->rtp[n].p, x.to->rtp[n].n, NULL), 0);
		CHECK_INT(b.ssrc, 5001);
		CHECK_INT(b.ts, a.ts);
		CHECK_INT(get_be16(rtp_payload(&b)), seq);
		CHECK_INT(b.payload_len, a.payload_len + 2);
		CHECK_MEM(rtp_payload(&b) + 2, rtp_payload(&a), a.payload_len);
	}
	CHECK(n_replaced && n_answered);
	scene_free(&x);
}

TEST(each_layer_is_asked_for_key_frames_at_most_once_a_while)
{
	struct scene x = scene_new(MEDIA_AUTO);
	unsigned asked = 0;

	scene_play(&x, 400000);
	sub_want(x.s, MEDIA_LOW, scene_now);
	for (int64_t until = scene_now + 4000000; scene_now < until; scene_now += 20000) {
		x.from->n_key_requests = 0;
		endpoint_tick(&x.from->e, scene_now); /* and the publisher does not care */
		asked += x.from->n_key_requests;
		if (x.from->n_key_requests)
			CHECK_INT(x.from->key_ssrc, 33);
		scene_picture(&x);
	}
	CHECK(asked >= 4 && asked <= 6);
	CHECK_INT(x.s->layer.current, 0);
	scene_check_stream(x.to, 0); /* and the old layer went on all the time */
	scene_free(&x);
}

TEST(sound_is_paused_and_goes_on_where_it_was)
{
	struct media_track_config c = {.codec = RTP_CODEC_OPUS, .pt = 111, .ssrc = 7};
	struct media_sub_config sc = {.pt = 111, .ssrc = 5000};
	uint8_t p[100] = {0x80, 111};
	struct track *t;
	struct sub *s;

	scene_now = START;
	struct scene_side *from = scene_side_new(), *to = scene_side_new();
	CHECK_INT(track_new(&t, &from->e, 1, &c), 0);
	CHECK_INT(sub_new(&s, t, &to->e, 9, &sc), 0);
	put_be32(p + 8, 7);
	for (uint16_t i = 0; i < 300; i++, scene_now += 20000) {
		if (i == 100)
			sub_want(s, MEDIA_OFF, scene_now);
		if (i == 200)
			sub_want(s, MEDIA_AUTO, scene_now);
		put_be16(p + 2, i);
		put_be32(p + 4, i * 960u);
		memcpy(p + 12, "\xfc\xf0\x81\x23\x45", 5); /* could be VP8 with all it has */
		endpoint_rtp(&from->e, p, 60, scene_now);
		endpoint_batch_end(&from->e, scene_now);
	}
	CHECK_INT(to->n_rtp, 200);
	CHECK_INT(to->told, 2); /* off and on; that it began is not news */
	CHECK_INT(get_be16(to->rtp[100].p + 2), get_be16(to->rtp[99].p + 2) + 1);
	CHECK_INT(get_be32(to->rtp[100].p + 4), get_be32(to->rtp[99].p + 4) + 101 * 960);
	CHECK_MEM(to->rtp[150].p + to->rtp[150].n - 48, p + 12, 48); /* not taken for VP8 */
	scene_side_free(to);
	scene_side_free(from);
}
TEST(rates_are_smoothed_and_end_with_the_stream)
{
	struct scene x = scene_new(MEDIA_AUTO);

	scene_play(&x, 3000000);
	/* Two packets of some 120 bytes, 25 times a second. */
	uint64_t bps = stream_bps(&x.t->stream[0], scene_now);
	CHECK(bps > 40000 && bps < 55000);
	CHECK_INT(track_layer(x.t, 2) - x.t->stream, 0);
	CHECK_INT(track_layer(x.t, 0) - x.t->stream, 2);
	x.layer[0].silent = true;
	scene_play(&x, 1200000);
	CHECK_INT(stream_bps(&x.t->stream[0], scene_now), 0);
	CHECK(stream_bps(&x.t->stream[1], scene_now) > 40000);
	scene_free(&x);
}

TEST(a_renegotiation_keeps_what_is_known_of_ssrcs)
{
	struct scene x = scene_new(MEDIA_AUTO);
	struct media_track_config same = scene_video, other = scene_video;
	uint8_t p[200];

	scene_play(&x, 400000);
	/* Publishers name the layer only until they know that it is known. */
	struct layer_source *l = &x.layer[0];
	struct rtp_header h = {.pt = 96, .ssrc = l->ssrc};
	unsigned sent = x.to->n_rtp;
	same.feedback.twcc = true;
	endpoint_change_track(&x.from->e, x.t, &same);
	for (unsigned i = 0; i < 2; i++) {
		h.seq = l->seq++;
		int n = rtp_header_write(p, 100, &h, NULL, 0);
		memset(p + n, 1, 50);
		endpoint_rtp(&x.from->e, p, (size_t)n + 50, scene_now);
		endpoint_batch_end(&x.from->e, scene_now);
		CHECK_INT(x.to->n_rtp, sent + 1);
		memcpy(other.mid, "w", 2); /* another m-section: all is open again */
		endpoint_change_track(&x.from->e, x.t, &other);
	}
	scene_free(&x);
}
