/*
 * The feed: every small public message, encoded once, one behind the other in chunks of memory.
 *
 *	chunk [msg|msg|msg] → chunk [msg|msg|msg] → chunk [msg|msg ...... ]
 *	          ↑ pos of a slow reader                    ↑ pos of those who have everything
 *
 * A receiver owns no queue, only a position. A broadcast costs one copy however many receivers
 * there are, and what a receiver lacks is contiguous memory that one send(2) takes. The memory
 * in use is what the slowest reader lacks, not the sum over all.
 *
 * Messages do not cross chunks. Offsets count the bytes of all messages from the beginning.
 */
#ifndef MSR_CHAT_FEED_H
#define MSR_CHAT_FEED_H

#include <stddef.h>
#include <stdint.h>

enum { FEED_CHUNK = 64 * 1024 }; /* bytes; also the bound of one message */

struct feed_chunk {
	struct feed_chunk *next;
	uint64_t base;	  /* offset of its first byte */
	uint32_t used;	  /* bytes written */
	uint32_t readers; /* positions in it */
	uint8_t data[FEED_CHUNK];
};

struct feed {
	struct feed_chunk *first, *last; /* never NULL */
	struct feed_chunk *spare;	 /* one, to save the allocator trouble; or NULL */
	uint64_t end;			 /* offset behind the last message */
};

/* A reader's place. Counts in its chunk's `readers`. */
struct feed_pos {
	struct feed_chunk *chunk; /* NULL: not attached */
	uint32_t off;
};

/* 0 or -ENOMEM. */
int feed_init(struct feed *f);
/* No position may be attached any more. */
void feed_done(struct feed *f);

/* Room for a message of at most `n` bytes (n <= FEED_CHUNK), or NULL. Then feed_commit. */
uint8_t *feed_reserve(struct feed *f, size_t n);
void feed_commit(struct feed *f, size_t n);

/* At the end: the reader gets what is committed from now on. */
void feed_attach(struct feed *f, struct feed_pos *pos);
void feed_detach(struct feed *f, struct feed_pos *pos);
/* Moves on by `n` bytes, which must be there. Chunks that nobody needs any more are freed. */
void feed_advance(struct feed *f, struct feed_pos *pos, uint64_t n);

static inline uint64_t feed_offset(const struct feed_pos *pos)
{
	return pos->chunk->base + pos->off;
}
/* Bytes that the slowest reader lacks, at most. */
static inline uint64_t feed_held(const struct feed *f)
{
	return f->end - f->first->base;
}

#endif
