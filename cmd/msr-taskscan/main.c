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
#include "name.h"
#include "report.h"
#include "scan.h"
#include "task.h"
#include "watch.h"

#define METRICS_US   5000000 /* between two looks whether the metrics changed */
#define LOCK_WAIT_MS 2	     /* between two tries for the ledger's lock at start */

/* ---- options ---- */

static struct {
	const char *storage, *tasks, *command, *events, *metrics;
	bool watch;
	int64_t settle_us, jobs, tries, backoff_us, timeout_us;
	struct opt_list again;
} opts = {
    .storage = "storage",
    .tasks = "tasks",
    .settle_us = 60000000,
    .jobs = 2,
    .tries = 3,
    .backoff_us = 5000000,
};

static const struct opt table[] = {
    {'d', "storage", OPT_STR, &opts.storage, "MSR_STORAGE", "DIR", "where recordings are (storage)",
     0, 0},
    {'t', "tasks", OPT_STR, &opts.tasks, "MSR_TASKS", "DIR", "where tasks go (tasks)", 0, 0},
    {'w', "watch", OPT_FLAG, &opts.watch, NULL, NULL, "stay, and react to changes within a second",
     0, 0},
    {0, "settle", OPT_TIME, &opts.settle_us, NULL, "TIME",
     "a media file without .json is finished after this (60s)", 0, 86400000000},
    {0, "again", OPT_LIST, &opts.again, NULL, "NAME", "forget that NAME had a task; repeatable", 0,
     0},
    {'x', "exec", OPT_STR, &opts.command, NULL, "COMMAND", "run COMMAND per task, its path last", 0,
     0},
    {'j', "jobs", OPT_INT, &opts.jobs, NULL, "N", "commands at once (2)", 1, 1024},
    {0, "tries", OPT_INT, &opts.tries, NULL, "N", "give up after that many failures (3)", 1, 1000},
    {0, "backoff", OPT_TIME, &opts.backoff_us, NULL, "TIME",
     "pause before the second try, doubled for each further (5s)", 1000, 300000000},
    {0, "timeout", OPT_TIME, &opts.timeout_us, NULL, "TIME",
     "end commands that run longer (0: never)", 0, 604800000000},
    {'e', "events", OPT_STR, &opts.events, NULL, "PATH", "events go there (standard error)", 0, 0},
    {0, "metrics", OPT_STR, &opts.metrics, NULL, "FILE", "keep counters there for Prometheus", 0,
     0},
    {0},
};

static const struct opt_program program = {
    .name = "msr-taskscan",
    .usage = "[-d STORAGE] [-t TASKS] [--watch] [--exec COMMAND] [option ...]",
    .summary = "Makes a task for every finished recording, once, and can run a command per task.",
    .opts = table,
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
	struct report *report;
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
	return p->gone || s.failed || (x.failed && !opts.watch) ? 1 : 0;
}

/* Ends the program once nothing is under way and nobody asked it to stay. */
static void end_if_idle(void *arg)
{
	struct program *p = arg;

	if ((opts.watch && !p->stopping) || (p->scan && scan_busy(p->scan) && !p->stopping) ||
	    (p->exec && exec_busy(p->exec)))
		return;
	loop_stop(p->loop, result(p));
}

static void begin_stop(struct program *p)
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
	begin_stop(p);
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
	begin_stop(p);
}

static void write_metrics(void *arg)
{
	struct program *p = arg;
	struct counters m = {0};

	scan_stats(p->scan, &m.scan);
	ledger_stats(p->ledger, &m.ledger);
	if (p->exec)
		exec_stats(p->exec, &m.exec);
	int ret = report_write(p->report, opts.metrics, &m);
	if (ret < 0)
		log_warn("cannot write '%s': %s", opts.metrics, strerror(-ret));
	if (!p->stopping)
		loop_timer_in_us(&p->metrics, METRICS_US);
}

/* ---- start ---- */

/* Opens a folder and finds its absolute path. 0 or -errno. */
static int open_folder(const char *path, int *fd, char **absolute)
{
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return -errno;
	*absolute = realpath(path, NULL);
	return *absolute ? 0 : -errno;
}

static int open_folders(struct task_dirs *d)
{
	int ret = open_folder(opts.storage, &d->storage_fd, &d->storage);

	if (ret) {
		log_error("cannot open the storage '%s': %s; name it with -d", opts.storage,
			  strerror(-ret));
		return ret;
	}
	ret = file_mkdirs(opts.tasks);
	if (!ret)
		ret = open_folder(opts.tasks, &d->tasks_fd, &d->tasks);
	if (ret)
		log_error("cannot use the tasks folder '%s': %s; name another with -t", opts.tasks,
			  strerror(-ret));
	return ret;
}

