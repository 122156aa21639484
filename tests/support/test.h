/*
 * Unit tests in TAP. A test program defines cases with TEST(name) and is linked with test.c, which
 * has main(). A failed CHECK ends its case; the others still run.
 *
 *	TEST(ids_refuse_dots)
 *	{
 *		CHECK(!id_valid(".x", 2));
 *		CHECK_INT(id_max(), 128);
 *	}
 *
 */
#ifndef MSR_TESTS_TEST_H
#define MSR_TESTS_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct test_case {
	const char *name;
	void (*run)(void);
	struct test_case *next;
};

void test_register(struct test_case *t);
/* Reports and leaves the running case. */
void test_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn));
/* A fresh folder, removed when the program ends. */
const char *test_dir(void);

#define TEST(id)                                                 \
	static void test_##id(void);                             \
	static struct test_case case_##id = {#id, test_##id, 0}; \
	__attribute__((constructor)) static void reg_##id(void)  \
	{                                                        \
		test_register(&case_##id);                       \
	}                                                        \
	static void test_##id(void)

#define CHECK(e)                                                 \
	do {                                                     \
		if (!(e))                                        \
			test_fail(__FILE__, __LINE__, "%s", #e); \
	} while (0)

#define CHECK_INT(got, want)                                                                 \
	do {                                                                                 \
		long long g_ = (long long)(got), w_ = (long long)(want);                     \
		if (g_ != w_)                                                                \
			test_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #got, g_, w_); \
	} while (0)

#define CHECK_STR(got, want)                                                        \
	do {                                                                        \
		const char *g_ = (got), *w_ = (want);                               \
		if (!g_ || strcmp(g_, w_) != 0)                                     \
			test_fail(__FILE__, __LINE__, "%s is '%s', not '%s'", #got, \
				  g_ ? g_ : "(null)", w_);                          \
	} while (0)

#define CHECK_MEM(got, want, n)                                                           \
	do {                                                                              \
		if (memcmp(got, want, n) != 0)                                            \
			test_fail(__FILE__, __LINE__, "%s differs from %s", #got, #want); \
	} while (0)

/* How many descriptors the program has open. */
unsigned test_descriptors(void);

#endif
