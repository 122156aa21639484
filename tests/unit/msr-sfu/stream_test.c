/* A stream's clocks. */
#include "../../../cmd/msr-sfu/fwd/stream.h"

#include "../../support/test.h"

TEST(jitter_is_measured_however_long_the_machine_is_up)
{
	static struct stream s;
	const int64_t begin_us = 5000ll * 24 * 3600 * 1000000;
	struct rtp_packet p = {.data = (const uint8_t *)"", .len = 1, .payload_len = 1};
	bool reset;
	int64_t seq;

	CHECK_INT(stream_init(&s, RTP_CODEC_VP8), 0);
	for (uint16_t i = 0; i < 500; i++) { /* each second one is a millisecond late */
		p.seq = i;
		p.ts = i * 3600u;
		CHECK(
		    stream_take(&s, &p, false, begin_us + i * 40000 + i % 2 * 1000, &seq, &reset));
	}
	CHECK(s.jitter >> 4 >= 88 && s.jitter >> 4 <= 90);
	stream_done(&s);
}

/* A publisher that is muted for hours sends no reports. */
TEST(clocks_go_on_for_days_behind_a_report)
{
	static struct stream s;
	const struct rtcp_sr sr = {.ntp = 7ull << 32 | 1u << 31, .ts = 100};
	uint64_t ntp;
	uint32_t ts;

	CHECK_INT(stream_init(&s, RTP_CODEC_VP8), 0);
	stream_sender_report(&s, &sr, 1000000);
	for (uint64_t hours = 0; hours < 100; hours++) {
		CHECK(stream_clocks(&s, (int64_t)(hours * 3600 + 1) * 1000000 + 500000, &ntp, &ts));
		CHECK_INT(ntp, (hours * 3600 + 8) << 32);
		CHECK_INT(ts, (uint32_t)(100 + hours * 3600 * 90000 + 45000));
	}
	stream_done(&s);
}
