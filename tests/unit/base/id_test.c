/* The rule for ids. */
#include "base/id.h"

#include "../../support/test.h"

TEST(ordinary_ids_are_valid)
{
	CHECK(id_valid("a", 1));
	CHECK(id_valid("Room-1_x.y", 10));
	char longest[ID_MAX];
	memset(longest, 'z', sizeof(longest));
	CHECK(id_valid(longest, sizeof(longest)));
}

TEST(hostile_ids_are_refused)
{
	static const char *const bad[] = {"",	 ".",	 "..",	".hidden",  "a/b",
					  "a b", "a\\b", "a~2", "\xc3\xa4", "a\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!id_valid(bad[i], strlen(bad[i])));
	CHECK(!id_valid("a\0b", 3));
	char longer[ID_MAX + 1];
	memset(longer, 'z', sizeof(longer));
	CHECK(!id_valid(longer, sizeof(longer)));
}
