/* main() of every unit test: runs the cases named on the command line, or all, and prints TAP. */
#include "test.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct test_case *cases;
static jmp_buf leave;
static char dir[64];

void test_register(struct test_case *t)
{
	struct test_case **at = &cases;

	while (*at)
		at = &(*at)->next;
	*at = t;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	longjmp(leave, 1);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static void remove_dir(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_dir(void)
{
	if (!dir[0]) {
		const char *tmp = getenv("TMPDIR");
		snprintf(dir, sizeof(dir), "%.40s/msr-test-XXXXXX", tmp ? tmp : "/tmp");
		if (!mkdtemp(dir)) {
			perror(dir);
			exit(1);
		}
		atexit(remove_dir);
	}
	return dir;
}

static bool wanted(const struct test_case *t, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], t->name))
			return true;
	return argc < 2;
}

/* Apart from main, because longjmp may clobber the locals of who called setjmp. */
static bool passes(const struct test_case *t)
{
	if (setjmp(leave))
		return false;
	t->run();
	return true;
}

int main(int argc, char **argv)
{
	int n = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test_case *t = cases; t; t = t->next) {
		if (!wanted(t, argc, argv))
			continue;
		bool ok = passes(t);
		failed += !ok;
		printf("%s %d %s\n", ok ? "ok" : "not ok", ++n, t->name);
	}
	printf("1..%d\n", n);
	return failed ? 1 : 0;
}

unsigned test_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}
