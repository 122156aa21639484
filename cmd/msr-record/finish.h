/*
 * Finishing: from part files to the final file. A queue of ended recordings, and a bounded number
 * of jobs that each run one child after the other:
 *
 *   look at the parts → ffmpeg: one file and its waveform or poster → look at it → sha256sum
 *   → sync → final names (store) → event `finished`
 *
 * Starting FFmpeg is what costs most of it, so it is asked about files (ffprobe) and for pictures
 * alone only where the first bytes do not tell and where both at once did not succeed.
 *
 * A job that is killed half-way is done again from its parts, which stay until the end.
 */
#ifndef MSR_RECORD_FINISH_H
#define MSR_RECORD_FINISH_H

#include <stdbool.h>

struct finisher;
struct recorder;
struct recording;

/* `idle` is called when the last job has ended. 0 or -ENOMEM. */
int finisher_new(struct finisher **fp, struct recorder *r, void (*idle)(void *arg), void *arg);
/* Kills what runs and forgets what waits: the next start does it. Accepts NULL. */
void finisher_free(struct finisher *f);

/* Takes an ended recording; begins when it is its turn. */
void finisher_add(struct finisher *f, struct recording *rec);
/* What waits for space, now or later, is left to the next start; all else goes on. */
void finisher_stop(struct finisher *f);
bool finisher_is_idle(const struct finisher *f);

#endif
