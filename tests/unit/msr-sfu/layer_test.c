/* Layers of simulcast without a network: order, life, moving over, times, pictures, repair. */
#include "../../../cmd/msr-sfu/fwd/layer.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../../cmd/msr-sfu/fwd/endpoint.h"
#include "../../../cmd/msr-sfu/fwd/sub.h"
#include "../../../cmd/msr-sfu/fwd/track.h"
#include "../../support/test.h"
#include "frame/frame.h"
#include "frame/ring.h"
#include "frame/sink.h"
#include "loop/loop.h"
#include "rtp/codec/vp8.h"

#define KEPT  4096
#define RID   3 /* ids of header extensions */
#define MID   4
#define START 10000000 /* us */
#define FRAME 40000    /* us */

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

struct box {
	struct endpoint e;
	struct {
		uint8_t p[1600];
		size_t n;
	} rtp[KEPT];
	unsigned n_rtp, told;
	struct layer last; /* when the receiver was told of a layer */
	unsigned n_key_requests;
	uint32_t key_ssrc;
	struct rtcp_sr sr; /* the last one */
};

static uint8_t *box_out(void *arg)
{
	struct box *b = arg;
	return b->rtp[b->n_rtp % KEPT].p;
}

static void box_send(void *arg, size_t header, const uint8_t *payload, size_t len, uint64_t index)
{
	struct box *b = arg;
	(void)index;
	memcpy(b->rtp[b->n_rtp % KEPT].p + header, payload, len);
	b->rtp[b->n_rtp++ % KEPT].n = header + len;
}

static void box_flush(void *arg)
{
	(void)arg;
}

static void box_rtcp(void *arg, const uint8_t *p, size_t n)
{
	struct box *b = arg;
	struct rtcp_msg m;
	for (struct rtcp_iter it = rtcp_begin(p, n); rtcp_next(&it, &m);) {
		rtcp_get_sr(&m, &b->sr);
		if (m.type == RTCP_PSFB && m.count == RTCP_PLI && !rtcp_get_media(&m, &b->key_ssrc))
			b->n_key_requests++;
	}
}

static void box_told(void *arg, const struct sub *s)
{
	struct box *b = arg;
	b->told++;
	b->last = s->layer;
}

static const struct wire wire = {box_out, box_send, box_flush, box_rtcp};
static struct media_stats stats;
static int64_t now;

static struct box *box_new(void)
{
	struct box *b = calloc(1, sizeof(*b));
	CHECK(b);
	endpoint_init(&b->e, &wire, b, &stats);
	b->e.layer = box_told;
	b->e.layer_arg = b;
	rtp_extmap_set(&b->e.extmap, RTP_EXT_RID, RID);
	rtp_extmap_set(&b->e.extmap, RTP_EXT_MID, MID);
	endpoint_connected(&b->e, now);
	return b;
}

static void box_free(struct box *b)
{
	endpoint_done(&b->e);
	free(b);
}

/* What a publisher's encoder does. */
struct layer_source {
	const char *rid;
	uint16_t width, seq, picture;
	uint8_t tl0;
	uint32_t ssrc, ts;
	bool silent, key;
};

struct scene {
	struct box *from, *to;
	struct track *t;
	struct sub *s;
	struct layer_source layer[3];
};

static const struct media_track_config video = {.codec = RTP_CODEC_VP8,
						.pt = 96,
						.mid = "v",
						.n_rids = 3,
						.rid = {"f", "h", "q"},
						.feedback = {.nack = true, .pli = true}};

static struct scene scene_new(enum media_level want)
{
	struct media_sub_config c = {
	    .pt = 100, .rtx_pt = 101, .ssrc = 5000, .rtx_ssrc = 5001, .mid = "0", .want = want};
	struct scene x = {.layer = {{"f", 1280, 65530, 0x7ffa, 3, 11, 1000000, false, true},
				    {"h", 640, 100, 200, 250, 22, 4294960000u, false, true},
				    {"q", 320, 30000, 50, 9, 33, 777, false, true}}};

	now = START;
	x.from = box_new();
	x.to = box_new();
	CHECK_INT(track_new(&x.t, &x.from->e, 1, &video), 0);
	CHECK_INT(sub_new(&x.s, x.t, &x.to->e, 9, &c), 0);
	sub_wake(x.s, now);
	return x;
}

