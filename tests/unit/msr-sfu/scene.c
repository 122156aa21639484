/* What publishers and encoders do, and what a receiver checks. */
#include "scene.h"

#include <stdlib.h>

#include "../../support/test.h"

#define RID 3 /* ids of header extensions */
#define MID 4

static uint8_t *side_out(void *arg)
{
	struct scene_side *b = arg;
	return b->rtp[b->n_rtp % KEPT].p;
}

static void side_send(void *arg, size_t header, const uint8_t *payload, size_t len, uint64_t index)
{
	struct scene_side *b = arg;
	(void)index;
	memcpy(b->rtp[b->n_rtp % KEPT].p + header, payload, len);
	b->rtp[b->n_rtp++ % KEPT].n = header + len;
}

static void side_flush(void *arg)
{
	(void)arg;
}

void scene_side_rtcp(void *arg, const uint8_t *p, size_t n)
{
	struct scene_side *b = arg;
	struct rtcp_msg m;
	for (struct rtcp_iter it = rtcp_begin(p, n); rtcp_next(&it, &m);) {
		rtcp_get_sr(&m, &b->sr);
		if (m.type == RTCP_PSFB && m.count == RTCP_PLI && !rtcp_get_media(&m, &b->key_ssrc))
			b->n_key_requests++;
	}
}

static void side_told(void *arg, const struct sub *s)
{
	struct scene_side *b = arg;
	b->told++;
	b->last = s->layer;
}

static const struct wire wire = {side_out, side_send, side_flush, scene_side_rtcp};
struct media_stats scene_stats;
int64_t scene_now;

struct scene_side *scene_side_new(void)
{
	struct scene_side *b = calloc(1, sizeof(*b));
	CHECK(b);
	endpoint_init(&b->e, &wire, b, &scene_stats);
	b->e.layer = side_told;
	b->e.layer_arg = b;
	rtp_extmap_set(&b->e.extmap, RTP_EXT_RID, RID);
	rtp_extmap_set(&b->e.extmap, RTP_EXT_MID, MID);
	endpoint_connected(&b->e, scene_now);
	return b;
}

void scene_side_free(struct scene_side *b)
{
	endpoint_done(&b->e);
	free(b);
}

const struct media_track_config scene_video = {.codec = RTP_CODEC_VP8,
					       .pt = 96,
					       .mid = "v",
					       .n_rids = 3,
					       .rid = {"f", "h", "q"},
					       .feedback = {.nack = true, .pli = true}};

struct scene scene_new(enum media_level want)
{
	return scene_new_of(&scene_video, want);
}

struct scene scene_new_of(const struct media_track_config *track, enum media_level want)
{
	struct media_sub_config c = {
	    .pt = 100, .rtx_pt = 101, .ssrc = 5000, .rtx_ssrc = 5001, .mid = "0", .want = want};
	struct scene x = {.layer = {{"f", 1280, 65530, 0x7ffa, 3, 11, 1000000, false, true},
				    {"h", 640, 100, 200, 250, 22, 4294960000u, false, true},
				    {"q", 320, 30000, 50, 9, 33, 777, false, true}}};

	scene_now = START;
	x.from = scene_side_new();
	x.to = scene_side_new();
	CHECK_INT(track_new(&x.t, &x.from->e, 1, track), 0);
	CHECK_INT(sub_new(&x.s, x.t, &x.to->e, 9, &c), 0);
	sub_wake(x.s, scene_now);
	return x;
}

void scene_free(struct scene *x)
{
	scene_side_free(x->to);
	scene_side_free(x->from);
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

void scene_picture(struct scene *x)
{
	static uint8_t p[6][1500];

	for (unsigned i = 0; i < 3; i++) {
		struct layer_source *l = &x->layer[i];
		l->ts += 90000 / 1000 * (FRAME / 1000);
		if (l->silent)
			continue;
		for (unsigned k = 0; k < 2; k++, l->seq++)
			endpoint_rtp(&x->from->e, p[2 * i + k],
				     packet(p[2 * i + k], l, k == 0, k == 1), scene_now);
		l->picture = (l->picture + 1) & 0x7fff;
		l->tl0++;
		l->key = false;
	}
	endpoint_batch_end(&x->from->e, scene_now);
}

void scene_play(struct scene *x, int64_t us)
{
	for (int64_t until = scene_now + us; scene_now < until; scene_now += FRAME) {
		x->from->n_key_requests = 0;
		endpoint_tick(&x->from->e, scene_now);
		endpoint_tick(&x->to->e, scene_now);
		for (unsigned i = 0; i < 3; i++)
			x->layer[i].key |=
			    x->from->n_key_requests && x->from->key_ssrc == x->layer[i].ssrc;
		scene_picture(x);
	}
}

void scene_report(struct scene *x, unsigned i, int64_t captured_us)
{
	uint8_t out[100];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	uint64_t us = (uint64_t)captured_us;
	struct rtcp_sr sr = {.ssrc = x->layer[i].ssrc,
			     .ntp = (us / 1000000 << 32) + (us % 1000000 << 32) / 1000000,
			     .ts = x->layer[i].ts};
	CHECK_INT(rtcp_put_sr(&w, &sr, NULL, 0), 0);
	endpoint_rtcp(&x->from->e, out, w.len, scene_now);
}

struct scene_seen scene_seen(const struct scene_side *b, unsigned i)
{
	struct rtp_packet p;
	struct scene_seen s;

	CHECK_INT(rtp_parse(&p, b->rtp[i].p, b->rtp[i].n, NULL), 0);
	CHECK_INT(vp8_parse(&s.d, rtp_payload(&p), p.payload_len), 0);
	s.seq = p.seq;
	s.ts = p.ts;
	s.marker = p.marker;
	return s;
}

unsigned scene_check_stream(const struct scene_side *b, unsigned from)
{
	unsigned changes = 0;
	uint16_t width = 0;

	for (unsigned i = from; i < b->n_rtp; i++) {
		struct scene_seen s = scene_seen(b, i);
		if (i == from)
			CHECK(s.d.key);
		if (s.d.key && s.d.width != width) {
			width = s.d.width;
			changes++;
		}
		CHECK_INT(s.d.keyidx, 7);
		if (i == from)
			continue;
		struct scene_seen before = scene_seen(b, i - 1);
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
