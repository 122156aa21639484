/*
 * Metrics: a list of descriptions that point at numbers kept elsewhere, and their rendering as
 * Prometheus text (exposition format 0.0.4).
 */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>

#include "buf.h"
#include "clock.h"
#include "file.h"

struct entry {
	struct entry *next;
	const char *name, *labels, *help, *type; /* lent */
	const metric_t *value;			 /* or */
	double (*call)(void *arg);
	void *arg; /* of call */
};

struct metrics {
	struct entry *first, **last;
	struct entry nowhere; /* what is listed goes there once there is no memory */
	bool incomplete;
};

int metrics_new(struct metrics **mp)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->last = &m->first;
	*mp = m;
	return 0;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	for (struct entry *e = m->first, *next; e; e = next) {
		next = e->next;
		free(e);
	}
	free(m);
}

static struct entry *add(struct metrics *m, const char *name, const char *labels, const char *help)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e) {
		m->incomplete = true;
		return &m->nowhere;
	}
	e->name = name;
	e->labels = labels;
	e->help = help;
	*m->last = e;
	m->last = &e->next;
	return e;
}

void metrics_counter(struct metrics *m, const char *name, const char *labels, const char *help,
		     const metric_t *value)
{
	struct entry *e = add(m, name, labels, help);

	e->type = "counter";
	e->value = value;
}

void metrics_gauge(struct metrics *m, const char *name, const char *labels, const char *help,
		   const metric_t *value)
{
	struct entry *e = add(m, name, labels, help);

	e->type = "gauge";
	e->value = value;
}

void metrics_call(struct metrics *m, const char *name, const char *labels, const char *help,
		  double (*value)(void *arg), void *arg)
{
	struct entry *e = add(m, name, labels, help);
	size_t n = strlen(name);

	e->type = n > 6 && strcmp(name + n - 6, "_total") == 0 ? "counter" : "gauge";
	e->call = value;
	e->arg = arg;
}

/* ---- this process ---- */

static double cpu_seconds(void *arg)
{
	struct timespec t;

	(void)arg;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double resident_bytes(void *arg)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	(void)arg;
	if (!f)
		return 0;
	if (fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_fds(void *arg)
{
	DIR *d = opendir("/proc/self/fd");
	int n = -3; /* ".", ".." and the one of this reading */

	(void)arg;
	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static double start_time(void *arg)
{
	static double started;

	(void)arg;
	if (started == 0)
		started = (double)clock_wall_us() / 1e6;
	return started;
}

void metrics_process(struct metrics *m)
{
	start_time(NULL);
	metrics_call(m, "process_cpu_seconds_total", NULL, "CPU time used", cpu_seconds, NULL);
	metrics_call(m, "process_resident_memory_bytes", NULL, "Resident memory", resident_bytes,
		     NULL);
	metrics_call(m, "process_open_fds", NULL, "Open descriptors", open_fds, NULL);
	metrics_call(m, "process_start_time_seconds", NULL, "Start, in seconds since 1970",
		     start_time, NULL);
}

/* ---- rendering ---- */

static int render_entry(const struct entry *e, struct buf *b)
{
	const char *open = e->labels ? "{" : "", *close = e->labels ? "}" : "";
	const char *labels = e->labels ? e->labels : "";

	if (e->call)
		return buf_printf(b, "%s%s%s%s %.16g\n", e->name, open, labels, close,
				  e->call(e->arg));
	return buf_printf(b, "%s%s%s%s %lld\n", e->name, open, labels, close,
			  (long long)metric_get(e->value));
}

int metrics_render(const struct metrics *m, struct buf *b)
{
	const char *name = "";
	int ret = m->incomplete ? -ENOMEM : 0;

	for (const struct entry *e = m->first; e && !ret; e = e->next) {
		if (strcmp(e->name, name) != 0)
			ret = buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", e->name, e->help,
					 e->name, e->type);
		name = e->name;
		if (!ret)
			ret = render_entry(e, b);
	}
	return ret;
}

int metrics_write(const struct metrics *m, const char *path)
{
	struct buf b;

	buf_init(&b, 0);
	int ret = metrics_render(m, &b);
	if (!ret)
		ret = file_refresh(AT_FDCWD, path, buf_data(&b), buf_len(&b));
	buf_done(&b);
	return ret;
}
