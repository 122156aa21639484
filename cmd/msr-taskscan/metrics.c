/* One table of counters, written whole or not at all. */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

#define TEXT_MAX 4096

int metrics_write(const char *path, const struct metrics *m)
{
	static char last[TEXT_MAX];
	char text[TEXT_MAX];
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
	    {"scans_total", "counter", "Scans of the whole storage.", m->scan.scans},
	    {"tasks_total", "counter", "Tasks made.", m->scan.made},
	    {"task_errors_total", "counter", "Tasks that could not be made.", m->scan.failed},
	    {"badly_named_total", "counter", "Media files not named after a session.",
	     m->scan.badly_named},
	    {"ledger_entries", "gauge", "Recordings that have had a task.", m->ledger.entries},
	    {"ledger_damaged_total", "counter", "Lines of the ledger skipped.", m->ledger.damaged},
	    {"exec_done_total", "counter", "Tasks whose command succeeded.", m->exec.done},
	    {"exec_failed_total", "counter", "Tasks whose command failed for good.",
	     m->exec.failed},
	    {"exec_retries_total", "counter", "Failures that were tried again.", m->exec.retries},
	    {"exec_timeouts_total", "counter", "Commands that ran too long.", m->exec.timeouts},
	    {"exec_running", "gauge", "Commands that run.", m->exec.running},
	    {"exec_waiting", "gauge", "Tasks that wait for their command.", m->exec.waiting},
	    {"events_dropped_total", "counter", "Events nobody read in time.", m->events_dropped},
	};
	size_t len = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"# HELP msr_taskscan_%s %s\n# TYPE msr_taskscan_%s %s\n"
					"msr_taskscan_%s %" PRIu64 "\n",
					rows[i].name, rows[i].help, rows[i].name, rows[i].type,
					rows[i].name, rows[i].value);
	if (!strcmp(text, last))
		return 0;
	int ret = file_publish(AT_FDCWD, path, text, len, 0);
	if (!ret)
		memcpy(last, text, len + 1);
	return ret;
}
