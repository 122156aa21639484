/* The growable buffer. Consumed bytes are reclaimed before memory grows. */
#include "buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256 /* bytes; most control messages fit */

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
	free(b->mem);
	*b = (struct buf){.max = b->max};
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
	size_t len = buf_len(b);

	if (n > SIZE_MAX / 4 - len || (b->max && len + n > b->max))
		return NULL;
	if (b->mem && b->cap - b->tail >= n)
		return b->mem + b->tail;
	/* Move only when that frees at least half, else grow although it would fit: otherwise a
	 * full buffer that is consumed a little at a time would be moved each time. */
	bool fits = b->head && b->cap - len >= n;
	if (fits && b->head >= b->cap / 2) {
		memmove(b->mem, b->mem + b->head, len);
		b->head = 0;
		b->tail = len;
		return b->mem + b->tail;
	}
	size_t cap = fits ? 2 * b->cap : b->cap ? b->cap : FIRST_CAP;
	while (cap < len + n)
		cap *= 2;
	uint8_t *mem = malloc(cap);
	if (!mem)
		return NULL;
	if (len)
		memcpy(mem, b->mem + b->head, len);
	free(b->mem);
	b->mem = mem;
	b->cap = cap;
	b->head = 0;
	b->tail = len;
	return b->mem + b->tail;
}

void buf_commit(struct buf *b, size_t n)
{
	b->tail += n;
}

/* Why buf_reserve gave nothing. */
static int no_room(const struct buf *b, size_t n)
{
	return b->max && buf_len(b) + n > b->max ? -ENOBUFS : -ENOMEM;
}

int buf_append(struct buf *b, const void *data, size_t n)
{
	uint8_t *p = buf_reserve(b, n);

	if (!p)
		return no_room(b, n);
	if (n)
		memcpy(p, data, n);
	buf_commit(b, n);
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	char *p = (char *)buf_reserve(b, (size_t)n + 1);
	if (!p)
		return no_room(b, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf_commit(b, (size_t)n);
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	b->head += n;
	if (b->head == b->tail)
		b->head = b->tail = 0;
}
