/* From files to a task, and what a crash between two steps leaves. */
#include "../../../cmd/msr-taskscan/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../cmd/msr-taskscan/ledger.h"
#include "../../support/test.h"

#define SETTLE 60000000

static char storage[300], tasks[300];
static struct task_dirs dirs = {.storage = storage, .tasks = tasks};
static struct ledger *ledger;

static void begin(void)
{
	static int n;

	snprintf(storage, sizeof(storage), "%s/storage%d", test_dir(), n);
	snprintf(tasks, sizeof(tasks), "%s/tasks%d", test_dir(), n++);
	CHECK(mkdir(storage, 0700) == 0 && mkdir(tasks, 0700) == 0);
	dirs.storage_fd = open(storage, O_RDONLY | O_DIRECTORY);
	dirs.tasks_fd = open(tasks, O_RDONLY | O_DIRECTORY);
	CHECK_INT(ledger_open(&ledger, dirs.tasks_fd), 0);
}

static void end(void)
{
	ledger_close(ledger);
	close(dirs.storage_fd);
	close(dirs.tasks_fd);
}

static void put(int dirfd, const char *path, const char *text)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static bool there(const char *path)
{
	return faccessat(dirs.tasks_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int look(struct task **t, const char *key)
{
	int64_t wait = 0;

	return task_inspect(t, &dirs, key, SETTLE, &wait);
}

TEST(with_its_json_a_recording_is_finished_and_its_digest_is_believed)
{
	struct task *t = NULL;
	struct task_info info;
	char hash[65] = {0};

	begin();
	memset(hash, 'a', 64);
	char json[200];
	snprintf(json, sizeof(json),
		 "{\"room\":\"r\",\"session\":\"s1\",\"bytes\":3,\"sha256\":\"%s\"}", hash);
	put(dirs.storage_fd, "s1.mp3", "abc");
	put(dirs.storage_fd, "s1.json", json);
	CHECK_INT(look(&t, "s1"), 0);
	CHECK_INT(task_digest(t, 1), 1);
	CHECK_INT(task_publish(t, &dirs, ledger), 1);
	CHECK_INT(task_publish(t, &dirs, ledger), 0);
	int fd = openat(dirs.tasks_fd, "s1.task", O_RDONLY);
	char text[2000] = {0};
	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	CHECK(strstr(text, hash));
	lseek(fd, 0, SEEK_SET);
	CHECK_INT(task_read(fd, &info), 0);
	CHECK_STR(info.room, "r");
	CHECK_STR(info.session, "s1");
	CHECK(strstr(info.file, "/s1.mp3") && info.file[0] == '/');
	close(fd);
	task_free(t);
	end();
}

TEST(a_digest_of_another_length_is_computed)
{
	struct task *t = NULL;
	char text[2000] = {0};

	begin();
	put(dirs.storage_fd, "s1.mp3", "abc");
	put(dirs.storage_fd, "s1.json",
	    "{\"bytes\":4,\"sha256\":\""
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaa\"}");
	CHECK_INT(look(&t, "s1"), 0);
	CHECK_INT(task_digest(t, 1), 0);
	CHECK_INT(task_digest(t, 1), 1);
	CHECK_INT(task_publish(t, &dirs, ledger), 1);
	int fd = openat(dirs.tasks_fd, "s1.task", O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	/* FIPS 180-2, appendix B.1: the digest of "abc". */
	CHECK(strstr(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	close(fd);
	task_free(t);
	end();
}

TEST(without_json_it_must_have_settled)
{
	struct task *t = NULL;
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	begin();
	put(dirs.storage_fd, "s1.webm", "abc");
	CHECK_INT(look(&t, "s1"), -EAGAIN);
	CHECK_INT(utimensat(dirs.storage_fd, "s1.webm", old, 0), 0);
	CHECK_INT(look(&t, "s1"), 0);
	CHECK_STR(task_session(t), "s1");
	task_free(t);
	CHECK_INT(look(&t, "s2"), -ENOENT);
	end();
}

TEST(a_json_that_comes_during_the_digest_is_used)
{
	struct task *t = NULL;
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	char text[2000] = {0};

	begin();
	put(dirs.storage_fd, "s1.mp3", "abc");
	CHECK_INT(utimensat(dirs.storage_fd, "s1.mp3", old, 0), 0);
	CHECK_INT(look(&t, "s1"), 0);
	CHECK_INT(task_digest(t, 1), 0);
	put(dirs.storage_fd, "s1.json",
	    "{\"room\":\"r\",\"bytes\":3,\"duration\":2.5,\"codecs\":[\"mp3\"]}");
	CHECK_INT(task_digest(t, 1 << 20), 1);
	CHECK_INT(task_publish(t, &dirs, ledger), 1);
	CHECK_STR(task_room(t), "r");
	CHECK_STR(task_session(t), "s1");
	int fd = openat(dirs.tasks_fd, "s1.task", O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	CHECK(strstr(text, "\"duration\": 2.5"));
	CHECK(strstr(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	close(fd);
	task_free(t);
	end();
}

TEST(a_file_that_grows_while_it_is_digested_waits)
{
	struct task *t = NULL;

	begin();
	put(dirs.storage_fd, "s1.mp3", "abc");
	put(dirs.storage_fd, "s1.json", "{}");
	CHECK_INT(look(&t, "s1"), 0);
	put(dirs.storage_fd, "s1.mp3", "abcdef");
	CHECK_INT(task_digest(t, 1 << 20), -EAGAIN);
	task_free(t);
	end();
}

TEST(links_and_other_kinds_of_files_are_not_followed)
{
	struct task *t = NULL;

	begin();
	put(dirs.tasks_fd, "secret", "abc");
	CHECK_INT(symlinkat("../secret", dirs.storage_fd, "s1.mp3"), 0);
	CHECK_INT(mkfifoat(dirs.storage_fd, "s2.mp3", 0600), 0);
	CHECK_INT(mkdirat(dirs.storage_fd, "s3.mp3", 0700), 0);
	CHECK_INT(symlinkat(tasks, dirs.storage_fd, "link"), 0);
	put(dirs.tasks_fd, "s4.mp3", "abc");
	put(dirs.tasks_fd, "s4.json", "{}");
	CHECK_INT(look(&t, "s1"), -ENOENT);
	CHECK_INT(look(&t, "s2"), -ENOENT);
	CHECK_INT(look(&t, "s3"), -ENOENT);
	CHECK_INT(look(&t, "link/s4"), -ENOENT);
	end();
}

TEST(recovery_ends_what_a_crash_cut_off)
{
	begin();
	mkdirat(dirs.tasks_fd, "st", 0700);
	/* Killed before the ledger knew: as if nothing had been done. */
	put(dirs.tasks_fd, ".s1.task", "half");
	put(dirs.tasks_fd, ".tmp-1-0", "half");
	/* Killed between the ledger and the rename. */
	put(dirs.tasks_fd, "st/.s2.task", "{}");
	CHECK_INT(ledger_lock(ledger), 0);
	CHECK_INT(ledger_add(ledger, LEDGER_MAKE, "st/s2", ""), 0);
	/* Another process at work. */
	struct ledger *other;
	CHECK_INT(ledger_open(&other, dirs.tasks_fd), 0);
	CHECK_INT(task_recover(&dirs, other), -EAGAIN);
	ledger_unlock(ledger);
	CHECK_INT(task_recover(&dirs, other), 1);
	CHECK(!there(".s1.task") && !there("s1.task") && !there(".tmp-1-0"));
	CHECK(!there("st/.s2.task") && there("st/s2.task"));
	CHECK_INT(task_recover(&dirs, other), 0);
	/* Killed before the ledger knew of a second recording of that name. */
	CHECK_INT(ledger_lock(other), 0);
	CHECK_INT(ledger_add(other, LEDGER_MAKE, "s3", "2026-01-01T00:00:00Z"), 0);
	ledger_unlock(other);
	put(dirs.tasks_fd, ".s3.task", "{\"start\":\"2026-01-02T00:00:00Z\"}");
	CHECK_INT(task_recover(&dirs, other), 0);
	CHECK(!there(".s3.task") && !there("s3.task"));
	ledger_close(other);
	end();
}

TEST(a_task_that_is_none_gives_no_variables)
{
	struct task_info info;

	begin();
	put(dirs.tasks_fd, "x.task", "[1,");
	int fd = openat(dirs.tasks_fd, "x.task", O_RDONLY);
	CHECK_INT(task_read(fd, &info), -EINVAL);
	CHECK_STR(info.room, "");
	close(fd);
	put(dirs.tasks_fd, "y.task", "{\"files\":{},\"room\":7}");
	fd = openat(dirs.tasks_fd, "y.task", O_RDONLY);
	CHECK_INT(task_read(fd, &info), 0);
	CHECK_STR(info.file, "");
	close(fd);
	end();
}
