/* Headers of VP9 frames: they are read to their last bit, and frames are hidden. */
#include "rtp/codec/vp9_header.h"

#include <errno.h>

#include "../../support/test.h"
#include "rtp/depack.h"
#include "rtp/packet.h"

/* What libvpx makes in three spatial layers: the beginnings of a key picture's and of the next
 * one's. */
#define HEAD 24 /* bytes */
#define KEY_LOW                                            \
	"\x83\x49\x83\x42\x00\x0e\xf0\x08\x78\x0e\xf8\x08" \
	"\x68\xa8\xe0\x90\x70\x64\xc0\x00\x03\x40\x47\xf7"
#define KEY_HIGH                                           \
	"\x87\x02\x02\x00\x03\xbe\x02\x1a\xb1\x91\xc1\x20" \
	"\xe0\xc9\x80\x00\x07\x00\x7d\x61\x48\x56\x7c\x09"
#define NEXT_LOW                                           \
	"\x87\x40\x0c\x00\x01\xde\x01\x0f\x01\xdf\x01\x0d" \
	"\xb2\x51\xc1\x20\xe0\xcb\x10\x00\x06\x80\x73\xbf"

static void check_header(const struct vp9_header *h, bool key, unsigned width, unsigned height,
			 unsigned refresh)
{
	CHECK_INT(h->key, key);
	CHECK_INT(h->width, width);
	CHECK_INT(h->height, height);
	CHECK_INT(h->refresh, refresh);
}

TEST(sizes_and_slots)
{
	struct vp9_slots slots = {0};
	struct vp9_header h;

	CHECK_INT(vp9_header_read(&h, &slots, (const uint8_t *)KEY_LOW, HEAD), 0);
	check_header(&h, true, 240, 136, 0xff);
	CHECK(h.shown);
	CHECK_INT(slots.width[7], 240);
	CHECK_INT(vp9_header_read(&h, &slots, (const uint8_t *)KEY_HIGH, HEAD), 0);
	check_header(&h, false, 480, 270, 0x02);
	CHECK_INT(slots.width[1], 480);
	CHECK_INT(slots.height[1], 270);
	CHECK_INT(slots.width[0], 240);
}

TEST(hidden_frames_are_the_same_but_for_that)
{
	static const char *const cases[] = {KEY_LOW, KEY_HIGH, NEXT_LOW};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const uint8_t *frame = (const uint8_t *)cases[i];
		struct vp9_slots before = {0}, after = {0};
		struct vp9_header shown, hidden;
		uint8_t out[HEAD + 1];
		CHECK_INT(vp9_header_read(&shown, &before, frame, HEAD), 0);
		size_t len = vp9_hide(&shown, frame, HEAD, out);
		CHECK_INT(vp9_header_read(&hidden, &after, out, len), 0);
		CHECK(shown.shown && !hidden.shown);
		check_header(&hidden, shown.key, shown.width, shown.height, shown.refresh);
		CHECK_INT(hidden.bits, shown.bits + !shown.key);
		CHECK_MEM(&after, &before, sizeof(after));
		size_t rest = HEAD - (shown.bits + 7) / 8;
		CHECK_MEM(out + len - rest, frame + HEAD - rest, rest);
	}
}

/* ---- a header with all that there can be ---- */

static uint8_t written[64];
static size_t n_written;

static void put(uint32_t value, unsigned bits)
{
	while (bits--) {
		if (value >> bits & 1)
			written[n_written / 8] |= (uint8_t)(0x80 >> n_written % 8);
		n_written++;
	}
}

