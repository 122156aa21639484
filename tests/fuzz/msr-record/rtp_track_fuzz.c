/*
 * What a call can do to its recording: any packets at any times, sender reports included. Frames
 * come out in order of time, never before what is in the file, and the muxer takes every one.
 *
 * The first byte chooses the codec. Then | what | time | ...: what & 3 is 0 for a packet of the
 * stream (sequence number and timestamp go on), 1 for one that jumps, 2 for bytes as they are, 3
 * for a sender report.
 */
#include <assert.h>
#include <string.h>

#include "../../../cmd/msr-record/rtp_track.h"
#include "base/buf.h"
#include "frame/frame.h"
#include "media/mkv.h"
#include "rtp/depack.h"
#include "rtp/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
	struct mkv mkv;
	struct buf out;
	int64_t last_us;
};

static int take(void *arg, int64_t time_us, const struct depack_frame *f)
{
	struct sink *s = arg;

	assert(time_us >= s->last_us && f->len > 0);
	s->last_us = time_us;
	assert(mkv_block(&s->mkv, &s->out, 1, time_us, f->key, f->data, f->len) == 0);
	buf_consume(&s->out, buf_len(&s->out));
	return 0;
}

static void put(struct rtp_track *t, struct sink *s, const uint8_t *packet, unsigned n,
		int64_t now_us)
{
	struct frame f = {.body = packet, .body_len = n, .time_us = now_us};

	rtp_track_put(t, &f, take, s);
}

static void feed(struct rtp_track *t, struct sink *s, struct rd *r)
{
	uint8_t packet[RTP_HEADER + 255] = {0x80};
	int64_t now_us = 1000000;
	uint16_t seq = 65000;
	uint32_t ts = 0xffffff00;

	while (rd_ok(r) && rd_left(r)) {
		uint8_t what = rd_u8(r), n;
		now_us += rd_u8(r) * (what & 0x80 ? 50000 : 1000);
		if ((what & 3) == 3) {
			timeline_report(&t->time, ts + rd_be16(r), now_us + rd_be16(r) * 100);
			continue;
		}
		if ((what & 3) == 1) {
			seq = rd_be16(r);
			ts = rd_be32(r);
		}
		n = rd_u8(r);
		const uint8_t *payload = rd_bytes(r, n);
		if (!payload)
			return;
		if ((what & 3) == 2) {
			put(t, s, payload, n, now_us);
			continue;
		}
		memcpy(packet + RTP_HEADER, payload, n);
		rtp_set_marker(packet, what & 4);
		rtp_set_seq(packet, seq);
		rtp_set_ts(packet, ts);
		rtp_set_ssrc(packet, what >> 4 & 1);
		seq = (uint16_t)(seq + 1 + (what >> 3 & 1)); /* bit 3: the next one is lost */
		ts += what & 4 ? 960 : 0;
		put(t, s, packet, RTP_HEADER + n, now_us);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	enum rtp_codec codec = (enum rtp_codec)(1 + rd_u8(&r) % (RTP_CODECS - 1));
	struct mkv_track track = {.codec = MKV_VP8, .width = 1, .height = 1};
	struct sink s = {0};
	struct rtp_track t;

	mkv_init(&s.mkv, 1000000);
	mkv_add_track(&s.mkv, &track);
	buf_init(&s.out, 0);
	if (rtp_track_init(&t, codec, 1000000) == 0) {
		feed(&t, &s, &r);
		rtp_track_drain(&t, take, &s);
		rtp_track_done(&t);
	}
	buf_done(&s.out);
	return 0;
}
