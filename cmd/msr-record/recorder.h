/*
 * What the parts of msr-record share.
 *
 *   source → intake → session → recording → writer → part file, journal ══ commit (ring's tail)
 *                        … close → finish → store (final names) → event
 */
#ifndef MSR_RECORD_RECORDER_H
#define MSR_RECORD_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/opt.h"
#include "store.h"

#define RECORDING_FDS	    3	  /* of one that receives: journal, audio, video */
#define RECORDINGS_WAIT_MAX 20000 /* to be finished: each takes memory and a descriptor */

struct loop;
struct events;
struct finisher;
struct mixer;

struct settings {
	const char *audio;    /* extension that sound alone gets */
	const char *video;    /* and recordings with a picture */
	bool pictures;	      /* make waveform and poster */
	int64_t finishers;    /* FFmpeg children at once */
	int64_t idle_us;      /* of sessions whose producer may be gone */
	int64_t max_pause_us; /* of the others */
	int64_t sync_ms;      /* 0: leave it to the kernel */
	int64_t max_sessions; /* recordings that receive at once */
	int64_t max_fds;      /* descriptors that all recordings may have together */
	int64_t max_bytes;    /* of one recording, 0: no bound */
	uint64_t max_file;    /* bytes that a file may have here, 0: no bound */
	int64_t grace_us;     /* for finishing after SIGTERM */
	struct opt_list mix;  /* rooms of which a mix is made; MIX_ALL: of all */
	int64_t mix_wait_us;  /* a room is over after this long without a recording */
};

struct counters {
	metric_t frames, bytes;	      /* taken from sources */
	metric_t parts;		      /* stored */
	metric_t duplicates, missing; /* parts */
	metric_t replayed;	      /* frames skipped because the journal has them */
	metric_t ignored;	      /* frames that are not recorded: text */
	metric_t dropped;	      /* media of refused sessions */
	metric_t refused;	      /* sessions */
	metric_t started, finished, failed, recovered;
	metric_t open, queued; /* recordings now */
	metric_t receiving;    /* those of them that have not ended */
	metric_t disk_full;    /* times that everything stood still */
	metric_t paused;       /* 1 while it does */
	metric_t batches;
	metric_t resyncs, skipped; /* damage on sources: times, bytes */
};

struct recorder {
	struct loop *loop;
	struct events *events;
	struct store store;
	struct settings set;
	struct map sessions; /* "room/session" → struct session */
	struct list dirty;   /* recordings whose files are ahead of their journals */
	struct list ended;   /* recordings to be finished once their frames are committed */
	struct finisher *finisher;
	struct mixer *mixer;
	struct counters n;
};

#endif
