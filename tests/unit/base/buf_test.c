/* The growable buffer, the bounded reader, CRC-32C, the map and the JSON writer. */
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

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

TEST(crc32c_matches_rfc3720)
{
	uint8_t data[8192];

	memset(data, 0, 32);
	CHECK_INT(crc32c(0, data, 32), 0x8a9136aa);
	memset(data, 0xff, 32);
	CHECK_INT(crc32c(0, data, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		data[i] = (uint8_t)i;
	CHECK_INT(crc32c(0, data, 32), 0x46dd794e);
	/* Long inputs take another path: in one piece and in pieces must agree. */
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	uint32_t pieces = 0;
	for (size_t i = 0; i < sizeof(data); i += 64)
		pieces = crc32c(pieces, data + i, 64);
	CHECK_INT(crc32c(0, data, sizeof(data)), pieces);
}

struct thing {
	struct map_node node;
	char key[16];
};

TEST(map_finds_what_was_put)
{
	static struct thing t[1000];
	struct map m;

	map_init(&m);
	for (int i = 0; i < 1000; i++) {
		snprintf(t[i].key, sizeof(t[i].key), "k%d", i);
		CHECK_INT(map_put(&m, &t[i].node, t[i].key, strlen(t[i].key)), 0);
	}
	CHECK_INT(map_put(&m, &t[5].node, "k5", 2), -EEXIST);
	for (int i = 0; i < 1000; i += 2)
		map_remove(&m, &t[i].node);
	CHECK_INT(m.n, 500);
	CHECK(!map_get(&m, "k2", 2));
	CHECK(container_of(map_get(&m, "k3", 2), struct thing, node) == &t[3]);
	size_t seen = 0;
	map_each (i, &m) {
		seen++;
		map_remove(&m, i);
	}
	CHECK_INT(seen, 500);
	CHECK_INT(m.n, 0);
	map_done(&m);
}

TEST(json_is_always_valid)
{
	char out[256];
	struct json j;

	json_start(&j, out, sizeof(out));
	json_obj(&j, NULL);
	json_str(&j, "a", "q\"\\\n\x7f\xff\xc3\xa4\xed\xa0\x80");
	json_arr(&j, "b");
	json_int(&j, NULL, -1);
	json_num(&j, NULL, 0.5, 2);
	json_num(&j, NULL, NAN, 2);
	json_arr_end(&j);
	json_bool(&j, "c", true);
	json_obj_end(&j);
	CHECK(json_end(&j) > 0);
	CHECK_STR(out,
		  "{\"a\":\"q\\\"\\\\\\u000a\\u007f\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd"
		  "\xef\xbf\xbd\",\"b\":[-1,0.50,null],\"c\":true}");
}

TEST(json_reports_overflow)
{
	char out[8];
	struct json j;

	json_start(&j, out, sizeof(out));
	json_str(&j, NULL, "much too long");
	CHECK_INT(json_end(&j), -ENOBUFS);
}