static int open_files(struct program *p)
{
	int ret = events_open(&p->events, opts.events, program.name);

	if (ret)
		return ret;
	ret = ledger_open(&p->ledger, p->dirs.tasks_fd);
	if (ret)
		log_error("cannot open the ledger '%s/%s': %s", opts.tasks, LEDGER_FILE,
			  strerror(-ret));
	return ret;
}

/* The only place that waits for the lock: nothing runs yet. */
static int forget_names(struct ledger *l)
{
	int ret;

	while ((ret = ledger_lock(l)) == -EAGAIN)
		nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_MS * 1000000L}, NULL);
	for (size_t i = 0; !ret && i < opts.again.n; i++) {
		if (!ledger_has(l, opts.again.v[i]))
			log_warn("--again %s: it had no task", opts.again.v[i]);
		else
			ret = ledger_add(l, LEDGER_AGAIN, opts.again.v[i], "");
	}
	if (ret)
		log_error("cannot use the ledger '%s/%s': %s", opts.tasks, LEDGER_FILE,
			  strerror(-ret));
	else
		ledger_unlock(l);
	return ret;
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

static int start_parts(struct program *p)
{
	const struct scan_opts so = {.loop = p->loop,
				     .events = p->events,
				     .ledger = p->ledger,
				     .dirs = &p->dirs,
				     .settle_us = opts.settle_us,
				     .again = opts.watch,
				     .made = on_task_made,
				     .idle = end_if_idle,
				     .arg = p};
	int ret = scan_new(&p->scan, &so);
	const struct exec_opts xo = {.loop = p->loop,
				     .events = p->events,
				     .dirs = &p->dirs,
				     .command = opts.command,
				     .jobs = opts.jobs,
				     .tries = opts.tries,
				     .backoff_us = opts.backoff_us,
				     .timeout_us = opts.timeout_us,
				     .stay = opts.watch,
				     .idle = end_if_idle,
				     .arg = p};
	if (!ret && opts.command)
		ret = exec_new(&p->exec, &xo);
	if (!ret && opts.watch)
		ret = start_watching(p);
	return ret;
}

/* 0, or -errno of what failed, which is logged. */
static int start(struct program *p)
{
	int ret;

	p->dirs.storage_fd = p->dirs.tasks_fd = -1;
	signal(SIGPIPE, SIG_IGN);
	if ((ret = open_folders(&p->dirs)) || (ret = open_files(p)) ||
	    (ret = forget_names(p->ledger)))
		return ret;
	if ((ret = loop_new(&p->loop)) ||
	    (ret = loop_signals(p->loop, loop_end_signals(), on_signal, p)) ||
	    (ret = report_new(&p->report, p->events)) || (ret = start_parts(p)))
		return log_failure("start", ret);
	loop_timer_init(&p->metrics, p->loop, write_metrics, p);
	return 0;
}

/* The exit status. */
static int run(struct program *p)
{
	if (opts.watch)
		log_info("watching '%s'; tasks go to '%s'", p->dirs.storage, p->dirs.tasks);
	scan_all(p->scan);
	if (p->exec)
		exec_scan(p->exec);
	if (opts.metrics)
		write_metrics(p);
	int ret = loop_run(p->loop);
	if (ret < 0)
		log_error("the event loop failed: %s", strerror(-ret));
	p->stopping = true;
	if (opts.metrics)
		write_metrics(p);
	return ret < 0 ? 1 : ret;
}

/* Also after a start that failed. */
static void stop(struct program *p)
{
	watch_free(p->storage_watch);
	watch_free(p->tasks_watch);
	exec_free(p->exec);
	scan_free(p->scan);
	report_free(p->report);
	ledger_close(p->ledger);
	events_close(p->events);
	loop_free(p->loop);
	free(p->dirs.storage);
	free(p->dirs.tasks);
}

/* An exit status, or -1 to start. */
static int check_options(int argc, char **argv)
{
	int next;

	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	if (next < argc)
		return opt_usage(&program, "no operands: '%s'", argv[next]);
	for (size_t i = 0; i < opts.again.n; i++)
		if (!name_key_valid(opts.again.v[i], strlen(opts.again.v[i])))
			return opt_usage(&program,
					 "--again '%s': a name is SESSION or FOLDER/SESSION",
					 opts.again.v[i]);
	return -1;
}

int main(int argc, char **argv)
{
	static struct program p;
	int status = check_options(argc, argv);

	if (status >= 0)
		return status;
	status = start(&p) ? 1 : run(&p);
	stop(&p);
	return status;
}
