/* The ledger: remembers, is shared, survives torn and damaged lines. */
#include "../../../cmd/msr-taskscan/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../support/test.h"

/* A folder of its own for each case; *path is the ledger in it. */
static int fresh(char path[512])
{
	static int n;
	char dir[400];

	snprintf(dir, sizeof(dir), "%s/%d", test_dir(), n++);
	CHECK_INT(mkdir(dir, 0700), 0);
	snprintf(path, 512, "%s/" LEDGER_FILE, dir);
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	return fd;
}

static void append(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "a");

	CHECK(f && fwrite(text, 1, len, f) == len && fclose(f) == 0);
}

TEST(what_was_made_is_known_also_later_and_to_others)
{
	char path[512];
	struct ledger *a, *b;
	int dir = fresh(path);

	CHECK_INT(ledger_open(&a, dir), 0);
	CHECK_INT(ledger_open(&b, dir), 0);
	CHECK_INT(ledger_lock(a), 0);
	CHECK(!ledger_has(a, "s1"));
	CHECK_INT(ledger_add(a, LEDGER_MAKE, "s1", ""), 0);
	CHECK(ledger_has(a, "s1"));
	CHECK_INT(ledger_lock(b), -EAGAIN);
	ledger_unlock(a);
	CHECK_INT(ledger_lock(b), 0);
	CHECK(ledger_has(b, "s1"));
	CHECK(!ledger_has(b, "s"));
	CHECK_INT(ledger_add(b, LEDGER_AGAIN, "s1", ""), 0);
	ledger_unlock(b);
	CHECK_INT(ledger_lock(a), 0);
	CHECK(!ledger_has(a, "s1"));
	ledger_close(a);
	ledger_close(b);
	close(dir);
}

TEST(another_recording_of_the_same_name_is_told_from_the_first)
{
	char path[512];
	struct ledger *l;
	int dir = fresh(path);

	/* As it was written before starts were noted. */
	append(path, "2026-01-01T00:00:00.000000Z make old b7705829\n", 46);
	CHECK_INT(ledger_open(&l, dir), 0);
	CHECK_INT(ledger_lock(l), 0);
	CHECK(ledger_has_this(l, "old", "2026-01-02T00:00:00Z"));
	CHECK(ledger_has_since(l, "old", "2999-01-01T00:00:00.000000Z"));
	CHECK_INT(ledger_add(l, LEDGER_MAKE, "s1", "2026-01-01T00:00:00Z"), 0);
	CHECK(ledger_has(l, "s1") && ledger_has_this(l, "s1", "") &&
	      ledger_has_this(l, "s1", "2026-01-01T00:00:00Z"));
	CHECK(!ledger_has_this(l, "s1", "2026-01-02T00:00:00Z"));
	CHECK(ledger_has_since(l, "s1", "2026-01-01T00:00:00.000000Z"));
	CHECK(!ledger_has_since(l, "s1", "2999-01-01T00:00:00.000000Z"));
	ledger_seen(l, "s1", "2999-01-01T00:00:00.000000Z");
	CHECK(ledger_has_since(l, "s1", "2999-01-01T00:00:00.000000Z"));
	CHECK_INT(ledger_add(l, LEDGER_MAKE, "s1", "2026-01-02T00:00:00Z"), 0);
	ledger_close(l);
	CHECK_INT(ledger_open(&l, dir), 0);
	CHECK_INT(ledger_lock(l), 0);
	CHECK(ledger_has_this(l, "s1", "2026-01-02T00:00:00Z"));
	ledger_close(l);
	close(dir);
}

TEST(a_torn_line_is_not_believed_and_hides_nothing)
{
	char path[512];
	struct ledger *l;
	struct ledger_stats st;
	int dir = fresh(path);

	CHECK_INT(ledger_open(&l, dir), 0);
	CHECK_INT(ledger_lock(l), 0);
	CHECK_INT(ledger_add(l, LEDGER_MAKE, "before", ""), 0);
	ledger_close(l);
	append(path, "2026-01-01T00:00:00.000000Z make room-a", 38);
	CHECK_INT(ledger_open(&l, dir), 0);
	CHECK_INT(ledger_lock(l), 0);
	CHECK(ledger_has(l, "before"));
	CHECK(!ledger_has(l, "room-"));
	CHECK_INT(ledger_add(l, LEDGER_MAKE, "after", ""), 0);
	CHECK(ledger_has(l, "after"));
	ledger_stats(l, &st);
	CHECK_INT(st.entries, 2);
	CHECK_INT(st.damaged, 1);
	ledger_close(l);
	close(dir);
}

TEST(garbage_and_endless_lines_are_skipped)
{
	char path[512], *big = malloc(300000);
	struct ledger *l;
	int dir = fresh(path);

	memset(big, 'x', 300000);
	append(path, "\0\0\0\n\xff\xfe\n\n", 8);
	append(path, big, 300000);
	append(path, "\n", 1);
	CHECK_INT(ledger_open(&l, dir), 0);
	CHECK_INT(ledger_lock(l), 0);
	CHECK_INT(ledger_add(l, LEDGER_MAKE, "st/s1", ""), 0);
	ledger_close(l);
	append(path, big, 300000);
	CHECK_INT(ledger_open(&l, dir), 0);
	CHECK_INT(ledger_lock(l), 0);
	CHECK(ledger_has(l, "st/s1"));
	CHECK_INT(ledger_add(l, LEDGER_MAKE, "s2", ""), 0);
	CHECK(ledger_has(l, "s2"));
	ledger_close(l);
	free(big);
	close(dir);
}

TEST(a_changed_line_fails_its_checksum)
{
	char path[512], line[512];
	struct ledger *l;
	struct ledger_line p;
	int dir = fresh(path);

	CHECK_INT(ledger_open(&l, dir), 0);
	CHECK_INT(ledger_lock(l), 0);
	CHECK_INT(ledger_add(l, LEDGER_MAKE, "s1", "2026-01-01T00:00:00Z"), 0);
	ledger_close(l);
	FILE *f = fopen(path, "r");
	CHECK(f && fgets(line, sizeof(line), f));
	fclose(f);
	size_t n = strlen(line) - 1;
	CHECK(ledger_parse(line, n, &p));
	CHECK_INT(p.op, LEDGER_MAKE);
	CHECK_INT(p.key_len, 2);
	CHECK_MEM(p.key, "s1", 2);
	CHECK_INT(p.start_len, 20);
	CHECK_MEM(p.start, "2026-01-01T00:00:00Z", 20);
	for (size_t i = 0; i < n; i++) {
		line[i] ^= 1;
		CHECK(!ledger_parse(line, n, &p));
		line[i] ^= 1;
		CHECK(!ledger_parse(line, i, &p));
	}
	close(dir);
}

TEST(a_removed_ledger_begins_anew)
{
	char path[512];
	struct ledger *l;
	int dir = fresh(path);

	CHECK_INT(ledger_open(&l, dir), 0);
	CHECK_INT(ledger_lock(l), 0);
	CHECK_INT(ledger_add(l, LEDGER_MAKE, "s1", ""), 0);
	ledger_unlock(l);
	CHECK_INT(unlink(path), 0);
	CHECK_INT(ledger_lock(l), 0);
	CHECK(!ledger_has(l, "s1"));
	CHECK_INT(ledger_add(l, LEDGER_MAKE, "s2", ""), 0);
	CHECK_INT(access(path, F_OK), 0);
	ledger_close(l);
	close(dir);
}
