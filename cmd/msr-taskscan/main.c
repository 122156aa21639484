/*
 * msr-taskscan: a task for every finished recording, and a command per task.
 *
 *	storage ──watch──▶ scan ──▶ task ──ledger──▶ tasks ──watch──▶ exec
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/opt.h"
#include "event/event.h"
#include "exec.h"
#include "ledger.h"
#include "loop/loop.h"
#include "metrics.h"
#include "name.h"
#include "scan.h"
#include "task.h"
#include "watch.h"

#define METRICS_US   5000000 /* between two looks whether the metrics changed */
#define LOCK_WAIT_MS 2	     /* between two tries for the ledger's lock at start */

/* ---- options ---- */

static const char *storage = "storage", *tasks = "tasks", *command, *events_path, *metrics_path;
static bool watch;
static int64_t settle_us = 60000000, jobs = 2, tries = 3, backoff_us = 5000000, timeout_us;
static struct opt_list again;

static const struct opt opts[] = {
    {'d', "storage", OPT_STR, &storage, "MSR_STORAGE", "DIR", "where recordings are (storage)", 0,
     0},
    {'t', "tasks", OPT_STR, &tasks, "MSR_TASKS", "DIR", "where tasks go (tasks)", 0, 0},
    {'w', "watch", OPT_FLAG, &watch, NULL, NULL, "stay, and react to changes within a second", 0,
     0},
    {0, "settle", OPT_TIME, &settle_us, NULL, "TIME",
     "a media file without .json is finished after this (60s)", 0, 86400000000},
    {0, "again", OPT_LIST, &again, NULL, "NAME", "forget that NAME had a task; repeatable", 0, 0},
    {'x', "exec", OPT_STR, &command, NULL, "COMMAND", "run COMMAND per task, its path last", 0, 0},
    {'j', "jobs", OPT_INT, &jobs, NULL, "N", "commands at once (2)", 1, 1024},
    {0, "tries", OPT_INT, &tries, NULL, "N", "give up after that many failures (3)", 1, 1000},
    {0, "backoff", OPT_TIME, &backoff_us, NULL, "TIME",
     "pause before the second try, doubled for each further (5s)", 1000, 300000000},
    {0, "timeout", OPT_TIME, &timeout_us, NULL, "TIME", "end commands that run longer (0: never)",
     0, 604800000000},
    {'e', "events", OPT_STR, &events_path, NULL, "PATH", "events go there (standard error)", 0, 0},
    {0, "metrics", OPT_STR, &metrics_path, NULL, "FILE", "keep counters there for Prometheus", 0,
     0},
    {0},
};

static const struct opt_program program = {
    .name = "msr-taskscan",
    .usage = "[-d STORAGE] [-t TASKS] [--watch] [--exec COMMAND] [option ...]",
    .summary = "Makes a task for every finished recording, once, and can run a command per task.",
    .opts = opts,
};

/* ---- the program ---- */

struct program {
	struct loop *loop;
	struct events *events;
	struct ledger *ledger;
	struct scan *scan;
	struct exec *exec; /* NULL without --exec */
	struct watch *storage_watch, *tasks_watch;
	struct task_dirs dirs;
	struct loop_timer metrics;
	bool stopping, gone;
};

static int result(const struct program *p)
{
	struct scan_stats s;
	struct exec_stats x = {0};

	scan_stats(p->scan, &s);
	if (p->exec)
		exec_stats(p->exec, &x);
	return p->gone || s.failed || (x.failed && !watch) ? 1 : 0;
}

/* Ends the program once nothing is under way and nobody asked it to stay. */
static void end_if_idle(void *arg)
{
	struct program *p = arg;

	if ((watch && !p->stopping) || (p->scan && scan_busy(p->scan) && !p->stopping) ||
	    (p->exec && exec_busy(p->exec)))
		return;
	loop_stop(p->loop, result(p));
}

static void stop(struct program *p)
{
	p->stopping = true;
	scan_stop(p->scan);
	if (p->exec)
		exec_stop(p->exec);
	end_if_idle(p);
}

static void on_signal(void *arg, int sig)
{
	struct program *p = arg;

	(void)sig;
	if (p->stopping) {
		if (p->exec)
			exec_kill(p->exec);
		_exit(1);
	}
	stop(p);
	if (p->exec && exec_busy(p->exec))
		log_info("waiting for the commands that run; send the signal again to kill them");
}

static void on_task_made(void *arg, const char *key)
{
	struct program *p = arg;

	if (p->exec)
		exec_offer(p->exec, key);
}

static void on_storage_file(void *arg, const char *folder, const char *name)
{
	scan_file(((struct program *)arg)->scan, folder, name);
}

static void on_storage_rescan(void *arg, const char *folder)
{
	struct program *p = arg;

	if (folder)
		scan_folder(p->scan, folder);
	else
		scan_all(p->scan);
}

static void on_tasks_file(void *arg, const char *folder, const char *name)
{
	exec_offer_file(((struct program *)arg)->exec, folder, name);
}

static void on_tasks_rescan(void *arg, const char *folder)
{
	(void)folder;
	exec_scan(((struct program *)arg)->exec);
}

static void on_gone(void *arg)
{
	struct program *p = arg;

	log_error("the storage or the tasks folder was removed or renamed; ending");
	p->gone = true;
	stop(p);
}

static void write_metrics(void *arg)
{
	struct program *p = arg;
	struct counters m = {.events_dropped = events_dropped(p->events)};

	scan_stats(p->scan, &m.scan);
	ledger_stats(p->ledger, &m.ledger);
	if (p->exec)
		exec_stats(p->exec, &m.exec);
	int ret = metrics_write(metrics_path, &m);
	if (ret < 0)
		log_warn("cannot write '%s': %s", metrics_path, strerror(-ret));
	if (!p->stopping)
		loop_timer_in_us(&p->metrics, METRICS_US);
}

