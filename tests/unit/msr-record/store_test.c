/* Names: reserved once, numbered, never overwriting; and what a crash between two steps leaves. */
#include "../../../cmd/msr-record/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../support/test.h"

static struct store open_store(const char *name)
{
	struct store s;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	CHECK_INT(store_open(&s, path), 0);
	return s;
}

static void make(struct store *s, const char *path)
{
	int fd = openat(s->dirfd, path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, path, strlen(path)), (long)strlen(path));
	close(fd);
}

static bool there(struct store *s, const char *path)
{
	struct stat st;

	return fstatat(s->dirfd, path, &st, 0) == 0;
}

static const char *reserve(struct store *s, const char *room, const char *session,
			   const char *storage, int *fd)
{
	static struct store_name name;
	struct journal_state st = {.phase = PHASE_OPEN};
	struct journal_head h = {0};
	static char path[STORE_PATH_MAX];

	snprintf(h.room, sizeof(h.room), "%s", room);
	snprintf(h.session, sizeof(h.session), "%s", session);
	snprintf(h.storage, sizeof(h.storage), "%s", storage);
	CHECK_INT(store_reserve(s, &h, &st, &name, fd), 0);
	store_visible(&name, "", path);
	return path;
}

TEST(names_are_numbered_also_between_rooms)
{
	struct store s = open_store("numbered");
	int fd[6];

	CHECK_STR(reserve(&s, "r1", "x", "", &fd[0]), "x");
	CHECK_STR(reserve(&s, "r2", "x", "", &fd[1]), "x~2");
	make(&s, "x~3.flac");
	make(&s, "x~4.json");
	CHECK_STR(reserve(&s, "r1", "x", "", &fd[2]), "x~5");
	CHECK_STR(reserve(&s, "r1", "x", "x", &fd[3]), "x~6"); /* no folder for its own name */
	CHECK_STR(reserve(&s, "r1", "x", "screen", &fd[4]), "screen/x");
	CHECK_STR(reserve(&s, "r1", "x.mp3", "", &fd[5]), "x.mp3");
	for (int i = 0; i < 6; i++)
		close(fd[i]);
	store_close(&s);
}

TEST(folders_do_not_look_like_files)
{
	CHECK(store_folder_valid("screen"));
	CHECK(store_folder_valid("a.b"));
	CHECK(!store_folder_valid("x.mp3"));
	CHECK(!store_folder_valid("x.JSON"));
}

static int n_described;

static int describe(void *arg, const struct store_name *final)
{
	struct store *s = arg;
	struct store_name own = {"", "x"};

	n_described++;
	return store_write_json(s, &own, final->stem, strlen(final->stem));
}

TEST(publishing_reveals_everything_and_leaves_nothing_hidden)
{
	struct store s = open_store("publish");
	struct store_name name = {"", "x"}, final;
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct stat st;
	int fd;

	reserve(&s, "r", "x", "", &fd);
	make(&s, ".x.audio.part");
	make(&s, ".x.out.mp3");
	make(&s, ".x.wave.png");
	CHECK_INT(utimensat(s.dirfd, ".x.out.mp3", old, 0), 0);
	CHECK_INT(store_claim(&s, &name, "mp3", describe, &s, &final), 0);
	CHECK_STR(final.stem, "x");
	/* As long as it has no .json it is known as new by its age. */
	CHECK(fstatat(s.dirfd, "x.mp3", &st, 0) == 0 && st.st_mtim.tv_sec > 1000);
	CHECK(there(&s, "x.mp3") && !there(&s, "x.json"));
	CHECK_INT(store_publish(&s, &name, &final), 0);
	CHECK(there(&s, "x.mp3") && there(&s, "x.wave.png") && there(&s, "x.json"));
	CHECK(!there(&s, ".x.audio.part") && !there(&s, ".x.journal") && !there(&s, ".x.json"));
	close(fd);
	store_close(&s);
}

TEST(a_file_that_came_in_between_is_not_overwritten)
{
	struct store s = open_store("between");
	struct store_name name = {"", "x"}, final;
	char text[64] = {0};
	int fd;

	reserve(&s, "r", "x", "", &fd);
	make(&s, ".x.out.mp3");
	make(&s, "x.mp3"); /* by somebody who knows nothing of reservations */
	CHECK_INT(store_claim(&s, &name, "mp3", describe, &s, &final), 0);
	CHECK_STR(final.stem, "x~2");
	CHECK_INT(store_publish(&s, &name, &final), 0);
	CHECK(there(&s, "x~2.mp3") && there(&s, "x~2.json") && !there(&s, "x.json"));
	int in = openat(s.dirfd, "x.mp3", O_RDONLY);
	CHECK(in >= 0 && read(in, text, sizeof(text)) > 0);
	CHECK_STR(text, "x.mp3");
	close(in);
	close(fd);
	store_close(&s);
}

TEST(publishing_goes_on_wherever_it_was_interrupted)
{
	struct store s = open_store("interrupted");
	struct store_name name = {"", "x"}, final;
	int fd;

	reserve(&s, "r", "x", "", &fd);
	make(&s, ".x.video.part");
	make(&s, ".x.out.webm");
	make(&s, ".x.poster.jpg");
	CHECK_INT(store_claim(&s, &name, "webm", describe, &s, &final), 0);
	/* Killed after one of the side files was revealed; then again after the metadata was. */
	CHECK_INT(renameat(s.dirfd, ".x.poster.jpg", s.dirfd, "x.poster.jpg"), 0);
	CHECK_INT(store_publish(&s, &name, &final), 0);
	CHECK_INT(store_publish(&s, &name, &final), 0);
	CHECK(there(&s, "x.webm") && there(&s, "x.poster.jpg") && there(&s, "x.json"));
	CHECK(!store_has_parts(&s, &name) && !there(&s, ".x.journal"));
	close(fd);
	store_close(&s);
}

static void count(void *arg, const struct store_name *name)
{
	unsigned *bits = arg;

	*bits |= !strcmp(name->stem, "a") && !*name->folder ? 1 : 0;
	*bits |= !strcmp(name->stem, "b~2") && !strcmp(name->folder, "f") ? 2 : 0;
	*bits |= !strcmp(name->stem, "c") ? 4 : 0;
}

TEST(scanning_finds_journals_in_the_storage_and_its_folders)
{
	struct store s = open_store("scan");
	unsigned bits = 0;

	mkdirat(s.dirfd, "f", 0755);
	mkdirat(s.dirfd, ".hidden", 0755);
	make(&s, ".a.journal");
	make(&s, "f/.b~2.journal");
	make(&s, ".hidden/.c.journal");
	make(&s, "a.json");
	make(&s, "..journal");
	CHECK_INT(store_scan(&s, count, &bits), 0);
	CHECK_INT(bits, 3);
	store_close(&s);
}

TEST(a_storage_that_is_moved_away_is_made_again_for_what_comes)
{
	struct store s = open_store("moved");
	char away[PATH_MAX + 8];
	int fd[3];

	CHECK_STR(reserve(&s, "r", "x", "", &fd[0]), "x");
	snprintf(away, sizeof(away), "%s.away", s.path);
	CHECK_INT(rename(s.path, away), 0);
	CHECK_STR(reserve(&s, "r", "x", "", &fd[1]), "x");
	CHECK(there(&s, ".x.journal"));
	CHECK_STR(reserve(&s, "r", "x", "f", &fd[2]), "f/x");
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	store_close(&s);
}
