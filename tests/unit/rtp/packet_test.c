/* RTP packets: views, header extensions in both forms, writing and patching. */
#include "rtp/packet.h"

#include <errno.h>

#include "../../support/test.h"

static struct rtp_extmap map(void)
{
	struct rtp_extmap m = {0};

	rtp_extmap_set(&m, RTP_EXT_MID, 4);
	rtp_extmap_set(&m, RTP_EXT_AUDIO_LEVEL, 1);
	rtp_extmap_set(&m, RTP_EXT_TWCC, 3);
	rtp_extmap_set(&m, RTP_EXT_ABS_SEND_TIME, 2);
	rtp_extmap_set(&m, RTP_EXT_DEPENDENCY, 20);
	return m;
}

/* RFC 8285 section 4.2: one-byte elements, a byte of padding, CSRC and padding behind. */
static const uint8_t one_byte[] = {
    0xb1, 0xe0, 0x12, 0x34, 0,	  0,	0x03, 0xe8, 0xde, 0xad, 0xbe, 0xef, /* header, X P CC=1 */
    0,	  0,	0,    7,						    /* CSRC */
    0xbe, 0xde, 0,    3,    0x10, 0x9e, 0x31, 0x01, 0x02, 0,	0x40, 'a',
    0,	  0,	0,    0,    1,	  2,	3,    0,    0,	  3,
};

TEST(a_packet_with_everything_is_viewed)
{
	struct rtp_extmap m = map();
	struct rtp_packet p;
	uint8_t level;
	uint16_t seq;
	bool voice;
	char mid[RTP_MID_MAX + 1];

	CHECK_INT(rtp_parse(&p, one_byte, sizeof(one_byte), &m), 0);
	CHECK(p.marker);
	CHECK_INT(p.pt, 96);
	CHECK_INT(p.seq, 0x1234);
	CHECK_INT(p.ts, 1000);
	CHECK_INT(p.ssrc, 0xdeadbeef);
	CHECK_INT(p.payload_off, 32);
	CHECK_INT(p.payload_len, 3);
	CHECK_INT(p.padding, 3);
	CHECK(rtp_audio_level(&p, &level, &voice));
	CHECK_INT(level, 30);
	CHECK(voice);
	CHECK(rtp_twcc_seq(&p, &seq));
	CHECK_INT(seq, 0x0102);
	CHECK(rtp_ext_text(&p, RTP_EXT_MID, mid, sizeof(mid)));
	CHECK_STR(mid, "a");
	CHECK(!rtp_has(&p, RTP_EXT_ABS_SEND_TIME));
	/* Without a map the extensions are skipped. */
	CHECK_INT(rtp_parse(&p, one_byte, sizeof(one_byte), NULL), 0);
	CHECK_INT(p.payload_len, 3);
	CHECK(!rtp_has(&p, RTP_EXT_MID));
}

TEST(no_truncation_is_taken_for_a_packet)
{
	struct rtp_extmap m = map();
	struct rtp_packet p;

	for (size_t n = 0; n < 32; n++)
		CHECK_INT(rtp_parse(&p, one_byte, n, &m), -EBADMSG);
	uint8_t bad[sizeof(one_byte)];
	memcpy(bad, one_byte, sizeof(bad));
	bad[sizeof(bad) - 1] = 7; /* more padding than there is payload */
	CHECK_INT(rtp_parse(&p, bad, sizeof(bad), &m), -EBADMSG);
	bad[sizeof(bad) - 1] = 0;
	CHECK_INT(rtp_parse(&p, bad, sizeof(bad), &m), -EBADMSG);
	memcpy(bad, one_byte, sizeof(bad));
	bad[0] = 0x71; /* version 1 */
	CHECK_INT(rtp_parse(&p, bad, sizeof(bad), &m), -EBADMSG);
	uint8_t large[RTP_PACKET_MAX + 1] = {0x80, 96};
	CHECK_INT(rtp_parse(&p, large, sizeof(large), &m), -EBADMSG);
	CHECK_INT(rtp_parse(&p, large, RTP_PACKET_MAX, &m), 0);
}

TEST(an_element_that_runs_over_its_block_ends_the_list)
{
	static const uint8_t packet[] = {0x90, 96,   0,	   1, 0, 0,    0,    0,	   0,	 0, 0,
					 1,    0xbe, 0xde, 0, 1, 0x10, 0x05, 0x3f, 0x01, 9, 9};
	struct rtp_extmap m = map();
	struct rtp_packet p;

	CHECK_INT(rtp_parse(&p, packet, sizeof(packet), &m), 0);
	CHECK(rtp_has(&p, RTP_EXT_AUDIO_LEVEL));
	CHECK(!rtp_has(&p, RTP_EXT_TWCC));
	CHECK_INT(p.payload_len, 2);
}

