/* One table: what each metric is called, and which of the counters it shows. */
#include "report.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "event/event.h"

static const struct {
	const char *name;
	bool gauge;
	const char *help;
	size_t at; /* in struct counters */
} rows[] = {
    {"msr_taskscan_scans_total", false, "Scans of the whole storage",
     offsetof(struct counters, scan.scans)},
    {"msr_taskscan_tasks_total", false, "Tasks made", offsetof(struct counters, scan.made)},
    {"msr_taskscan_task_errors_total", false, "Tasks that could not be made",
     offsetof(struct counters, scan.failed)},
    {"msr_taskscan_badly_named_total", false, "Media files not named after a session",
     offsetof(struct counters, scan.badly_named)},
    {"msr_taskscan_ledger_entries", true, "Recordings that have had a task",
     offsetof(struct counters, ledger.entries)},
    {"msr_taskscan_ledger_damaged_total", false, "Lines of the ledger skipped",
     offsetof(struct counters, ledger.damaged)},
    {"msr_taskscan_exec_done_total", false, "Tasks whose command succeeded",
     offsetof(struct counters, exec.done)},
    {"msr_taskscan_exec_failed_total", false, "Tasks whose command failed for good",
     offsetof(struct counters, exec.failed)},
    {"msr_taskscan_exec_retries_total", false, "Failures that were tried again",
     offsetof(struct counters, exec.retries)},
    {"msr_taskscan_exec_timeouts_total", false, "Commands that ran too long",
     offsetof(struct counters, exec.timeouts)},
    {"msr_taskscan_exec_running", true, "Commands that run",
     offsetof(struct counters, exec.running)},
    {"msr_taskscan_exec_waiting", true, "Tasks that wait for their command",
     offsetof(struct counters, exec.waiting)},
};
#define N_ROWS (sizeof(rows) / sizeof(*rows))

struct report {
	struct metrics *metrics;
	metric_t value[N_ROWS];
};

int report_new(struct report **rp, struct events *events)
{
	struct report *r = calloc(1, sizeof(*r));
	int ret = r ? metrics_new(&r->metrics) : -ENOMEM;

	if (ret) {
		free(r);
		return ret;
	}
	for (size_t i = 0; i < N_ROWS; i++)
		(rows[i].gauge ? metrics_gauge : metrics_counter)(r->metrics, rows[i].name, NULL,
								  rows[i].help, &r->value[i]);
	events_metrics(events, r->metrics);
	metrics_process(r->metrics);
	*rp = r;
	return 0;
}

void report_free(struct report *r)
{
	if (!r)
		return;
	metrics_free(r->metrics);
	free(r);
}

int report_write(struct report *r, const char *path, const struct counters *c)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		uint64_t value;
		memcpy(&value, (const char *)c + rows[i].at, sizeof(value));
		metric_set(&r->value[i], (int64_t)value);
	}
	return metrics_write(r->metrics, path);
}
