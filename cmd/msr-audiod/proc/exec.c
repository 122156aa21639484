/*
 * exec: through a program that the operator allowed, on pipes, in the client's sample format.
 *
 *	samples ─ to_program ─> pipe ─> sh -c COMMAND ─> pipe ─ from_program ─> samples,
 *	                                                                        200 ms later
 *
 * Live sound waits for nobody: where the program is late there is silence, and where it is so late
 * that a second and a long message are queued for it, or when it has ended, the chain fails and
 * starts afresh.
 *
 * Sound that comes behind such a silence is late by its length, which is therefore owed: as much is
 * left out again when the program has caught up, which is seen by what stays queued. One that is
 * always late, because it collects more than 200 ms, leaves nothing queued at the end of each of
 * its bursts, and keeps its longer delay instead of losing a piece of each.
 */
#include "all.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/proc.h"

#define DELAY_S	   0.2
#define QUEUE_S	   1	     /* seconds of sound that may wait for the program, */
#define QUEUE_MORE (1 << 20) /* and bytes: the longest slice comes at once */
#define READ_STEP  16384     /* bytes */
#define WATCH_S	   1	     /* seconds without silence until late sound is left out, */
#define MARGIN_S   0.05	     /* and what stays queued: no program is punctual */
#define PATIENT_MS 5000	     /* a program that does nothing for this long has failed */

struct exec {
	const struct proc_context *context; /* lent */
	pid_t pid;
	int to, from; /* pipes, not blocking; -1 closed */
	struct buf to_program, from_program;
	size_t frame;	/* bytes of a sample of all channels */
	size_t owed;	/* bytes of silence in place of what was late */
	size_t watched; /* bytes of sound since the last silence, or since some was left out */
	size_t least;	/* bytes that stayed queued all that time */
};

static unsigned delay(const struct proc_context *c)
{
	return (unsigned)(c->format.rate * DELAY_S);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_exec(void *state)
{
	struct exec *e = state;

	if (!e)
		return;
	close_fd(&e->to);
	close_fd(&e->from);
	if (e->pid > 0) {
		kill(-e->pid, SIGKILL); /* with what the shell started */
		while (waitpid(e->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	buf_done(&e->to_program);
	buf_done(&e->from_program);
	free(e);
}

static int start(struct exec *e, const char *command)
{
	const char *const argv[] = {"sh", "-c", command, NULL};
	struct proc_opts o = {.err = STDERR_FILENO, .die_with_parent = 1, .own_group = 1};
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0) {
		int err = -errno;
		close(in[0]);
		close(in[1]);
		return err;
	}
	o.in = in[0];
	o.out = out[1];
	int ret = proc_spawn(argv, &o, &e->pid);
	close(in[0]);
	close(out[1]);
	e->to = in[1];
	e->from = out[0];
	if (!ret)
		ret = file_set_nonblock(e->to);
	return ret ? ret : file_set_nonblock(e->from);
}

/* The delay: silence that is there before the program's first sample. */
static int fill_delay(struct exec *e, const struct proc_context *c)
{
	size_t n = delay(c) * e->frame;
	uint8_t *p = buf_reserve(&e->from_program, n);

	if (!p)
		return -ENOMEM;
	memset(p, c->samples == SAMPLE_U8 ? 128 : 0, n);
	buf_commit(&e->from_program, n);
	return 0;
}

static int open_exec(void **state, const struct proc_context *c)
{
	struct exec *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->context = c;
	e->to = e->from = -1;
	e->frame = sample_bytes(c->samples) * c->format.channels;
	size_t second = c->format.rate * e->frame;
	buf_init(&e->to_program, QUEUE_S * second + QUEUE_MORE);
	buf_init(&e->from_program, 2 * (QUEUE_S * second + QUEUE_MORE));
	int ret = c->exec ? fill_delay(e, c) : -EINVAL;
	if (!ret)
		ret = start(e, c->exec);
	if (ret < 0) {
		close_exec(e);
		return ret;
	}
	*state = e;
	return 0;
}

static int feed(struct exec *e)
{
	while (buf_len(&e->to_program)) {
		ssize_t n = write(e->to, buf_data(&e->to_program), buf_len(&e->to_program));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -EIO;
		buf_consume(&e->to_program, (size_t)n);
	}
	return 0;
}

static int fetch(struct exec *e)
{
	for (;;) {
		uint8_t *p = buf_reserve(&e->from_program, READ_STEP);
		if (!p)
			return 0; /* more than two seconds ahead: it may wait */
		ssize_t n = read(e->from, p, READ_STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -EIO;
		if (n == 0)
			return -EIO;
		buf_commit(&e->from_program, (size_t)n);
	}
}

/* Until `want` bytes came back. */
static int wait_for(struct exec *e, size_t want)
{
	while (buf_len(&e->from_program) < want) {
		struct pollfd p[2] = {
		    {.fd = e->from, .events = POLLIN},
		    {.fd = buf_len(&e->to_program) ? e->to : -1, .events = POLLOUT}};
		int n = poll(p, 2, PATIENT_MS);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		int ret = feed(e);
		if (!ret)
			ret = fetch(e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* `taken` bytes of sound went out, and `missing` of silence behind them. */
static void catch_up(struct exec *e, size_t taken, size_t missing)
{
	size_t left = buf_len(&e->from_program), rate = e->context->format.rate;
	size_t margin = (size_t)((double)rate * MARGIN_S) * e->frame;

	if (missing) {
		e->owed += missing;
		e->watched = 0;
		return;
	}
	if (!e->owed)
		return;
	if (!e->watched || left < e->least)
		e->least = left;
	e->watched += taken;
	if (e->watched < WATCH_S * rate * e->frame)
		return;
	size_t n = e->least > margin ? (e->least - margin) / e->frame * e->frame : 0;
	if (n > e->owed)
		n = e->owed;
	buf_consume(&e->from_program, n);
	e->owed -= n;
	e->watched = 0;
}

static int process(void *state, float *samples, size_t frames)
{
	struct exec *e = state;
	size_t n = frames * e->context->format.channels, bytes = frames * e->frame;
	uint8_t *p = buf_reserve(&e->to_program, bytes);

	if (!p)
		return -EIO;
	samples_from_float(p, samples, n, e->context->samples);
	buf_commit(&e->to_program, bytes);
	int ret = feed(e);
	if (!ret)
		ret = fetch(e);
	if (!ret && e->context->patient)
		ret = wait_for(e, bytes);
	if (ret < 0)
		return ret;
	size_t have = buf_len(&e->from_program) / e->frame * e->frame;
	if (have > bytes)
		have = bytes;
	size_t got = have / e->frame * e->context->format.channels;
	samples_to_float(samples, buf_data(&e->from_program), got, e->context->samples);
	memset(samples + got, 0, (n - got) * sizeof(*samples));
	buf_consume(&e->from_program, have);
	catch_up(e, have, bytes - have);
	return 0;
}

const struct processor proc_exec = {
    .name = "exec",
    .delay = delay,
    .open = open_exec,
    .process = process,
    .close = close_exec,
};
