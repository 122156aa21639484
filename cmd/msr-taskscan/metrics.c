/* One table of counters, rendered by base/metrics, written whole or not at all. */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/metrics.h"

#define N_ROWS 13

int metrics_write(const char *path, const struct counters *c)
{
	const struct {
		const char *name;
		bool gauge;
		const char *help;
		uint64_t value;
	} rows[] = {
	    {"msr_taskscan_scans_total", false, "Scans of the whole storage", c->scan.scans},
	    {"msr_taskscan_tasks_total", false, "Tasks made", c->scan.made},
	    {"msr_taskscan_task_errors_total", false, "Tasks that could not be made",
	     c->scan.failed},
	    {"msr_taskscan_badly_named_total", false, "Media files not named after a session",
	     c->scan.badly_named},
	    {"msr_taskscan_ledger_entries", true, "Recordings that have had a task",
	     c->ledger.entries},
	    {"msr_taskscan_ledger_damaged_total", false, "Lines of the ledger skipped",
	     c->ledger.damaged},
	    {"msr_taskscan_exec_done_total", false, "Tasks whose command succeeded", c->exec.done},
	    {"msr_taskscan_exec_failed_total", false, "Tasks whose command failed for good",
	     c->exec.failed},
	    {"msr_taskscan_exec_retries_total", false, "Failures that were tried again",
	     c->exec.retries},
	    {"msr_taskscan_exec_timeouts_total", false, "Commands that ran too long",
	     c->exec.timeouts},
	    {"msr_taskscan_exec_running", true, "Commands that run", c->exec.running},
	    {"msr_taskscan_exec_waiting", true, "Tasks that wait for their command",
	     c->exec.waiting},
	    {"msr_taskscan_events_dropped_total", false, "Events that nobody took in time",
	     c->events_dropped},
	};
	_Static_assert(sizeof(rows) / sizeof(rows[0]) == N_ROWS, "a value for each row");
	metric_t value[N_ROWS];
	struct metrics *m;
	struct buf text;

	int ret = metrics_new(&m);
	if (ret < 0)
		return ret;
	for (int i = 0; i < N_ROWS; i++) {
		metric_set(&value[i], (int64_t)rows[i].value);
		if (rows[i].gauge)
			metrics_gauge(m, rows[i].name, NULL, rows[i].help, &value[i]);
		else
			metrics_counter(m, rows[i].name, NULL, rows[i].help, &value[i]);
	}
	metrics_process(m);
	buf_init(&text, 0);
	ret = metrics_render(m, &text);
	if (!ret)
		ret = file_refresh(AT_FDCWD, path, buf_data(&text), buf_len(&text));
	buf_done(&text);
	metrics_free(m);
	return ret;
}
