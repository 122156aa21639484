/* A GLib context on epoll: see ice_loop.h. */
#include "ice_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "io.h"
#include "loop/loop.h"

#define GRID_US	    10000 /* timers of libnice need no finer time: it paces checks by 20 ms */
#define FDS_MAX	    64	  /* descriptors of an agent: two for each address, and TCP connections */
#define TCP_MAX	    8	  /* connections that are known, and as many that are not */
#define STRANGER_US 10000000 /* for a connection to become known: several retransmissions */
#define LOOK_US	    1000000  /* between looks at those */

struct watch {
	struct ice_loop *g;
	struct loop_io *io;
	int fd;
	int events; /* of poll(2), as GLib asks */
	/* A TCP connection. libnice accepts all that come, and keeps those that say nothing. */
	bool tcp, known, ended;
	ino_t ino;	   /* of its socket */
	bool spent;	   /* nothing is left to read but its end */
	struct mono heard; /* since when there is one, or the last time that it was known */
};

struct ice_loop {
	GMainContext *ctx;
	struct loop *loop; /* NULL until attached */
	struct loop_timer timer;
	struct loop_timer look; /* at connections that are not known */
	int wake_fd; /* of the context itself: only other threads write to it, and none do */
	struct watch *watch[FDS_MAX];
	unsigned n_watches;
	bool running;	/* in g_main_context_iteration */
	bool unwatched; /* only timers are left */
	bool (*before)(void *arg, int fd);
	void *arg;
};

/* Whose context GLib polls for. */
static _Thread_local struct ice_loop *turning;

static struct watch *watch_of(struct ice_loop *g, int fd)
{
	for (unsigned i = 0; i < g->n_watches; i++)
		if (g->watch[i]->fd == fd)
			return g->watch[i];
	return NULL;
}

static bool is_stranger(const struct watch *w)
{
	return w->tcp && !w->known;
}

/*
 * What GLib polls with. libnice has one buffer for the frames of all TCP connections, so it must
 * not read half a frame of a stranger's, whatever it is that this turn is for.
 */
static gint poll_known(GPollFD *fds, guint n, gint timeout)
{
	gint ready = g_poll(fds, n, timeout);

	for (guint i = 0; turning && i < n; i++) {
		const struct watch *w = watch_of(turning, fds[i].fd);
		bool held = w ? is_stranger(w) && !w->spent : fds[i].fd != turning->wake_fd;
		if (!fds[i].revents || !held)
			continue;
		fds[i].revents = 0;
		ready--;
	}
	return ready;
}

/* GLib ends the program when it has no descriptor for a context: two of them at most. */
static int have_descriptors(void)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -EMFILE;
	close(fd[0]);
	close(fd[1]);
	return 0;
}

int ice_loop_new(struct ice_loop **out)
{
	struct ice_loop *g = calloc(1, sizeof(*g));
	GPollFD fd = {-1, 0, 0};
	gint timeout;

	if (!g)
		return -ENOMEM;
	if (have_descriptors() < 0) {
		free(g);
		return -EMFILE;
	}
	g->ctx = g_main_context_new();
	g_main_context_set_poll_func(g->ctx, poll_known);
	g_main_context_acquire(g->ctx);
	g_main_context_query(g->ctx, G_PRIORITY_DEFAULT, &timeout, &fd, 1);
	g_main_context_release(g->ctx);
	g->wake_fd = fd.fd;
	*out = g;
	return 0;
}

static ino_t ino_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

/*
 * In one turn of the context libnice may close a connection, and what is opened after that gets its
 * number: a socket for media, when a timer selects a pair. (Not the next connection: GLib calls
 * sources in the order in which they were attached, so libnice accepts before it closes. But that
 * is nothing that they promise.)
 */
static bool is_closed(const struct watch *w)
{
	return w->tcp && ino_of(w->fd) != w->ino;
}

static void watch_free(struct watch *w)
{
	if (is_closed(w))
		loop_io_forget(w->io);
	else
		loop_io_free(w->io);
	free(w);
}

