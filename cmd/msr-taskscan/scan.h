/*
 * Finds recordings that have had no task and makes their tasks, one at a time, from the loop:
 *
 *	scan_all, scan_folder (a whole folder) ─┐
 *	scan_file (one changed file) ───────────┴▶ queue ──timer──▶ task_inspect, _digest, _publish
 *
 * The queue has a bound; recordings that do not fit are found by another scan once it is empty.
 */
#ifndef MSR_TASKSCAN_SCAN_H
#define MSR_TASKSCAN_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "task.h"

struct events;
struct ledger;
struct loop;
struct scan;

struct scan_opts {
	struct loop *loop;
	struct events *events;
	struct ledger *ledger;
	const struct task_dirs *dirs; /* lent */
	int64_t settle_us;
	bool again; /* look again at what was not finished or failed */
	void (*made)(void *arg, const char *key); /* a task was made */
	void (*idle)(void *arg);		  /* nothing left to do now */
	void *arg;
};

struct scan_stats {
	uint64_t scans;	      /* whole scans of the storage */
	uint64_t made;	      /* tasks */
	uint64_t failed;      /* tasks that could not be made */
	uint64_t badly_named; /* media files whose name is not a recording's */
};

int scan_new(struct scan **sp, const struct scan_opts *opts);
/* Accepts NULL. */
void scan_free(struct scan *s);

/* Scans the whole storage; the work follows from the loop. */
void scan_all(struct scan *s);
/* Scans one folder; NULL is the storage's top, without its folders. */
void scan_folder(struct scan *s, const char *folder);
/* A file of the storage has changed: a recording may be finished now. */
void scan_file(struct scan *s, const char *folder, const char *file);
bool scan_busy(const struct scan *s);
/* Takes nothing new from the queue any more. */
void scan_stop(struct scan *s);

void scan_stats(const struct scan *s, struct scan_stats *out);

#endif
