/*
 * The loop on epoll(7).
 *
 *   loop_turn: apply changed interests → epoll_wait → timers that are due → handlers → reap
 *
 * Timers live in a binary heap; a timerfd in the epoll set carries the earliest, so that the epoll
 * descriptor alone tells whether a turn is needed. Freed descriptors are marked dead and reaped at
 * the end of the turn, because their events may still lie in the batch just fetched.
 */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"

#define BATCH 128 /* events a turn; what remains comes first in the next */

struct loop_io {
	struct loop *loop;
	struct list link;  /* in loop.ios, or loop.dead */
	struct list dirty; /* in loop.dirty while want != armed */
	int fd;
	int want;  /* LOOP_IN | LOOP_OUT asked for */
	int armed; /* what epoll knows */
	bool dead;
	void (*handler)(void *arg, int events);
	void *arg;
};

struct loop_child {
	struct loop_io *io; /* of the pidfd */
	int pidfd;
	pid_t pid;
	void (*handler)(void *arg, pid_t pid, int status);
	void *arg;
};

struct loop {
	int epfd, timerfd, wakefd, sigfd;
	struct list ios, dirty, dead;
	struct loop_io *timer_io, *wake_io, *sig_io;

	struct loop_timer **heap;
	int64_t n_timers, cap_timers;
	struct mono timerfd_at; /* what timerfd is set to; 0 us is unset */
	bool in_timers;		/* timer handlers are being called */
	struct mono due;	/* of those that are at or before this */

	bool stopped;
	int result;
	void (*on_wake)(void *arg);
	void *on_wake_arg;
	void (*on_signal)(void *arg, int sig);
	void *on_signal_arg;
	void (*finish)(void *arg);
	void *finish_arg;
	bool finishing;
};

/* ---- descriptors ---- */

static uint32_t to_epoll(int want)
{
	return (want & LOOP_IN ? (uint32_t)EPOLLIN : 0u) |
	       (want & LOOP_OUT ? (uint32_t)EPOLLOUT : 0u);
}

int loop_io_new(struct loop_io **iop, struct loop *l, int fd, int want,
		void (*handler)(void *arg, int events), void *arg)
{
	struct loop_io *io = calloc(1, sizeof(*io));

	if (!io)
		return -ENOMEM;
	*io = (struct loop_io){
	    .loop = l, .fd = fd, .want = want, .armed = want, .handler = handler, .arg = arg};
	struct epoll_event ev = {.events = to_epoll(want), .data.ptr = io};
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int err = -errno;
		free(io);
		return err;
	}
	list_init(&io->dirty);
	list_init(&io->link);
	list_push(&l->ios, &io->link);
	*iop = io;
	return 0;
}

void loop_io_want(struct loop_io *io, int want)
{
	io->want = want;
	if (want == io->armed)
		list_remove(&io->dirty);
	else if (list_empty(&io->dirty))
		list_push(&io->loop->dirty, &io->dirty);
}

void loop_io_free(struct loop_io *io)
{
	if (!io || io->dead)
		return;
	epoll_ctl(io->loop->epfd, EPOLL_CTL_DEL, io->fd, NULL);
	loop_io_forget(io);
}

void loop_io_forget(struct loop_io *io)
{
	io->dead = true;
	list_remove(&io->dirty);
	list_remove(&io->link);
	list_push(&io->loop->dead, &io->link);
}

static void apply_interests(struct loop *l)
{
	list_each_safe (i, &l->dirty) {
		struct loop_io *io = container_of(i, struct loop_io, dirty);
		struct epoll_event ev = {.events = to_epoll(io->want), .data.ptr = io};
		/* Fails only for a descriptor closed behind our back: a bug of the caller, but
		 * then there is nothing to wait for either. */
		epoll_ctl(l->epfd, EPOLL_CTL_MOD, io->fd, &ev);
		io->armed = io->want;
		list_remove(i);
	}
}

static void reap(struct loop *l)
{
	list_each_safe (i, &l->dead) {
		list_remove(i);
		free(container_of(i, struct loop_io, link));
	}
}

/* ---- timers ---- */

static void heap_set(struct loop *l, int64_t slot, struct loop_timer *t)
{
	l->heap[slot] = t;
	t->slot = slot;
}

static void heap_up(struct loop *l, struct loop_timer *t)
{
	int64_t i = t->slot;

	while (i > 0 && l->heap[(i - 1) / 2]->at.us > t->at.us) {
		heap_set(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_set(l, i, t);
}

static void heap_down(struct loop *l, struct loop_timer *t)
{
	int64_t i = t->slot;

	for (;;) {
		int64_t kid = 2 * i + 1;
		if (kid >= l->n_timers)
			break;
		if (kid + 1 < l->n_timers && l->heap[kid + 1]->at.us < l->heap[kid]->at.us)
			kid++;
		if (l->heap[kid]->at.us >= t->at.us)
			break;
		heap_set(l, i, l->heap[kid]);
		i = kid;
	}
	heap_set(l, i, t);
}

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*handler)(void *arg), void *arg)
{
	*t = (struct loop_timer){.loop = l, .slot = -1, .handler = handler, .arg = arg};
}

