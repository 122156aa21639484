/* CRC-32C: the examples of RFC 3720, and pieces that add up. */
#include "base/crc32c.h"

#include "../../support/test.h"

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
