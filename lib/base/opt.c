/*
 * Options: the table is turned into what getopt_long(3) wants; values are checked here, so that
 * every program refuses the same things with the same words.
 */
#include "opt.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define MAX_OPTS  96
#define LONG_BASE 1000 /* getopt values of table rows; above every character */
#define NO_BASE	  2000 /* of their --no- forms */
#define BUILT_IN  "vhV"

#ifndef MSR_VERSION
#define MSR_VERSION "0"
#endif
const char opt_version[] = MSR_VERSION;

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit sizes[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {0}};
static const struct unit times[] = {
    {"", 1000000},   {"us", 1},		{"ms", 1000},	    {"s", 1000000},
    {"m", 60000000}, {"h", 3600000000}, {"d", 86400000000}, {0}};
static const struct unit plain[] = {{"", 1}, {0}};

static int parse_number(const char *text, const struct unit *units, int64_t *out)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno || end == text)
		return -EINVAL;
	for (; units->name; units++)
		if (!strcmp(end, units->name))
			return __builtin_mul_overflow(v, units->factor, out) ? -EINVAL : 0;
	return -EINVAL;
}

/* In the unit that the user writes, for messages about bounds. */
static void print_bound(char *out, size_t size, const struct opt *o, int64_t v)
{
	if (o->type == OPT_TIME && v % 1000000 == 0)
		snprintf(out, size, "%" PRId64 "s", v / 1000000);
	else if (o->type == OPT_TIME)
		snprintf(out, size, "%" PRId64 "ms", v / 1000);
	else
		snprintf(out, size, "%" PRId64, v);
}

int opt_usage(const struct opt_program *p, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", p->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see %s --help\n", p->name);
	return 2;
}

int opt_pair(const struct opt_program *p, const char *name, const char *value,
	     const char *other_name, const char *other_value)
{
	if (!value == !other_value)
		return 0;
	return opt_usage(p, "%s and %s must be given together", name, other_name);
}

static int set_number(const struct opt_program *p, const struct opt *o, const char *text,
		      const char *from)
{
	const struct unit *units = o->type == OPT_SIZE	 ? sizes
				   : o->type == OPT_TIME ? times
							 : plain;
	const char *kind = o->type == OPT_SIZE	 ? "a size such as 512K or 16M"
			   : o->type == OPT_TIME ? "a time such as 500ms, 10s or 5m"
						 : "a whole number";
	int64_t v;

	if (parse_number(text, units, &v) < 0)
		return opt_usage(p, "%s wants %s, not '%s'", from, kind, text);
	if ((o->min || o->max) && (v < o->min || v > o->max)) {
		char lo[32], hi[32];
		print_bound(lo, sizeof(lo), o, o->min);
		print_bound(hi, sizeof(hi), o, o->max);
		return opt_usage(p, "%s is between %s and %s, not '%s'", from, lo, hi, text);
	}
	*(int64_t *)o->to = v;
	return 0;
}

static int set_value(const struct opt_program *p, const struct opt *o, const char *text,
		     const char *from)
{
	switch (o->type) {
	case OPT_FLAG:
		*(bool *)o->to = !text || (*text && strcmp(text, "0") != 0);
		return 0;
	case OPT_STR:
		*(const char **)o->to = text;
		return 0;
	case OPT_INT:
	case OPT_SIZE:
	case OPT_TIME:
		return set_number(p, o, text, from);
	case OPT_LIST: {
		struct opt_list *list = o->to;
		if (list->n == OPT_LIST_MAX)
			return opt_usage(p, "%s can be given at most %d times", from, OPT_LIST_MAX);
		list->v[list->n++] = text;
		return 0;
	}
	}
	return 0;
}

static void print_help(const struct opt_program *p)
{
	printf("usage: %s %s\n%s\n\n", p->name, p->usage, p->summary);
	for (const struct opt *o = p->opts; o->name; o++) {
		char left[64];
		int n = o->key ? snprintf(left, sizeof(left), "-%c, --%s", o->key, o->name)
			       : snprintf(left, sizeof(left), "    --%s", o->name);
		if (o->arg)
			snprintf(left + n, sizeof(left) - (size_t)n, " %s", o->arg);
		printf("  %-27s %s", left, o->help);
		if (o->env)
			printf(" [$%s]", o->env);
		printf("\n");
	}
	printf("  %-27s %s\n", "-v, --verbose", "log debug messages");
	printf("  %-27s %s\n", "-h, --help", "this text");
	printf("  %-27s %s\n", "-V, --version", "the version");
	if (p->footer)
		printf("\n%s\n", p->footer);
}