static void scene_free(struct scene *x)
{
	box_free(x->to);
	box_free(x->from);
}

static size_t packet(uint8_t *p, const struct layer_source *l, bool start, bool marker)
{
	struct rtp_header h = {
	    .pt = 96, .marker = marker, .seq = l->seq, .ts = l->ts, .ssrc = l->ssrc};
	struct rtp_ext_item items[] = {
	    {.id = RID, .len = 1, .value = (const uint8_t *)l->rid},
	    {.id = MID, .len = 1, .value = (const uint8_t *)"v"},
	};
	int n = rtp_header_write(p, 100, &h, items, 2);
	uint8_t *d = p + n;

	CHECK(n > 0);
	memset(d, 0, 100);
	d[0] = start ? 0x90 : 0x80;
	d[1] = 0xf0; /* I L T K */
	put_be16(d + 2, 0x8000 | l->picture);
	d[4] = l->tl0;
	d[5] = 0x20 | 7; /* Y, KEYIDX 7 */
	d[6] = start && l->key ? 0 : 1;
	if (start && l->key) {
		put_be24(d + 9, 0x9d012a);
		d[12] = (uint8_t)l->width;
		d[13] = (uint8_t)(l->width >> 8);
		d[14] = (uint8_t)(l->width / 2);
		d[15] = (uint8_t)(l->width / 2 >> 8);
	}
	return (size_t)n + 100;
}

/* One picture of two packets of each layer that is not silent. */
static void picture(struct scene *x)
{
	static uint8_t p[6][1500];

	for (unsigned i = 0; i < 3; i++) {
		struct layer_source *l = &x->layer[i];
		l->ts += 90000 / 1000 * (FRAME / 1000);
		if (l->silent)
			continue;
		for (unsigned k = 0; k < 2; k++, l->seq++)
			endpoint_rtp(&x->from->e, p[2 * i + k],
				     packet(p[2 * i + k], l, k == 0, k == 1), now);
		l->picture = (l->picture + 1) & 0x7fff;
		l->tl0++;
		l->key = false;
	}
	endpoint_batch_end(&x->from->e, now);
}

/* Pictures for a while, with an encoder that gives key frames when it is asked. */
static void play(struct scene *x, int64_t us)
{
	for (int64_t until = now + us; now < until; now += FRAME) {
		x->from->n_key_requests = 0;
		endpoint_tick(&x->from->e, now);
		endpoint_tick(&x->to->e, now);
		for (unsigned i = 0; i < 3; i++)
			x->layer[i].key |=
			    x->from->n_key_requests && x->from->key_ssrc == x->layer[i].ssrc;
		picture(x);
	}
}

static void report(struct scene *x, unsigned i, int64_t captured_us)
{
	uint8_t out[100];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	uint64_t us = (uint64_t)captured_us;
	struct rtcp_sr sr = {.ssrc = x->layer[i].ssrc,
			     .ntp = (us / 1000000 << 32) + (us % 1000000 << 32) / 1000000,
			     .ts = x->layer[i].ts};
	CHECK_INT(rtcp_put_sr(&w, &sr, NULL, 0), 0);
	endpoint_rtcp(&x->from->e, out, w.len, now);
}

struct seen {
	struct vp8_desc d;
	uint16_t seq;
	uint32_t ts;
	bool marker;
};

static struct seen at(const struct box *b, unsigned i)
{
	struct rtp_packet p;
	struct seen s;

	CHECK_INT(rtp_parse(&p, b->rtp[i].p, b->rtp[i].n, NULL), 0);
	CHECK_INT(vp8_parse(&s.d, rtp_payload(&p), p.payload_len), 0);
	s.seq = p.seq;
	s.ts = p.ts;
	s.marker = p.marker;
	return s;
}

/* Numbers, pictures and times go on as those of one stream do; returns how many sizes there were.
 */
