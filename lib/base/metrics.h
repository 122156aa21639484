/*
 * Metrics: counters and gauges that the program keeps in its own structures, listed
 * here once and rendered as Prometheus text (exposition format 0.0.4), for GET /metrics or for a
 * file that a text-file collector reads.
 *
 *	struct metrics *m;
 *	metrics_new(&m);
 *	metrics_counter(m, "msr_ws_frames_total", "kind=\"audio\"", "Frames put", &w->n_audio);
 *	...
 *	metric_add(&w->n_audio, 1);		(any thread)
 *	metrics_render(m, &buf);
 */
#ifndef MSR_BASE_METRICS_H
#define MSR_BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

struct buf;
struct metrics;

/* One number. May be written by any thread; a counter only grows. */
typedef _Atomic int64_t metric_t;

static inline void metric_add(metric_t *m, int64_t n)
{
	atomic_fetch_add_explicit(m, n, memory_order_relaxed);
}
static inline void metric_set(metric_t *m, int64_t n)
{
	atomic_store_explicit(m, n, memory_order_relaxed);
}
static inline int64_t metric_get(const metric_t *m)
{
	return atomic_load_explicit((metric_t *)(uintptr_t)m, memory_order_relaxed);
}

/* 0 or -ENOMEM. */
int metrics_new(struct metrics **mp);
void metrics_free(struct metrics *m);

/*
 * Lists a metric. Strings and values are lent for the life of `m`; `labels` is NULL or the text
 * between the braces. Metrics of one name follow each other and share the help of the first.
 * Without memory for one, metrics_render fails with -ENOMEM from then on.
 */
void metrics_counter(struct metrics *m, const char *name, const char *labels, const char *help,
		     const metric_t *value);
void metrics_gauge(struct metrics *m, const char *name, const char *labels, const char *help,
		   const metric_t *value);
/* A gauge or counter (`name` ends in _total) that is asked for its value when rendered. */
void metrics_call(struct metrics *m, const char *name, const char *labels, const char *help,
		  double (*value)(void *arg), void *arg);
/* process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds and start time. */
void metrics_process(struct metrics *m);

/* Appends the text to `b`. 0, -ENOBUFS or -ENOMEM. */
int metrics_render(const struct metrics *m, struct buf *b);
/* Replaces the file `path` with the text, as file_refresh does. 0 or -errno. */
int metrics_write(const struct metrics *m, const char *path);

#endif
