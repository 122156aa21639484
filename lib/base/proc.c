/* fork and exec; the child reports a failed exec through a CLOEXEC pipe. Processor time, limits. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int child_fd(int from, int to)
{
	int fd = from >= 0 ? from : open("/dev/null", (to ? O_WRONLY : O_RDONLY) | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	/* Out of the way of 0 to 2 first, so that no target is overwritten before its turn. */
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return high < 0 ? -errno : high;
}

static int child_setup(const struct proc_opts *o, pid_t parent)
{
	int fds[3] = {child_fd(o->in, 0), child_fd(o->out, 1), child_fd(o->err, 2)};

	for (int i = 0; i < 3; i++)
		if (fds[i] < 0 || dup2(fds[i], i) < 0)
			return fds[i] < 0 ? fds[i] : -errno;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (o->own_group && setpgid(0, 0) < 0)
		return -errno;
	if (o->nice)
		setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + o->nice);
	if (o->die_with_parent) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			raise(SIGKILL);
	}
	return 0;
}

/* exec(3) takes pointers to non-const for historical reasons only; it changes nothing. */
static char *const *plain(const char *const *v)
{
	return (char *const *)(uintptr_t)v;
}

int proc_spawn(const char *const argv[], const struct proc_opts *opts, pid_t *pid)
{
	int report[2], err = 0;
	pid_t parent = getpid();

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	/* Ignored, as some parents hand it on, the kernel would forget how a child ended. */
	signal(SIGCHLD, SIG_DFL);
	pid_t child = fork();
	if (child < 0) {
		err = -errno;
		close(report[0]);
		close(report[1]);
		return err;
	}
	if (child == 0) {
		err = child_setup(opts, parent);
		if (!err) {
			if (opts->env)
				execvpe(argv[0], plain(argv), plain(opts->env));
			else
				execvp(argv[0], plain(argv));
			err = -errno;
		}
		if (write(report[1], &err, sizeof(err)) < 0)
			_exit(126);
		_exit(127);
	}
	close(report[1]);
	ssize_t n;
	do
		n = read(report[0], &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n == (ssize_t)sizeof(err)) {
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
		return err;
	}
	*pid = child;
	return 0;
}

int64_t proc_cpu_us(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
		return 0;
	return t.tv_sec * (int64_t)1000000 + t.tv_nsec / 1000;
}

bool proc_is_runnable(pid_t pid)
{
	char path[32], line[128] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	/* The name in parentheses may hold anything, also parentheses. */
	const char *after = strrchr(line, ')');
	return after && after[1] == ' ' && after[2] == 'R';
}

size_t proc_nofile(void)
{
	struct rlimit rl;

	return getrlimit(RLIMIT_NOFILE, &rl) < 0 ? 1024 : (size_t)rl.rlim_cur;
}

size_t proc_raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return 1024;
	if (rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
		getrlimit(RLIMIT_NOFILE, &rl);
	}
	return (size_t)rl.rlim_cur;
}
