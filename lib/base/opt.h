/*
 * Command-line options from one table: short and long names, environment, default, bounds and
 * the help screen. Options beat the environment, which beats the default.
 */
#ifndef MSR_BASE_OPT_H
#define MSR_BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opt_type {
	OPT_FLAG, /* bool: set to true; --no-NAME sets it to false */
	OPT_STR,  /* const char *: lent by argv or the environment */
	OPT_INT,  /* int64_t between min and max (both 0: any) */
	OPT_SIZE, /* int64_t bytes, with K M G suffixes (powers of 1,024) */
	OPT_TIME, /* int64_t microseconds, written 500ms, 10s (or 10), 5m, 2h */
	OPT_LIST, /* struct opt_list: may be repeated */
};

#define OPT_LIST_MAX 32

struct opt_list {
	const char *v[OPT_LIST_MAX]; /* lent by argv */
	size_t n;
};

struct opt {
	char key;	  /* short name, 0 for none */
	const char *name; /* long name without dashes; NULL ends the table */
	enum opt_type type;
	void *to;	  /* holds the default before opt_parse */
	const char *env;  /* NULL for none */
	const char *arg;  /* what the help screen calls the value */
	const char *help; /* one line */
	int64_t min, max;
};

struct opt_program {
	const char *name;    /* "msr-ws" */
	const char *usage;   /* "[-p PORT] ...", shown after the name */
	const char *summary; /* one sentence */
	const char *footer;  /* further help, or NULL */
	const struct opt *opts;
};

/* What is not OPT_OK is the exit status that main returns. */
enum opt_result {
	OPT_OK = -1,   /* continue; *next is the first operand in argv */
	OPT_DONE = 0,  /* --help or --version was printed */
	OPT_USAGE = 2, /* an error was printed */
};

/*
 * Parses argv. -h, -V and -v (log level) are built in; everything else comes from the table.
 * Options end at the first operand or at "--".
 */
enum opt_result opt_parse(const struct opt_program *p, int argc, char **argv, int *next);

/* "msr-ws: what" and a pointer to --help, on standard error. Returns 2 for main to return. */
int opt_usage(const struct opt_program *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Two options of which one means nothing without the other, such as a certificate and its key: both
 * values are given, or both are NULL. 0, or 2 as opt_usage.
 */
int opt_pair(const struct opt_program *p, const char *name, const char *value,
	     const char *other_name, const char *other_value);

/* The version that --version prints. */
extern const char opt_version[];

#endif
