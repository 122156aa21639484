/*
 * Intake: drains the sources in batches and tells them what is safe.
 *
 *   ready → wait until 20 ms after the last batch → take what is there, source by source
 *   → flush the recordings touched → their journals → (sync) → commit the positions
 *
 * When a write fails for want of space everything stands still, with the frame in hand, and is
 * tried again every second.
 */
#ifndef MSR_RECORD_INTAKE_H
#define MSR_RECORD_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

struct intake;
struct recorder;

/*
 * `end` is called once, when all sources are at their end (or stopped) and all that they gave is
 * in recordings. 0 or -ENOMEM.
 */
int intake_new(struct intake **ip, struct recorder *r, void (*end)(void *arg), void *arg);
/* Opens one more source; `follow` as for msr-record(8). 0 or -errno. */
int intake_add(struct intake *in, const char *spec, bool follow);
/* In the first turn: looks whether something is there, commits what recovery has put in order. */
void intake_start(struct intake *in);
/*
 * Takes what rings have published already and leaves their recordings for the next start; reads
 * pipes to their end, for at most `limit_us`. Then `end` is called.
 */
void intake_stop(struct intake *in, int64_t limit_us);
/* Accepts NULL. */
void intake_free(struct intake *in);

/* Whether a source failed. */
bool intake_failed(const struct intake *in);
/* Whether rings are among the sources: what is in them may continue after this process. */
bool intake_has_rings(const struct intake *in);

/* Once a second: silent sessions, restarted producers, statistics. */
void intake_tick(struct intake *in);

#endif