void ice_loop_free(struct ice_loop *g)
{
	if (!g)
		return;
	for (unsigned i = 0; i < g->n_watches; i++)
		watch_free(g->watch[i]);
	if (g->loop) {
		loop_timer_stop(&g->timer);
		loop_timer_stop(&g->look);
	}
	g_main_context_unref(g->ctx);
	free(g);
}

GMainContext *ice_loop_context(struct ice_loop *g)
{
	return g->ctx;
}

static void turn(struct ice_loop *g)
{
	g->running = true;
	turning = g;
	g_main_context_iteration(g->ctx, FALSE);
	turning = NULL;
	g->running = false;
	ice_loop_changed(g);
}

static void on_fd(void *arg, int events)
{
	struct watch *w = arg;

	if ((events == LOOP_IN || is_stranger(w)) && w->g->before && w->g->before(w->g->arg, w->fd))
		return; /* more of it comes in the next turn */
	turn(w->g);
}

static void on_timer(void *arg)
{
	turn(arg);
}

/* ---- TCP connections: a client without the password gets few descriptors, not for long ---- */

static bool is_connection(int fd)
{
	int type = 0, listens = 0;
	socklen_t len = sizeof(int);

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
	return type == SOCK_STREAM && !listens;
}

/* libnice closes what it finds ended. */
static void end_connection(struct watch *w)
{
	w->ended = true;
	shutdown(w->fd, SHUT_RDWR);
}

static void end_eldest_beyond(struct ice_loop *g, bool known)
{
	struct watch *eldest = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < g->n_watches; i++) {
		struct watch *w = g->watch[i];
		if (!w->tcp || w->ended || w->known != known)
			continue;
		n++;
		if (!eldest || w->heard.us < eldest->heard.us)
			eldest = w;
	}
	if (n > TCP_MAX)
		end_connection(eldest);
}

static void on_look(void *arg)
{
	struct ice_loop *g = arg;
	struct mono now = mono_now();
	bool any = false;

	for (unsigned i = 0; i < g->n_watches; i++) {
		struct watch *w = g->watch[i];
		if (!w->tcp || w->ended || w->known)
			continue;
		if (mono_diff_us(now, w->heard) >= STRANGER_US)
			end_connection(w);
		else
			any = true;
	}
	if (any)
		loop_timer_in_us(&g->look, LOOK_US);
}

static void meet(struct watch *w)
{
	w->tcp = is_connection(w->fd);
	if (!w->tcp)
		return;
	w->ino = ino_of(w->fd);
	w->heard = mono_now();
	end_eldest_beyond(w->g, false);
	if (!loop_timer_armed(&w->g->look))
		loop_timer_in_us(&w->g->look, LOOK_US);
}

static int to_loop(int events)
{
	return (events & G_IO_IN ? LOOP_IN : 0) | (events & G_IO_OUT ? LOOP_OUT : 0);
}

static void watch_fd(struct ice_loop *g, const GPollFD *f)
{
	struct watch *w;

	if (g->n_watches == FDS_MAX || !(w = calloc(1, sizeof(*w))))
		return; /* too many TCP connections to one agent: this one is not served */
	*w = (struct watch){.g = g, .fd = f->fd, .events = f->events};
	if (loop_io_new(&w->io, g->loop, f->fd, to_loop(f->events), on_fd, w) < 0)
		free(w);
	else
		meet(g->watch[g->n_watches++] = w);
}

static GPollFD *find(GPollFD *fds, int n, int fd)
{
	for (int i = 0; i < n; i++)
		if (fds[i].fd == fd)
			return &fds[i];
	return NULL;
}

/* Readable is what has so many bytes, or has ended. */
static void wake_at(int fd, int n)
{
	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof(n));
}

static void now_known(struct watch *w)
{
	w->heard = mono_now();
	if (w->known)
		return;
	w->known = true;
	wake_at(w->fd, 1);
	end_eldest_beyond(w->g, true);
}

void ice_loop_known(struct ice_loop *g, int fd)
{
	struct watch *w = watch_of(g, fd);

	if (w && w->tcp)
		now_known(w);
}

bool ice_loop_stranger(struct ice_loop *g, int fd)
{
	const struct watch *w = watch_of(g, fd);

	return w && is_stranger(w);
}

