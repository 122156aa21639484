/*
 * Base64, decoded where it lies: three bytes are written for four that were read.
 *
 * A body may be 22 MiB of it and everybody else waits meanwhile, so four tables give each
 * character's bits where they belong, and a bit of their own for what is not such a character.
 */
#include "base64.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define BAD 0x80000000u

static uint32_t bits[4][256]; /* by place in the group and character */

static void fill_tables(void)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (int place = 0; place < 4; place++) {
		for (int c = 0; c < 256; c++)
			bits[place][c] = BAD;
		for (uint32_t v = 0; v < 64; v++)
			bits[place][(uint8_t)alphabet[v]] = v << (18 - 6 * place);
	}
}

static uint32_t group(const uint8_t *in)
{
	return bits[0][in[0]] | bits[1][in[1]] | bits[2][in[2]] | bits[3][in[3]];
}

/* One to three characters at the end; the bits beyond the last byte must be zero (section 3.5). */
static long decode_rest(const uint8_t *in, size_t len, uint8_t *out)
{
	if (len < 2)
		return len ? -1 : 0;
	uint8_t last[4] = {in[0], in[1], len == 3 ? in[2] : 'A', 'A'};
	uint32_t v = group(last);
	if (v & (BAD | (len == 3 ? 0xffu : 0xffffu)))
		return -1;
	out[0] = (uint8_t)(v >> 16);
	if (len == 3)
		out[1] = (uint8_t)(v >> 8);
	return (long)len - 1;
}

long base64_decode(uint8_t *text, size_t len)
{
	const uint8_t *in = text;
	uint8_t *out = text;

	if (!bits[0][0])
		fill_tables();
	if (len && len % 4 == 0 && text[len - 1] == '=')
		len -= text[len - 2] == '=' ? 2 : 1;
	for (; len >= 4; len -= 4, in += 4, out += 3) {
		uint32_t v = group(in);
		if (v & BAD)
			return -1;
		/* The fourth byte falls on one that was read already. */
		uint32_t four = htobe32(v << 8);
		memcpy(out, &four, 4);
	}
	long rest = decode_rest(in, len, out);
	return rest < 0 ? -1 : (long)(out - text) + rest;
}
