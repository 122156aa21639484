/*
 * Processes: children, started without a shell and with exactly the descriptors they are given;
 * and how many descriptors this one may open.
 */
#ifndef MSR_BASE_PROC_H
#define MSR_BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_opts {
	int in, out, err;	/* descriptors for the child's 0, 1, 2; -1 is /dev/null */
	int nice;		/* added to the niceness; 0 leaves it */
	int die_with_parent;	/* SIGKILL when the thread that started it ends */
	int own_group;		/* leads a process group of its own: kill(-pid) reaches all of it */
	const char *const *env; /* NULL: the parent's environment */
};

/*
 * Starts argv[0] (looked up in PATH). All other descriptors must be CLOEXEC. The signal mask and
 * handlers of the child are the defaults, and SIGCHLD is no longer ignored here. 0 and the pid, or
 * -errno, also when exec itself failed (-ENOENT: no such program).
 */
int proc_spawn(const char *const argv[], const struct proc_opts *opts, pid_t *pid);

/* What the process has had of processors, in us; 0 when there is none of this number. */
int64_t proc_cpu_us(pid_t pid);
/* Whether it has a processor now, or waits for one: the state R of proc(5). */
bool proc_is_runnable(pid_t pid);

/* Raises the soft limit of open descriptors as far as it goes; returns the limit. */
size_t proc_raise_nofile(void);
/* The soft limit as it is. */
size_t proc_nofile(void);

#endif
