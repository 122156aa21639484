/*
 * CRC-32C. On x86-64 with SSE 4.2 three independent streams hide the 3-cycle latency of the crc32
 * instruction, and a table moves their results into place; elsewhere one table, byte by byte.
 */
#include "crc32c.h"

#include <string.h>

#define POLY   0x82f63b78u /* reflected */
#define STRIPE 1024	   /* bytes a stream takes between two merges; a multiple of 8 */

static uint32_t byte_table[256];
static uint32_t shift_table[4][256]; /* advances a CRC over STRIPE zero bytes */

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t n)
{
	while (n--)
		crc = crc >> 8 ^ byte_table[(crc ^ *p++) & 0xff];
	return crc;
}

static uint32_t over_zeros(uint32_t crc, size_t n)
{
	while (n--)
		crc = crc >> 8 ^ byte_table[crc & 0xff];
	return crc;
}

/* Before main, so that threads need no lock. */
__attribute__((constructor)) static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ POLY : c >> 1;
		byte_table[i] = c;
	}
	/* The shift is linear, so 32 single bits give all 1,024 entries. */
	uint32_t bit[32];
	for (int b = 0; b < 32; b++)
		bit[b] = over_zeros(1u << b, STRIPE);
	for (int k = 0; k < 4; k++)
		for (uint32_t i = 0; i < 256; i++)
			for (int b = 0; b < 8; b++)
				if (i & 1u << b)
					shift_table[k][i] ^= bit[8 * k + b];
}

#ifdef __x86_64__
#include <nmmintrin.h>

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static uint32_t shift(uint32_t crc)
{
	return shift_table[0][crc & 0xff] ^ shift_table[1][crc >> 8 & 0xff] ^
	       shift_table[2][crc >> 16 & 0xff] ^ shift_table[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p,
								 size_t n)
{
	while (n >= 3 * STRIPE) {
		uint64_t a = crc, b = 0, c = 0;
		for (size_t i = 0; i < STRIPE; i += 8) {
			a = _mm_crc32_u64(a, load64(p + i));
			b = _mm_crc32_u64(b, load64(p + STRIPE + i));
			c = _mm_crc32_u64(c, load64(p + 2 * STRIPE + i));
		}
		crc = shift(shift((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
		p += 3 * STRIPE;
		n -= 3 * STRIPE;
	}
	uint64_t a = crc;
	for (; n >= 8; n -= 8, p += 8)
		a = _mm_crc32_u64(a, load64(p));
	crc = (uint32_t)a;
	while (n--)
		crc = _mm_crc32_u8(crc, *p++);
	return crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return ~by_instruction(~crc, data, n);
#endif
	return ~by_table(~crc, data, n);
}
