/* The pump runs on one loop; a handler that has no room pauses all sources. */
#include "pump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "command.h"
#include "frame/ring.h"
#include "frame/source.h"
#include "loop/loop.h"

#define SHARE 64 /* frames of one source before the next has its turn */

struct feed {
	struct pump *pump;
	const char *spec;
	struct source *source; /* owned */
	struct frame frame;    /* given to the handler again when `pending` */
	bool pending;
	uint64_t done; /* position behind the last frame that was handled */
	bool idle;     /* nothing there now, or at its end */
	bool over;
};

struct pump {
	struct loop *loop;
	struct pump_handler handler;
	const struct match *match;
	struct feed feed[OPT_LIST_MAX];
	size_t n;
	int64_t handled; /* frames */
	bool paused;
	bool ended; /* the loop stops after this turn; nothing more is read */
};

static void end(struct pump *p, int status)
{
	if (!p->ended)
		loop_stop(p->loop, status);
	p->ended = true;
}

void pump_stop(struct pump *p, int status)
{
	end(p, status);
}

static void fail(struct pump *p, const char *spec, int err)
{
	/* The reader of our output has seen enough. */
	if (err == -EPIPE)
		return end(p, 0);
	end(p, command_fail("'%s': %s", spec, command_why(err)));
}

static void pause_all(struct pump *p, bool paused)
{
	p->paused = paused;
	for (size_t i = 0; i < p->n; i++)
		source_pause(p->feed[i].source, paused);
}

/* 0, or what the handler said when it did not simply take it. */
static int give(struct feed *fd)
{
	struct pump *p = fd->pump;
	int ret = p->handler.frame(p->handler.arg, &fd->frame);

	fd->pending = ret == -EAGAIN;
	if (ret == 0 && ++p->handled == input.count)
		end(p, 0);
	else if (fd->pending)
		pause_all(p, true);
	else if (ret < 0)
		fail(p, output, ret);
	return ret;
}

void pump_commit(struct pump *p)
{
	for (size_t i = 0; i < p->n && !input.keep; i++)
		source_commit(p->feed[i].source, p->feed[i].done);
}

static void settle(struct pump *p)
{
	int ret = p->handler.settle(p->handler.arg);

	if (!ret)
		pump_commit(p);
	else if (ret != -EAGAIN)
		fail(p, output, ret);
}

/* Whether everything that is to be read has been. */
static bool finished(const struct pump *p)
{
	bool wait = input.wait && !input.keep;

	for (size_t i = 0; i < p->n; i++)
		if (p->feed[i].pending || !(p->feed[i].over || (!wait && p->feed[i].idle)))
			return false;
	return true;
}

static void on_ready(void *arg)
{
	struct feed *fd = arg;
	struct pump *p = fd->pump;
	int ret = 1, said = 0;

	if (p->ended)
		return;
	fd->idle = false;
	for (int i = 0; i < SHARE && !said && !p->ended; i++) {
		if ((ret = source_next(fd->source, &fd->frame)) != 1)
			break;
		if (match_frame(p->match, &fd->frame))
			said = give(fd);
		if (!said)
			fd->done = source_pos(fd->source);
	}
	if (ret != 1) {
		fd->idle = true;
		fd->over = ret != -EAGAIN;
	}
	if (said >= 0 || said == -EAGAIN)
		settle(p);
	if (ret < 0 && ret != -EAGAIN)
		fail(p, fd->spec, ret);
	else if (finished(p))
		end(p, 0);
}

void pump_resume(struct pump *p)
{
	if (p->ended)
		return;
	if (p->paused)
		pause_all(p, false);
	for (size_t i = 0; i < p->n && !p->paused; i++) {
		struct feed *fd = &p->feed[i];
		if (fd->pending && give(fd) >= 0)
			fd->done = source_pos(fd->source);
	}
	settle(p);
	if (finished(p))
		end(p, 0);
}

static void on_signal(void *arg)
{
	end(arg, 0);
}

/* Whoever only looks at a ring does not make one, for example of a mistyped name. */
static int may_open(const char *spec)
{
	const char *name = ring_name_in(spec);
	struct ring_stats st;

	if ((input.wait && !input.keep) || !name)
		return 0;
	return ring_inspect(name, &st);
}

static int open_feed(struct pump *p, const char *spec)
{
	struct feed *fd = &p->feed[p->n];
	struct source_opts o = {
	    .loop = p->loop, .follow = input.follow, .ready = on_ready, .arg = fd};

	*fd = (struct feed){.pump = p, .spec = spec};
	int ret = may_open(spec);
	if (!ret)
		ret = source_open(&fd->source, spec, &o);
	if (ret < 0)
		return command_fail("cannot read '%s': %s", spec, command_why(ret));
	fd->done = source_pos(fd->source);
	p->n++;
	return 0;
}

int pump_open(struct pump **pp, const struct match *match, const struct pump_handler *handler)
{
	struct pump *p = calloc(1, sizeof(*p));
	int ret = p ? loop_new(&p->loop) : -ENOMEM;

	if (!ret)
		ret = loop_stop_signals(p->loop, on_signal, p);
	if (ret < 0) {
		pump_close(p);
		return command_fail("cannot start: %s", strerror(-ret));
	}
	p->match = match;
	p->handler = *handler;
	for (size_t i = 0; i < input.from.n && !ret; i++)
		ret = open_feed(p, input.from.v[i]);
	if (!input.from.n)
		ret = open_feed(p, "-");
	if (ret)
		pump_close(p);
	else
		*pp = p;
	return ret;
}

struct loop *pump_loop(const struct pump *p)
{
	return p->loop;
}

int pump_run(struct pump *p)
{
	int status = loop_run(p->loop);

	if (status < 0)
		status = command_fail("the event loop failed: %s", strerror(-status));
	for (size_t i = 0; i < p->n; i++) {
		struct source_stats st;
		source_stats(p->feed[i].source, &st);
		if (st.resyncs)
			log_warn("'%s': skipped %llu bytes of damage in %llu places",
				 p->feed[i].spec, (unsigned long long)st.skipped,
				 (unsigned long long)st.resyncs);
	}
	return status;
}

void pump_close(struct pump *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		source_close(p->feed[i].source);
	loop_free(p->loop);
	free(p);
}
