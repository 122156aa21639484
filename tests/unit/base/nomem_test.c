/*
 * What lib/base does without memory: each scenario is run with the first allocation failing, then
 * with the second, and so on, until it needs no more. It reports -ENOMEM, keeps what it had, and
 * leaks nothing (the sanitizers see to that). The linker puts these allocators in (Makefile).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../support/test.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/metrics.h"

static int left = -1; /* allocations until one fails; below 0: none does */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static bool fails(void)
{
	return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

/* Returns how many allocations `scenario` needs; it returns whether it met the one that failed. */
static int run_without(bool (*scenario)(void))
{
	for (int n = 0;; n++) {
		left = n;
		bool failed = scenario();
		CHECK_INT(failed, left < 0); /* no failure is kept quiet, and none invented */
		left = -1;
		if (!failed)
			return n;
	}
}

static bool fill_buffer(void)
{
	struct buf b;
	size_t want = 0;
	bool failed = false;

	buf_init(&b, 0);
	for (int i = 0; i < 1000; i++) {
		int ret = i % 2 ? buf_append(&b, "0123456789", 10) : buf_printf(&b, "%010d", i);
		CHECK(ret == 0 || ret == -ENOMEM);
		failed |= ret != 0;
		want += ret ? 0 : 10;
		CHECK_INT(buf_len(&b), want);
	}
	buf_done(&b);
	return failed;
}

TEST(buffers_without_memory)
{
	CHECK(run_without(fill_buffer) > 3);
}

static bool fill_arena(void)
{
	struct arena a;
	bool failed = false;
	int *v = NULL;
	size_t n = 0;

	arena_init(&a, 0);
	for (int i = 0; i < 2000; i++) {
		char *text = arena_strdup(&a, "talk", 4);
		int *grown = arena_grow(&a, v, n, sizeof(*v));
		failed |= !text || !grown;
		if (!grown)
			continue;
		v = grown;
		v[n] = (int)n;
		n++;
	}
	for (size_t i = 0; i < n; i++)
		CHECK_INT(v[i], i);
	arena_done(&a);
	return failed;
}

TEST(arenas_without_memory)
{
	CHECK(run_without(fill_arena) > 3);
}

struct thing {
	struct map_node node;
	char key[16];
};

/* A table that cannot grow holds its nodes in longer chains: only the first one must be there. */
static bool fill_map(void)
{
	static struct thing t[200];
	bool failed = left >= 0; /* until it is known that nothing failed */
	struct map m;
	int start = left;

	map_init(&m);
	for (int i = 0; i < 200; i++) {
		snprintf(t[i].key, sizeof(t[i].key), "k%d", i);
		int ret = map_put(&m, &t[i].node, t[i].key, strlen(t[i].key));
		CHECK_INT(ret, start == 0 && i == 0 ? -ENOMEM : 0);
	}
	for (int i = start == 0; i < 200; i++)
		CHECK(map_get(&m, t[i].key, strlen(t[i].key)) == &t[i].node);
	map_done(&m);
	return failed && left < 0;
}

TEST(maps_without_memory)
{
	CHECK(run_without(fill_map) > 3);
}

static bool list_and_render(void)
{
	metric_t value = 5;
	struct metrics *m;
	struct buf b;

	if (metrics_new(&m))
		return true;
	metrics_counter(m, "a_total", NULL, "A", &value);
	metrics_gauge(m, "b", NULL, "B", &value);
	buf_init(&b, 0);
	int ret = metrics_render(m, &b);
	CHECK(ret == 0 || ret == -ENOMEM);
	buf_done(&b);
	metrics_free(m);
	return ret != 0;
}

TEST(metrics_without_memory)
{
	CHECK_INT(run_without(list_and_render), 4); /* the list, two metrics, the text */
}
