/*
 * Forwarding: the input is a row of packets, each behind a byte that says to whom it goes and two
 * of length: RTP and RTCP of a publisher, RTCP of a receiver, what the receiver wants and its
 * network carries, and ticks. The receiver also says which packets it got, as the input tells: its
 * bandwidth is estimated, layers are chosen, and probes are sent.
 */
#include "../../../cmd/msr-sfu/fwd/endpoint.h"

#include <assert.h>
#include <string.h>

#include "../../../cmd/msr-sfu/fwd/sub.h"
#include "../../../cmd/msr-sfu/fwd/track.h"
#include "base/buf.h"

static uint8_t out[1700];

static uint8_t *wire_out(void *arg)
{
	(void)arg;
	return out;
}

static void wire_send(void *arg, size_t header, const uint8_t *payload, size_t len, uint64_t index)
{
	(void)arg;
	(void)index;
	if (header + len <= sizeof(out))
		memcpy(out + header, payload, len);
}

static void wire_flush(void *arg)
{
	(void)arg;
}

static void wire_rtcp(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	memcpy(out, p, n);
}

static const struct wire wire = {wire_out, wire_send, wire_flush, wire_rtcp};

static const struct media_track_config tracks[] = {
    {.codec = RTP_CODEC_VP8,
     .pt = 96,
     .rtx_pt = 97,
     .mid = "0",
     .feedback = {.nack = true, .pli = true}},
    {.codec = RTP_CODEC_H264,
     .pt = 98,
     .ssrc = 7,
     .mid = "1",
     .feedback = {.fir = true, .twcc = true}},
    {.codec = RTP_CODEC_AV1,
     .pt = 99,
     .mid = "2",
     .n_rids = 2,
     .rid = {"a", "b"},
     .feedback = {.remb = true}},
    {.codec = RTP_CODEC_OPUS, .pt = 111, .mid = "3"},
    {.codec = RTP_CODEC_VP8,
     .pt = 100,
     .rtx_pt = 101,
     .mid = "4",
     .n_rids = 3,
     .rid = {"a", "b", "c"},
     .feedback = {.nack = true, .pli = true}},
};
#define N_TRACKS (sizeof(tracks) / sizeof(tracks[0]))

static void set_up(struct endpoint *from, struct endpoint *to, struct media_stats *stats)
{
	struct track *t;
	struct sub *s;

	endpoint_init(from, &wire, NULL, stats);
	endpoint_init(to, &wire, NULL, stats);
	for (int k = 0; k < RTP_EXT_KINDS; k++) {
		rtp_extmap_set(&from->extmap, (enum rtp_ext_kind)k, (uint8_t)(k + 1));
		rtp_extmap_set(&to->extmap, (enum rtp_ext_kind)k, (uint8_t)(RTP_EXT_KINDS - k));
	}
	endpoint_connected(from, 1);
	endpoint_connected(to, 1);
	for (unsigned i = 0; i < N_TRACKS; i++) {
		struct media_sub_config c = {.pt = 100,
					     .rtx_pt = i & 1 ? 0 : 101,
					     .ssrc = 5000 + i,
					     .rtx_ssrc = i & 1 ? 0 : 6000 + i,
					     .mid = "1",
					     .cname = "c",
					     .feedback = {.twcc = true}};
		if (!track_new(&t, from, i + 1, &tracks[i]))
			sub_new(&s, t, to, i + 1, &c);
	}
}

/* One byte: which sub, what is wanted or carried. */
static void wish(struct endpoint *to, uint8_t byte, int64_t now)
{
	unsigned at = byte >> 4;

	list_each (i, &to->subs) {
		struct sub *s = container_of(i, struct sub, link);
		if (at--)
			continue;
		if (byte & 8)
			sub_target(s, (byte & 7) - 1, now);
		else
			sub_want(s, (enum media_level)((byte & 7) % MEDIA_LEVELS), now);
		return;
	}
}

/* Feedback about what was sent since the last one: a bit of `pattern` a packet, and its delay. */
static void acknowledge(struct endpoint *to, uint16_t *next, uint8_t pattern, int64_t now)
{
	static struct twcc_rx rx;
	uint8_t fb[1200];
	struct rtcp_writer w = rtcp_writer(fb, sizeof(fb));

	memset(&rx, 0, sizeof(rx));
	for (unsigned i = 0; *next != to->twcc_next && i < 500; i++, (*next)++)
		if (pattern >> i % 8 & 1 || !i)
			twcc_rx_packet(&rx, *next, now + (int64_t)(pattern * i % 256) * 250);
	while (twcc_rx_pending(&rx)) {
		w.len = 0;
		if (twcc_rx_write(&rx, &w, 7, 5000) < 0)
			break;
		endpoint_rtcp(to, fb, w.len, now);
	}
	uint64_t bps = congest_bps(&to->congest, now);
	assert(!bps || (bps >= CONGEST_MIN_BPS && bps <= CONGEST_MAX_BPS));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t copy[32][2048];
	struct endpoint from, to;
	struct media_stats stats = {0};
	struct rd r = rd_of(data, size);
	int64_t now = 1000000;
	uint16_t acknowledged = 0;

	set_up(&from, &to, &stats);
	for (unsigned i = 0; rd_left(&r) >= 3; i++, now += 7000) {
		uint8_t what = rd_u8(&r);
		size_t n = rd_be16(&r) % sizeof(copy[0]);
		if (n > rd_left(&r))
			n = rd_left(&r);
		uint8_t *p = copy[i % 32];
		memcpy(p, rd_bytes(&r, n), n);
		if (what % 4 == 0)
			endpoint_rtp(&from, p, n, now);
		else if (what % 4 == 1)
			endpoint_rtcp(&from, p, n, now);
		else if (what % 4 == 2)
			endpoint_rtcp(&to, p, n, now);
		else if (n)
			wish(&to, p[0], now);
		else
			now += 50000;
		if (what & 4 || i % 32 == 31)
			endpoint_batch_end(&from, now);
		if (what & 8) {
			endpoint_tick(&from, now);
			endpoint_tick(&to, now);
		}
		if (what & 16)
			acknowledge(&to, &acknowledged, n ? p[0] : 0xff, now);
		if (what & 32 && endpoint_probing(&to))
			congest_pad(&to, now + 1000);
	}
	endpoint_done(&to);
	endpoint_done(&from);
	return 0;
}