/*
 * Keeps timerfd at or before the earliest timer. It is only ever moved forward in time when it
 * fires, so arming and stopping timers mostly costs no system call.
 */
static void set_timerfd(struct loop *l)
{
	struct mono at = l->n_timers ? l->heap[0]->at : (struct mono){0};

	if (l->in_timers || !at.us || (l->timerfd_at.us && l->timerfd_at.us <= at.us))
		return;
	if (at.us < 1)
		at.us = 1;
	struct itimerspec its = {.it_value = {at.us / 1000000, (at.us % 1000000) * 1000}};
	timerfd_settime(l->timerfd, TFD_TIMER_ABSTIME, &its, NULL);
	l->timerfd_at = at;
}

int loop_timer_at(struct loop_timer *t, struct mono at)
{
	struct loop *l = t->loop;

	if (t->slot < 0) {
		if (l->n_timers == l->cap_timers) {
			int64_t cap = l->cap_timers ? l->cap_timers * 2 : 64;
			struct loop_timer **heap = realloc(l->heap, (size_t)cap * sizeof(*heap));
			if (!heap)
				return -ENOMEM;
			l->heap = heap;
			l->cap_timers = cap;
		}
		t->slot = l->n_timers++;
	}
	/* A timer that a timer arms for the past runs in the next turn: nobody is starved. */
	if (l->in_timers && at.us <= l->due.us)
		at.us = l->due.us + 1;
	t->at = at;
	heap_up(l, t);
	heap_down(l, t);
	set_timerfd(l);
	return 0;
}

int loop_timer_in_us(struct loop_timer *t, int64_t us)
{
	return loop_timer_at(t, mono_add_us(mono_now(), us));
}

void loop_timer_stop(struct loop_timer *t)
{
	struct loop *l = t->loop;

	if (t->slot < 0)
		return;
	struct loop_timer *last = l->heap[--l->n_timers];
	if (last != t) {
		last->slot = t->slot;
		heap_up(l, last);
		heap_down(l, last);
	}
	t->slot = -1;
}

static void on_timerfd(void *arg, int events)
{
	struct loop *l = arg;
	uint64_t n;

	(void)events;
	if (read(l->timerfd, &n, sizeof(n)) < 0 && errno == EAGAIN)
		return;
	l->timerfd_at.us = 0;
	l->due = mono_now();
	/* Handlers arm timers by the dozen; one system call at the end does for all. */
	l->in_timers = true;
	while (l->n_timers && l->heap[0]->at.us <= l->due.us) {
		struct loop_timer *t = l->heap[0];
		loop_timer_stop(t);
		t->handler(t->arg);
	}
	l->in_timers = false;
	set_timerfd(l);
}

/* ---- wake-ups ---- */

void loop_wake(struct loop *l)
{
	uint64_t one = 1;
	int saved = errno;

	if (write(l->wakefd, &one, sizeof(one)) < 0)
		errno = saved; /* EAGAIN: it is awake already */
}

void loop_on_wake(struct loop *l, void (*handler)(void *arg), void *arg)
{
	l->on_wake = handler;
	l->on_wake_arg = arg;
}

static void on_wakefd(void *arg, int events)
{
	struct loop *l = arg;
	uint64_t n;

	(void)events;
	if (read(l->wakefd, &n, sizeof(n)) == sizeof(n) && l->on_wake)
		l->on_wake(l->on_wake_arg);
}

/* ---- signals and children ---- */

static void on_sigfd(void *arg, int events)
{
	struct loop *l = arg;
	struct signalfd_siginfo si;

	(void)events;
	while (read(l->sigfd, &si, sizeof(si)) == sizeof(si))
		l->on_signal(l->on_signal_arg, (int)si.ssi_signo);
}

