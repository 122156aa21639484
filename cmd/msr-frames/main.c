/*
 * msr-frames: looks at, filters, makes and replays streams of frames (msr-frame(5)).
 *
 *   main.c     finds the subcommand and reads its options
 *   pump.c     sources → conditions (match.c) → the subcommand, and the commits back
 *   dump.c json.c body.c        frames as text, as JSON lines, as their bodies
 *   webm.c                      sound of a call as a stream that players read
 *   filter.c replay.c out.c     frames on to a sink
 *   make.c                      frames out of bytes
 *   stat.c rm.c                 rings themselves
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

static const struct command *const commands[] = {&cmd_dump,   &cmd_json, &cmd_filter,
						 &cmd_body,   &cmd_webm, &cmd_make,
						 &cmd_replay, &cmd_stat, &cmd_rm};
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

struct input_opts input = {.wait = true};
const char *output = "-";

static struct opt_program program = {.name = "msr-frames"};

int command_fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program.name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

int command_usage(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return opt_usage(&program, "%s", text);
}

const char *command_why(int err)
{
	switch (-err) {
	case EBUSY:
		return "another process has this side of the ring; see msr-frames stat";
	case EBADMSG:
		return "not a ring, or a damaged one, which msr-frames rm removes";
	case EMSGSIZE:
		return "a frame is larger than half of the ring; make it larger, see --ring-size";
	case EINVAL:
		return "not the name of a ring: an id that ends neither in .bell nor in .room";
	case EPERM:
		return "the ring belongs to another user";
	default:
		return strerror(-err);
	}
}

/* The help of the whole: every subcommand, and the options of all of them. */
static void help_of_all(struct opt *all, size_t max, char *footer, size_t size)
{
	size_t n = 0;
	int len = snprintf(footer, size, "COMMAND is one of\n");

	for (size_t c = 0; c < N_COMMANDS; c++) {
		len += snprintf(footer + len, size - (size_t)len, "  %-8s%s\n", commands[c]->name,
				commands[c]->summary);
		for (const struct opt *o = commands[c]->opts; o->name; o++) {
			size_t k = 0;
			while (k < n && strcmp(all[k].name, o->name) != 0)
				k++;
			if (k == n && n < max - 1)
				all[n++] = *o;
		}
	}
	snprintf(
	    footer + len, size - (size_t)len,
	    "CONDITION is room= session= storage= kind= codec= or source= with a value, or several "
	    "with commas.\nmsr-frames COMMAND --help shows the options of one.");
}

static int without_command(int argc, char **argv)
{
	static struct opt all[64];
	static char footer[2048];
	int next;

	help_of_all(all, sizeof(all) / sizeof(*all), footer, sizeof(footer));
	program.usage = "COMMAND [option ...] [CONDITION ...]";
	program.summary =
	    "Looks at, filters, makes and replays streams of frames, and looks at rings.";
	program.footer = footer;
	program.opts = all;
	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	return next < argc ? command_usage("no such command: '%s'", argv[next])
			   : command_usage("name a command");
}

/*
 * Options and operands in any order: moves the operands to the front of argv. The number of them,
 * or -1 and the exit status in *status.
 */
static int parse_mixed(int argc, char **argv, int *status)
{
	int n = 0, at = 0, next;

	while (at < argc) {
		enum opt_result r = opt_parse(&program, argc - at, argv + at, &next);
		if (r != OPT_OK) {
			*status = r == OPT_DONE ? 0 : 2;
			return -1;
		}
		bool rest = next > 1 && !strcmp(argv[at + next - 1], "--");
		at += next;
		do {
			if (at < argc)
				argv[n++] = argv[at];
		} while (rest && ++at < argc);
	}
	return n;
}

int main(int argc, char **argv)
{
	const struct command *c = NULL;
	char name[32];
	int status;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc > 1 && i < N_COMMANDS; i++)
		if (!strcmp(commands[i]->name, argv[1]))
			c = commands[i];
	if (!c)
		return without_command(argc, argv);
	snprintf(name, sizeof(name), "msr-frames %s", c->name);
	program = (struct opt_program){
	    .name = name, .usage = c->usage, .summary = c->summary, .opts = c->opts};
	int n = parse_mixed(argc - 1, argv + 1, &status);
	return n < 0 ? status : c->run(n, argv + 1);
}
