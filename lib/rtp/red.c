/* Redundant audio: see red.h. */
#include "red.h"

#include <errno.h>

#include "base/buf.h"

#define MORE	     0x80 /* another header follows */
#define OLDER_HEADER 4
#define OWN_HEADER   1

int red_read(struct red_block block[static RED_BLOCKS], const uint8_t *payload, size_t n)
{
	size_t head = 0, off;
	unsigned k = 0;

	for (; head < n && payload[head] & MORE; head += OLDER_HEADER, k++) {
		if (k == RED_BLOCKS - 1 || n - head < OLDER_HEADER + OWN_HEADER)
			return -EBADMSG;
		uint16_t low = get_be16(payload + head + 2);
		block[k] = (struct red_block){
		    .pt = payload[head] & 0x7f,
		    .before = (uint16_t)(payload[head + 1] << 6 | low >> 10),
		    .len = low & RED_LEN_MAX,
		};
	}
	if (head == n)
		return -EBADMSG;
	block[k] = (struct red_block){.pt = payload[head]};
	off = head + OWN_HEADER;
	for (unsigned i = 0; i < k; i++) {
		if (block[i].len > n - off)
			return -EBADMSG;
		block[i].off = (uint16_t)off;
		off += block[i].len;
	}
	block[k].off = (uint16_t)off;
	block[k].len = (uint16_t)(n - off);
	return (int)k + 1;
}

void red_head(uint8_t out[static RED_HEAD], uint8_t pt, uint32_t before, size_t len)
{
	out[0] = MORE | pt;
	put_be24(out + 1, before << 10 | (uint32_t)len);
	out[4] = pt;
}
