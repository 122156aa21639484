/* A pump's frames on to a sink. */
#ifndef MSR_FRAMES_OUT_H
#define MSR_FRAMES_OUT_H

#include "pump.h"

struct sink;

struct out {
	struct pump *pump;
	struct sink *sink; /* owned */
	uint64_t put;	   /* position behind the last frame put */
};

extern int64_t out_ring_size; /* bytes, of a ring that is made; 0: the default */

#define OPT_RING_SIZE                                                                    \
	{                                                                                \
		0, "ring-size", OPT_SIZE, &out_ring_size, NULL, "BYTES",                 \
		    "size of a ring that is not there yet (64M)", 4096, (int64_t)1 << 36 \
	}

/* Opens `output` on the loop of the pump. 0, or 1 after saying what failed. */
int out_open(struct out *o, struct pump *p);
/* Handlers for the pump; `arg` is a struct out. */
int out_frame(void *arg, const struct frame *f);
int out_settle(void *arg);
/* Writes the rest, commits and closes. The exit status, which is not less than `status`. */
int out_close(struct out *o, int status);

#endif
