/* Children: two pipes and a process on the loop. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"
#include "loop/loop.h"

#define OUT_MAX	   (1u << 20)
#define ERRORS_MAX 2000 /* bytes of the end of standard error; fits an event */
#define NICE	   10	/* below everything that records */

struct child {
	struct child_opts o;
	pid_t pid;
	struct loop_child *process;
	int fd[2]; /* our ends of its standard output and standard error */
	struct loop_io *io[2];
	struct buf out;
	char errors[ERRORS_MAX + 1];
	size_t n_errors;
};

static void close_pipe(struct child *c, int i)
{
	loop_io_free(c->io[i]);
	c->io[i] = NULL;
	if (c->fd[i] >= 0)
		close(c->fd[i]);
	c->fd[i] = -1;
}

static void add_errors(struct child *c, const char *text, size_t n)
{
	if (n >= ERRORS_MAX) {
		text += n - ERRORS_MAX;
		n = ERRORS_MAX;
		c->n_errors = 0;
	}
	if (c->n_errors + n > ERRORS_MAX) {
		size_t drop = c->n_errors + n - ERRORS_MAX;
		memmove(c->errors, c->errors + drop, c->n_errors - drop);
		c->n_errors -= drop;
	}
	memcpy(c->errors + c->n_errors, text, n);
	c->n_errors += n;
	c->errors[c->n_errors] = '\0';
}

/* Reads what is there. */
static void drain(struct child *c, int i)
{
	char text[8192];
	ssize_t n;

	while (c->fd[i] >= 0 && (n = read(c->fd[i], text, sizeof(text)))) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		if (i)
			add_errors(c, text, (size_t)n);
		else
			buf_append(&c->out, text, (size_t)n); /* what is too much is left out */
	}
	close_pipe(c, i);
}

static void on_out(void *arg, int events)
{
	struct child *c = arg;

	(void)events;
	drain(c, 0);
	if (c->o.output)
		c->o.output(c->o.arg, &c->out);
}

static void on_errors(void *arg, int events)
{
	(void)events;
	drain(arg, 1);
}

static void release(struct child *c)
{
	close_pipe(c, 0);
	close_pipe(c, 1);
	buf_done(&c->out);
	free(c);
}

static void on_exit_of(void *arg, pid_t pid, int status)
{
	struct child *c = arg;

	(void)pid;
	drain(c, 0); /* what it wrote last may still lie in the pipes */
	drain(c, 1);
	c->o.done(c->o.arg, status, &c->out, c->errors);
	release(c);
}

static int open_pipe(struct child *c, int i, int *theirs)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	c->fd[i] = fds[0];
	*theirs = fds[1];
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return loop_io_new(&c->io[i], c->o.loop, fds[0], LOOP_IN, i ? on_errors : on_out, c);
}

/*
 * Our environment with the language in which finish.c knows what children complain of. Owned by the
 * caller, who frees the array alone. NULL for want of memory.
 */
static const char **plain_env(void)
{
	size_t n = 0, k = 0;

	while (environ[n])
		n++;
	const char **env = calloc(n + 2, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "LC_ALL=", 7) != 0)
			env[k++] = environ[i];
	env[k] = "LC_ALL=C";
	return env;
}

int child_start(struct child **cp, const char *const argv[], const struct child_opts *o)
{
	struct child *c = calloc(1, sizeof(*c));
	struct proc_opts p = {.in = -1, .out = -1, .err = -1, .nice = NICE, .die_with_parent = 1};

	if (!c)
		return -ENOMEM;
	c->o = *o;
	c->fd[0] = c->fd[1] = -1;
	buf_init(&c->out, OUT_MAX);
	const char **env = plain_env();
	int ret = env ? open_pipe(c, 0, &p.out) : -ENOMEM;
	p.env = env;
	if (!ret)
		ret = open_pipe(c, 1, &p.err);
	if (!ret)
		ret = proc_spawn(argv, &p, &c->pid);
	free(env);
	if (p.out >= 0)
		close(p.out);
	if (p.err >= 0)
		close(p.err);
	if (!ret && (ret = loop_child_new(&c->process, o->loop, c->pid, on_exit_of, c))) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	if (ret) {
		release(c);
		return ret;
	}
	*cp = c;
	return 0;
}

void child_kill(struct child *c)
{
	kill(c->pid, SIGKILL);
}

void child_free(struct child *c)
{
	if (!c)
		return;
	kill(c->pid, SIGKILL);
	loop_child_forget(c->process);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	release(c);
}
