/* Rings as operands. */
#ifndef MSR_FRAMES_RINGNAME_H
#define MSR_FRAMES_RINGNAME_H

#include <stdbool.h>
#include <string.h>

#define RING_PREFIX "shm:"

static inline bool is_ring(const char *spec)
{
	return !strncmp(spec, RING_PREFIX, sizeof(RING_PREFIX) - 1);
}

/* "shm:NAME" or just the name. */
static inline const char *ring_name(const char *operand)
{
	return is_ring(operand) ? operand + sizeof(RING_PREFIX) - 1 : operand;
}

#endif
