/*
 * One recording on its way to a task:
 *
 *	task_inspect ──▶ task_digest (a slice at a time) ──▶ task_publish
 *
 * Publishing is exactly once, whoever is killed when. Under the ledger's lock, each step durable:
 *
 *	write .NAME.task ──▶ note NAME in the ledger ──▶ rename to NAME.task
 *
 * A .NAME.task found under the lock is a publication that was cut off: when the ledger has it, it
 * only lacks its rename (task_recover does it), otherwise it is as if it had never begun.
 */
#ifndef MSR_TASKSCAN_TASK_H
#define MSR_TASKSCAN_TASK_H

#include <stdbool.h>
#include <stdint.h>

struct ledger;
struct task;

/* The folders, open for the whole life of the program. Paths are absolute. */
struct task_dirs {
	int storage_fd, tasks_fd;
	char *storage, *tasks; /* owned by main */
};

/*
 * Looks at the files of `key`. 0 and a task when it is finished; -EAGAIN when it is not yet, and
 * *wait_us is when to look again; -ENOENT when there is no recording of that name.
 */
int task_inspect(struct task **tp, const struct task_dirs *d, const char *key, int64_t settle_us,
		 int64_t *wait_us);

/*
 * Whether the recording that is there as `key` has had a task, as far as can be told at a glance.
 * One whose NAME.json tells another start than the ledger is new, under a name used again.
 */
bool task_had(const struct task_dirs *d, struct ledger *l, const char *key);

/* Accepts NULL. */
void task_free(struct task *t);

/* Computes missing digests, up to `max` bytes a call. 1: done; 0: call again; -EAGAIN: a file
 * changed meanwhile, look again later; or -errno. */
int task_digest(struct task *t, uint64_t max);

/*
 * Makes the task unless it was made before. 1: made; 0: it had been; -EAGAIN: the ledger is locked
 * for a moment; or -errno (nothing visible was made; a later task_recover cleans up).
 */
int task_publish(struct task *t, const struct task_dirs *d, struct ledger *l);

/* Ends publications that were cut off. The number of tasks completed, -EAGAIN or -errno. */
int task_recover(const struct task_dirs *d, struct ledger *l);

const char *task_key(const struct task *t);
/* "" where unknown. */
const char *task_room(const struct task *t);
const char *task_session(const struct task *t);
int task_n_files(const struct task *t);
int64_t task_bytes(const struct task *t);

/* What a command is told about a task. */
struct task_info {
	char room[129], session[129]; /* "" where unknown */
	char file[4096];	      /* first media file, "" where unknown */
};

/* Reads a published task from the open file `fd`. 0, -EFBIG, -EINVAL or -errno; then all "". */
int task_read(int fd, struct task_info *info);

#endif