/* ---- setting up ---- */

/* Opens a folder and finds its absolute path. 0 or -errno. */
static int open_folder(const char *path, int *fd, char **absolute)
{
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return -errno;
	*absolute = realpath(path, NULL);
	return *absolute ? 0 : -errno;
}

static bool open_folders(struct task_dirs *d)
{
	int ret = open_folder(storage, &d->storage_fd, &d->storage);

	if (ret < 0) {
		log_error("cannot open the storage '%s': %s; name it with -d", storage,
			  strerror(-ret));
		return false;
	}
	ret = file_mkdirs(tasks);
	if (!ret)
		ret = open_folder(tasks, &d->tasks_fd, &d->tasks);
	if (ret < 0)
		log_error("cannot use the tasks folder '%s': %s; name another with -t", tasks,
			  strerror(-ret));
	return ret == 0;
}

static bool open_files(struct program *p)
{
	int ret = events_open(&p->events, events_path, "msr-taskscan");

	if (ret < 0) {
		log_error("cannot open '%s': %s", events_path, strerror(-ret));
		return false;
	}
	ret = ledger_open(&p->ledger, p->dirs.tasks_fd);
	if (ret < 0)
		log_error("cannot open '%s/%s': %s", tasks, LEDGER_FILE, strerror(-ret));
	return ret == 0;
}

/* The only place that waits for the lock: nothing runs yet. */
static bool forget_names(struct ledger *l)
{
	int ret;

	while ((ret = ledger_lock(l)) == -EAGAIN)
		nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_MS * 1000000L}, NULL);
	for (size_t i = 0; !ret && i < again.n; i++) {
		if (!ledger_has(l, again.v[i]))
			log_warn("--again %s: it had no task", again.v[i]);
		else
			ret = ledger_add(l, LEDGER_AGAIN, again.v[i], "");
	}
	if (ret < 0)
		log_error("cannot use the ledger '%s/%s': %s", tasks, LEDGER_FILE, strerror(-ret));
	else
		ledger_unlock(l);
	return ret == 0;
}

static int start_watching(struct program *p)
{
	struct watch_opts w = {.loop = p->loop,
			       .root = p->dirs.storage,
			       .file = on_storage_file,
			       .rescan = on_storage_rescan,
			       .gone = on_gone,
			       .arg = p};
	int ret = watch_new(&p->storage_watch, &w);

	if (ret < 0 || !p->exec)
		return ret;
	w.root = p->dirs.tasks;
	w.file = on_tasks_file;
	w.rescan = on_tasks_rescan;
	return watch_new(&p->tasks_watch, &w);
}

static int set_up(struct program *p)
{
	static const int sigs[] = {SIGTERM, SIGINT, SIGHUP, 0};
	int ret = loop_new(&p->loop);

	if (ret < 0)
		return ret;
	signal(SIGPIPE, SIG_IGN);
	ret = loop_signals(p->loop, sigs, on_signal, p);
	if (ret < 0)
		return ret;
	loop_timer_init(&p->metrics, p->loop, write_metrics, p);
	const struct scan_opts so = {.loop = p->loop,
				     .events = p->events,
				     .ledger = p->ledger,
				     .dirs = &p->dirs,
				     .settle_us = settle_us,
				     .again = watch,
				     .made = on_task_made,
				     .idle = end_if_idle,
				     .arg = p};
	ret = scan_new(&p->scan, &so);
	const struct exec_opts xo = {.loop = p->loop,
				     .events = p->events,
				     .dirs = &p->dirs,
				     .command = command,
				     .jobs = jobs,
				     .tries = tries,
				     .backoff_us = backoff_us,
				     .timeout_us = timeout_us,
				     .stay = watch,
				     .idle = end_if_idle,
				     .arg = p};
	if (!ret && command)
		ret = exec_new(&p->exec, &xo);
	if (!ret && watch)
		ret = start_watching(p);
	return ret;
}

static void tear_down(struct program *p)
{
	watch_free(p->storage_watch);
	watch_free(p->tasks_watch);
	exec_free(p->exec);
	scan_free(p->scan);
	ledger_close(p->ledger);
	events_close(p->events);
	loop_free(p->loop);
	free(p->dirs.storage);
	free(p->dirs.tasks);
}

static int run(struct program *p)
{
	int ret = set_up(p);

	if (ret < 0) {
		log_error("cannot start: %s", strerror(-ret));
		return 1;
	}
	if (watch)
		log_info("watching '%s'; tasks go to '%s'", p->dirs.storage, p->dirs.tasks);
	scan_all(p->scan);
	if (p->exec)
		exec_scan(p->exec);
	if (metrics_path)
		write_metrics(p);
	ret = loop_run(p->loop);
	p->stopping = true;
	if (metrics_path)
		write_metrics(p);
	return ret < 0 ? 1 : ret;
}

int main(int argc, char **argv)
{
	struct program p = {.dirs = {.storage_fd = -1, .tasks_fd = -1}};
	int next, ret;

	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	if (next < argc)
		return opt_usage(&program, "no operands: '%s'", argv[next]);
	for (size_t i = 0; i < again.n; i++)
		if (!name_key_valid(again.v[i], strlen(again.v[i])))
			return opt_usage(&program,
					 "--again '%s': a name is SESSION or FOLDER/SESSION",
					 again.v[i]);
	if (!open_folders(&p.dirs))
		return 1;
	ret = open_files(&p) && forget_names(p.ledger) ? run(&p) : 1;
	tear_down(&p);
	return ret;
}
