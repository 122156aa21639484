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

TEST(reader_fails_once_and_for_all)
{
	struct rd r = rd_of("\x01\x02\x03\x04\x05", 5);

	CHECK_INT(rd_be16(&r), 0x0102);
	CHECK_INT(rd_be32(&r), 0);
	CHECK(!rd_ok(&r));
	CHECK_INT(rd_u8(&r), 0);
}
