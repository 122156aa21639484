/*
 * The bandwidth estimate: any feedback, true or not, at any time. It stays within its bounds, and
 * a probe never wants more than a moment's worth of padding.
 */
#include <assert.h>

#include "base/buf.h"
#include "rtp/bwe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Records of | what 8 | length or time 8 | ... */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bwe b;
	struct rd r = rd_of(data, size);
	int64_t now_us = 1000000;
	uint16_t seq = 65000;

	bwe_init(&b, 500000, 50000, 20000000);
	bwe_want(&b, 5000000);
	while (rd_ok(&r) && rd_left(&r)) {
		uint8_t what = rd_u8(&r), n = rd_u8(&r);
		now_us += n * ((what & 0x80) ? 20000 : 100);
		if ((what & 3) == 0) {
			for (unsigned i = 0; i < n; i++)
				bwe_sent(&b, seq++, 1200, now_us);
		} else if ((what & 3) == 1) {
			const uint8_t *body = rd_bytes(&r, n);
			struct rtcp_msg m = {RTCP_RTPFB, RTCP_TWCC, body, n};
			if (body)
				bwe_feedback(&b, &m, now_us);
		}
		unsigned padding = bwe_padding(&b, now_us);
		assert(padding <= 20000000 / 8);
		for (; padding >= 1200; padding -= 1200)
			bwe_sent(&b, seq++, 1200, now_us);
		assert(bwe_bps(&b) >= 50000 && bwe_bps(&b) <= 20000000);
	}
	return 0;
}
