/*
 * The way of frames through a subcommand: sources, fairly in turns → conditions → handler; and the
 * way back: what the handler has settled is committed to the rings that it came from.
 */
#ifndef MSR_FRAMES_PUMP_H
#define MSR_FRAMES_PUMP_H

#include "match.h"

struct loop;
struct pump;

struct pump_handler {
	/*
	 * One frame. 0; -EAGAIN: give it again after pump_resume; or -errno, which ends the run.
	 */
	int (*frame)(void *arg, const struct frame *f);
	/*
	 * Nothing more for now: put what was handled where it is safe. 0 if it is; -EAGAIN: on its
	 * way, pump_resume says when; or -errno.
	 */
	int (*settle)(void *arg);
	void *arg;
};

/* Opens the sources of `input`. 0, or 1 after saying what failed. */
int pump_open(struct pump **pp, const struct match *match, const struct pump_handler *handler);
/* The loop that everything runs on; for the handler's own timers and sink. */
struct loop *pump_loop(const struct pump *p);
/*
 * Runs to the end of all sources, a signal, or the handler's word. Returns the exit status;
 * damage that was skipped and errors are reported.
 */
int pump_run(struct pump *p);
/* The handler takes frames again, or what was on its way may be safe now. */
void pump_resume(struct pump *p);
/* After the run: everything handled is safe now. */
void pump_commit(struct pump *p);
/* Ends the run with this status, from a handler of the loop. */
void pump_stop(struct pump *p, int status);
void pump_close(struct pump *p);

#endif
