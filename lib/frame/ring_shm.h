/*
 * The memory of a ring: its file, the control page, and the data mapped twice in a row.
 *
 *   file       | control page | data          |
 *   in memory  | control page | data          | data again |
 *
 * msr-frame(5) documents the control page: it never changes within RING_VERSION.
 */
#ifndef MSR_FRAME_RING_SHM_H
#define MSR_FRAME_RING_SHM_H

#include <assert.h>
#include <limits.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_MAGIC   "MSRRING" /* with its NUL */
#define RING_VERSION 1
#define RING_LINE    128 /* bytes: two cache lines, which processors fetch in pairs */

/*
 * Each line has one writer on the hot path; a word somebody waits for has a line of its own,
 * which stays unmodified in both caches while nobody sleeps. Native byte order: shared memory does
 * not leave the machine.
 */
struct ring_control {
	char magic[8];
	uint32_t version;
	uint32_t control_size; /* bytes: where the data begins */
	uint64_t capacity;     /* bytes of data */
	uint64_t id;	       /* random, never 0 */

	/* the producer writes */
	alignas(RING_LINE) _Atomic uint64_t head; /* position after the last whole record */
	_Atomic uint64_t records, full, high_water, bells_rung, producer_starts;

	/* the consumer writes */
	alignas(RING_LINE) _Atomic uint64_t tail; /* everything before it is safe */
	_Atomic uint64_t rooms_rung, consumer_starts;

	/*
	 * Position that wakes the sleeping side; 0 if it is awake. The ringing side resets it to 0.
	 */
	alignas(RING_LINE) _Atomic uint64_t consumer_waits; /* for the head */
	alignas(RING_LINE) _Atomic uint64_t producer_waits; /* for the tail */
};

static_assert(offsetof(struct ring_control, head) == 128, "msr-frame(5)");
static_assert(offsetof(struct ring_control, tail) == 256, "msr-frame(5)");
static_assert(offsetof(struct ring_control, consumer_waits) == 384, "msr-frame(5)");
static_assert(offsetof(struct ring_control, producer_waits) == 512, "msr-frame(5)");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "positions are shared between processes");

struct ring_shm {
	int fd; /* owned; also holds the locks of the roles */
	struct ring_control *ctl;
	uint8_t *data;	     /* 2 * capacity bytes */
	size_t control_size; /* bytes; checked copies: the page itself is never asked again */
	size_t capacity;
	uint64_t id;
	uint64_t warm, warm_end; /* positions: mapped up to here, and all is mapped from there on */
};

/* Writes the path of a ring's file, or with `suffix` of a FIFO beside it. 0 or -EINVAL. */
int ring_path(char out[static PATH_MAX], const char *name, const char *suffix);

/*
 * Opens the file, or makes it with `size` bytes of data; with size 0 it must exist. 0, -EBADMSG,
 * -EPERM, or -errno.
 */
int ring_shm_open(struct ring_shm *m, const char *path, size_t size);
/* Accepts one that was never opened (fd -1, the rest zero). */
void ring_shm_close(struct ring_shm *m);

/*
 * The memory before `pos` is about to be touched: what is not mapped of it is, with what follows,
 * by one call instead of a fault a page, which in a virtual machine can cost more than the copy.
 * Call ring_shm_begin with the position at which the work begins first.
 */
void ring_shm_begin(struct ring_shm *m, uint64_t pos);
void ring_shm_warm_more(struct ring_shm *m, uint64_t pos);
static inline void ring_shm_warm(struct ring_shm *m, uint64_t pos)
{
	if (pos > m->warm && m->warm < m->warm_end)
		ring_shm_warm_more(m, pos);
}

/* Whether `path` still leads to this memory: not removed, not made again. */
bool ring_shm_current(const struct ring_shm *m, const char *path);

/* Whether two positions can be those of a ring of this capacity. */
static inline bool ring_positions_valid(uint64_t tail, uint64_t head, size_t capacity)
{
	return tail <= head && head - tail <= capacity && head % 8 == 0 && tail % 8 == 0;
}

#endif
