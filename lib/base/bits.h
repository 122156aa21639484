/*
 * Bit reader for codec headers: most significant bit first. Like struct rd it remembers a failure,
 * and returns zeros from then on.
 */
#ifndef MSR_BASE_BITS_H
#define MSR_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bits {
	const uint8_t *p;
	size_t n, at; /* bits in all, bits read */
	bool failed;
};

static inline struct bits bits_of(const uint8_t *p, size_t bytes)
{
	return (struct bits){p, bytes * 8, 0, false};
}

static inline uint32_t bits_get(struct bits *b, unsigned count) /* at most 32 */
{
	uint32_t v = 0;

	if (b->failed || b->n - b->at < count) {
		b->failed = true;
		return 0;
	}
	for (; count; count--, b->at++)
		v = v << 1 | (b->p[b->at / 8] >> (7 - b->at % 8) & 1u);
	return v;
}

static inline bool bits_flag(struct bits *b)
{
	return bits_get(b, 1);
}

/* Exp-Golomb code of H.264; the same codes are uvlc() in AV1. */
static inline uint32_t bits_ue(struct bits *b)
{
	unsigned zeros = 0;

	while (!b->failed && !bits_get(b, 1))
		if (++zeros > 31)
			b->failed = true;
	return b->failed ? 0 : (uint32_t)((1ull << zeros) - 1 + bits_get(b, zeros));
}

static inline int32_t bits_se(struct bits *b)
{
	uint32_t v = bits_ue(b);

	return v & 1 ? (int32_t)(v / 2 + 1) : -(int32_t)(v / 2);
}

#endif
