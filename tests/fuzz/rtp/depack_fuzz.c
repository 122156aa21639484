/*
 * Depacketisers: the first byte chooses the codec; then come packets of | flags | length 8 or 16 |
 * payload |. Flags: 1 marker, 2 lost before, 4 next timestamp, 8 length has 16 bits, 16 another
 * stream, 32 nothing comes for a while.
 */
#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "rtp/depack.h"
#include "rtp/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns the sum of all that was lent: every byte can be read. */
static uint8_t take_frames(struct depack *d)
{
	struct depack_frame f;
	uint8_t sum = 0;
	size_t len;

	while (depack_next(d, &f)) {
		assert(f.len > 0 && f.len <= DEPACK_FRAME_MAX);
		for (size_t i = 0; i < f.len; i++)
			sum ^= f.data[i];
	}
	const uint8_t *private = depack_private(d, &len);
	assert(!private == !len);
	for (size_t i = 0; i < len; i++)
		sum ^= private[i];
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	uint8_t packet[RTP_PACKET_MAX] = {0x80};
	struct depack *d;
	struct rtp_packet p;
	uint32_t ts = 0;
	volatile uint8_t sum = 0;

	if (depack_new(&d, (enum rtp_codec)(1 + rd_u8(&r) % (RTP_CODECS - 1))) < 0)
		return 0;
	while (rd_ok(&r) && rd_left(&r)) {
		uint8_t flags = rd_u8(&r);
		size_t len = flags & 8 ? rd_be16(&r) : rd_u8(&r);
		const uint8_t *payload = rd_bytes(&r, len);
		if (!payload || len > sizeof(packet) - RTP_HEADER)
			break;
		ts += flags & 4 ? 3000 : 0;
		if (flags & 16)
			depack_begin(d);
		memcpy(packet + RTP_HEADER, payload, len);
		rtp_set_marker(packet, flags & 1);
		rtp_set_ts(packet, ts);
		assert(rtp_parse(&p, packet, RTP_HEADER + len, NULL) == 0);
		depack_push(d, &p, flags & 2);
		sum ^= take_frames(d);
		if (flags & 32)
			depack_flush(d);
		sum ^= take_frames(d);
	}
	depack_free(d);
	(void)sum;
	return 0;
}
