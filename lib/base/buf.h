/*
 * Bytes: a growable buffer with a bound, and a bounded reader for hostile input.
 *
 * The reader remembers a failure: after the first get beyond the end every get returns zero and
 * rd_ok() is false, so a parser reads straight through and checks once.
 */
#ifndef MSR_BASE_BUF_H
#define MSR_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- growable buffer: [begin consumed | data | room) ---- */

struct buf {
	uint8_t *mem; /* owned */
	size_t cap;   /* bytes of mem */
	size_t head;  /* first byte not yet consumed */
	size_t tail;  /* one after the last byte */
	size_t max;   /* bound of unconsumed bytes; 0 for none */
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);

static inline uint8_t *buf_data(const struct buf *b)
{
	return b->head ? b->mem + b->head : b->mem; /* nothing may be added to NULL, not even 0 */
}
static inline size_t buf_len(const struct buf *b)
{
	return b->tail - b->head;
}

/*
 * Makes room for `n` more bytes and returns where they go (then buf_commit), or NULL when the
 * bound or memory is exhausted. Moves the data: earlier pointers into it are invalid.
 */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* 0, -ENOBUFS at the bound or -ENOMEM. */
int buf_append(struct buf *b, const void *data, size_t n);
/* The same, but it needs room for one byte more, the NUL; a bad format gives -EINVAL. */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drops `n` bytes (at most buf_len) from the front. */
void buf_consume(struct buf *b, size_t n);

/* ---- bounded reader ---- */

struct rd {
	const uint8_t *p;
	const uint8_t *end;
	bool failed;
};

static inline struct rd rd_of(const void *data, size_t n)
{
	return (struct rd){data, (const uint8_t *)data + n, false};
}
static inline size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}
static inline bool rd_ok(const struct rd *r)
{
	return !r->failed;
}

/* The next `n` bytes, borrowed from the input, or NULL (and failed) when there are fewer. */
static inline const uint8_t *rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->failed || rd_left(r) < n) {
		r->failed = true;
		return NULL;
	}
	r->p += n;
	return p;
}
static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);
	return p ? p[0] : 0;
}

/* ---- fixed-width integers in memory, either byte order ---- */

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t get_be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}
static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | get_be24(p + 1);
}
static inline uint64_t get_be64(const uint8_t *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}
static inline uint16_t get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}
static inline uint64_t get_le64(const uint8_t *p)
{
	return (uint64_t)get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}
static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
static inline void put_be24(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 16);
	put_be16(p + 1, (uint16_t)v);
}
static inline void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, (uint16_t)(v >> 16));
	put_be16(p + 2, (uint16_t)v);
}
static inline void put_be64(uint8_t *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32(p + 4, (uint32_t)v);
}
static inline void put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}
static inline void put_le32(uint8_t *p, uint32_t v)
{
	put_le16(p, (uint16_t)v);
	put_le16(p + 2, (uint16_t)(v >> 16));
}
static inline void put_le64(uint8_t *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t rd_be16(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 2);
	return p ? get_be16(p) : 0;
}
static inline uint32_t rd_be32(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);
	return p ? get_be32(p) : 0;
}

#endif
