/* Payload descriptors and parameter sets, on bytes that encoders and RFCs made. */
#include <errno.h>

#include "../../support/test.h"
#include "rtp/codec.h"
#include "rtp/codec/av1.h"
#include "rtp/codec/h264.h"
#include "rtp/codec/opus.h"
#include "rtp/codec/vp8.h"
#include "rtp/codec/vp9.h"
#include "rtp/codec/vp9_header.h"
#include "rtp/packet.h"

/* RFC 7741 section 4.6: X, I and M set, 15 bits of picture id, start of a key frame. */
static const uint8_t vp8_key[] = {0x90, 0x80, 0x91, 0x23, 0x10, 0x02, 0x00, 0x9d,
				  0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01, 0};
static const uint8_t vp8_layer[] = {0x80, 0xf0, 0x85, 0x11, 0x42, 0x6b, 0x01, 0x55};

TEST(vp8_descriptors)
{
	struct vp8_desc d;

	CHECK_INT(vp8_parse(&d, vp8_key, sizeof(vp8_key)), 0);
	CHECK_INT(d.len, 4);
	CHECK(d.start && d.key);
	CHECK_INT(d.picture_bits, 15);
	CHECK_INT(d.picture_id, 0x1123);
	CHECK_INT(d.width, 640);
	CHECK_INT(d.height, 480);
	CHECK_INT(vp8_parse(&d, vp8_layer, sizeof(vp8_layer)), 0);
	CHECK_INT(d.len, 6);
	CHECK(!d.start && !d.key && d.has_tl0 && d.has_tid && d.has_keyidx);
	CHECK_INT(d.tl0picidx, 0x42);
	CHECK_INT(d.tid, 1);
	CHECK(d.layer_sync);
	CHECK_INT(d.keyidx, 11);
	for (size_t n = 0; n <= 4; n++)
		CHECK_INT(vp8_parse(&d, vp8_key, n), -EBADMSG);
}

TEST(vp8_counters_are_rewritten_in_their_width)
{
	struct vp8_desc d;
	uint8_t out[16];

	memcpy(out, vp8_layer, sizeof(vp8_layer));
	CHECK_INT(vp8_parse(&d, out, sizeof(vp8_layer)), 0);
	vp8_rewrite(out, &d, 0x7fff, 7, 3);
	CHECK_INT(vp8_parse(&d, out, sizeof(vp8_layer)), 0);
	CHECK_INT(d.picture_id, 0x7fff);
	CHECK_INT(d.tl0picidx, 7);
	CHECK_INT(d.keyidx, 3);
	CHECK_INT(d.tid, 1);
	CHECK_INT(out[7], 0x55);

	static const uint8_t narrow[] = {0x90, 0x80, 0x11, 0x01};
	memcpy(out, narrow, sizeof(narrow));
	CHECK_INT(vp8_parse(&d, out, sizeof(narrow)), 0);
	CHECK_INT(d.picture_bits, 7);
	vp8_rewrite(out, &d, 0x1ff, 0, 0);
	CHECK_INT(out[2], 0x7f);
	CHECK_INT(out[3], 0x01);
}

/* RFC 9628: with layers in non-flexible mode, and a scalability structure. */
TEST(vp9_descriptors)
{
	static const uint8_t key[] = {0xab, 0x81, 0x23, 0x00, 0x09, 0x38, 0x01, 0x40, 0x00,
				      0xf0, 0x02, 0x80, 0x01, 0xe0, 0x01, 0x04, 0x01, 0x82};
	static const uint8_t upper[] = {0xa8, 0x81, 0x23, 0x63, 0x09, 0x82};
	static const uint8_t flexible[] = {0xd8, 0x05, 0x03, 0x05, 0x06, 0x82};
	static const uint8_t frame[] = {0x82, 0x49, 0x83, 0x42, 0x40, 0x13,
					0xf0, 0x0e, 0xf6, 0x0a, 0x38};
	struct vp9_desc d;
	uint16_t w, h;

	CHECK_INT(vp9_parse(&d, key, sizeof(key)), 0);
	CHECK(d.key && d.start && !d.end && d.has_layers);
	CHECK_INT(d.len, 17);
	CHECK_INT(d.picture_id, 0x123);
	CHECK_INT(d.width, 640);
	CHECK_INT(d.height, 480);
	CHECK_INT(vp9_parse(&d, upper, sizeof(upper)), 0);
	CHECK(!d.key && d.start && d.inter_layer);
	CHECK_INT(d.tid, 3);
	CHECK_INT(d.sid, 1);
	CHECK_INT(vp9_parse(&d, flexible, sizeof(flexible)), 0);
	CHECK(d.flexible && d.inter_predicted && !d.key);
	CHECK_INT(d.len, 5);
	CHECK_INT(vp9_parse(&d, key, 10), -EBADMSG);
	CHECK(vp9_frame_size(frame, sizeof(frame), &w, &h));
	CHECK_INT(w, 320);
	CHECK_INT(h, 240);
	CHECK(!vp9_frame_size(frame, 8, &w, &h));
}