static unsigned check_stream(const struct box *b, unsigned from)
{
	unsigned changes = 0;
	uint16_t width = 0;

	for (unsigned i = from; i < b->n_rtp; i++) {
		struct seen s = at(b, i);
		if (i == from)
			CHECK(s.d.key);
		if (s.d.key && s.d.width != width) {
			width = s.d.width;
			changes++;
		}
		CHECK_INT(s.d.keyidx, 7);
		if (i == from)
			continue;
		struct seen before = at(b, i - 1);
		CHECK_INT(s.seq, (uint16_t)(before.seq + 1));
		CHECK_INT(s.d.start, before.marker);
		CHECK_INT(s.d.picture_bits, 15);
		CHECK_INT(s.d.picture_id, (before.d.picture_id + s.d.start) & 0x7fff);
		CHECK_INT(s.d.tl0picidx, (uint8_t)(before.d.tl0picidx + s.d.start));
		if (s.d.start)
			CHECK((int32_t)(s.ts - before.ts) > 0);
		else
			CHECK_INT(s.ts, before.ts);
	}
	return changes;
}

TEST(the_viewer_goes_through_all_layers_without_a_seam)
{
	struct scene x = scene_new(MEDIA_AUTO);

	play(&x, 400000);
	CHECK_INT(x.s->layer.current, 0);
	sub_want(x.s, MEDIA_LOW, now);
	CHECK_INT(sub_wanted(x.s), 0);
	CHECK_INT(x.s->layer.current, 0); /* until the other has a key frame */
	play(&x, 200000);
	CHECK_INT(x.s->layer.current, 2);
	sub_want(x.s, MEDIA_MID, now);
	play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 1);
	sub_want(x.s, MEDIA_HIGH, now);
	play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 0);
	CHECK_INT(x.to->last.reason, MEDIA_WANTED);
	CHECK(check_stream(x.to, 0) >= 4);
	/* Every moment from the first on was shown. */
	CHECK(x.to->n_rtp >= 2 * 2600000 / FRAME - 4);
	scene_free(&x);
}

/* A publisher that is asked for a key frame gives one of each layer, at one time. */
TEST(times_do_not_jump_where_several_layers_begin_in_one_burst)
{
	struct scene x = scene_new(MEDIA_AUTO);

	picture(&x);
	CHECK_INT(x.to->n_rtp, 6); /* each layer is better than the one before, as far as known */
	for (unsigned i = 1; i < x.to->n_rtp; i++)
		CHECK((int32_t)(at(x.to, i).ts - at(x.to, i - 1).ts) <= 90);
	scene_free(&x);
}

TEST(off_sends_nothing_and_back_goes_on)
{
	struct scene x = scene_new(MEDIA_LOW);

	play(&x, 400000);
	sub_want(x.s, MEDIA_OFF, now);
	CHECK_INT(sub_wanted(x.s), -1);
	CHECK_INT(x.to->last.target, LAYER_NONE);
	unsigned sent = x.to->n_rtp, told = x.to->told;
	play(&x, 4000000);
	CHECK_INT(x.to->n_rtp, sent);
	sub_want(x.s, MEDIA_HIGH, now);
	play(&x, 200000);
	CHECK(x.to->n_rtp > sent);
	CHECK_INT(x.to->told, told + 1);
	check_stream(x.to, 0);
	/* Time went on. */
	int32_t pause = (int32_t)(at(x.to, sent).ts - at(x.to, sent - 1).ts);
	CHECK(pause > 90000 * 39 / 10 && pause < 90000 * 43 / 10);
	scene_free(&x);
}

TEST(what_the_network_carries_bounds_what_the_viewer_wants)
{
	struct scene x = scene_new(MEDIA_AUTO);

	play(&x, 400000);
	sub_target(x.s, 1, now);
	play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 1);
	CHECK_INT(x.to->last.reason, MEDIA_BANDWIDTH);
	sub_want(x.s, MEDIA_LOW, now);
	play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 2);
	sub_want(x.s, MEDIA_AUTO, now);
	play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 1); /* the network has not become better */
	sub_target(x.s, -1, now);
	unsigned sent = x.to->n_rtp;
	play(&x, 400000);
	CHECK_INT(x.to->n_rtp, sent);
	sub_target(x.s, 2, now);
	play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 0);
	check_stream(x.to, 0);
	scene_free(&x);
}

TEST(a_layer_that_stops_is_left_within_a_second_and_taken_again)
{
	struct scene x = scene_new(MEDIA_AUTO);

	play(&x, 2000000);
	unsigned told = x.to->told, sent = x.to->n_rtp;
	x.layer[0].silent = true;
	int64_t from = now;
	while (x.to->n_rtp == sent && now - from < 2000000)
		play(&x, FRAME);
	CHECK(now - from < 1000000);
	CHECK_INT(x.s->layer.current, 1);
	CHECK_INT(x.to->told, told + 1);
	CHECK_INT(x.to->last.reason, MEDIA_SOURCE);
	play(&x, 1000000);
	x.layer[0].silent = false;
	x.layer[0].key = true;
	play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 0);
	check_stream(x.to, 0);
	scene_free(&x);
}