int loop_signals(struct loop *l, const int *sigs, void (*handler)(void *arg, int sig), void *arg)
{
	sigset_t set;
	int ret;

	sigemptyset(&set);
	for (; *sigs; sigs++)
		sigaddset(&set, *sigs);
	if ((ret = pthread_sigmask(SIG_BLOCK, &set, NULL)))
		return -ret;
	l->on_signal = handler;
	l->on_signal_arg = arg;
	l->sigfd = signalfd(l->sigfd, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (l->sigfd < 0)
		return -errno;
	return loop_io_new(&l->sig_io, l, l->sigfd, LOOP_IN, on_sigfd, l);
}

static void on_stop_signal(void *arg, int sig)
{
	struct loop *l = arg;

	(void)sig;
	if (l->finishing)
		_exit(1);
	l->finishing = true;
	l->finish(l->finish_arg);
}

const int *loop_end_signals(void)
{
	static const int all[] = {SIGHUP, SIGTERM, SIGINT, 0};
	struct sigaction hup;

	/* One that is blocked is told of by signalfd(2), ignored or not. */
	return sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler == SIG_IGN ? all + 1 : all;
}

int loop_stop_signals(struct loop *l, void (*finish)(void *arg), void *arg)
{
	signal(SIGPIPE, SIG_IGN);
	l->finish = finish;
	l->finish_arg = arg;
	return loop_signals(l, loop_end_signals(), on_stop_signal, l);
}

static void child_free(struct loop_child *c)
{
	loop_io_free(c->io);
	close(c->pidfd);
	free(c);
}

static void on_pidfd(void *arg, int events)
{
	struct loop_child *c = arg;
	struct loop_child copy = *c;
	int status = 0;

	(void)events;
	pid_t got = waitpid(c->pid, &status, WNOHANG);
	if (got == 0 || (got < 0 && errno == EINTR))
		return;
	child_free(c);
	copy.handler(copy.arg, copy.pid, status);
}

int loop_child_new(struct loop_child **cp, struct loop *l, pid_t pid,
		   void (*handler)(void *arg, pid_t pid, int status), void *arg)
{
	struct loop_child *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct loop_child){.pid = pid, .handler = handler, .arg = arg};
	c->pidfd = pidfd_open(pid, 0); /* close-on-exec by itself */
	int ret = c->pidfd < 0 ? -errno : loop_io_new(&c->io, l, c->pidfd, LOOP_IN, on_pidfd, c);
	if (ret < 0) {
		if (c->pidfd >= 0)
			close(c->pidfd);
		free(c);
		return ret;
	}
	*cp = c;
	return 0;
}

void loop_child_forget(struct loop_child *c)
{
	if (c)
		child_free(c);
}

/* ---- the loop ---- */

int loop_new(struct loop **lp)
{
	struct loop *l = calloc(1, sizeof(*l));
	int ret = -ENOMEM;

	if (!l)
		return ret;
	l->sigfd = -1;
	list_init(&l->ios);
	list_init(&l->dirty);
	list_init(&l->dead);
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	l->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	l->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->epfd < 0 || l->timerfd < 0 || l->wakefd < 0) {
		ret = -errno;
		goto fail;
	}
	ret = loop_io_new(&l->timer_io, l, l->timerfd, LOOP_IN, on_timerfd, l);
	if (!ret)
		ret = loop_io_new(&l->wake_io, l, l->wakefd, LOOP_IN, on_wakefd, l);
	if (ret)
		goto fail;
	*lp = l;
	return 0;
fail:
	loop_free(l);
	return ret;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	list_each_safe (i, &l->ios)
		loop_io_free(container_of(i, struct loop_io, link));
	reap(l);
	for (int64_t i = 0; i < l->n_timers; i++)
		l->heap[i]->slot = -1;
	free(l->heap);
	close_fd(l->epfd);
	close_fd(l->timerfd);
	close_fd(l->wakefd);
	close_fd(l->sigfd);
	free(l);
}

int loop_fd(const struct loop *l)
{
	return l->epfd;
}

void loop_apply(struct loop *l)
{
	apply_interests(l);
}

void loop_begin(struct loop *l)
{
	l->stopped = false;
}

bool loop_stopped(const struct loop *l, int *result)
{
	if (l->stopped)
		*result = l->result;
	return l->stopped;
}

void loop_stop(struct loop *l, int result)
{
	l->stopped = true;
	l->result = result;
	loop_wake(l);
}

int loop_turn(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[BATCH];

	apply_interests(l);
	int n = epoll_wait(l->epfd, ev, BATCH, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct loop_io *io = ev[i].data.ptr;
		uint32_t e = ev[i].events;
		int got = (e & EPOLLIN ? LOOP_IN : 0) | (e & EPOLLOUT ? LOOP_OUT : 0) |
			  (e & (EPOLLHUP | EPOLLERR) ? LOOP_HUP : 0);
		if (!io->dead)
			io->handler(io->arg, got);
	}
	reap(l);
	/* A hosted loop is polled by its owner, who must see what the handlers asked for. */
	apply_interests(l);
	return 0;
}

int loop_run(struct loop *l)
{
	l->stopped = false;
	while (!l->stopped) {
		int ret = loop_turn(l, -1);
		if (ret < 0)
			return ret;
	}
	return l->result;
}
