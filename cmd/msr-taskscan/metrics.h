/* The counters of the program as a file in Prometheus' text format, for a text-file collector. */
#ifndef MSR_TASKSCAN_METRICS_H
#define MSR_TASKSCAN_METRICS_H

#include <stdint.h>

#include "exec.h"
#include "ledger.h"
#include "scan.h"

struct counters {
	struct scan_stats scan;
	struct ledger_stats ledger;
	struct exec_stats exec;
	uint64_t events_dropped;
};

/* Replaces `path` with the present values. 0 or -errno. */
int metrics_write(const char *path, const struct counters *c);

#endif
