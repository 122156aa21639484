/* Chunks of the feed and the positions in them. */
#include "feed.h"

#include <errno.h>
#include <stdlib.h>

static struct feed_chunk *chunk_new(struct feed *f)
{
	struct feed_chunk *c = f->spare;

	if (c)
		f->spare = NULL;
	else
		c = malloc(sizeof(*c));
	if (!c)
		return NULL;
	c->next = NULL;
	c->base = f->end;
	c->used = 0;
	c->readers = 0;
	return c;
}

int feed_init(struct feed *f)
{
	*f = (struct feed){0};
	f->first = f->last = chunk_new(f);
	return f->first ? 0 : -ENOMEM;
}

void feed_done(struct feed *f)
{
	while (f->first) {
		struct feed_chunk *c = f->first;
		f->first = c->next;
		free(c);
	}
	free(f->spare);
	*f = (struct feed){0};
}

/* Frees chunks in front of the slowest reader. */
static void trim(struct feed *f)
{
	while (f->first != f->last && !f->first->readers) {
		struct feed_chunk *c = f->first;
		f->first = c->next;
		if (f->spare)
			free(c);
		else
			f->spare = c;
	}
}

uint8_t *feed_reserve(struct feed *f, size_t n)
{
	if (FEED_CHUNK - f->last->used < n) {
		struct feed_chunk *c = chunk_new(f);
		if (!c)
			return NULL;
		f->last->next = c;
		f->last = c;
		trim(f); /* without readers nobody else would */
	}
	return f->last->data + f->last->used;
}

void feed_commit(struct feed *f, size_t n)
{
	f->last->used += (uint32_t)n;
	f->end += n;
}

void feed_attach(struct feed *f, struct feed_pos *pos)
{
	*pos = (struct feed_pos){f->last, f->last->used};
	f->last->readers++;
}

void feed_detach(struct feed *f, struct feed_pos *pos)
{
	if (!pos->chunk)
		return;
	pos->chunk->readers--;
	pos->chunk = NULL;
	trim(f);
}

void feed_advance(struct feed *f, struct feed_pos *pos, uint64_t n)
{
	struct feed_chunk *c = pos->chunk;

	while (n > c->used - pos->off || (pos->off + n == c->used && c->next)) {
		n -= c->used - pos->off;
		c = c->next;
		pos->off = 0;
	}
	pos->off += (uint32_t)n;
	if (c == pos->chunk)
		return;
	struct feed_chunk *left = pos->chunk;
	pos->chunk = c;
	c->readers++;
	if (!--left->readers)
		trim(f);
}
