/* Depacketisers: frames cut into packets come out whole, or not at all. */
#include "rtp/depack.h"

#include <errno.h>

#include "../../support/test.h"
#include "base/buf.h"
#include "rtp/codec/av1.h"
#include "rtp/packet.h"

static struct depack *d;
static uint8_t packet[RTP_PACKET_MAX];
static uint32_t ts;

static void begin(enum rtp_codec codec)
{
	ts = 1000;
	CHECK_INT(depack_new(&d, codec), 0);
}

static int push(const void *payload, size_t len, bool marker, bool lost)
{
	struct rtp_packet p;

	packet[0] = 0x80;
	rtp_set_marker(packet, marker);
	rtp_set_ts(packet, ts);
	memcpy(packet + RTP_HEADER, payload, len);
	CHECK_INT(rtp_parse(&p, packet, RTP_HEADER + len, NULL), 0);
	return depack_push(d, &p, lost);
}

/* The next frame must be exactly these bytes; it may have waited for the packet behind it. */
static struct depack_frame expect(const void *data, size_t len)
{
	struct depack_frame f = {0};

	if (!depack_next(d, &f)) {
		depack_flush(d);
		CHECK_INT(depack_next(d, &f), 1);
	}
	CHECK_INT(f.len, len);
	CHECK_MEM(f.data, data, len);
	return f;
}

static void expect_none(void)
{
	struct depack_frame f;

	CHECK_INT(depack_next(d, &f), 0);
}

#define PUSH(bytes, marker, lost) CHECK_INT(push(bytes, sizeof(bytes) - 1, marker, lost), 0)

#define VP8_KEY "\x10\x10\x02\x00\x9d\x01\x2a\x80\x02\xe0\x01"

TEST(vp8_frames)
{
	begin(RTP_CODEC_VP8);
	PUSH(VP8_KEY, false, false);
	expect_none();
	PUSH("\x00rest", true, false);
	struct depack_frame f = expect("\x10\x02\x00\x9d\x01\x2a\x80\x02\xe0\x01rest", 14);
	CHECK(f.key && !f.damaged);
	CHECK_INT(f.width, 640);
	CHECK_INT(f.ts, 1000);
	expect_none();

	/* A marker that got lost: the next timestamp ends the frame. */
	ts += 3000;
	PUSH("\x10\x01pic", false, false);
	ts += 3000;
	PUSH("\x10\x01two", true, false);
	CHECK_INT(expect("\x01pic", 4).ts, 4000);
	CHECK_INT(expect("\x01two", 4).ts, 7000);
	expect_none();
	depack_free(d);
}

TEST(a_frame_cut_off_by_another_layers_key_frame_is_dropped)
{
	begin(RTP_CODEC_VP8);
	PUSH(VP8_KEY, true, false);
	expect(VP8_KEY + 1, sizeof(VP8_KEY) - 2);
	ts += 3000;
	PUSH("\x10\x01half", false, false);
	ts += 3000;
	PUSH(VP8_KEY, true, false); /* no packet is missing */
	struct depack_frame f = expect(VP8_KEY + 1, sizeof(VP8_KEY) - 2);
	CHECK(f.key && !f.damaged);
	CHECK_INT(f.ts, 7000);
	expect_none();
	depack_free(d);
}

TEST(frames_with_holes_are_dropped_and_what_refers_to_them_is_marked)
{
	begin(RTP_CODEC_VP8);
	PUSH(VP8_KEY, true, false);
	expect(VP8_KEY + 1, sizeof(VP8_KEY) - 2);
	ts += 3000;
	PUSH("\x10\x01"
	     "a",
	     false, false);
	PUSH("\x00"
	     "c",
	     true, true); /* the middle is missing */
	expect_none();
	ts += 3000;
	PUSH("\x10\x01next", true, false);
	CHECK(expect("\x01next", 5).damaged);
	ts += 3000;
	PUSH("\x00"
	     "tail",
	     true, true); /* the beginning is missing */
	expect_none();
	ts += 3000;
	PUSH(VP8_KEY, true, true);
	struct depack_frame f = expect(VP8_KEY + 1, sizeof(VP8_KEY) - 2);
	CHECK(f.key && !f.damaged);
	ts += 3000;
	PUSH("\x10\x01ok", true, false);
	CHECK(!expect("\x01ok", 3).damaged);
	depack_free(d);
}

