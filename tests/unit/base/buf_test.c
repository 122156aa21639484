/* The growable buffer and the bounded reader. */
#include "base/buf.h"

#include <errno.h>

#include "../../support/test.h"

TEST(buffer_keeps_order_and_bound)
{
	struct buf b;

	buf_init(&b, 1000);
	for (int i = 0; i < 100; i++) {
		CHECK_INT(buf_append(&b, "0123456789", 10), 0);
		if (i % 2)
			buf_consume(&b, 10);
	}
	CHECK_INT(buf_len(&b), 500);
	CHECK_MEM(buf_data(&b), "0123456789", 10);
	CHECK_INT(buf_append(&b, "x", 1), 0);
	while (buf_append(&b, "y", 1) == 0)
		;
	CHECK_INT(buf_len(&b), 1000);
	CHECK_INT(buf_append(&b, "y", 1), -ENOBUFS);
	buf_done(&b);
}

TEST(a_full_buffer_that_is_consumed_a_little_at_a_time_is_seldom_moved)
{
	static const char piece[64];
	struct buf b;
	int moved = 0;

	buf_init(&b, 4096);
	while (buf_append(&b, piece, sizeof(piece)) == 0)
		;
	for (int i = 0; i < 1000; i++) {
		buf_consume(&b, sizeof(piece));
		const uint8_t *was = buf_data(&b);
		CHECK_INT(buf_append(&b, piece, sizeof(piece)), 0);
		moved += buf_data(&b) != was;
	}
	CHECK_INT(buf_len(&b), 4096);
	CHECK(moved < 20);
	buf_done(&b);
}

TEST(reader_fails_once_and_for_all)
{
	struct rd r = rd_of("\x01\x02\x03\x04\x05", 5);

	CHECK_INT(rd_be16(&r), 0x0102);
	CHECK_INT(rd_be32(&r), 0);
	CHECK(!rd_ok(&r));
	CHECK_INT(rd_u8(&r), 0);
}
