/*
 * Memory that is freed all at once: many small pieces of one parsed document. Bounded, and never
 * gives a piece back before the end.
 */
#ifndef MSR_BASE_ARENA_H
#define MSR_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* owned, newest first */
	size_t used;		    /* bytes given out */
	size_t max;		    /* bound of `used`; 0 for none */
};

void arena_init(struct arena *a, size_t max);
void arena_done(struct arena *a);

/* Zeroed memory, aligned for any type; NULL at the bound or without memory. */
void *arena_alloc(struct arena *a, size_t n);
/* A copy with a NUL after it. */
char *arena_strdup(struct arena *a, const char *s, size_t len);

/*
 * Room for one more element after the `n` of an array whose capacity doubles: returns the array,
 * moved or not, or NULL. `n` tells the capacity (the next power of two), so every element must be
 * added through this.
 */
void *arena_grow(struct arena *a, void *array, size_t n, size_t size);

#endif
