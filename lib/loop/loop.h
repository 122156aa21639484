/*
 * The event loop: descriptors, timers, signals and children on one epoll(7) instance.
 *
 * Life: loop_new → add sources → loop_run until loop_stop → free the sources → loop_free.
 * A loop belongs to the thread that runs it; only loop_wake may be called from others.
 *
 * A loop is itself one pollable descriptor (loop_fd), timers included. A program whose main loop
 * is another's (libwebsockets in lib/web) watches that descriptor and calls loop_turn.
 *
 * Handlers may free any source, also their own: what was freed in a turn is not called any more.
 */
#ifndef MSR_LOOP_LOOP_H
#define MSR_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"

struct loop;

/* 0 or -errno. */
int loop_new(struct loop **lp);
/* Frees what is still registered too, without calling handlers. Accepts NULL. */
void loop_free(struct loop *l);

/* Turns until loop_stop; returns what loop_stop was given, or -errno. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l, int result);

/* One turn: waits up to `timeout_ms` (-1: for ever), then calls the handlers. 0 or -errno. */
int loop_turn(struct loop *l, int timeout_ms);
/* Readable when loop_turn has something to do. */
int loop_fd(const struct loop *l);
/* For the host of a loop: applies changed interests, which loop_fd must reflect before it sleeps.
 */
void loop_apply(struct loop *l);
/* Forgets an earlier loop_stop, as loop_run does when it begins. */
void loop_begin(struct loop *l);
/* Whether loop_stop was called; *result is what it was given. */
bool loop_stopped(const struct loop *l, int *result);

/* Makes loop_turn return, from any thread or signal handler; the wake handler runs in it. */
void loop_wake(struct loop *l);
void loop_on_wake(struct loop *l, void (*handler)(void *arg), void *arg);

/* ---- descriptors ---- */

enum { LOOP_IN = 1, LOOP_OUT = 2, LOOP_HUP = 4 /* only reported: error or hang-up */ };

struct loop_io;

/*
 * Watches `fd`, which stays the caller's and must stay open until loop_io_free. `want` may be 0.
 * Level-triggered. 0, -ENOMEM or -errno (-EPERM: a plain file, always ready).
 */
int loop_io_new(struct loop_io **iop, struct loop *l, int fd, int want,
		void (*handler)(void *arg, int events), void *arg);
/* Changes what is waited for. Cheap when nothing changes: changes are applied before sleeping. */
void loop_io_want(struct loop_io *io, int want);
/* Accepts NULL. */
void loop_io_free(struct loop_io *io);
/*
 * Instead of loop_io_free, where a library closed the descriptor: epoll knows nothing of it any
 * more, and its number may be another's that is watched.
 */
void loop_io_forget(struct loop_io *io);

/* ---- timers: embedded, one shot, several in one turn in order of their time ---- */

struct loop_timer {
	struct loop *loop;
	struct mono at;
	int64_t slot; /* place in the heap, -1 when not armed */
	void (*handler)(void *arg);
	void *arg;
};

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*handler)(void *arg), void *arg);
/* Arms or re-arms. 0 or -ENOMEM (only when this loop never had this many timers before). */
int loop_timer_at(struct loop_timer *t, struct mono at);
int loop_timer_in_us(struct loop_timer *t, int64_t us);
void loop_timer_stop(struct loop_timer *t);
static inline bool loop_timer_armed(const struct loop_timer *t)
{
	return t->slot >= 0;
}

/* ---- signals and children ---- */

/*
 * Calls `handler` for each of the signals in `sigs` (0-terminated) from the loop. They are blocked
 * in this thread; call it before other threads start. One call a loop, of this or of
 * loop_stop_signals.
 */
int loop_signals(struct loop *l, const int *sigs, void (*handler)(void *arg, int sig), void *arg);

/* The signals that end a daemon: SIGTERM, SIGINT, and SIGHUP unless nohup(1) or another parent has
 * had it ignored. 0-terminated. */
const int *loop_end_signals(void);

/*
 * The two-stage stop of every daemon: the first of those signals calls `finish`, a second one exits
 * the process at once with status 1. SIGPIPE is ignored.
 */
int loop_stop_signals(struct loop *l, void (*finish)(void *arg), void *arg);

struct loop_child;

/*
 * Reaps `pid` when it ends and calls `handler` with its wait status (see waitpid(2)); the object
 * is freed before. loop_child_forget leaves the process alone and unreaped.
 */
int loop_child_new(struct loop_child **cp, struct loop *l, pid_t pid,
		   void (*handler)(void *arg, pid_t pid, int status), void *arg);
void loop_child_forget(struct loop_child *c);

#endif
