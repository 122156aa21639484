/* What an interrupted run left in the storage. */
#ifndef MSR_RECORD_RECOVER_H
#define MSR_RECORD_RECOVER_H

#include <stdbool.h>

struct recorder;

/*
 * Takes over every recording that no live process has: open ones continue as sessions (with
 * `finish` they are ended), ended ones are put on the list `ended`. Says what it found. 0 or
 * -errno.
 */
int recover_all(struct recorder *r, bool finish);

#endif
