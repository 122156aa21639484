/* Events: built on the caller's stack, written whole or not at all. Safe to use from threads. */
#include "event.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

struct events {
	int fd;
	bool own_fd;
	const char *src; /* lent */
	char metric[64]; /* the name of `dropped` */
	_Atomic uint64_t dropped;
};

int events_open(struct events **ep, const char *path, const char *src)
{
	struct events *e = calloc(1, sizeof(*e));
	struct stat st;

	if (!e)
		return log_failure("report events", -ENOMEM);
	e->src = src;
	e->fd = STDERR_FILENO;
	if (path) {
		/* Read and write, so that opening a FIFO neither waits for a reader nor gets
		 * SIGPIPE when one goes away. */
		bool fifo = stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
		e->fd = fifo ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
			     : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
		e->own_fd = true;
		if (e->fd < 0) {
			int err = -errno;
			log_error("cannot open '%s' for events: %s", path, strerror(-err));
			free(e);
			return err;
		}
	}
	*ep = e;
	return 0;
}

void events_close(struct events *e)
{
	if (!e)
		return;
	if (e->own_fd)
		close(e->fd);
	free(e);
}

void event_start(struct event *ev, struct events *e, const char *name, const char *room,
		 const char *session)
{
	char ts[CLOCK_RFC3339_SIZE];

	clock_rfc3339(clock_wall_us(), ts);
	/* One byte less: json_end leaves room for its NUL, which becomes the line end. */
	json_start(&ev->json, ev->text, sizeof(ev->text) - 1);
	json_obj(&ev->json, NULL);
	json_str(&ev->json, "ts", ts);
	json_str(&ev->json, "src", e->src);
	json_str(&ev->json, "ev", name);
	if (room)
		json_str(&ev->json, "room", room);
	if (session)
		json_str(&ev->json, "session", session);
}

void event_send(struct event *ev, struct events *e)
{
	json_obj_end(&ev->json);
	int len = json_end(&ev->json);

	if (len > 0) {
		ev->text[len] = '\n';
		if (write(e->fd, ev->text, (size_t)len + 1) == len + 1)
			return;
	}
	atomic_fetch_add_explicit(&e->dropped, 1, memory_order_relaxed);
}

uint64_t events_dropped(const struct events *e)
{
	return atomic_load_explicit(&e->dropped, memory_order_relaxed);
}

static double count_dropped(void *arg)
{
	return (double)events_dropped(arg);
}

void events_metrics(struct events *e, struct metrics *m)
{
	snprintf(e->metric, sizeof(e->metric), "%s_events_dropped_total", e->src);
	for (char *p = e->metric; *p; p++)
		if (*p == '-')
			*p = '_';
	metrics_call(m, e->metric, NULL, "Events that nobody took in time", count_dropped, e);
}
