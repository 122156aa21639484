/* The first frame of an MP3 file. */
#include "media/mp3.h"

#include <errno.h>
#include <string.h>

#include "../../support/test.h"

#define FIRST 45 /* of the frame, behind ID3 */

/* What FFmpeg writes: ID3, MPEG-1 stereo at 48 kHz, Info with all parts, LAME's tag. */
static size_t sample(uint8_t out[400])
{
	uint8_t *p = out + FIRST;

	memset(out, 0, 400);
	memcpy(out, "ID3\4\0\0\0\0\0\43", 10);
	memcpy(p, "\xff\xfb\x94\x64", 4);
	memcpy(p + 36, "Info\0\0\0\xf", 8);
	memcpy(p + 44, "\0\0\0\x7e", 4); /* 126 frames */
	memcpy(p + 156, "Lavc59.37", 9);
	memcpy(p + 177, "\x24\x03\x08", 3); /* 576 and 776 samples */
	return 400;
}

TEST(length_is_that_of_the_sound)
{
	uint8_t data[400];
	struct mp3_head h;

	CHECK_INT(mp3_read_head(&h, data, sample(data)), 0);
	CHECK_INT(h.rate, 48000);
	CHECK_INT(h.channels, 2);
	CHECK_INT(h.samples, 126 * 1152 - 576 - 776);
	memset(data + FIRST + 44, 0, 4); /* no frames: no sound, and not less */
	CHECK_INT(mp3_read_head(&h, data, sizeof(data)), 0);
	CHECK_INT(h.samples, 0);
}

TEST(mono_and_low_rates_have_their_tag_elsewhere)
{
	uint8_t data[400] = {0};
	struct mp3_head h;

	memcpy(data, "\xff\xf3\x48\xc4", 4); /* MPEG-2 at 16 kHz, mono */
	memcpy(data + 13, "Xing\0\0\0\1\0\0\0\144", 12);
	CHECK_INT(mp3_read_head(&h, data, sizeof(data)), 0);
	CHECK_INT(h.rate, 16000);
	CHECK_INT(h.channels, 1);
	CHECK_INT(h.samples, 57600);
}

TEST(anything_else_says_nothing)
{
	uint8_t data[400];
	struct mp3_head h;
	size_t n = sample(data);

	for (size_t len = 0; len < FIRST + 180; len++)
		CHECK_INT(mp3_read_head(&h, data, len), -EBADMSG);
	data[FIRST + 43] = 0; /* Info does not tell the frames */
	CHECK_INT(mp3_read_head(&h, data, n), -EBADMSG);
	sample(data);
	data[FIRST + 36] = 'x';
	CHECK_INT(mp3_read_head(&h, data, n), -EBADMSG);
	sample(data);
	data[FIRST + 1] = 0xfd; /* layer II */
	CHECK_INT(mp3_read_head(&h, data, n), -EBADMSG);
	memset(data, 0xff, n);
	CHECK_INT(mp3_read_head(&h, data, n), -EBADMSG);
}
