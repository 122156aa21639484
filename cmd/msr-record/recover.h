/* What an interrupted run left in the storage. */
#ifndef MSR_RECORD_RECOVER_H
#define MSR_RECORD_RECOVER_H

#include <stdbool.h>

struct recorder;

/*
 * A msr-record that is killed while it starts a child may leave its locks with that until it runs,
 * finds its parent gone and dies: on a busy machine later than the next msr-record comes. What is
 * locked is waited for a moment therefore; `looks` begins with LOCK_LOOKS. False when it was long
 * enough: another process is at work.
 */
#define LOCK_LOOKS 100
bool recover_waits(unsigned *looks);

/*
 * Takes over every recording that no live process has: open ones continue as sessions (with
 * `finish` they are ended), ended ones are put on the list `ended`. Says what it found. 0 or
 * -errno.
 */
int recover_all(struct recorder *r, bool finish);

#endif