/* A frame of the size of its third reference, slot 5. */
static void write_full(void)
{
	memset(written, 0, sizeof(written));
	n_written = 0;
	put(0x8 + 1, 4); /* marker, profile 2: its bits stand the other way round */
	put(0, 1);	 /* no earlier frame */
	put(1, 1);	 /* not a key frame, */
	put(1, 1);	 /* shown, */
	put(0, 1);	 /* not resilient: */
	put(2, 2);
	put(0x81, 8);
	for (unsigned i = 0; i < 3; i++)
		put((i + 3) << 1, 4);
	put(1, 3);	       /* found in the third */
	put(1, 1), put(7, 32); /* shown in another size */
	put(1, 1), put(0, 1), put(2, 2);
	put(3, 2), put(1, 2);
	put(9, 9), put(3, 2); /* loop filter, with an update of all */
	for (unsigned i = 0; i < 6; i++)
		put(1, 1), put(0x55, 7);
	put(100, 8);
	for (unsigned i = 0; i < 3; i++)
		put(1, 1), put(0x15, 5);
	put(3, 2); /* segments, with a map */
	for (unsigned i = 0; i < 7; i++)
		put(1, 1), put(i, 8);
	put(1, 1);
	for (unsigned i = 0; i < 3; i++)
		put(i & 1, 1), put(0, 8 * (i & 1));
	put(3, 2);
	for (unsigned i = 0; i < 8; i++)
		put(1, 1), put(i, 9), put(1, 1), put(i, 7), put(1, 1), put(1, 2), put(1, 1);
	put(3, 2); /* four columns of tiles, which is the most for 1280, */
	put(3, 2); /* and four rows */
	put(1, 16);
}

TEST(every_part_has_its_length)
{
	struct vp9_slots slots = {.width[5] = 1280, .height[5] = 720};
	struct vp9_header h, hidden;
	uint8_t out[sizeof(written) + 1];

	write_full();
	size_t len = (n_written + 7) / 8;
	CHECK_INT(vp9_header_read(&h, &slots, written, len), 0);
	check_header(&h, false, 1280, 720, 0x81);
	CHECK_INT(h.bits, n_written);
	CHECK_INT(slots.width[0], 1280);
	CHECK_INT(slots.height[7], 720);
	len = vp9_hide(&h, written, len, out);
	CHECK_INT(vp9_header_read(&hidden, &slots, out, len), 0);
	CHECK(!hidden.shown);
	CHECK_INT(hidden.bits, n_written + 1);
	for (size_t i = 1; i < n_written / 8; i++)
		CHECK_INT(vp9_header_read(&h, &slots, written, i), -EBADMSG);
}

TEST(what_is_not_known_is_refused)
{
	struct vp9_slots slots = {0};
	struct vp9_header h;

	write_full();
	CHECK_INT(vp9_header_read(&h, &slots, written, sizeof(written)), -EBADMSG);
	CHECK_INT(vp9_header_read(&h, &slots, (const uint8_t *)"\x88", 1),
		  -EBADMSG); /* an earlier frame */
	CHECK_INT(vp9_header_read(&h, &slots, (const uint8_t *)"", 0), -EBADMSG);
}

/* ---- in a stream ---- */

static void push(struct depack *d, const char *descriptor, const char *frame, bool marker,
		 uint32_t ts)
{
	uint8_t packet[RTP_HEADER + 3 + HEAD] = {0x80};
	struct rtp_packet p;

	memcpy(packet + RTP_HEADER, descriptor, 3);
	memcpy(packet + RTP_HEADER + 3, frame, HEAD);
	rtp_set_marker(packet, marker);
	rtp_set_ts(packet, ts);
	CHECK_INT(rtp_parse(&p, packet, sizeof(packet), NULL), 0);
	CHECK_INT(depack_push(d, &p, false), 0);
}

TEST(only_the_highest_layer_is_shown)
{
	static const char *const low[] = {KEY_LOW, NEXT_LOW, KEY_HIGH};
	struct vp9_slots slots = {0};
	struct depack_frame f;
	struct vp9_header h;
	struct depack *d;

	CHECK_INT(depack_new(&d, RTP_CODEC_VP9), 0);
	for (uint32_t i = 0; i < 3; i++) {
		push(d, i ? "\x6c\0\x05" : "\x2c\0\x05", low[i], false, i);
		push(d, i ? "\x6c\x03\x05" : "\x2c\x03\x05", KEY_HIGH, true, i);
		depack_flush(d);
		CHECK_INT(depack_next(d, &f), 1);
		CHECK_INT(f.len, 2 * HEAD + 10);
		CHECK_INT(vp9_header_read(&h, &slots, f.data, HEAD), 0);
		/* The last one's base has the size of the layer above: it stays. */
		CHECK_INT(h.shown, i == 2);
		CHECK_MEM(f.data + HEAD, KEY_HIGH, HEAD);
		CHECK_MEM(f.data + 2 * HEAD, "\xd9\x18\0\0\0\x18\0\0\0\xd9", 10);
	}
	depack_free(d);
}
