/* msr-frames rm: removes rings and their doorbells. */
#include <errno.h>

#include "command.h"
#include "frame/ring.h"
#include "ringname.h"

static bool force;

static int remove_ring(const char *operand)
{
	const char *name = ring_operand(operand);
	struct ring_stats s;

	if (!force && ring_is_other(name))
		return command_fail("'%s' is not a ring; --force removes it all the same", operand);
	/* What is damaged or only half there may go; so may what nobody uses. */
	if (!force && ring_inspect(name, &s) == 0) {
		if (s.producer_live || s.consumer_live)
			return command_fail("'%s' is in use by its %s; stop it, or --force",
					    operand, s.producer_live ? "producer" : "consumer");
		if (s.head != s.tail && !s.damaged)
			return command_fail("'%s' holds %llu bytes that nobody has stored; let its "
					    "consumer run, or --force",
					    operand, (unsigned long long)(s.head - s.tail));
	}
	int ret = ring_unlink(name);
	if (ret < 0 && !(force && ret == -ENOENT))
		return command_fail("cannot remove '%s': %s", operand, command_why(ret));
	return 0;
}

static int run(int argc, char **argv)
{
	int status = 0;

	if (!argc)
		return command_usage("which ring? shm:NAME");
	for (int i = 0; i < argc; i++)
		status |= remove_ring(argv[i]);
	return status;
}

static const struct opt opts[] = {{0, "force", OPT_FLAG, &force, NULL, NULL,
				   "also one in use, with frames in it, not there, or no ring", 0,
				   0},
				  {0}};

const struct command cmd_rm = {"rm", "[--force] shm:NAME ...", "removes rings", opts, run};
