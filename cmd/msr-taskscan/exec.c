/* Commands for tasks. Each is the leader of a process group and holds its task's lock. */
#include "exec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/proc.h"
#include "event/event.h"
#include "loop/loop.h"
#include "name.h"
#include "task.h"

#define TASKS_MAX      65536	 /* known at once */
#define BACKOFF_MAX_US 300000000 /* longest pause between tries */
#define LOCKED_US      2000000	 /* until another look at a task that another process runs */
#define TERM_US	       5000000	 /* between SIGTERM and SIGKILL after --timeout */
#define TASK_EXT       ".task"

extern char **environ;

struct run {
	struct map_node node; /* in exec.known */
	struct list link;     /* in exec.waiting or exec.running; unlinked while pausing */
	struct exec *x;
	char key[KEY_SIZE];
	int fd;			/* the locked task while running, otherwise -1 */
	struct task_info *info; /* what the command was told; NULL unless running */
	int64_t tries;
	pid_t pid;
	struct loop_child *child;
	struct loop_timer timer; /* end of a pause, or of the time that a command has */
	bool timed_out;
	struct mono started;
};

struct exec {
	struct exec_opts o;
	struct map known;
	struct list waiting, running;
	int64_t n_running;
	struct loop_timer start; /* commands are started from the loop, not from exec_offer */
	bool stopped;
	char *shell; /* command and "$@" */
	struct exec_stats st;
};

static void on_start(void *arg);
static void on_run_timer(void *arg);

int exec_new(struct exec **xp, const struct exec_opts *opts)
{
	struct exec *x = calloc(1, sizeof(*x));

	if (!x)
		return -ENOMEM;
	x->o = *opts;
	map_init(&x->known);
	list_init(&x->waiting);
	list_init(&x->running);
	loop_timer_init(&x->start, opts->loop, on_start, x);
	if (asprintf(&x->shell, "%s \"$@\"", opts->command) < 0) {
		free(x);
		return -ENOMEM;
	}
	*xp = x;
	return 0;
}

/* Lets go of the task file at the end of a try. */
static void unlock(struct run *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	free(r->info);
	r->info = NULL;
}

static void forget(struct run *r)
{
	list_remove(&r->link);
	map_remove(&r->x->known, &r->node);
	loop_timer_stop(&r->timer);
	loop_child_forget(r->child);
	unlock(r);
	free(r);
}

void exec_free(struct exec *x)
{
	if (!x)
		return;
	map_each (i, &x->known)
		forget(container_of(i, struct run, node));
	map_done(&x->known);
	loop_timer_stop(&x->start);
	free(x->shell);
	free(x);
}

bool exec_busy(const struct exec *x)
{
	return x->stopped ? x->n_running > 0 : x->known.n > 0;
}

static void check_idle(struct exec *x)
{
	if (!exec_busy(x) && x->o.idle)
		x->o.idle(x->o.arg);
}

void exec_stats(const struct exec *x, struct exec_stats *out)
{
	*out = x->st;
	out->running = (uint64_t)x->n_running;
	out->waiting = x->known.n - (uint64_t)x->n_running;
}

/* ---- which tasks there are ---- */

static void wait_turn(struct run *r)
{
	struct exec *x = r->x;

	list_push(&x->waiting, &r->link);
	if (!loop_timer_armed(&x->start))
		loop_timer_in_us(&x->start, 0);
}

void exec_offer(struct exec *x, const char *key)
{
	size_t len = strlen(key);

	if (x->stopped || map_get(&x->known, key, len))
		return;
	struct run *r = x->known.n < TASKS_MAX ? calloc(1, sizeof(*r)) : NULL;
	if (!r) {
		x->st.overflow++;
		return;
	}
	r->x = x;
	r->fd = -1;
	memcpy(r->key, key, len + 1);
	list_init(&r->link);
	loop_timer_init(&r->timer, x->o.loop, on_run_timer, r);
	if (map_put(&x->known, &r->node, r->key, len) < 0) {
		x->st.overflow++;
		free(r);
		return;
	}
	wait_turn(r);
}

void exec_offer_file(struct exec *x, const char *folder, const char *file)
{
	size_t len = strlen(file), ext = strlen(TASK_EXT);
	char key[KEY_SIZE];

	if (len <= ext || strcmp(file + len - ext, TASK_EXT) != 0 || !name_session(file, len - ext))
		return;
	name_key(key, folder, file, len - ext);
	exec_offer(x, key);
}

static void scan_folder(struct exec *x, int fd, const char *folder)
{
	DIR *dir = fdopendir(fd);

	if (!dir) {
		close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		exec_offer_file(x, folder, e->d_name);
		if (folder || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN) ||
		    !id_valid(e->d_name, strlen(e->d_name)))
			continue;
		int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			scan_folder(x, sub, e->d_name);
	}
	closedir(dir);
}

