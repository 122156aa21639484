/* The map: what was put is found until it is removed. */
#include "base/map.h"

#include <errno.h>
#include <stdio.h>

#include "../../support/test.h"
#include "base/list.h"

struct thing {
	struct map_node node;
	char key[16];
};

TEST(map_finds_what_was_put)
{
	static struct thing t[1000];
	struct map m;

	map_init(&m);
	for (int i = 0; i < 1000; i++) {
		snprintf(t[i].key, sizeof(t[i].key), "k%d", i);
		CHECK_INT(map_put(&m, &t[i].node, t[i].key, strlen(t[i].key)), 0);
	}
	CHECK_INT(map_put(&m, &t[5].node, "k5", 2), -EEXIST);
	for (int i = 0; i < 1000; i += 2)
		map_remove(&m, &t[i].node);
	CHECK_INT(m.n, 500);
	CHECK(!map_get(&m, "k2", 2));
	CHECK(container_of(map_get(&m, "k3", 2), struct thing, node) == &t[3]);
	size_t seen = 0;
	map_each (i, &m) {
		seen++;
		map_remove(&m, i);
	}
	CHECK_INT(seen, 500);
	CHECK_INT(m.n, 0);
	map_done(&m);
}
