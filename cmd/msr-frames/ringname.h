/* Rings as operands. */
#ifndef MSR_FRAMES_RINGNAME_H
#define MSR_FRAMES_RINGNAME_H

#include "frame/ring.h"

/* "shm:NAME" or just the name. */
static inline const char *ring_operand(const char *operand)
{
	const char *name = ring_name_in(operand);

	return name ? name : operand;
}

#endif
