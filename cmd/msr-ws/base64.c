/* Base64, decoded where it lies: three bytes are written for four that were read. */
#include "base64.h"

#include <stdbool.h>

/* Value of a character plus 1; 0 is none. */
static const uint8_t values[256] = {
    ['A'] = 1,	['B'] = 2,  ['C'] = 3,	['D'] = 4,  ['E'] = 5,	['F'] = 6,  ['G'] = 7,	['H'] = 8,
    ['I'] = 9,	['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

/* Four characters to 24 bits; false when one of them is none. */
static bool quad(const uint8_t *in, uint32_t *out)
{
	uint32_t a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];

	*out = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
	return a && b && c && d;
}

long base64_decode(uint8_t *text, size_t len)
{
	const uint8_t *in = text;
	uint8_t *out = text;
	uint32_t v;

	if (len && len % 4 == 0 && text[len - 1] == '=')
		len -= text[len - 2] == '=' ? 2 : 1;
	for (; len >= 4; len -= 4, in += 4, out += 3) {
		if (!quad(in, &v))
			return -1;
		out[0] = (uint8_t)(v >> 16);
		out[1] = (uint8_t)(v >> 8);
		out[2] = (uint8_t)v;
	}
	if (len == 1)
		return -1;
	if (len) {
		uint8_t last[4] = {in[0], in[1], len == 3 ? in[2] : 'A', 'A'};
		/* Bits beyond the last byte must be zero (section 3.5). */
		if (!quad(last, &v) || v & (len == 3 ? 0xffu : 0xffffu))
			return -1;
		*out++ = (uint8_t)(v >> 16);
		if (len == 3)
			*out++ = (uint8_t)(v >> 8);
	}
	return (long)(out - text);
}
