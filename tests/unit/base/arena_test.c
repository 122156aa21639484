/* The arena: zeroed and aligned pieces up to its bound, and arrays that grow. */
#include "base/arena.h"

#include <stdalign.h>
#include <stddef.h>

#include "../../support/test.h"

TEST(pieces_are_zeroed_aligned_and_apart)
{
	struct arena a;
	unsigned char *last = NULL;

	arena_init(&a, 0);
	for (size_t n = 1; n < 5000; n += 37) {
		unsigned char *p = arena_alloc(&a, n);
		CHECK(p && (uintptr_t)p % alignof(max_align_t) == 0);
		for (size_t i = 0; i < n; i++)
			CHECK_INT(p[i], 0);
		memset(p, 0xff, n);
		CHECK(!last || last[0] == 0xff);
		last = p;
	}
	CHECK(arena_alloc(&a, 1 << 20)); /* larger than any block */
	arena_done(&a);
	CHECK_INT(a.used, 0);
}

TEST(an_arena_ends_at_its_bound)
{
	struct arena a;

	arena_init(&a, 1000);
	CHECK(arena_alloc(&a, 500));
	CHECK(!arena_alloc(&a, 600));
	CHECK(!arena_alloc(&a, SIZE_MAX));
	CHECK(arena_alloc(&a, 400)); /* a refusal takes nothing */
	arena_done(&a);
}

TEST(arrays_grow_and_texts_are_copied)
{
	struct arena a;
	int *v = NULL;

	arena_init(&a, 0);
	for (size_t n = 0; n < 100; n++) {
		v = arena_grow(&a, v, n, sizeof(*v));
		CHECK(v);
		v[n] = (int)n;
	}
	for (int n = 0; n < 100; n++)
		CHECK_INT(v[n], n);
	CHECK_STR(arena_strdup(&a, "room/talk", 4), "room");
	arena_done(&a);
}