/* Only what no option was given for: whatever stands there, an option beats it. */
static int from_environment(const struct opt_program *p, const bool *given)
{
	for (int i = 0; p->opts[i].name; i++) {
		const struct opt *o = &p->opts[i];
		const char *v = o->env && !given[i] ? getenv(o->env) : NULL;
		if (v && *v && set_value(p, o, v, o->env))
			return 2;
	}
	return 0;
}

/* Fills what getopt_long wants; `no` keeps the names of the --no- forms alive. */
static void make_getopt(const struct opt *opts, struct option *lo, char *sh, char no[][64])
{
	size_t n = 0;

	*sh++ = '+'; /* stop at the first operand */
	*sh++ = ':';
	for (int i = 0; i < MAX_OPTS && opts[i].name; i++) {
		const struct opt *o = &opts[i];
		int has_arg = o->type != OPT_FLAG;
		lo[n++] = (struct option){o->name, has_arg, NULL, LONG_BASE + i};
		if (o->type == OPT_FLAG) {
			snprintf(no[i], sizeof(no[i]), "no-%s", o->name);
			lo[n++] = (struct option){no[i], 0, NULL, NO_BASE + i};
		}
		if (o->key) {
			*sh++ = o->key;
			if (has_arg)
				*sh++ = ':';
		}
	}
	lo[n++] = (struct option){"verbose", 0, NULL, 'v'};
	lo[n++] = (struct option){"help", 0, NULL, 'h'};
	lo[n++] = (struct option){"version", 0, NULL, 'V'};
	lo[n] = (struct option){0};
	strcpy(sh, BUILT_IN);
}

static const struct opt *by_value(const struct opt *opts, int c)
{
	if (c >= LONG_BASE)
		return &opts[(c - LONG_BASE) % (NO_BASE - LONG_BASE)];
	for (; opts->name; opts++)
		if (opts->key == c)
			return opts;
	return NULL;
}

/* What getopt_long stumbled over: it stands in argv only where that has been left behind. */
static enum opt_result refuse(const struct opt_program *p, int c, const char *last)
{
	bool is_ours = optopt >= LONG_BASE || (optopt && strchr(BUILT_IN, optopt));

	if (c == ':')
		opt_usage(p, "option '%s' needs a value", last);
	else if (is_ours)
		opt_usage(p, "option '%s' takes no value", last);
	else if (optopt)
		opt_usage(p, "no such option '-%c'", optopt);
	else
		opt_usage(p, "no such option '%s'", last);
	return OPT_USAGE;
}

enum opt_result opt_parse(const struct opt_program *p, int argc, char **argv, int *next)
{
	static char no[MAX_OPTS][64];
	struct option lo[2 * MAX_OPTS + 4];
	char sh[3 * MAX_OPTS];
	int c;
	bool verbose = false, given[MAX_OPTS] = {0};

	make_getopt(p->opts, lo, sh, no);
	optind = 0; /* from the start, also after a call that ended within "-abc" */
	while ((c = getopt_long(argc, argv, sh, lo, NULL)) != -1) {
		const struct opt *o = by_value(p->opts, c);
		char from[80];

		if (c == 'h') {
			print_help(p);
			return OPT_DONE;
		}
		if (c == 'V') {
			printf("%s %s\n", p->name, opt_version);
			return OPT_DONE;
		}
		if (c == 'v') {
			verbose = true;
			continue;
		}
		if (c == ':' || c == '?' || !o)
			return refuse(p, c, argv[optind - 1]);
		snprintf(from, sizeof(from), "--%s", o->name);
		if (set_value(p, o, c >= NO_BASE ? "0" : optarg, from))
			return OPT_USAGE;
		given[o - p->opts] = true;
	}
	if (from_environment(p, given))
		return OPT_USAGE;
	if (verbose)
		log_set_level(LOG_DEBUG);
	*next = optind;
	return OPT_OK;
}
