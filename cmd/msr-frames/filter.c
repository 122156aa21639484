/* msr-frames filter: passes the frames that match on to a sink. */
#include "command.h"
#include "out.h"

static int run(int argc, char **argv)
{
	struct match match;
	struct pump *p;
	struct out o;

	if (match_parse(&match, argc, argv))
		return 2;
	if (pump_open(&p, &match, &(struct pump_handler){out_frame, out_settle, &o}))
		return 1;
	int status = out_open(&o, p);
	if (!status)
		status = out_close(&o, pump_run(p));
	pump_close(p);
	return status;
}

static const struct opt opts[] = {OPTS_INPUT, OPT_OUTPUT, OPT_RING_SIZE, {0}};

const struct command cmd_filter = {"filter", "[option ...] [CONDITION ...]",
				   "passes matching frames on", opts, run};
