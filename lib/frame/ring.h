/*
 * A single-producer single-consumer byte ring in POSIX shared memory, mapped twice in a row so
 * that every record is contiguous and can be used in place.
 *
 *   shm:NAME  =  /dev/shm/msr-NAME        control page, then the data
 *                /dev/shm/msr-NAME.bell   FIFO that wakes a sleeping consumer
 *                /dev/shm/msr-NAME.room   FIFO that wakes a producer which waits for the tail
 *
 * The environment variable MSR_RING_DIR names another folder than /dev/shm.
 *
 * Positions are 64-bit byte counts that never wrap; position modulo capacity is the place. The
 * producer writes, then publishes whole records by moving the head. The consumer reads ahead with
 * a cursor of its own and moves the tail (ring_commit) only after what it read is safe, so a
 * consumer that is killed and restarted continues with the first record not yet safe. A producer
 * that is killed leaves all that it published.
 *
 * Either side may start first, and restart at any time; a second live producer or consumer of the
 * same ring gets -EBUSY (held by fcntl(2) OFD locks, which the kernel drops with the process; a
 * child that is forked without exec holds them too). What stands in the control page is checked at
 * every use: a damaged ring gives -EBADMSG and is not written to any more.
 *
 * Nobody makes a system call while the other side is awake: a side that wants to sleep says so in
 * the control page (ring_arm), and only then is its bell rung. The death of the other side wakes
 * too.
 */
#ifndef MSR_FRAME_RING_H
#define MSR_FRAME_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_DEFAULT_SIZE (64u << 20) /* bytes of data */

enum ring_role { RING_PRODUCER, RING_CONSUMER };

struct ring;

/* The folder of the rings, lent by the environment. */
const char *ring_dir(void);

/* The name in "shm:NAME", the form in which sinks and sources are told of rings, or NULL. */
const char *ring_name_in(const char *spec);

struct ring_stats {
	uint64_t id;	     /* random, given when the ring was made; never 0 */
	uint64_t head, tail; /* positions: published, committed */
	uint64_t capacity;   /* bytes */
	uint64_t records;    /* published since the ring was made */
	uint64_t full;	     /* times the producer met a full ring */
	uint64_t high_water; /* most bytes ever not committed */
	uint64_t wakeups;    /* times a doorbell was rung, either way */
	uint64_t producer_starts, consumer_starts;
	/* ring_inspect only: */
	bool producer_live, consumer_live; /* the role is taken */
	bool damaged; /* positions that cannot be; seen only where neither side is live */
};

/*
 * Opens shm:NAME (without the prefix), making it with `size` bytes (rounded up to whole pages, 0:
 * RING_DEFAULT_SIZE) if it does not exist, for this user only. An existing ring keeps its size.
 * 0, -EBUSY (the role is taken by a live process), -EBADMSG (not a ring of this version, or
 * damaged; ring_unlink helps), -EINVAL (not a name: an id that ends neither in ".bell" nor in
 * ".room"), -EPERM (another user's), -ENOSPC (/dev/shm is full) or -errno.
 */
int ring_open(struct ring **rp, const char *name, enum ring_role role, size_t size);
/* Closes; the ring itself stays for the next. Accepts NULL. */
void ring_close(struct ring *r);
/*
 * Removes ring and doorbells from the system; open ends keep working on the old memory.
 * 0, -ENOENT (there was none) or -errno.
 */
int ring_unlink(const char *name);

/* Looks at a ring without taking a role. 0, -ENOENT, -EBADMSG or -errno. */
int ring_inspect(const char *name, struct ring_stats *out);

/*
 * Whether the file of that name is something else than a ring, even a damaged one: msr-audiod(8)
 * has memory of its own there. An empty file may be half a ring.
 */
bool ring_is_other(const char *name);

/* ---- producer ---- */

/*
 * Room for `n` bytes at the head, contiguous, or NULL when the ring is full now (ring_arm, then
 * wait on ring_fd), when `n` exceeds ring_record_max (never fits), or after ring_error.
 */
uint8_t *ring_reserve(struct ring *r, size_t n);
/* Bytes that ring_reserve has now. */
size_t ring_room(struct ring *r);
/* Half the capacity: so a large record never waits for the whole ring to be empty. */
size_t ring_record_max(const struct ring *r);
/*
 * Publishes the first `n` bytes reserved as one record (a multiple of 8) and rings the doorbell
 * if the consumer sleeps. Returns the position after it: the record is safe once ring_tail()
 * has reached that.
 */
uint64_t ring_publish(struct ring *r, size_t n);
/* The same for many records: call this for each, then ring_flush once. */
uint64_t ring_publish_more(struct ring *r, size_t n);
void ring_flush(struct ring *r);
/* Up to where the consumer has made things safe. Never moves back. */
uint64_t ring_tail(struct ring *r);
/* Position after the last record published. */
uint64_t ring_head(const struct ring *r);

/* ---- consumer ---- */

/*
 * What is published and not yet read: *data and its length, 0 if there is none (wait on
 * ring_fd), -EBADMSG when the control page is damaged. Stays valid until committed.
 */
long ring_peek(struct ring *r, const uint8_t **data);
/* Moves the read cursor over `n` bytes that ring_peek gave. */
void ring_advance(struct ring *r, size_t n);
/* Whether a producer has the ring open; asks the kernel. */
bool ring_has_producer(const struct ring *r);
/* Position of the read cursor. */
uint64_t ring_cursor(const struct ring *r);
/*
 * Everything before `pos`, which ring_cursor has given, is safe: its memory may be written over.
 * Wakes a producer that waits for room or for acknowledgement.
 */
void ring_commit(struct ring *r, uint64_t pos);

/*
 * How often a consumer has begun to read, this one and those before it: when it changes, another
 * one does, which remembers no more than what the last one made safe.
 */
uint64_t ring_consumer_starts(const struct ring *r);

/* ---- both ---- */

/* The random number given to the ring when it was made; never 0. */
uint64_t ring_id(const struct ring *r);
/* 0, or -EBADMSG once the control page was found damaged. */
int ring_error(const struct ring *r);

/*
 * A descriptor to wait on for readability (level-triggered; a hang-up counts): for a consumer, that
 * something was published; for a producer, that the tail has moved since ring_tail or ring_reserve
 * last looked, or, after ring_reserve found the ring full, that there is room again (a good part
 * of the ring at once, so that a full ring does not cost a wake-up a record).
 *
 * Before sleeping call ring_arm: true means that there is something to do already: do not sleep.
 * After ring_error it is false: nothing will come any more.
 * When the descriptor is readable call ring_disarm, which takes the wake-up.
 */
int ring_fd(const struct ring *r);
bool ring_arm(struct ring *r);
void ring_disarm(struct ring *r);

/* Blocks up to `timeout_ms` (-1: for ever) until there is something to do. 1, 0 or -errno. */
int ring_wait(struct ring *r, int timeout_ms);

void ring_stats(const struct ring *r, struct ring_stats *out);

#endif
