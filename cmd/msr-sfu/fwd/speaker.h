/*
 * Who speaks in a room: the loudest by smoothed levels, with some inertia, so that neither a cough
 * nor two people at once make it flicker. Pure.
 */
#ifndef MSR_SFU_FWD_SPEAKER_H
#define MSR_SFU_FWD_SPEAKER_H

#include <stdbool.h>
#include <stdint.h>

#define SPEAKER_US	  200000  /* between rounds */
#define SPEAKER_LOUD	  50	  /* -dBov: quieter than this is silence */
#define SPEAKER_MARGIN	  6	  /* dB that another must be louder by */
#define SPEAKER_HOLD_US	  600000  /* for this long */
#define SPEAKER_SILENT_US 2000000 /* after this long in silence nobody speaks */

/* Zeroed is ready. */
struct speaker {
	uint64_t now;	/* the active speaker's; 0 if nobody speaks */
	uint64_t rival; /* that is louder */
	int64_t rival_us, heard_us;
	/* the round under way */
	uint64_t loudest;
	int best, current; /* -dBov; of the loudest and of the active speaker */
};

/* One round: begin, each track with its level (0 loudest, 127 silence), end. */
void speaker_begin(struct speaker *s);
void speaker_level(struct speaker *s, uint64_t track, int level);
/* True when it is somebody else now, or nobody any more. */
bool speaker_end(struct speaker *s, int64_t now_us);

#endif
