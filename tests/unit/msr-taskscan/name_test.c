/* Which files are recordings, and what their keys look like. */
#include "../../../cmd/msr-taskscan/name.h"

#include <stdio.h>
#include <string.h>

#include "../../support/test.h"

static size_t session_of(const char *name)
{
	return name_session(name, strlen(name));
}

TEST(media_files_are_known_by_their_extension)
{
	CHECK_INT(name_of_media("s1.mp3"), 2);
	CHECK_INT(name_of_media("a.b.webm"), 3);
	CHECK_INT(name_of_media("s1.json"), 0);
	CHECK_INT(name_of_media("s1.poster.jpg"), 0);
	CHECK_INT(name_of_media("s1"), 0);
	CHECK_INT(name_of_media(".mp3"), 0);
	CHECK_INT(name_of_media("s1.mp3.part"), 0);
	CHECK_INT(name_of_media(""), 0);
}

TEST(a_name_is_a_session_and_perhaps_a_number)
{
	char longest[ID_MAX + 8];

	CHECK_INT(session_of("s1"), 2);
	CHECK_INT(session_of("s1~2"), 2);
	CHECK_INT(session_of("s1~4294967295"), 2);
	CHECK_INT(session_of("s1~"), 0);
	CHECK_INT(session_of("s1~02"), 0);
	CHECK_INT(session_of("s1~2x"), 0);
	CHECK_INT(session_of("s1~2~3"), 0);
	CHECK_INT(session_of("~2"), 0);
	CHECK_INT(session_of(".s"), 0);
	CHECK_INT(session_of("a b"), 0);
	CHECK_INT(session_of("a\nb"), 0);
	CHECK_INT(session_of("../x"), 0);
	memset(longest, 'x', sizeof(longest));
	CHECK_INT(name_session(longest, ID_MAX), ID_MAX);
	CHECK_INT(name_session(longest, ID_MAX + 1), 0);
}

static bool key_ok(const char *key)
{
	return name_key_valid(key, strlen(key));
}

TEST(a_key_has_at_most_one_folder)
{
	CHECK(key_ok("s1"));
	CHECK(key_ok("st/s1~2"));
	CHECK(!key_ok("a/b/c"));
	CHECK(!key_ok("/s1"));
	CHECK(!key_ok("st/"));
	CHECK(!key_ok("../s1"));
	CHECK(!key_ok("st/.ledger"));
	CHECK(!key_ok(""));
}

TEST(paths_are_made_from_keys)
{
	char key[KEY_SIZE], path[PATH_ROOM];

	name_key(key, "st", "s1.mp3", 2);
	CHECK_STR(key, "st/s1");
	name_path(path, key, ".", ".task");
	CHECK_STR(path, "st/.s1.task");
	name_key(key, NULL, "s1~2", 4);
	name_path(path, key, "", ".task.done");
	CHECK_STR(path, "s1~2.task.done");
}

TEST(the_longest_names_fit)
{
	char folder[ID_SIZE], name[NAME_SIZE], key[KEY_SIZE], path[PATH_ROOM];

	memset(folder, 'f', ID_MAX);
	folder[ID_MAX] = '\0';
	memset(name, 'n', ID_MAX);
	strcpy(name + ID_MAX, "~123456789");
	name_key(key, folder, name, strlen(name));
	CHECK(key_ok(key));
	CHECK_INT(strlen(key), ID_MAX + 1 + strlen(name));
	name_path(path, key, ".", ".task.failed");
	CHECK(strstr(path, "~123456789.task.failed"));
}
