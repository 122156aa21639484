/*
 * msr-frames: what its subcommands share.
 *
 *   main → command table → one file a subcommand → pump (sources → frames → handler, commits)
 */
#ifndef MSR_FRAMES_COMMAND_H
#define MSR_FRAMES_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/opt.h"
#include "frame/frame.h"

struct command {
	const char *name;
	const char *usage; /* behind the name */
	const char *summary;
	const struct opt *opts;
	/* The operands; returns the exit status. */
	int (*run)(int argc, char **argv);
};

extern const struct command cmd_dump, cmd_json, cmd_filter, cmd_body, cmd_make, cmd_replay,
    cmd_stat, cmd_rm, cmd_webm;

/* "msr-frames NAME: " and the message, on standard error. Returns 1 for run to return. */
int command_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same with a pointer to --help; returns 2. */
int command_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What an -errno means when opening a sink or source, and what to do about it. */
const char *command_why(int err);

/* ---- options that several subcommands have: rows for their tables ---- */

struct input_opts {
	struct opt_list from; /* empty: standard input */
	int64_t count;	      /* frames, 0: all */
	bool follow, wait, keep;
};
extern struct input_opts input;
extern const char *output; /* "-" by default */

/* clang-format off */
#define OPTS_INPUT                                                                        \
	{'i', "input", OPT_LIST, &input.from, NULL, "SOURCE",                             \
	 "read -, a path or shm:NAME; repeatable (-)", 0, 0},                             \
	{'n', "count", OPT_INT, &input.count, NULL, "N", "stop after N frames", 0, INT64_MAX}, \
	{'f', "follow", OPT_FLAG, &input.follow, NULL, NULL,                              \
	 "stay when the writers of a FIFO go away", 0, 0},                                \
	{0, "wait", OPT_FLAG, &input.wait, NULL, NULL,                                    \
	 "wait for more frames (default); --no-wait takes what is there", 0, 0},          \
	{0, "keep", OPT_FLAG, &input.keep, NULL, NULL,                                    \
	 "leave the frames in the ring for its reader; implies --no-wait", 0, 0}
#define OPT_OUTPUT                                                                        \
	{'o', "output", OPT_STR, &output, NULL, "SINK", "write to -, a path or shm:NAME (-)", 0, 0}
/* clang-format on */

#endif
