/*
 * msr-events(5): one JSON object a line, at most PIPE_BUF bytes, one write(2) each, so that many
 * programs can share one FIFO. Every event has ts, src and ev; room and session where they apply.
 */
#ifndef MSR_EVENT_EVENT_H
#define MSR_EVENT_EVENT_H

#include <limits.h>
#include <stdint.h>

#include "base/json.h"

struct events;
struct metrics;

/*
 * `path` is a FIFO or file that events are appended to, or NULL for standard error. A FIFO is
 * opened for reading too, so that a reader may come and go; without one it fills up and events
 * are then dropped and counted. `src` names the program and is lent for the life of the object.
 * 0 or -errno, after a log line that says why.
 */
int events_open(struct events **ep, const char *path, const char *src);
/* Accepts NULL. */
void events_close(struct events *e);

/* One event under construction, on the caller's stack. Add members with json_*(&ev.json, ...). */
struct event {
	struct json json;
	char text[PIPE_BUF];
};

/* `room` and `session` may be NULL. */
void event_start(struct event *ev, struct events *e, const char *name, const char *room,
		 const char *session);
/* Writes it. Never blocks; what cannot be written is dropped and counted. */
void event_send(struct event *ev, struct events *e);

/* Events dropped so far: reader too slow, disk full, or longer than PIPE_BUF. */
uint64_t events_dropped(const struct events *e);
/* Lists that number in `m` as msr_PROGRAM_events_dropped_total; `e` is lent for the life of `m`. */
void events_metrics(struct events *e, struct metrics *m);

#endif