TEST(times_go_on_by_reports_and_never_back)
{
	struct scene x = scene_new(MEDIA_LOW);

	play(&x, 400000);
	report(&x, 2, 100000000);
	report(&x, 0, 100062500); /* what comes together was not seen together */
	play(&x, 400000);
	struct rtcp_sr low = x.to->sr;
	sub_want(x.s, MEDIA_HIGH, now);
	unsigned sent = x.to->n_rtp;
	play(&x, 400000);
	CHECK_INT(x.s->layer.current, 0);
	check_stream(x.to, 0);
	/* One of the camera's steps after the other, but for the change. */
	for (unsigned i = sent; i < x.to->n_rtp; i += 2)
		CHECK_INT(at(x.to, i).ts - at(x.to, i - 1).ts,
			  at(x.to, i).d.key ? 3600 + 5625 : 3600);
	/* The receiver was told at once, and its line from times to moments is the same. */
	CHECK_INT(low.ssrc, 5000);
	CHECK(x.to->sr.ntp > low.ntp);
	uint64_t apart = (x.to->sr.ntp - low.ntp) >> 16; /* 16.16 s */
	int64_t off = (int64_t)(x.to->sr.ts - low.ts) - (int64_t)(apart * 90000 >> 16);
	CHECK(off >= -3 && off <= 3);
	/* A target whose clock says that its key frame is older than what went out already. */
	report(&x, 0, 200060000);
	report(&x, 2, 200000000);
	sub_want(x.s, MEDIA_LOW, now);
	play(&x, 1000000);
	CHECK_INT(x.s->layer.current, 2);
	check_stream(x.to, 0);
	scene_free(&x);
}

