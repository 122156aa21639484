/* RTCP: each message written and read back, and compounds that must be refused. */
#include "rtp/rtcp.h"

#include <errno.h>

#include "../../support/test.h"
#include "base/buf.h"

static uint8_t out[1500];

static struct rtcp_writer writer(void)
{
	return rtcp_writer(out, sizeof(out));
}

/* The i-th message of what was written. */
static struct rtcp_msg message(const struct rtcp_writer *w, unsigned i)
{
	struct rtcp_iter it = rtcp_begin(w->p, w->len);
	struct rtcp_msg m = {0};

	CHECK_INT(rtcp_check(w->p, w->len), 0);
	do
		CHECK(rtcp_next(&it, &m));
	while (i--);
	return m;
}

TEST(sender_report_with_reports_sdes_and_bye)
{
	struct rtcp_writer w = writer();
	struct rtcp_sr sr = {
	    .ssrc = 1, .ntp = 0x0123456789abcdef, .ts = 5, .packets = 6, .bytes = 7};
	struct rtcp_report in[2] = {{.ssrc = 9,
				     .fraction_lost = 25,
				     .lost = -3,
				     .highest = 70000,
				     .jitter = 4,
				     .lsr = 8,
				     .dlsr = 65536},
				    {.ssrc = 10, .lost = 0x7fffffff}};
	struct rtcp_sr sr2;
	struct rtcp_report r;

	CHECK_INT(rtcp_put_sr(&w, &sr, in, 2), 0);
	CHECK_INT(rtcp_put_sdes(&w, 1, "anna@host"), 0);
	struct rtcp_msg m = message(&w, 0);
	CHECK_INT(m.type, RTCP_SR);
	CHECK_INT(rtcp_get_sr(&m, &sr2), 0);
	/* Not as memory: what lies between the fields is anything. */
	CHECK(sr2.ssrc == sr.ssrc && sr2.ntp == sr.ntp && sr2.ts == sr.ts);
	CHECK(sr2.packets == sr.packets && sr2.bytes == sr.bytes);
	CHECK_INT(rtcp_get_report(&m, 0, &r), 0);
	CHECK(r.ssrc == 9 && r.fraction_lost == 25 && r.lost == -3 && r.highest == 70000);
	CHECK(r.jitter == 4 && r.lsr == 8 && r.dlsr == 65536);
	CHECK_INT(rtcp_get_report(&m, 1, &r), 0);
	CHECK_INT(r.lost, 0x7fffff); /* clamped to 24 bits */
	CHECK_INT(rtcp_get_report(&m, 2, &r), -ENOENT);

	m = message(&w, 1);
	CHECK_INT(m.type, RTCP_SDES);
	CHECK_INT(m.len, 16);
	CHECK_MEM(m.body,
		  "\0\0\0\1\1\x9"
		  "anna@host\0",
		  16);
}

TEST(lost_packets_are_packed_into_pairs)
{
	static const uint16_t seq[] = {65530, 65531, 65535, 10, 11, 27, 28};
	struct rtcp_writer w = writer();
	uint16_t pid, blp;
	uint32_t media;

	CHECK_INT(rtcp_put_nack(&w, 1, 2, seq, 7), 0);
	struct rtcp_msg m = message(&w, 0);
	CHECK_INT(rtcp_get_media(&m, &media), 0);
	CHECK_INT(media, 2);
	CHECK_INT(rtcp_get_nack(&m, 0, &pid, &blp), 0);
	CHECK_INT(pid, 65530);
	CHECK_INT(blp, 1 | 1 << 4 | 1 << 15); /* 65531, 65535, and 10, over the wrap */
	CHECK_INT(rtcp_get_nack(&m, 1, &pid, &blp), 0);
	CHECK_INT(pid, 11);
	CHECK_INT(blp, 1 << 15);
	CHECK_INT(rtcp_get_nack(&m, 2, &pid, &blp), 0);
	CHECK_INT(pid, 28);
	CHECK_INT(rtcp_get_nack(&m, 3, &pid, &blp), -ENOENT);
}

TEST(key_frame_requests)
{
	struct rtcp_writer w = writer();
	uint32_t ssrc;
	uint8_t seq;

	CHECK_INT(rtcp_put_pli(&w, 1, 2), 0);
	CHECK_INT(rtcp_put_fir(&w, 1, 3, 77), 0);
	struct rtcp_msg m = message(&w, 0);
	CHECK_INT(m.type, RTCP_PSFB);
	CHECK_INT(m.count, RTCP_PLI);
	m = message(&w, 1);
	CHECK_INT(rtcp_get_fir(&m, 0, &ssrc, &seq), 0);
	CHECK_INT(ssrc, 3);
	CHECK_INT(seq, 77);
	CHECK_INT(rtcp_get_fir(&m, 1, &ssrc, &seq), -ENOENT);
}