TEST(vp9_layers_become_a_superframe)
{
	begin(RTP_CODEC_VP9);
	/* I 0, P 0, L 1, B, E: base layer, then the layer above it. */
	PUSH("\x2c\x00\x05\x82\x49\x83\x42\x40\x13\xf0\x0e\xf0", false, false);
	PUSH("\x2c\x03\x05zz", true, false);
	struct depack_frame f = expect("\x82\x49\x83\x42\x40\x13\xf0\x0e\xf0zz"
				       "\xd9\x09\0\0\0\x02\0\0\0\xd9",
				       21);
	CHECK(f.key);
	CHECK_INT(f.width, 320);
	CHECK_INT(f.height, 240);
	ts += 3000;
	PUSH("\x4c\x86one", true, false); /* a single layer has no index */
	expect("\x86one", 4);
	depack_free(d);
}

#define SPS                                                                                        \
	"\x67\x42\xc0\x1f\xd9\x00\x78\x02\x27\xe5\xc0\x44\x00\x00\x0f\xa4\x00\x02\xee\x02\x3c\x60" \
	"\xc9\x20"
#define PPS "\x68\xcb\x83\xcb\x20"

TEST(h264_access_units)
{
	size_t len;

	begin(RTP_CODEC_H264);
	CHECK(!depack_private(d, &len));
	PUSH("\x78\x00\x18" SPS "\x00\x05" PPS, false, false); /* STAP-A */
	PUSH("\x7c\x85\x88"
	     "abc",
	     false, false); /* FU-A of an IDR slice */
	PUSH("\x7c\x05"
	     "def",
	     false, false);
	PUSH("\x7c\x45"
	     "g",
	     true, false);
	struct depack_frame f = expect("\0\0\0\x18" SPS "\0\0\0\x05" PPS "\0\0\0\x09\x65\x88"
				       "abcdefg",
				       28 + 9 + 13);
	CHECK(f.key);
	const uint8_t *avcc = depack_private(d, &len);
	CHECK(avcc);
	CHECK_INT(len, 11 + 24 + 5);
	CHECK_MEM(avcc, "\x01\x42\xc0\x1f", 4);
	ts += 3000;
	PUSH("\x09\xf0", false, false); /* an access unit delimiter is left out */
	PUSH("\x41\x9a"
	     "p",
	     true, false);
	CHECK(!expect("\0\0\0\x03\x41\x9a"
		      "p",
		      7)
		   .key);
	/* A fragment without its beginning, and one without its end. */
	ts += 3000;
	CHECK_INT(push("\x7c\x45"
		       "x",
		       3, true, false),
		  -EBADMSG);
	expect_none();
	ts += 3000;
	PUSH("\x7c\x81\x9a", false, false);
	ts += 3000;
	PUSH("\x41\x9a"
	     "q",
	     true, false);
	CHECK(expect("\0\0\0\x03\x41\x9a"
		     "q",
		     7)
		  .damaged);
	expect_none();
	depack_free(d);
}

TEST(h264_without_parameter_sets_is_no_key_frame)
{
	begin(RTP_CODEC_H264);
	PUSH("\x65\x88"
	     "a",
	     true, false);
	CHECK(!expect("\0\0\0\x03\x65\x88"
		      "a",
		      7)
		   .key);
	depack_free(d);
}

/* The sequence header that libaom writes for 1280x720. */
#define SEQUENCE "\x20\x00\x00\x2d\x4c\xff\xb3\xcc\xaf\x92\x02\x1a\x00\x40"

