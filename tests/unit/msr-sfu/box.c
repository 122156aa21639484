#include "box.h"

#include <stdlib.h>

#include "../../../cmd/msr-sfu/fwd/sub.h"
#include "../../../cmd/msr-sfu/fwd/track.h"
#include "../../support/test.h"

#define PAYLOAD 100 /* bytes, of each picture */

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

static void box_burst(void *arg)
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

static const struct wire wire = {box_out, box_send, box_burst, box_rtcp};
struct media_stats box_stats;
int64_t box_now;
uint8_t box_pt = 96;

struct box *box_new(void)
{
	struct box *b = calloc(1, sizeof(*b));
	CHECK(b);
	endpoint_init(&b->e, &wire, b, &box_stats);
	endpoint_connected(&b->e, box_now);
	return b;
}

void box_free(struct box *b)
{
	endpoint_done(&b->e);
	free(b);
}

const struct media_track_config box_video = {.codec = RTP_CODEC_VP8,
					     .pt = 96,
					     .rtx_pt = 97,
					     .ssrc = 1000,
					     .rtx_ssrc = 1001,
					     .feedback = {.nack = true, .pli = true}};

struct track *box_publish(struct box *b, const struct media_track_config *c)
{
	struct track *t;
	CHECK_INT(track_new(&t, &b->e, 1, c), 0);
	return t;
}

struct sub *box_subscribe(struct track *t, struct box *b, bool rtx)
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
	sub_wake(s, box_now);
	return s;
}

/* VP8: a descriptor with S, then a frame tag whose lowest bit says "no key frame". */
static size_t put_picture(uint8_t *p, uint16_t seq, bool key)
{
	memset(p, 0, PAYLOAD);
	p[0] = 0x10;
	p[1] = key ? 0 : 1;
	if (key)
		memcpy(p + 4, "\x9d\x01\x2a", 3);
	put_be16(p + PAYLOAD - 2, seq); /* a mark of its own */
	return PAYLOAD;
}

static uint8_t *room_for_packet(void)
{
	static uint8_t ring[64][1500];
	static unsigned i;

	return ring[i++ % 64];
}

/* Header and, where it was agreed, the number for transport feedback. */
static size_t put_header(uint8_t *p, const struct box *b, const struct rtp_header *h)
{
	static const uint8_t twcc[2];
	struct rtp_ext_item item = {b->e.extmap.id[RTP_EXT_TWCC], 2, 0, twcc};
	bool numbered = item.id != 0;
	int n = rtp_header_write(p, 100, h, &item, numbered);

	if (numbered)
		rtp_ext_put_twcc(p, item.off, h->seq);
	return (size_t)n;
}

void box_feed_from(struct box *b, uint32_t ssrc, uint16_t seq, bool key)
{
	struct rtp_header h = {.pt = box_pt, .seq = seq, .ts = seq * 3000u, .ssrc = ssrc};
	uint8_t *p = room_for_packet();
	size_t n = put_header(p, b, &h);

	endpoint_rtp(&b->e, p, n + put_picture(p + n, seq, key), box_now);
}

void box_feed(struct box *b, uint16_t seq, bool key)
{
	box_feed_from(b, 1000, seq, key);
}

void box_feed_rtx(struct box *b, uint16_t seq)
{
	struct rtp_header h = {
	    .pt = 97, .seq = seq /* whatever */, .ts = seq * 3000u, .ssrc = 1001};
	uint8_t *p = room_for_packet();
	size_t n = put_header(p, b, &h);

	put_be16(p + n, seq);
	endpoint_rtp(&b->e, p, n + 2 + put_picture(p + n + 2, seq, false), box_now);
}

void box_feed_padding(struct box *b, uint16_t seq)
{
	struct rtp_header h = {.pt = 96, .seq = seq, .ssrc = 1000};
	uint8_t *p = room_for_packet();
	size_t n = put_header(p, b, &h);

	p[0] |= 0x20;
	memset(p + n, 0, 20);
	p[n + 19] = 20;
	endpoint_rtp(&b->e, p, n + 20, box_now);
}

void box_flush(struct box *b)
{
	endpoint_batch_end(&b->e, box_now);
}

uint16_t box_number(const struct box *b, unsigned i)
{
	return get_be16(b->rtp[i].p + 2);
}

uint16_t box_mark(const struct box *b, unsigned i)
{
	return get_be16(b->rtp[i].p + b->rtp[i].n - 2);
}

unsigned box_count(const struct box *b, uint8_t type, uint8_t fmt)
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

void box_nack(struct box *b, uint16_t seq)
{
	uint8_t out[100];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	CHECK_INT(rtcp_put_nack(&w, 7, 5000, &seq, 1), 0);
	endpoint_rtcp(&b->e, out, w.len, box_now);
}
