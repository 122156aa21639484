/* Every reader of RTCP on every message of any datagram. */
#include <assert.h>

#include "rtp/rtcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct rtcp_msg *m)
{
	struct rtcp_report report;
	struct rtcp_remb remb;
	struct rtcp_sr sr;
	uint32_t ssrc;
	uint16_t pid, blp;
	uint8_t seq;

	rtcp_get_sr(m, &sr);
	for (unsigned i = 0; rtcp_get_report(m, i, &report) == 0; i++)
		assert(report.lost >= -0x800000 && report.lost <= 0x7fffff);
	rtcp_get_media(m, &ssrc);
	for (unsigned i = 0; rtcp_get_nack(m, i, &pid, &blp) == 0; i++)
		;
	for (unsigned i = 0; rtcp_get_fir(m, i, &ssrc, &seq) == 0; i++)
		;
	if (rtcp_get_remb(m, &remb) == 0)
		assert(remb.n_ssrc <= RTCP_REMB_SSRCS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rtcp_iter it = rtcp_begin(data, size);
	struct rtcp_msg m;
	size_t total = 0;

	while (rtcp_next(&it, &m)) {
		assert(m.body >= data && m.body + m.len <= data + size);
		read_all(&m);
		total += 4 + m.len;
	}
	if (rtcp_check(data, size) == 0)
		assert(total <= size && it.p == it.end);
	return 0;
}
