/* Conditions on frames: operands such as room=R kind=audio,video. All must hold. */
#ifndef MSR_FRAMES_MATCH_H
#define MSR_FRAMES_MATCH_H

#include <stdbool.h>

#include "frame/frame.h"

#define MATCH_MAX 16 /* conditions */

struct match_cond {
	int key;	    /* place in the table of keys */
	const char *values; /* lent: alternatives, separated by commas */
};

struct match {
	struct match_cond cond[MATCH_MAX];
	int n;
};

/* Takes the operands. 0, or 2 after saying what is wrong. */
int match_parse(struct match *m, int argc, char **argv);
bool match_frame(const struct match *m, const struct frame *f);
/* Whether a condition on `key` ("kind") was given. */
bool match_has(const struct match *m, const char *key);

#endif