TEST(a_nack_is_answered_over_changes_of_the_layer)
{
	struct scene x = scene_new(MEDIA_AUTO);
	uint8_t out[100];
	unsigned n_replaced = 0, n_answered = 0;

	play(&x, 400000);
	for (unsigned i = 0; i < 4; i++) {
		sub_want(x.s, i & 1 ? MEDIA_HIGH : MEDIA_LOW, now);
		play(&x, 1000000);
	}
	unsigned sent = x.to->n_rtp;
	CHECK(check_stream(x.to, 0) >= 5);
	for (unsigned i = sent - 100; i < sent; i += 3) {
		struct rtcp_writer w = rtcp_writer(out, sizeof(out));
		uint16_t seq = at(x.to, i).seq;
		CHECK_INT(rtcp_put_nack(&w, 7, 5000, &seq, 1), 0);
		unsigned n = x.to->n_rtp;
		endpoint_rtcp(&x.to->e, out, w.len, now);
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

	play(&x, 400000);
	sub_want(x.s, MEDIA_LOW, now);
	for (int64_t until = now + 4000000; now < until; now += 20000) {
		x.from->n_key_requests = 0;
		endpoint_tick(&x.from->e, now); /* and the publisher does not care */
		asked += x.from->n_key_requests;
		if (x.from->n_key_requests)
			CHECK_INT(x.from->key_ssrc, 33);
		picture(&x);
	}
	CHECK(asked >= 4 && asked <= 6);
	CHECK_INT(x.s->layer.current, 0);
	check_stream(x.to, 0); /* and the old layer went on all the time */
	scene_free(&x);
}

TEST(sound_is_paused_and_goes_on_where_it_was)
{
	struct media_track_config c = {.codec = RTP_CODEC_OPUS, .pt = 111, .ssrc = 7};
	struct media_sub_config sc = {.pt = 111, .ssrc = 5000};
	uint8_t p[100] = {0x80, 111};
	struct track *t;
	struct sub *s;

	now = START;
	struct box *from = box_new(), *to = box_new();
	CHECK_INT(track_new(&t, &from->e, 1, &c), 0);
	CHECK_INT(sub_new(&s, t, &to->e, 9, &sc), 0);
	put_be32(p + 8, 7);
	for (uint16_t i = 0; i < 300; i++, now += 20000) {
		if (i == 100)
			sub_want(s, MEDIA_OFF, now);
		if (i == 200)
			sub_want(s, MEDIA_AUTO, now);
		put_be16(p + 2, i);
		put_be32(p + 4, i * 960u);
		memcpy(p + 12, "\xfc\xf0\x81\x23\x45", 5); /* could be VP8 with all it has */
		endpoint_rtp(&from->e, p, 60, now);
		endpoint_batch_end(&from->e, now);
	}
	CHECK_INT(to->n_rtp, 200);
	CHECK_INT(to->told, 2); /* off and on; that it began is not news */
	CHECK_INT(get_be16(to->rtp[100].p + 2), get_be16(to->rtp[99].p + 2) + 1);
	CHECK_INT(get_be32(to->rtp[100].p + 4), get_be32(to->rtp[99].p + 4) + 101 * 960);
	CHECK_MEM(to->rtp[150].p + to->rtp[150].n - 48, p + 12, 48); /* not taken for VP8 */
	box_free(to);
	box_free(from);
}

/* What the recorder got, as if it were a receiver. */
static struct box *recorded(const char *path, uint32_t *ts, uint32_t *sr_ts)
{
	static uint8_t bytes[4 << 20];
	struct box *b = calloc(1, sizeof(*b));
	FILE *f = fopen(path, "r");
	struct frame fr;
	long n;

	CHECK(b && f);
	size_t len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	for (size_t at = 0; at < len; at += (size_t)n) {
		n = frame_decode(bytes + at, len - at, &fr, NULL);
		CHECK(n > 0);
		if (fr.kind == FRAME_RTCP) {
			box_rtcp(b, fr.body, fr.body_len);
			*sr_ts = b->sr.ts;
		}
		if (fr.kind != FRAME_RTP)
			continue;
		CHECK_INT(get_be32(fr.body + 8),
			  b->n_rtp ? get_be32(b->rtp[0].p + 8) : get_be32(fr.body + 8));
		memcpy(b->rtp[b->n_rtp].p, fr.body, fr.body_len);
		b->rtp[b->n_rtp++].n = fr.body_len;
		*ts = get_be32(fr.body + 4);
	}
	return b;
}

TEST(the_recorder_gets_the_best_layer_as_one_stream)
{
	static const struct tap_config who = {.room = "r", .user = "u"};
	struct scene x = scene_new(MEDIA_LOW);
	uint32_t ts = 0, sr_ts = 0;
	struct tap_sink sink;
	char path[200];

	snprintf(path, sizeof(path), "%s/sink", test_dir());
	CHECK_INT(tap_sink_open(&sink, path, NULL, &stats), 0);
	CHECK_INT(tap_open(&x.t->tap, &sink, &who, x.t), 0);
	play(&x, 1000000);
	CHECK_INT(x.t->tap->layer.current, 0); /* whatever the viewer wants */
	for (unsigned i = 0; i < 2; i++) {
		x.layer[0].silent = true;
		play(&x, 1500000);
		CHECK_INT(x.t->tap->layer.current, 1);
		x.layer[0].silent = false;
		x.layer[0].key = true;
		play(&x, 1500000);
		CHECK_INT(x.t->tap->layer.current, 0);
	}
	for (unsigned i = 0; i < 3; i++) /* only that of the present layer is for the recorder */
		report(&x, i, 100000000 + i * 1000000);
	scene_free(&x);
	tap_sink_close(&sink);
	struct box *b = recorded(path, &ts, &sr_ts);
	CHECK(b->n_rtp > 2 * 4500000 / FRAME);
	CHECK(check_stream(b, 0) >= 5);
	CHECK_INT(b->sr.ssrc, get_be32(b->rtp[0].p + 8));
	CHECK_INT(b->sr.ntp >> 32, 100);
	CHECK_INT(sr_ts, ts);
	free(b);
}

TEST(a_recorder_that_begins_anew_gets_a_key_frame)
{
	static const struct tap_config who = {.room = "r", .user = "u"};
	struct scene x = scene_new(MEDIA_OFF);
	struct tap_sink sink;
	struct ring *reader;

	setenv("MSR_RING_DIR", test_dir(), 1);
	CHECK_INT(tap_sink_open(&sink, "shm:tap", NULL, &stats), 0);
	CHECK_INT(tap_open(&x.t->tap, &sink, &who, x.t), 0);
	play(&x, 1000000);
	tap_sink_flush(&sink);
	play(&x, 1000000);
	CHECK_INT(x.from->n_key_requests, 0); /* it has one, and nobody begins */
	CHECK_INT(ring_open(&reader, "tap", RING_CONSUMER, 0), 0);
	tap_sink_flush(&sink);
	x.from->n_key_requests = 0;
	endpoint_tick(&x.from->e, now);
	CHECK_INT(x.from->n_key_requests, 1);
	CHECK_INT(x.from->key_ssrc, x.layer[0].ssrc);
	ring_close(reader);
	scene_free(&x);
	tap_sink_close(&sink);
	ring_unlink("tap");
}

/* What lies in the ring is safe and makes room; the kind of the last record, 0: there is none. */
static int last_kind(struct ring *reader)
{
	const uint8_t *data;
	long len = ring_peek(reader, &data);
	struct frame f = {0};

	for (long at = 0, n; at < len; at += n) {
		n = frame_decode(data + at, (size_t)(len - at), &f, NULL);
		CHECK(n > 0);
	}
	ring_advance(reader, (size_t)len);
	ring_commit(reader, ring_cursor(reader));
	return f.kind;
}

TEST(the_end_of_a_recording_waits_for_room)
{
	static const struct tap_config who = {.room = "r", .user = "u"};
	struct frame junk = {
	    .kind = FRAME_TEXT, .room = "r", .room_len = 1, .session = "u", .session_len = 1};
	struct scene x = scene_new(MEDIA_OFF);
	struct tap_sink sink;
	struct ring *reader;
	struct loop *loop;

	setenv("MSR_RING_DIR", test_dir(), 1);
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(ring_open(&reader, "end", RING_CONSUMER, 65536), 0);
	CHECK_INT(tap_sink_open(&sink, "shm:end", loop, &stats), 0);
	for (unsigned round = 0; round < 2; round++) {
		CHECK_INT(tap_open(&x.t->tap, &sink, &who, x.t), 0);
		while (sink_put(sink.sink, &junk, NULL) == 0)
			;
		tap_close(x.t->tap);
		tap_sink_flush(&sink);
		CHECK_INT(last_kind(reader), FRAME_TEXT);
		if (round) { /* who comes again before that goes on in it */
			CHECK_INT(tap_open(&x.t->tap, &sink, &who, x.t), 0);
			tap_sink_flush(&sink);
			CHECK_INT(last_kind(reader), 0);
			tap_close(x.t->tap);
		}
		tap_sink_flush(&sink);
		CHECK_INT(last_kind(reader), FRAME_CLOSE);
		tap_sink_flush(&sink);
		CHECK_INT(last_kind(reader), 0);
	}
	x.t->tap = NULL;
	scene_free(&x);
	tap_sink_close(&sink);
	ring_close(reader);
	ring_unlink("end");
	loop_free(loop);
}

TEST(rates_are_smoothed_and_end_with_the_stream)
{
	struct scene x = scene_new(MEDIA_AUTO);

	play(&x, 3000000);
	/* Two packets of some 120 bytes, 25 times a second. */
	uint64_t bps = stream_bps(&x.t->stream[0], now);
	CHECK(bps > 40000 && bps < 55000);
	CHECK_INT(track_layer(x.t, 2) - x.t->stream, 0);
	CHECK_INT(track_layer(x.t, 0) - x.t->stream, 2);
	x.layer[0].silent = true;
	play(&x, 1200000);
	CHECK_INT(stream_bps(&x.t->stream[0], now), 0);
	CHECK(stream_bps(&x.t->stream[1], now) > 40000);
	scene_free(&x);
}

TEST(a_renegotiation_keeps_what_is_known_of_ssrcs)
{
	struct scene x = scene_new(MEDIA_AUTO);
	struct media_track_config same = video, other = video;
	uint8_t p[200];

	play(&x, 400000);
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
		endpoint_rtp(&x.from->e, p, (size_t)n + 50, now);
		endpoint_batch_end(&x.from->e, now);
		CHECK_INT(x.to->n_rtp, sent + 1);
		memcpy(other.mid, "w", 2); /* another m-section: all is open again */
		endpoint_change_track(&x.from->e, x.t, &other);
	}
	scene_free(&x);
}