TEST(av1_temporal_units)
{
	size_t len;

	begin(RTP_CODEC_AV1);
	/* N: two elements, the first with its length; the frame goes on in two more packets. */
	PUSH("\x68\x0f\x08" SEQUENCE "\x30"
	     "abc",
	     false, false);
	PUSH("\xd0"
	     "defg",
	     false, false);
	PUSH("\x90"
	     "h",
	     true, false);
	struct depack_frame f = expect("\x0a\x0e" SEQUENCE "\x32\x08"
				       "abcdefgh",
				       26);
	CHECK(f.key);
	CHECK_INT(f.width, 1280);
	CHECK_INT(f.height, 720);
	const uint8_t *av1c = depack_private(d, &len);
	CHECK(av1c);
	CHECK_INT(len, 4 + 16);
	CHECK_INT(av1c[0], 0x81);
	CHECK_MEM(av1c + 4, "\x0a\x0e" SEQUENCE, 16);

	/* W 0: each element with its length; a temporal delimiter is left out. */
	ts += 3000;
	PUSH("\x00\x01\x10\x03\x30xy", true, false);
	CHECK(!expect("\x32\x02xy", 4).key);
	/* A size inside the OBU is taken out and put back. */
	ts += 3000;
	PUSH("\x10\x32\x02pq", true, false);
	expect("\x32\x02pq", 4);
	/* What claims to go on must have begun. */
	ts += 3000;
	CHECK_INT(push("\x90z", 2, true, false), -EBADMSG);
	expect_none();
	ts += 3000;
	PUSH("\x50\x30"
	     "half",
	     true, false);
	expect_none();
	depack_free(d);
}

TEST(opus_packets_are_frames)
{
	begin(RTP_CODEC_OPUS);
	PUSH("\xfc"
	     "abc",
	     false, false);
	struct depack_frame f = expect("\xfc"
				       "abc",
				       4);
	CHECK_INT(f.samples, 960);
	CHECK(f.key);
	ts += 960;
	PUSH("\xfc"
	     "d",
	     false, true); /* loss does not spoil what comes */
	expect("\xfc"
	       "d",
	       2);
	ts += 960;
	CHECK_INT(push("\x03", 1, false, false), -EBADMSG);
	expect_none();
	depack_free(d);
}

TEST(padding_packets_belong_to_no_frame)
{
	begin(RTP_CODEC_VP8);
	PUSH(VP8_KEY, false, false);
	ts += 500;
	PUSH("", false, false);
	expect_none();
	ts -= 500;
	PUSH("\x00"
	     "b",
	     true, false);
	expect(VP8_KEY "b" + 1, sizeof(VP8_KEY) - 1);
	depack_free(d);
}

TEST(frames_are_bounded)
{
	static uint8_t payload[1400] = {0x10, 0x10};

	begin(RTP_CODEC_VP8);
	int r = 0;
	for (unsigned i = 0; i < DEPACK_FRAME_MAX / 1000 && r == 0; i++)
		r = push(payload, sizeof(payload), false, false);
	CHECK_INT(r, -ENOBUFS);
	payload[0] = 0;
	CHECK_INT(push(payload, sizeof(payload), true, false), 0);
	expect_none();
	ts += 3000;
	PUSH(VP8_KEY, true, false);
	expect(VP8_KEY + 1, sizeof(VP8_KEY) - 2);
	depack_free(d);
}

/* ---- markers ---- */

struct payload {
	const char *bytes;
	size_t len;
};
#define PAYLOAD(s)               \
	{                        \
		s, sizeof(s) - 1 \
	}

/* A key frame in two packets, and a frame behind it in as many. */
static const struct {
	enum rtp_codec codec;
	struct payload key[2], next[2];
	size_t key_len, next_len; /* bytes of the frames */
} pairs[] = {
    {RTP_CODEC_VP8,
     {PAYLOAD(VP8_KEY), PAYLOAD("\x00rest")},
     {PAYLOAD("\x10\x01one"), PAYLOAD("\x00two")},
     14,
     7},
    {RTP_CODEC_VP9,
     {PAYLOAD("\x08\x82\x49\x83\x42\x40\x13\xf0\x0e\xf0"), PAYLOAD("\x04rest")},
     {PAYLOAD("\x48\x86one"), PAYLOAD("\x44two")},
     13,
     7},
    /* Two layers, each with a marker at its end. */
    {RTP_CODEC_VP9,
     {PAYLOAD("\x2c\x00\x05\x82\x49\x83\x42\x40\x13\xf0\x0e\xf0"), PAYLOAD("\x2c\x03\x05zz")},
     {PAYLOAD("\x48\x86one"), PAYLOAD("\x44two")},
     21,
     7},
    {RTP_CODEC_H264,
     {PAYLOAD("\x78\x00\x18" SPS "\x00\x05" PPS), PAYLOAD("\x65\x88"
							  "a")},
     {PAYLOAD("\x7c\x81\x9a"), PAYLOAD("\x7c\x41"
				       "p")},
     28 + 9 + 7,
     7},
    {RTP_CODEC_AV1,
     {PAYLOAD("\x68\x0f\x08" SEQUENCE "\x30"
	      "abc"),
      PAYLOAD("\x90h")},
     {PAYLOAD("\x50\x30half"), PAYLOAD("\x90rest")},
     16 + 6,
     10},
};
#define N_PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static void push_payload(const struct payload *p, bool marker)
{
	CHECK_INT(push(p->bytes, p->len, marker, false), 0);
}

