/* Blocks that double in size up to 64 KiB; larger pieces get one of their own. */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MIN 1024	/* bytes of the first block */
#define BLOCK_MAX 65536 /* bytes at which blocks stop growing */

struct arena_block {
	struct arena_block *next;
	size_t size, used; /* bytes of mem */
	alignas(max_align_t) char mem[];
};

void arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){.max = max};
}

void arena_done(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;
		a->blocks = b->next;
		free(b);
	}
	a->used = 0;
}

static struct arena_block *add_block(struct arena *a, size_t n)
{
	size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < n)
		size = n;
	struct arena_block *b = calloc(1, sizeof(*b) + size);
	if (!b)
		return NULL;
	b->size = size;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	const size_t align = alignof(max_align_t);

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + align - 1) & ~(align - 1);
	if (a->max && n > a->max - a->used)
		return NULL;
	struct arena_block *b = a->blocks;
	if (!b || b->size - b->used < n)
		b = add_block(a, n);
	if (!b)
		return NULL;
	void *p = b->mem + b->used;
	b->used += n;
	a->used += n;
	return p;
}

char *arena_strdup(struct arena *a, const char *s, size_t len)
{
	char *p = arena_alloc(a, len + 1);

	if (p)
		memcpy(p, s, len); /* the NUL is there: memory comes zeroed */
	return p;
}

void *arena_grow(struct arena *a, void *array, size_t n, size_t size)
{
	if (n & (n - 1)) /* full only at powers of two, and at none */
		return array;
	void *p = arena_alloc(a, (n ? n * 2 : 1) * size);
	if (p && n)
		memcpy(p, array, n * size);
	return p;
}
