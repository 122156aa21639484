/* Options: precedence, units, bounds and refusals. */
#include "base/opt.h"
#include "base/log.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../support/test.h"

static bool flag;
static int64_t port, size, wait_us;
static const char *path;
static struct opt_list list;

static const struct opt table[] = {
    {'f', "flag", OPT_FLAG, &flag, NULL, NULL, "a flag", 0, 0},
    {'p', "port", OPT_INT, &port, "MSR_TEST_PORT", "PORT", "a number", 1, 65535},
    {0, "size", OPT_SIZE, &size, NULL, "BYTES", "a size", 0, 0},
    {0, "wait", OPT_TIME, &wait_us, NULL, "TIME", "a time", 0, 10000000},
    {'o', "output", OPT_STR, &path, NULL, "SINK", "a string", 0, 0},
    {'i', "input", OPT_LIST, &list, NULL, "SOURCE", "repeated", 0, 0},
    {0},
};
static const struct opt_program program = {"msr-test", "[-f]", "A test.", NULL, table};

static void reset(void)
{
	flag = false;
	port = 8000;
	size = wait_us = 0;
	path = NULL;
	list.n = 0;
	unsetenv("MSR_TEST_PORT");
}

static char said[256];

/* Takes in the messages that a refusal prints. Returns what unmute wants. */
static int mute(void)
{
	int err = dup(2), mem = memfd_create("said", MFD_CLOEXEC);

	dup2(mem, 2);
	close(mem);
	return err;
}

static void unmute(int err)
{
	ssize_t n = pread(2, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	dup2(err, 2);
	close(err);
}

static enum opt_result parse(int *next, const char *const *argv)
{
	int n = 0;
	static char *kept[8][16]; /* options lend from argv, so it must outlive the checks */
	static int call;
	char **copy = kept[call++ % 8];
	int ignored;

	while (argv[n])
		n++;
	for (int i = 0; i < 16; i++) {
		free(copy[i]);
		copy[i] = i < n ? strdup(argv[i]) : NULL;
	}
	int err = mute();
	enum opt_result r = opt_parse(&program, n, copy, next ? next : &ignored);
	unmute(err);
	return r;
}
#define PARSE(next, ...) parse(next, (const char *const[]){"msr-test", __VA_ARGS__, NULL})

TEST(values_arrive_with_their_units)
{
	int next;

	reset();
	CHECK_INT(PARSE(&next, "-f", "--size", "16M", "--wait=500ms", "-oX", "-i", "a", "-i", "b",
			"rest", "-f"),
		  OPT_OK);
	CHECK(flag);
	CHECK_INT(size, 16 << 20);
	CHECK_INT(wait_us, 500000);
	CHECK_STR(path, "X");
	CHECK_INT(list.n, 2);
	CHECK_STR(list.v[1], "b");
	CHECK_INT(next, 10);
}

TEST(options_beat_the_environment_and_it_beats_the_default)
{
	reset();
	setenv("MSR_TEST_PORT", "1234", 1);
	CHECK_INT(PARSE(NULL, "--no-flag"), OPT_OK);
	CHECK_INT(port, 1234);
	CHECK_INT(PARSE(NULL, "-p", "99"), OPT_OK);
	CHECK_INT(port, 99);
	setenv("MSR_TEST_PORT", "none", 1);
	CHECK_INT(PARSE(NULL, "--no-flag"), OPT_USAGE);
	CHECK_INT(PARSE(NULL, "-p", "98"), OPT_OK);
	CHECK_INT(port, 98);
	unsetenv("MSR_TEST_PORT");
}

TEST(nonsense_is_refused)
{
	reset();
	CHECK_INT(PARSE(NULL, "-p", "0"), OPT_USAGE);
	CHECK_INT(PARSE(NULL, "-p", "65536"), OPT_USAGE);
	CHECK_INT(PARSE(NULL, "-p", "12x"), OPT_USAGE);
	CHECK_INT(PARSE(NULL, "-p"), OPT_USAGE);
	CHECK_INT(PARSE(NULL, "--size", "9223372036854775807K"), OPT_USAGE);
	CHECK_INT(PARSE(NULL, "--wait", "11s"), OPT_USAGE);
	CHECK_INT(PARSE(NULL, "--unknown"), OPT_USAGE);
	CHECK_INT(PARSE(NULL, "-x"), OPT_USAGE);
	CHECK_STR(said, "msr-test: no such option '-x'; see msr-test --help\n");
	CHECK_INT(PARSE(NULL, "--flag", "-fxf"), OPT_USAGE);
	CHECK_STR(said, "msr-test: no such option '-x'; see msr-test --help\n");
	CHECK_INT(PARSE(NULL, "--flag=1"), OPT_USAGE);
	CHECK_STR(said, "msr-test: option '--flag=1' takes no value; see msr-test --help\n");
	CHECK_INT(PARSE(NULL, "--help=1"), OPT_USAGE);
	CHECK_STR(said, "msr-test: option '--help=1' takes no value; see msr-test --help\n");
	CHECK_INT(PARSE(NULL, "-fp"), OPT_USAGE);
	CHECK_STR(said, "msr-test: option '-fp' needs a value; see msr-test --help\n");
	CHECK_INT(port, 8000);
}

TEST(a_pair_is_whole_or_absent)
{
	int err = mute();
	int cert = opt_pair(&program, "--cert", "x", "--key", NULL);
	int key = opt_pair(&program, "--cert", NULL, "--key", "y");

	unmute(err);
	CHECK_INT(cert, 2);
	CHECK_INT(key, 2);
	CHECK_INT(opt_pair(&program, "--cert", "x", "--key", "y"), 0);
	CHECK_INT(opt_pair(&program, "--cert", NULL, "--key", NULL), 0);
}
