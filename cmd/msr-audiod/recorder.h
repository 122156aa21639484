/* Recording: what passes a session, as frames for msr-record. All functions accept NULL. */
#ifndef MSR_AUDIOD_RECORDER_H
#define MSR_AUDIOD_RECORDER_H

#include <stddef.h>
#include <stdint.h>

#include "chain.h"

struct events;
struct loop;
struct metrics;
struct record;
struct recorder;

enum record_side { RECORD_INPUT, RECORD_OUTPUT };

struct recorder_opts {
	struct loop *loop; /* lent, like all below */
	struct metrics *metrics;
	struct events *events;
	const char *sink, *room;
	enum record_side side;
};

/* 0 or -errno. */
int recorder_new(struct recorder **out, const struct recorder_opts *opts);
/* The reader of a pipe gets so long for what is queued. Accepts NULL. */
void recorder_free(struct recorder *r, int timeout_ms);
/* Hands on what was put in this turn. */
void recorder_flush(struct recorder *r);

/* NULL: without memory; then the session is just not recorded. */
struct record *record_open(struct recorder *r, const char *session, const struct chain_spec *chain);
/* Sound of one side; the other one is ignored. A full sink loses it, counted, and marks the gap;
 * so does sound that was lost before it came here: its `data` is NULL. */
void record_put(struct record *rec, enum record_side side, const uint8_t *data, size_t len);
void record_close(struct record *rec);

#endif