void exec_scan(struct exec *x)
{
	int fd = openat(x->o.dirs->tasks_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	x->st.overflow = 0;
	if (fd >= 0)
		scan_folder(x, fd, NULL);
	check_idle(x);
}

/* ---- the lock ---- */

/* Whether `fd` is still what the task's name stands for. */
static bool is_current(const struct run *r, int fd)
{
	char path[PATH_ROOM];
	struct stat mine, named;

	name_path(path, r->key, "", TASK_EXT);
	return fstat(fd, &mine) == 0 &&
	       fstatat(r->x->o.dirs->tasks_fd, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

/* 0 and r->fd; -EAGAIN: another process runs it; -ENOENT: it is gone; or -errno. */
static int lock_task(struct run *r)
{
	char path[PATH_ROOM];
	struct stat st;

	name_path(path, r->key, "", TASK_EXT);
	int fd = openat(r->x->o.dirs->tasks_fd, path,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int ret = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		ret = -EINVAL;
	else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		ret = errno == EWOULDBLOCK ? -EAGAIN : -errno;
	else if (!is_current(r, fd))
		ret = -EAGAIN; /* replaced between open and lock */
	if (ret) {
		close(fd);
		return ret;
	}
	r->fd = fd;
	return 0;
}

/* ---- starting ---- */

/* NAME=VALUE, owned by the caller; NULL when memory is short. */
static char *variable(const char *name, const char *value)
{
	char *s;

	return asprintf(&s, "%s=%s", name, value) < 0 ? NULL : s;
}

/* Starts the command with the task's path as its last argument. 0 or -errno. */
static int spawn(struct run *r, const char *path)
{
	const struct task_info *info = r->info;
	static const char *const names[] = {"MSR_TASK=", "MSR_FILE=", "MSR_SESSION=", "MSR_ROOM="};
	enum { OURS = sizeof(names) / sizeof(names[0]) };
	char *own[OURS] = {variable("MSR_TASK", path), variable("MSR_FILE", info->file),
			   variable("MSR_SESSION", info->session),
			   variable("MSR_ROOM", info->room)};
	size_t n_env = 0, n = 0;
	int ret = -ENOMEM;

	while (environ[n_env])
		n_env++;
	const char **env = calloc(n_env + OURS + 1, sizeof(*env));
	if (!env || !own[0] || !own[1] || !own[2] || !own[3])
		goto out;
	for (int i = 0; i < OURS; i++)
		env[n++] = own[i];
	for (size_t i = 0; i < n_env; i++) {
		bool ours = false;
		for (int k = 0; k < OURS; k++)
			ours |= !strncmp(environ[i], names[k], strlen(names[k]));
		if (!ours)
			env[n++] = environ[i];
	}
	const char *const argv[] = {"/bin/sh", "-c", r->x->shell, "msr-taskscan", path, NULL};
	const struct proc_opts opts = {
	    .in = -1, .out = 1, .err = 2, .die_with_parent = 1, .own_group = 1, .env = env};
	/*
	 * The lock is the open file's: inherited, it lasts as long as any process of the command.
	 */
	fcntl(r->fd, F_SETFD, 0);
	ret = proc_spawn(argv, &opts, &r->pid);
	fcntl(r->fd, F_SETFD, FD_CLOEXEC);
out:
	for (int i = 0; i < OURS; i++)
		free(own[i]);
	free(env);
	return ret;
}

static void on_child(void *arg, pid_t pid, int status);

static int run_task(struct run *r)
{
	struct exec *x = r->x;
	char rel[PATH_ROOM], *path = NULL;
	int ret = -ENOMEM;

	name_path(rel, r->key, "", TASK_EXT);
	r->info = malloc(sizeof(*r->info));
	if (!r->info || asprintf(&path, "%s/%s", x->o.dirs->tasks, rel) < 0)
		goto out;
	if (task_read(r->fd, r->info) < 0)
		log_warn("%s is not a readable task; running the command all the same", rel);
	ret = spawn(r, path);
	if (ret)
		goto out;
	ret = loop_child_new(&r->child, x->o.loop, r->pid, on_child, r);
	if (ret) {
		kill(-r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
		goto out;
	}
	r->started = mono_now();
	r->timed_out = false;
	if (x->o.timeout_us)
		loop_timer_in_us(&r->timer, x->o.timeout_us);
	log_debug("%s: running, try %lld", rel, (long long)r->tries + 1);
out:
	free(path);
	return ret;
}

static void pause_for(struct run *r, int64_t us)
{
	list_remove(&r->link);
	loop_timer_in_us(&r->timer, us);
}

static void start_one(struct run *r)
{
	struct exec *x = r->x;
	int ret = lock_task(r);

	list_remove(&r->link);
	if (ret == -EAGAIN && x->o.stay) {
		pause_for(r, LOCKED_US);
		return;
	}
	if (!ret) {
		ret = run_task(r);
		if (ret) { /* no memory, no processes: not the task's fault */
			log_error("cannot run the command for %s: %s; trying again", r->key,
				  strerror(-ret));
			unlock(r);
			pause_for(r, LOCKED_US);
			return;
		}
		x->n_running++;
		list_push(&x->running, &r->link);
		return;
	}
	if (ret != -ENOENT && ret != -EAGAIN)
		log_warn("skipping %s.task: %s", r->key,
			 ret == -EINVAL || ret == -ELOOP ? "not a plain file" : strerror(-ret));
	forget(r);
}

static void on_start(void *arg)
{
	struct exec *x = arg;
	struct list *first;

	while (!x->stopped && x->n_running < x->o.jobs && (first = list_first(&x->waiting)))
		start_one(container_of(first, struct run, link));
	/* What had no place in the queue still exists. */
	if (x->st.overflow && list_empty(&x->waiting) && !x->stopped)
		exec_scan(x);
	check_idle(x);
}

/* ---- ending ---- */

static void announce(struct run *r, const char *name, int status)
{
	struct exec *x = r->x;
	char path[PATH_ROOM];
	struct event ev;

	name_path(path, r->key, "", TASK_EXT);
	event_start(&ev, x->o.events, name, r->info->room[0] ? r->info->room : NULL,
		    r->info->session[0] ? r->info->session : NULL);
	json_str(&ev.json, "task", path);
	json_int(&ev.json, "tries", r->tries);
	json_num(&ev.json, "seconds", (double)mono_diff_us(mono_now(), r->started) / 1e6, 3);
	if (WIFSIGNALED(status))
		json_int(&ev.json, "signal", WTERMSIG(status));
	else
		json_int(&ev.json, "status", WEXITSTATUS(status));
	if (r->timed_out)
		json_bool(&ev.json, "timeout", true);
	event_send(&ev, x->o.events);
}

/* The outcome becomes part of the name; that of an earlier run goes. */
static void rename_task(const struct run *r, const char *path, bool done)
{
	static const char *const outcome[] = {TASK_EXT ".failed", TASK_EXT ".done"};
	int fd = r->x->o.dirs->tasks_fd;
	char final[PATH_ROOM], other[PATH_ROOM], folder[PATH_ROOM];

	name_path(final, r->key, "", outcome[done]);
	name_path(other, r->key, "", outcome[!done]);
	if (renameat(fd, path, fd, final) < 0)
		log_error("cannot rename %s: %s; it will run again after a restart", path,
			  strerror(errno));
	else
		unlinkat(fd, other, 0);
	snprintf(folder, sizeof(folder), "%.*s.", (int)(name_in_key(r->key) - r->key), r->key);
	file_sync_dir(fd, folder);
}

/* A task that was replaced while it ran runs again. */
static void conclude(struct run *r, bool done, int status)
{
	struct exec *x = r->x;
	char path[PATH_ROOM];
	bool replaced = !is_current(r, r->fd);

	name_path(path, r->key, "", TASK_EXT);
	if (!replaced)
		rename_task(r, path, done);
	announce(r, done ? "task-done" : "task-failed", status);
	if (done) {
		x->st.done++;
		log_info("done: %s", path);
	} else {
		x->st.failed++;
		log_error("failed after %lld tries: %s; rename %s.failed to try again",
			  (long long)r->tries, path, path);
	}
	char key[KEY_SIZE];
	memcpy(key, r->key, sizeof(key));
	forget(r);
	if (replaced && faccessat(x->o.dirs->tasks_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		exec_offer(x, key);
}

static int64_t backoff_us(const struct run *r)
{
	int64_t us = r->x->o.backoff_us;

	for (int64_t i = 1; i < r->tries && us < BACKOFF_MAX_US; i++)
		us *= 2;
	return us < BACKOFF_MAX_US ? us : BACKOFF_MAX_US;
}

static void on_child(void *arg, pid_t pid, int status)
{
	struct run *r = arg;
	struct exec *x = r->x;
	bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !r->timed_out;

	r->child = NULL;
	x->n_running--;
	list_remove(&r->link);
	loop_timer_stop(&r->timer);
	if (r->timed_out) /* what it left behind too */
		kill(-pid, SIGKILL);
	r->tries++;
	if (done || r->tries >= x->o.tries) {
		conclude(r, done, status);
	} else {
		x->st.retries++;
		log_warn("%s.task: try %lld of %lld failed (%s %d)", r->key, (long long)r->tries,
			 (long long)x->o.tries, WIFSIGNALED(status) ? "signal" : "exit status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		unlock(r);
		pause_for(r, backoff_us(r));
	}
	if (x->stopped)
		check_idle(x);
	else if (!loop_timer_armed(&x->start))
		loop_timer_in_us(&x->start, 0);
}

/* The end of a pause, or a command that runs too long. */
static void on_run_timer(void *arg)
{
	struct run *r = arg;

	if (!r->child) {
		wait_turn(r);
		return;
	}
	if (!r->timed_out) {
		r->x->st.timeouts++;
		log_warn("%s.task: the command ran too long; ending it", r->key);
	}
	kill(-r->pid, r->timed_out ? SIGKILL : SIGTERM);
	r->timed_out = true;
	loop_timer_in_us(&r->timer, TERM_US);
}

void exec_stop(struct exec *x)
{
	x->stopped = true;
	loop_timer_stop(&x->start);
}

void exec_kill(struct exec *x)
{
	list_each (i, &x->running)
		kill(-container_of(i, struct run, link)->pid, SIGKILL);
}
