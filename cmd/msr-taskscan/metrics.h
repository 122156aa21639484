/* Counters as a file in Prometheus' text format, for a text-file collector. */
#ifndef MSR_TASKSCAN_METRICS_H
#define MSR_TASKSCAN_METRICS_H

#include <stdint.h>

#include "exec.h"
#include "ledger.h"
#include "scan.h"

struct metrics {
	struct scan_stats scan;
	struct ledger_stats ledger;
	struct exec_stats exec;
	uint64_t events_dropped;
};

/* Replaces `path` if what it would hold differs from the last call's. 0 or -errno. */
int metrics_write(const char *path, const struct metrics *m);

#endif
