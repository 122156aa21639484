/*
 * Runs the command for tasks: bounded parallelism, tries with growing pauses, outcome in the name.
 *
 *	exec_offer ─▶ WAITING ─▶ RUNNING ─▶ NAME.task.done
 *	                 ▲          │ failed
 *	                 └─ PAUSING ◀┘ ─▶ (last try) NAME.task.failed
 *
 * While its command runs the task file is locked with flock(2), so that several processes share
 * one tasks folder.
 */
#ifndef MSR_TASKSCAN_EXEC_H
#define MSR_TASKSCAN_EXEC_H

#include <stdbool.h>
#include <stdint.h>

struct events;
struct exec;
struct loop;
struct task_dirs;

struct exec_opts {
	struct loop *loop;
	struct events *events;
	const struct task_dirs *dirs; /* lent */
	const char *command;	      /* for sh -c, lent */
	int64_t jobs, tries;
	int64_t backoff_us, timeout_us; /* timeout 0: none */
	bool stay; /* a task locked by another process is looked at again, in case that one dies */
	void (*idle)(void *arg); /* nothing runs or waits any more */
	void *arg;
};

struct exec_stats {
	uint64_t done, failed; /* tasks */
	uint64_t retries;      /* failures that were not the last */
	uint64_t timeouts;
	uint64_t overflow; /* tasks that found no place in the queue */
	uint64_t running, waiting;
};

int exec_new(struct exec **xp, const struct exec_opts *opts);
/* The commands must have ended or been killed. Accepts NULL. */
void exec_free(struct exec *x);

/* NAME.task of this key is there; known ones are ignored. */
void exec_offer(struct exec *x, const char *key);
/* The same for a file of the tasks folder, if it is a task. */
void exec_offer_file(struct exec *x, const char *folder, const char *file);
/* Offers all tasks of the tasks folder. */
void exec_scan(struct exec *x);
bool exec_busy(const struct exec *x);
/* Starts nothing any more; what runs continues. */
void exec_stop(struct exec *x);
/* SIGKILL for what runs, with its process groups. */
void exec_kill(struct exec *x);

void exec_stats(const struct exec *x, struct exec_stats *out);

#endif