TEST(headers_that_are_written_parse_to_the_same)
{
	struct rtp_extmap m = map();
	struct rtp_header h = {.pt = 111, .marker = true, .seq = 65535, .ts = 77, .ssrc = 5};
	static const uint8_t long_value[40] = {1, 2, 3};
	uint8_t out[128];

	/* Alone the short ones take the one-byte form; the long one makes all take the other. */
	for (size_t n = 3; n <= 4; n++) {
		struct rtp_ext_item items[] = {
		    {.id = 4, .len = 2, .value = (const uint8_t *)"12"},
		    {.id = 0, .len = 3}, /* not negotiated: left out */
		    {.id = 3, .len = 2},
		    {.id = 20, .len = sizeof(long_value), .value = long_value},
		};
		struct rtp_packet p;
		uint16_t seq;
		char mid[8];
		int len = rtp_header_write(out, sizeof(out), &h, items, n);
		CHECK(len > 0);
		CHECK_INT(get_be16(out + 12), n == 3 ? 0xbede : 0x1000);
		CHECK_INT(items[1].off, 0);
		rtp_ext_put_twcc(out, items[2].off, 4711);
		rtp_ext_put_twcc(out, items[1].off, 1); /* does nothing */
		memcpy(out + len, "xy", 2);
		CHECK_INT(rtp_parse(&p, out, (size_t)len + 2, &m), 0);
		CHECK_INT(p.pt, 111);
		CHECK_INT(p.seq, 65535);
		CHECK_INT(p.payload_len, 2);
		CHECK(rtp_ext_text(&p, RTP_EXT_MID, mid, sizeof(mid)));
		CHECK_STR(mid, "12");
		CHECK(rtp_twcc_seq(&p, &seq));
		CHECK_INT(seq, 4711);
		CHECK_INT(p.ext[RTP_EXT_DEPENDENCY].len, n == 4 ? 40 : 0);
		CHECK_INT(rtp_header_write(out, (size_t)len - 1, &h, items, n), -ENOBUFS);
	}
	CHECK_INT(rtp_header_write(out, sizeof(out), &h, NULL, 0), RTP_HEADER);
}

TEST(fields_are_patched_in_place)
{
	struct rtp_packet p;
	uint8_t out[sizeof(one_byte)];
	struct rtp_extmap m = {0};

	memcpy(out, one_byte, sizeof(out));
	rtp_set_pt(out, 100);
	rtp_set_marker(out, false);
	rtp_set_seq(out, 9);
	rtp_set_ts(out, 10);
	rtp_set_ssrc(out, 11);
	CHECK_INT(rtp_parse(&p, out, sizeof(out), NULL), 0);
	CHECK(!p.marker && p.pt == 100 && p.seq == 9 && p.ts == 10 && p.ssrc == 11);
	CHECK_MEM(out + RTP_HEADER, one_byte + RTP_HEADER, sizeof(out) - RTP_HEADER);

	/* abs-send-time: 64 s wrap, 1 s is 1 << 18. */
	CHECK_INT(rtp_abs_send_time_of(1000000), 1 << 18);
	CHECK_INT(rtp_abs_send_time_of(64000000), 0);
	struct rtp_header h = {.pt = 1};
	struct rtp_ext_item item = {.id = 2, .len = 3};
	uint8_t head[32];
	rtp_extmap_set(&m, RTP_EXT_ABS_SEND_TIME, 2);
	int len = rtp_header_write(head, sizeof(head), &h, &item, 1);
	rtp_ext_put_abs_send_time(head, item.off, 2500000);
	CHECK_INT(rtp_parse(&p, head, (size_t)len, &m), 0);
	CHECK_INT(p.ext[RTP_EXT_ABS_SEND_TIME].len, 3);
	CHECK_INT(get_be24(head + p.ext[RTP_EXT_ABS_SEND_TIME].off), 5 << 17);
}

TEST(extension_uris_have_one_kind_each)
{
	for (int i = 0; i < RTP_EXT_KINDS; i++)
		CHECK_INT(rtp_ext_of(rtp_ext_uri((enum rtp_ext_kind)i)), i);
	CHECK_INT(rtp_ext_of("urn:x"), -1);
}