/* A whole frame of that length is there now. */
static void expect_whole(size_t len, bool key)
{
	struct depack_frame f = {0};

	CHECK_INT(depack_next(d, &f), 1);
	CHECK_INT(f.len, len);
	CHECK_INT(f.key, key);
	CHECK(!f.damaged);
	expect_none();
}

TEST(markers_on_every_packet_cut_no_frame)
{
	for (unsigned i = 0; i < N_PAIRS; i++) {
		begin(pairs[i].codec);
		for (unsigned n = 0; n < 3; n++) {
			push_payload(&pairs[i].key[0], true);
			if (n)
				expect_whole(pairs[i].next_len, false);
			push_payload(&pairs[i].key[1], true);
			expect_none();
			ts += 3000;
			push_payload(&pairs[i].next[0], true);
			expect_whole(pairs[i].key_len, true);
			push_payload(&pairs[i].next[1], true);
			expect_none();
			ts += 3000;
		}
		depack_flush(d);
		expect_whole(pairs[i].next_len, false);
		depack_free(d);
	}
}

TEST(a_marker_that_has_been_right_once_ends_a_frame_at_once)
{
	for (unsigned i = 0; i < N_PAIRS; i++) {
		begin(pairs[i].codec);
		push_payload(&pairs[i].key[0], false);
		push_payload(&pairs[i].key[1], true);
		expect_none();
		ts += 3000;
		push_payload(&pairs[i].next[0], false);
		expect_whole(pairs[i].key_len, true);
		push_payload(&pairs[i].next[1], true);
		expect_whole(pairs[i].next_len, false);
		depack_flush(d);
		expect_none();
		depack_free(d);
	}
}

/* The key frame of pairs[0], whose marker is right. */
static void begin_proved(void)
{
	begin(RTP_CODEC_VP8);
	push_payload(&pairs[0].key[0], false);
	push_payload(&pairs[0].key[1], true);
	ts += 3000;
	PUSH("\x10\x01one", true, false); /* ends two frames: the one before, and its own */
	CHECK(expect(VP8_KEY "rest" + 1, pairs[0].key_len).key);
	expect_whole(4, false);
	ts += 3000;
}

TEST(what_refers_to_a_frame_that_went_on_behind_its_marker_is_marked)
{
	begin_proved();
	PUSH("\x10\x01half", true, false);
	expect_whole(5, false); /* as it seems */
	PUSH("\x00rest", true, false);
	expect_none();
	ts += 3000;
	PUSH("\x10\x01on", true, false);
	expect_none();
	ts += 3000;
	PUSH(VP8_KEY, true, false);
	CHECK(expect("\x01on", 3).damaged);
	expect_none();
	PUSH("\x00rest", true, false);
	ts += 3000;
	PUSH("\x10\x01on", true, false);
	expect_whole(pairs[0].key_len, true);
	depack_free(d);
}

TEST(what_is_lost_behind_a_marker_is_of_that_frame_only_where_markers_are_false)
{
	begin(RTP_CODEC_VP8);
	PUSH(VP8_KEY, true, false);
	ts += 6000;
	PUSH("\x10\x01on", true, true);
	expect_whole(sizeof(VP8_KEY) - 2, true);
	depack_free(d);

	begin(RTP_CODEC_VP8);
	PUSH(VP8_KEY, true, false);
	PUSH("\x00rest", true, false);
	ts += 3000;
	PUSH("\x10\x01half", true, false);
	expect_whole(pairs[0].key_len, true);
	ts += 6000;
	PUSH("\x10\x01on", true, true);
	expect_none();
	depack_free(d);
}

TEST(another_stream_has_to_prove_its_markers_again)
{
	begin_proved();
	depack_begin(d);
	push_payload(&pairs[0].key[0], true);
	expect_none();
	push_payload(&pairs[0].key[1], true);
	depack_flush(d);
	expect_whole(pairs[0].key_len, true);
	depack_free(d);
}
