/* The query of a connection: what its chunks are. Pure. */
#ifndef MSR_WS_QUERY_H
#define MSR_WS_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

struct query {
	int kind;	       /* FRAME_AUDIO, FRAME_VIDEO, or 0: not said */
	int codec;	       /* enum frame_codec, CODEC_NONE: not said */
	uint32_t rate;	       /* Hz; 0: not said */
	uint8_t channels;      /* 0: not said */
	char storage[ID_SIZE]; /* "": none */
	bool has_part;
	uint64_t part;
	bool ack, resume;
};

/* The names that query_set knows, by number from 0; NULL behind the last. */
const char *query_name(size_t i);

/*
 * Takes one parameter. 0, or -EINVAL with what is wrong in `why`.
 */
int query_set(struct query *q, const char *name, const char *value, char *why, size_t cap);

/* Looks at all of them together, and fills in the defaults of raw samples. 0 or -EINVAL. */
int query_check(struct query *q, char *why, size_t cap);

#endif
