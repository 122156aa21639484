/*
 * Transport feedback: the first half of an input is read as a message from outside; the second is
 * a story of arrivals whose feedback must be readable and must come to an end.
 */
#include <assert.h>

#include "base/buf.h"
#include "rtp/twcc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_message(const uint8_t *data, size_t size)
{
	struct rtcp_msg m = {RTCP_RTPFB, RTCP_TWCC, data, size};
	struct twcc_reader r;
	struct twcc_status s;
	unsigned n = 0;

	if (twcc_read_begin(&r, &m) < 0)
		return;
	while (twcc_read(&r, &s))
		n++;
	assert(n > 0 && n <= 65535 && r.delta == r.end);
}

static void arrivals(const uint8_t *data, size_t size)
{
	static struct twcc_rx t;
	uint8_t out[1200];
	int64_t now = 1;

	t = (struct twcc_rx){0};
	for (; size >= 4; data += 4, size -= 4) {
		now += get_be16(data) * (data[0] & 1 ? 1000 : 10);
		twcc_rx_packet(&t, get_be16(data + 2), now);
		if (data[0] & 0x70)
			continue;
		for (int i = 0; twcc_rx_pending(&t); i++) {
			struct rtcp_writer w = rtcp_writer(out, sizeof(out));
			assert(i < 2 * TWCC_RX_PACKETS);
			assert(twcc_rx_write(&t, &w, 1, 2) == 0 && rtcp_check(out, w.len) == 0);
			read_message(out + 4, w.len - 4);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_message(data, size / 2);
	arrivals(data + size / 2, size - size / 2);
	return 0;
}
