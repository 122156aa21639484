/*
 * One child at low priority, with its output gathered. It dies with this process, and ends by
 * itself or by child_kill; then `done` is called from the loop.
 */
#ifndef MSR_RECORD_CHILD_H
#define MSR_RECORD_CHILD_H

#include <stddef.h>

#include "base/buf.h"

struct loop;
struct child;

struct child_opts {
	struct loop *loop;
	/* Something came on its standard output, which is `out` so far. May be NULL. */
	void (*output)(void *arg, struct buf *out);
	/*
	 * It has ended with this wait status. `out` is its standard output, up to a mebibyte, and
	 * `errors` the end of what it said on standard error; both are lent. The child is freed
	 * after.
	 */
	void (*done)(void *arg, int status, struct buf *out, const char *errors);
	void *arg;
};

/* 0 or -errno, also when there is no such program. `o` is copied. It speaks the language of C. */
int child_start(struct child **cp, const char *const argv[], const struct child_opts *o);
/* Ends it at once; `done` is still called. */
void child_kill(struct child *c);
/* Ends it and waits; `done` is not called. Accepts NULL. */
void child_free(struct child *c);

#endif