/* Sequence parameter sets that x264 wrote. */
TEST(h264_sizes_and_profiles)
{
	static const uint8_t hd[] = {0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02,
				     0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04,
				     0x00, 0x00, 0x03, 0x00, 0xc8, 0x3c, 0x60, 0xc6, 0x58};
	static const uint8_t small[] = {0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0xfb,
					0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00,
					0x03, 0x03, 0x20, 0xf1, 0x42, 0x99, 0x60};
	static const uint8_t pps[] = {0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0};
	uint8_t avcc[H264_AVCC_MAX];
	struct h264_sps s;

	CHECK_INT(h264_parse_sps(&s, hd, sizeof(hd)), 0);
	CHECK_INT(s.profile, 100);
	CHECK_INT(s.level, 40);
	CHECK_INT(s.width, 1920);
	CHECK_INT(s.height, 1080); /* cropped from 1088 */
	CHECK_INT(h264_parse_sps(&s, small, sizeof(small)), 0);
	CHECK_INT(s.width, 320);
	CHECK_INT(s.height, 240);
	CHECK_INT(h264_parse_sps(&s, hd, 6), -EBADMSG);
	CHECK_INT(h264_parse_sps(&s, pps, sizeof(pps)), -EBADMSG);

	int n = h264_avcc(avcc, hd, sizeof(hd), pps, sizeof(pps));
	CHECK_INT(n, 11 + sizeof(hd) + sizeof(pps));
	CHECK_MEM(avcc, "\x01\x64\x00\x28\xff\xe1\x00", 7);
	CHECK_MEM(avcc + 8, hd, sizeof(hd));
	CHECK_INT(h264_avcc(avcc, hd, 0, pps, sizeof(pps)), -EINVAL);
}

/* The first delta of a scaling list is the largest number that the code can say. */
TEST(h264_scaling_lists_wrap_around)
{
	static const uint8_t hostile[] = {0x67, 0x64, 0x00, 0x1f, 0xad, 0x80, 0x00, 0x00, 0x03,
					  0x00, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff};
	struct h264_sps s;

	CHECK_INT(h264_parse_sps(&s, hostile, sizeof(hostile)), -EBADMSG);
}

TEST(h264_key_frames_in_all_packets)
{
	static const struct {
		uint8_t n, p[12];
		int ret;
		bool key, start;
	} cases[] = {
	    {2, {0x65, 0x88}, 0, true, true},			       /* IDR */
	    {2, {0x41, 0x9a}, 0, false, true},			       /* other slice */
	    {3, {0x7c, 0x85, 1}, 0, true, true},		       /* FU-A, IDR begins */
	    {3, {0x7c, 0x05, 1}, 0, false, false},		       /* and goes on */
	    {8, {0x78, 0, 2, 0x67, 1, 0, 1, 0x68}, 0, true, true},     /* STAP-A with SPS */
	    {8, {0x78, 0, 2, 0x41, 1, 0, 9, 0x68}, -EBADMSG, 0, true}, /* cut off */
	    {2, {0x79, 0}, -EBADMSG, 0, true},			       /* STAP-B */
	    {0, {0}, -EBADMSG, 0, true},
	};
	struct h264_info i;

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		CHECK_INT(h264_look(&i, cases[k].p, cases[k].n), cases[k].ret);
		if (cases[k].ret == 0) {
			CHECK_INT(i.key, cases[k].key);
			CHECK_INT(i.start, cases[k].start);
		}
	}
}

