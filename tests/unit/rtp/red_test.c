/* Redundant audio, taken apart and put together. */
#include "rtp/red.h"

#include <errno.h>
#include <string.h>

#include "../../support/test.h"

TEST(the_block_before_and_the_own_one)
{
	uint8_t p[RED_HEAD + 5] = {0};
	struct red_block b[RED_BLOCKS];

	red_head(p, 111, 960, 3);
	memcpy(p + RED_HEAD, "oldnw", 5);
	CHECK_INT(red_read(b, p, sizeof(p)), 2);
	CHECK_INT(b[0].pt, 111);
	CHECK_INT(b[0].before, 960);
	CHECK_INT(b[0].len, 3);
	CHECK(!memcmp(p + b[0].off, "old", 3));
	CHECK_INT(b[1].pt, 111);
	CHECK_INT(b[1].before, 0);
	CHECK_INT(b[1].len, 2);
	CHECK(!memcmp(p + b[1].off, "nw", 2));
}

TEST(limits_of_a_header)
{
	static uint8_t p[RED_HEAD + RED_LEN_MAX];
	struct red_block b[RED_BLOCKS];

	red_head(p, 127, RED_BEFORE_MAX, RED_LEN_MAX);
	CHECK_INT(red_read(b, p, sizeof(p)), 2);
	CHECK_INT(b[0].before, RED_BEFORE_MAX);
	CHECK_INT(b[0].len, RED_LEN_MAX);
	CHECK_INT(b[1].len, 0);
}

TEST(one_block_or_three)
{
	static const uint8_t one[] = {111, 'a'};
	static const uint8_t three[] = {0xef, 0x1e, 0x00, 1,   0xef, 0x0f, 0x00,
					2,    0x6f, 'a',  'b', 'c',  'd'};
	struct red_block b[RED_BLOCKS];

	CHECK_INT(red_read(b, one, sizeof(one)), 1);
	CHECK_INT(b[0].off, 1);
	CHECK_INT(b[0].len, 1);
	CHECK_INT(red_read(b, three, sizeof(three)), 3);
	CHECK_INT(b[0].before, 1920);
	CHECK_INT(b[1].before, 960);
	CHECK_INT(b[1].len, 2);
	CHECK_INT(b[2].off, 12);
	CHECK_INT(b[2].len, 1);
}

TEST(what_is_cut_off_is_refused)
{
	uint8_t p[RED_HEAD + 5], many[4 * RED_BLOCKS + 2];
	struct red_block b[RED_BLOCKS];

	red_head(p, 111, 960, 3);
	for (size_t n = 0; n < RED_HEAD + 3; n++)
		CHECK_INT(red_read(b, p, n), -EBADMSG);
	CHECK_INT(red_read(b, p, RED_HEAD + 3), 2);
	memset(many, 0, sizeof(many));
	for (unsigned i = 0; i < RED_BLOCKS; i++)
		many[4 * i] = 0x80 | 111;
	CHECK_INT(red_read(b, many, sizeof(many)), -EBADMSG);
}
