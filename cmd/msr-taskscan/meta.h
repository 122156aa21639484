/* What NAME.json, which msr-record(8) writes last, says about a finished recording. */
#ifndef MSR_TASKSCAN_META_H
#define MSR_TASKSCAN_META_H

#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

#define META_MAX    (1 << 20) /* bytes of a NAME.json or a task; ours have a few hundred */
#define META_START  40	      /* an RFC 3339 time */
#define META_CODEC  64
#define META_SHA256 65 /* hexadecimal digits and NUL */

/* Empty strings, -1 and negative durations stand for what is not said. */
struct meta {
	char room[ID_SIZE];
	char session[ID_SIZE];
	char start[META_START];
	char codec[META_CODEC]; /* "opus", "vp8,opus" */
	char sha256[META_SHA256];
	int64_t bytes;	 /* of the media file that the digest belongs to */
	double duration; /* seconds */
};

void meta_init(struct meta *m);

/*
 * Reads a NAME.json. 0, or -EINVAL: not JSON, not an object, or with a room or session that is not
 * an id; then `m` says nothing and `why`, a static text, is what is wrong.
 */
int meta_parse(const void *data, size_t len, struct meta *m, const char **why);

#endif