/* Sequence headers that libaom wrote. */
TEST(av1_sequences)
{
	static const uint8_t small[] = {0x20, 0x00, 0x00, 0x04, 0x3c, 0xff, 0xbc,
					0xda, 0xf9, 0x20, 0x21, 0xa0, 0x04};
	static const uint8_t hd[] = {0x20, 0x00, 0x00, 0x2d, 0x4c, 0xff, 0xb3,
				     0xcc, 0xaf, 0x92, 0x02, 0x1a, 0x00, 0x40};
	struct av1_sequence s;

	CHECK_INT(av1_parse_sequence(&s, hd, sizeof(hd)), 0);
	CHECK_INT(s.width, 1280);
	CHECK_INT(s.height, 720);
	CHECK_INT(av1_parse_sequence(&s, small, sizeof(small)), 0);
	CHECK_INT(s.width, 320);
	CHECK_INT(s.height, 240);
	CHECK_INT(s.profile, 1); /* testsrc is 4:4:4 */
	CHECK(!s.subsampling_x && !s.monochrome);
	CHECK_INT(av1_parse_sequence(&s, hd, 5), -EBADMSG);
}

TEST(av1_packets_and_numbers)
{
	static const uint32_t values[] = {0, 127, 128, 16383, 16384, UINT32_MAX};
	static const uint8_t endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
	struct av1_aggregation a;
	struct av1_dependency d;
	uint8_t out[8];
	uint32_t v;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		size_t n = av1_put_leb128(out, values[i]);
		CHECK_INT(av1_leb128(out, n, &v), n);
		CHECK_INT(v, values[i]);
		CHECK_INT(av1_leb128(out, n - 1, &v), 0);
	}
	CHECK_INT(av1_leb128(endless, sizeof(endless), &v), 0);
	CHECK_INT(av1_parse(&a, (const uint8_t *)"\x58x", 2), 0);
	CHECK(!a.continues && a.continued && a.new_sequence);
	CHECK_INT(a.n_elements, 1);
	CHECK_INT(av1_parse(&a, (const uint8_t *)"\x88x", 2), -EBADMSG);
	CHECK_INT(av1_parse_dependency(&d, (const uint8_t *)"\x83\x12\x34\x80", 4), 0);
	CHECK(d.start && !d.end && d.structure);
	CHECK_INT(d.template_id, 3);
	CHECK_INT(d.frame_number, 0x1234);
}

/* RFC 6716 section 3.1. */
TEST(opus_durations)
{
	static const struct {
		uint8_t n, p[2];
		int samples;
	} cases[] = {{1, {0xfc}, 960},	    {1, {0x08}, 960},	      {1, {0x18}, 2880},
		     {1, {0x80}, 120},	    {2, {0x01, 0}, 960},      {2, {0x03, 3}, 1440},
		     {2, {0x1b, 2}, 5760},  {2, {0x1b, 3}, -EBADMSG}, {2, {0x03, 0}, -EBADMSG},
		     {1, {0x03}, -EBADMSG}, {0, {0}, -EBADMSG}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_INT(opus_samples(cases[i].p, cases[i].n), cases[i].samples);
}

TEST(codecs_have_names_and_clocks)
{
	for (int c = RTP_CODEC_OPUS; c < RTP_CODECS; c++) {
		CHECK_INT(rtp_codec_of(rtp_codec_name((enum rtp_codec)c)), c);
		CHECK_INT(rtp_codec_clock((enum rtp_codec)c), c == RTP_CODEC_OPUS ? 48000 : 90000);
	}
	CHECK_INT(rtp_codec_of("VP8"), RTP_CODEC_VP8);
	CHECK_INT(rtp_codec_of("H265"), RTP_CODEC_NONE);
}

TEST(one_look_into_any_payload)
{
	uint8_t packet[64] = {0x80};
	struct rtp_payload_info info;
	struct rtp_packet p;

	memcpy(packet + RTP_HEADER, vp8_key, sizeof(vp8_key));
	CHECK_INT(rtp_parse(&p, packet, RTP_HEADER + sizeof(vp8_key), NULL), 0);
	rtp_payload_look(RTP_CODEC_VP8, &p, &info);
	CHECK(info.key && info.frame_start);
	rtp_payload_look(RTP_CODEC_OPUS, &p, &info);
	CHECK(!info.key && !info.frame_start);
	CHECK_INT(rtp_parse(&p, packet, RTP_HEADER, NULL), 0);
	rtp_payload_look(RTP_CODEC_VP8, &p, &info);
	CHECK(!info.key);
}
