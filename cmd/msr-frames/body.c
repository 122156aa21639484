/* msr-frames body: only the bodies, one after the other. */
#include <errno.h>
#include <stdio.h>

#include "command.h"
#include "pump.h"

struct bodies {
	FILE *to;
	bool all; /* a kind was asked for: also what open and close carry */
};

static int on_frame(void *arg, const struct frame *f)
{
	struct bodies *b = arg;

	if (!b->all && (f->kind == FRAME_OPEN || f->kind == FRAME_CLOSE))
		return 0;
	return fwrite(f->body, 1, f->body_len, b->to) == f->body_len ? 0 : -errno;
}

static int on_settle(void *arg)
{
	struct bodies *b = arg;

	return fflush(b->to) ? -errno : 0;
}

static int run(int argc, char **argv)
{
	struct bodies b = {.to = stdout};
	struct match match;
	struct pump *p;

	if (match_parse(&match, argc, argv))
		return 2;
	b.all = match_has(&match, "kind");
	if (pump_open(&p, &match, &(struct pump_handler){on_frame, on_settle, &b}))
		return 1;
	int status = pump_run(p);
	pump_close(p);
	return status;
}

static const struct opt opts[] = {OPTS_INPUT, {0}};

const struct command cmd_body = {"body", "[option ...] [CONDITION ...]",
				 "the bodies only, one after the other", opts, run};