TEST(receiver_estimated_maximum_bitrate)
{
	static const uint64_t rates[] = {0, 1, 262143, 262144, 1000000, 4000000000, 1ull << 50};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct rtcp_writer w = writer();
		struct rtcp_remb in = {.bps = rates[i], .n_ssrc = 2, .ssrc = {5, 6}}, r;
		CHECK_INT(rtcp_put_remb(&w, 1, &in), 0);
		struct rtcp_msg m = message(&w, 0);
		CHECK_INT(rtcp_get_remb(&m, &r), 0);
		CHECK(r.bps <= rates[i] && rates[i] - r.bps <= rates[i] >> 17);
		CHECK_INT(r.n_ssrc, 2);
		CHECK_INT(r.ssrc[1], 6);
	}
	/* Another application-layer feedback is none. */
	struct rtcp_writer w = writer();
	struct rtcp_remb in = {.bps = 1, .n_ssrc = 1}, r;
	CHECK_INT(rtcp_put_remb(&w, 1, &in), 0);
	out[12] = 'X';
	struct rtcp_msg m = message(&w, 0);
	CHECK_INT(rtcp_get_remb(&m, &r), -ENOENT);
	out[12] = 'R';
	out[16] = 200; /* more sources than there are */
	CHECK_INT(rtcp_get_remb(&m, &r), -EBADMSG);
}

TEST(broken_compounds_are_refused)
{
	static const struct {
		uint8_t n, p[16];
	} cases[] = {
	    {4, {0x80, 201, 0, 0}},				  /* without a source */
	    {8, {0x40, 201, 0, 1, 0, 0, 0, 1}},			  /* version */
	    {8, {0x80, 201, 0, 2, 0, 0, 0, 1}},			  /* longer than the datagram */
	    {8, {0x80, 96, 0, 1, 0, 0, 0, 1}},			  /* no type of RTCP */
	    {12, {0x80, 201, 0, 1, 0, 0, 0, 1, 0x80, 201, 0, 1}}, /* the second is cut off */
	    {10, {0x80, 201, 0, 1, 0, 0, 0, 1, 0x80, 201}},	  /* garbage behind */
	    {16, {0xa0, 201, 0, 1, 0, 0, 0, 4, 0x80, 201, 0, 1}}, /* padding not in the last */
	    {8, {0xa0, 201, 0, 1, 0, 0, 0, 0}},			  /* padding of nothing */
	    {8, {0xa0, 201, 0, 1, 0, 0, 0, 3}},			  /* not whole words */
	    {8, {0xa0, 201, 0, 1, 0, 0, 0, 8}},			  /* more than there is */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_INT(rtcp_check(cases[i].p, cases[i].n), -EBADMSG);
	static const uint8_t padded[12] = {0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4};
	CHECK_INT(rtcp_check(padded, sizeof(padded)), 0);
}

/* As Chromium writes it: one packet, one delta of one byte, and what fills up the word. */
TEST(transport_feedback_may_be_filled_up_by_bytes)
{
	static const uint8_t feedback[] = {0xaf, 205, 0, 5, 0, 0, 0, 1, 0,    0, 0, 2, /**/
					   0,	 9,   0, 1, 0, 0, 7, 0, 0x20, 1, 4, 1};
	struct rtcp_iter it = rtcp_begin(feedback, sizeof(feedback));
	struct rtcp_msg m;

	CHECK_INT(rtcp_check(feedback, sizeof(feedback)), 0);
	CHECK(rtcp_next(&it, &m));
	CHECK_INT(m.type, RTCP_RTPFB);
	CHECK_INT(m.count, RTCP_TWCC);
	CHECK_INT(m.len, sizeof(feedback) - 4 - 1);
}

TEST(messages_shorter_than_they_say_give_nothing)
{
	static const uint8_t sr[] = {0x81, 200, 0, 1,
				     0,	   0,	0, 1}; /* a report, but no room for it */
	struct rtcp_writer w = {0};
	struct rtcp_sr s;
	struct rtcp_report r;

	memcpy(out, sr, sizeof(sr));
	w = (struct rtcp_writer){out, sizeof(out), sizeof(sr)};
	struct rtcp_msg m = message(&w, 0);
	CHECK_INT(rtcp_get_sr(&m, &s), -EBADMSG);
	CHECK_INT(rtcp_get_report(&m, 0, &r), -ENOENT);
}

TEST(nothing_is_written_where_it_does_not_fit)
{
	struct rtcp_writer w = rtcp_writer(out, 11);

	CHECK_INT(rtcp_put_pli(&w, 1, 2), -ENOBUFS);
	CHECK_INT(w.len, 0);
	CHECK_INT(rtcp_put_rr(&w, 1, NULL, 0), 0);
	CHECK_INT(w.len, 8);
	CHECK_INT(rtcp_put_rr(&w, 1, NULL, 0), -ENOBUFS);
	CHECK_INT(w.len, 8);
}

TEST(ntp_times_are_wall_clock_times)
{
	CHECK_INT(rtcp_ntp_us(2208988800ull << 32), 0);
	CHECK_INT(rtcp_ntp_us((2208988800ull + 1700000000) << 32 | 530239482), 1700000000123456);
	CHECK_INT(rtcp_ntp_middle(0x0123456789abcdef), 0x456789ab);
}
