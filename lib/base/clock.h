/*
 * Time. Monotonic time, for deadlines, has a type of its own so that it is never mixed up with
 * wall-clock time, which goes into frames, events and files.
 */
#ifndef MSR_BASE_CLOCK_H
#define MSR_BASE_CLOCK_H

#include <stdint.h>

/* A point on CLOCK_MONOTONIC, in microseconds. */
struct mono {
	int64_t us;
};

/* "2026-01-02T03:04:05.678901Z" and the terminating NUL. */
#define CLOCK_RFC3339_SIZE 28

struct mono mono_now(void);

static inline struct mono mono_add_us(struct mono t, int64_t us)
{
	return (struct mono){t.us + us};
}

/* a - b in microseconds. */
static inline int64_t mono_diff_us(struct mono a, struct mono b)
{
	return a.us - b.us;
}

/* Microseconds since 1970-01-01 UTC. */
int64_t clock_wall_us(void);

/* Writes an RFC 3339 UTC time with microseconds. Times outside years 0 to 9999 are clamped. */
void clock_rfc3339(int64_t wall_us, char out[static CLOCK_RFC3339_SIZE]);

#endif
