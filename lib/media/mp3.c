/*
 * | ID3v2 | header 4 | side information 9, 17 or 32 | "Xing", "Info" | flags 4 | frames 4 | bytes 4
 * | table 100 | quality 4 | LAME: name 9, ... 12, delay and padding 3 |      each part as flags say
 */
#include "mp3.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

#define ID3_HEADER  10
#define LAME_DELAYS 21 /* bytes from the encoder's name to its delays */
#define TABLE_BYTES 100
#define HAS_FRAMES  1u
#define HAS_BYTES   2u
#define HAS_TABLE   4u
#define HAS_QUALITY 8u

static size_t id3_size(const uint8_t *d, size_t len)
{
	if (len < ID3_HEADER || memcmp(d, "ID3", 3) != 0)
		return 0;
	return ID3_HEADER + ((size_t)(d[6] & 127) << 21 | (size_t)(d[7] & 127) << 14 |
			     (size_t)(d[8] & 127) << 7 | (d[9] & 127));
}

/* The frame header's rate and channels; the length of the side information, or 0. */
static size_t read_frame_header(const uint8_t *h, struct mp3_head *out, bool *mpeg1)
{
	static const uint32_t rates[3] = {44100, 48000, 32000};
	unsigned version = h[1] >> 3 & 3, layer = h[1] >> 1 & 3, rate = h[2] >> 2 & 3;

	if (h[0] != 0xff || (h[1] & 0xe0) != 0xe0 || version == 1 || layer != 1 || rate == 3)
		return 0;
	*mpeg1 = version == 3;
	out->rate = rates[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
	out->channels = h[3] >> 6 == 3 ? 1 : 2;
	if (*mpeg1)
		return out->channels == 2 ? 32 : 17;
	return out->channels == 2 ? 17 : 9;
}

int mp3_read_head(struct mp3_head *out, const uint8_t *data, size_t len)
{
	struct mp3_head head = {0};
	struct rd r = rd_of(data, len);
	bool mpeg1;

	rd_bytes(&r, id3_size(data, len));
	const uint8_t *h = rd_bytes(&r, 4);
	size_t side = h ? read_frame_header(h, &head, &mpeg1) : 0;
	if (!side)
		return -EBADMSG;
	rd_bytes(&r, side);
	const uint8_t *tag = rd_bytes(&r, 4);
	if (!tag || (memcmp(tag, "Xing", 4) != 0 && memcmp(tag, "Info", 4) != 0))
		return -EBADMSG;
	uint32_t flags = rd_be32(&r);
	if (!(flags & HAS_FRAMES))
		return -EBADMSG;
	head.samples = (uint64_t)rd_be32(&r) * (mpeg1 ? 1152 : 576);
	rd_bytes(&r, (flags & HAS_BYTES ? 4 : 0) + (flags & HAS_TABLE ? TABLE_BYTES : 0) +
			 (flags & HAS_QUALITY ? 4 : 0));
	rd_bytes(&r, LAME_DELAYS);
	const uint8_t *d = rd_bytes(&r, 3);
	if (!rd_ok(&r) || !d)
		return -EBADMSG;
	uint32_t added = ((uint32_t)d[0] << 4 | d[1] >> 4) + ((uint32_t)(d[1] & 15) << 8 | d[2]);
	head.samples -= added < head.samples ? added : head.samples;
	*out = head;
	return 0;
}
