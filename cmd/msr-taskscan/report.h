/* The counters of the program as a file in Prometheus' text format, for a text-file collector. */
#ifndef MSR_TASKSCAN_REPORT_H
#define MSR_TASKSCAN_REPORT_H

#include <stdint.h>

#include "exec.h"
#include "ledger.h"
#include "scan.h"

/* As its parts count; all numbers are uint64_t. */
struct counters {
	struct scan_stats scan;
	struct ledger_stats ledger;
	struct exec_stats exec;
};

struct events;
struct report;

/* `events` is lent for the life of the report: what it drops is listed too. 0 or -ENOMEM. */
int report_new(struct report **rp, struct events *events);
/* Accepts NULL. */
void report_free(struct report *r);

/* Replaces `path` with the present values. 0 or -errno. */
int report_write(struct report *r, const char *path, const struct counters *c);

#endif