static bool has_ended(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

bool ice_loop_await(struct ice_loop *g, int fd, size_t n)
{
	const struct watch *w = watch_of(g, fd);

	if (!w || w->ended || has_ended(fd))
		return false;
	wake_at(fd, (int)n);
	return true;
}

bool ice_loop_refuse(struct ice_loop *g, int fd)
{
	struct watch *w = watch_of(g, fd);
	uint8_t junk[1500];
	ssize_t n;

	if (!w->ended)
		end_connection(w);
	while ((n = recv(fd, junk, sizeof(junk), MSG_DONTWAIT)) > 0)
		;
	/* Nothing comes any more: since the shutdown the kernel refuses it. */
	w->spent = n == 0 || errno != EAGAIN;
	return w->spent;
}

void ice_loop_known_from(struct ice_loop *g, const struct sockaddr_storage *remote)
{
	for (unsigned i = 0; i < g->n_watches; i++) {
		struct watch *w = g->watch[i];
		struct sockaddr_storage from = {0};
		socklen_t len = sizeof(from);
		if (w->tcp && !getpeername(w->fd, (struct sockaddr *)&from, &len) &&
		    io_same_address(&from, remote))
			now_known(w);
	}
}

/* GLib lists a descriptor once for each source that waits for it. */
static int merge(GPollFD *fds, int n, int wake_fd)
{
	int kept = 0;

	for (int i = 0; i < n; i++) {
		GPollFD *same = find(fds, kept, fds[i].fd);
		if (fds[i].fd == wake_fd)
			continue;
		if (same)
			same->events |= fds[i].events;
		else
			fds[kept++] = fds[i];
	}
	return kept;
}

static void set_watches(struct ice_loop *g, GPollFD *fds, int n)
{
	for (unsigned i = 0; i < g->n_watches;) {
		struct watch *w = g->watch[i];
		const GPollFD *f = find(fds, n, w->fd);
		if (!f || is_closed(w)) {
			watch_free(w);
			g->watch[i] = g->watch[--g->n_watches];
			continue;
		}
		if (f->events != w->events) {
			w->events = f->events;
			loop_io_want(w->io, to_loop(f->events));
		}
		i++;
	}
	for (int i = 0; i < n; i++)
		if (!watch_of(g, fds[i].fd))
			watch_fd(g, &fds[i]);
}

/* Timers of a thousand agents fire together, a hundred times a second at most. */
static struct mono on_grid(int timeout_ms)
{
	int64_t at_us = mono_now().us + (int64_t)timeout_ms * 1000;

	return (struct mono){(at_us + GRID_US - 1) / GRID_US * GRID_US};
}

void ice_loop_changed(struct ice_loop *g)
{
	GPollFD fds[2 * FDS_MAX];
	gint priority = G_PRIORITY_DEFAULT, timeout = -1;

	if (!g->loop || g->running)
		return;
	g_main_context_acquire(g->ctx);
	bool ready = g_main_context_prepare(g->ctx, &priority);
	int n = g_main_context_query(g->ctx, G_PRIORITY_LOW, &timeout, fds, 2 * FDS_MAX);
	g_main_context_release(g->ctx);
	if (n > 2 * FDS_MAX)
		n = 2 * FDS_MAX;
	n = merge(fds, n, g->wake_fd);
	if (!g->unwatched)
		set_watches(g, fds, n);
	if (ready || timeout == 0)
		loop_timer_in_us(&g->timer, 0);
	else if (timeout > 0)
		loop_timer_at(&g->timer, on_grid(timeout));
	else
		loop_timer_stop(&g->timer);
}

void ice_loop_unwatch(struct ice_loop *g)
{
	while (g->n_watches)
		watch_free(g->watch[--g->n_watches]);
	g->unwatched = true;
}

void ice_loop_attach(struct ice_loop *g, struct loop *loop, bool (*before)(void *arg, int fd),
		     void *arg)
{
	loop_timer_init(&g->timer, loop, on_timer, g);
	loop_timer_init(&g->look, loop, on_look, g);
	g->loop = loop;
	g->before = before;
	g->arg = arg;
	ice_loop_changed(g);
}
