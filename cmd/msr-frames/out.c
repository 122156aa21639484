/*
 * Out through a sink. What is in a ring survives the death of any process, so it is settled once it
 * is published; on a pipe or in a file once write(2) took it.
 */
#include "out.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "command.h"
#include "frame/sink.h"

#define CLOSE_MS 5000 /* for the reader of a pipe or FIFO to take the rest */

int64_t out_ring_size;

static void on_ready(void *arg)
{
	struct out *o = arg;

	pump_resume(o->pump);
}

static void on_lost(void *arg, int err)
{
	struct out *o = arg;

	if (err == -EPIPE) /* the reader has seen enough */
		pump_stop(o->pump, 0);
	else if (err == -EBADMSG)
		pump_stop(o->pump, command_fail("'%s': %s", output, command_why(err)));
	else
		log_warn("cannot write to '%s': %s; trying again", output, strerror(-err));
}

int out_open(struct out *o, struct pump *p)
{
	struct sink_opts opts = {.loop = pump_loop(p),
				 .ring_size = (size_t)out_ring_size,
				 .ready = on_ready,
				 .lost = on_lost,
				 .arg = o};

	*o = (struct out){.pump = p};
	int ret = sink_open(&o->sink, output, &opts);
	return ret ? command_fail("cannot write to '%s': %s", output, command_why(ret)) : 0;
}

int out_frame(void *arg, const struct frame *f)
{
	struct out *o = arg;

	return sink_put(o->sink, f, &o->put);
}

int out_settle(void *arg)
{
	struct out *o = arg;

	sink_flush(o->sink);
	return sink_is_ring(o->sink) || sink_safe(o->sink) >= o->put ? 0 : -EAGAIN;
}

int out_close(struct out *o, int status)
{
	int ret = sink_close(o->sink, CLOSE_MS);

	o->sink = NULL;
	if (!ret)
		pump_commit(o->pump);
	else if (ret != -EPIPE && !status)
		status = command_fail("'%s': not everything was read: %s", output, strerror(-ret));
	return status;
}
