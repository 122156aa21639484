/*
 * A job of the finisher, and the steps that it consists of. Private to finish.c, which runs them,
 * and steps.c, which has them.
 */
#ifndef MSR_RECORD_JOB_H
#define MSR_RECORD_JOB_H

#include <limits.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "ffmpeg.h"
#include "loop/loop.h"
#include "meta.h"
#include "probe.h"
#include "recorder.h"
#include "recording.h"

#define FULL_PATH_MAX (PATH_MAX + STORE_PATH_MAX)

struct child;
struct mix;
struct step;

struct job {
	struct finisher *f;
	struct recorder *r;
	struct list link; /* in finisher.running */
	struct recording *rec;
	struct child *child;
	struct loop_timer timer;  /* stall, or the next try */
	bool waiting;		  /* the timer is for the next try */
	int looks;		  /* that are left for space before it; 0: not what it waits for */
	unsigned long long room;  /* least free bytes meanwhile */
	const struct step *steps; /* ends with one that has no name */
	int step, tries;
	bool disk_full; /* said so, and not yet that it is over */
	int full_step;	/* where it was */
	bool plain;	/* the conversion failed: without what it does in passing */
	struct input in[STREAMS];
	char in_path[STREAMS][FULL_PATH_MAX];
	struct plan plan;
	struct mix *mix; /* owned; of a mix, instead of `in` */
	double done;	 /* seconds of media converted */
	char out[FULL_PATH_MAX];
	struct media_probe probe; /* of the result */
	char sha256[SHA256_HEX + 1];
	bool wave, poster;
	unsigned unread; /* set of streams, by bit, that could not be read: their parts are kept */
	bool claimed;	 /* the media has its final name; only the rest is missing */
};

/*
 * A step. `start` gives a child its command line in *a (0), or has nothing to do (1), or fails
 * (-errno). `done` looks at what the child printed: 0, or -errno to fail.
 */
struct step {
	const char *what; /* for messages: "could not ..." */
	int (*start)(struct job *j, struct args *a);
	int (*done)(struct job *j, struct buf *out);
	bool optional; /* continue without */
};

/* Those of a recording, and those of a mix. The last one gives the files their names. */
extern const struct step record_steps[], mix_steps[];
/* Whether it is the one that makes the media, and tells how far it is (-progress). */
bool step_converts(const struct step *s);

/* A recording of a call is noted for the mix of its room. 0, or -errno when there is no space. */
int job_note_in_mix(struct job *j, const struct store_name *final);
/*
 * Parts that could not be read go beside the media, before store_publish removes all. 0 or -errno.
 */
int job_keep_unread(struct job *j, const struct store_name *final);
/* The event `finished`, and the log. */
void job_say_finished(struct job *j, const struct store_name *final, const char *ext);

#endif
