/* The loop: order of timers, freeing in handlers, changing interest, children. */
#include "loop/loop.h"
#include "base/proc.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../support/test.h"

static int order[8], n_order;
static struct loop *loop;
static struct loop_timer timers[4];

static void note(void *arg)
{
	order[n_order++] = *(int *)arg;
	if (n_order == 3)
		loop_stop(loop, 7);
}

TEST(timers_run_in_order_of_time)
{
	static int id[] = {0, 1, 2, 3};

	n_order = 0;
	CHECK_INT(loop_new(&loop), 0);
	for (int i = 0; i < 4; i++)
		loop_timer_init(&timers[i], loop, note, &id[i]);
	loop_timer_in_us(&timers[0], 20000);
	loop_timer_in_us(&timers[1], 10000);
	loop_timer_in_us(&timers[2], 30000);
	loop_timer_in_us(&timers[3], 5000);
	loop_timer_stop(&timers[3]);
	CHECK_INT(loop_run(loop), 7);
	CHECK(order[0] == 1 && order[1] == 0 && order[2] == 2);
	loop_free(loop);
}

static int again;

static void re_arm(void *arg)
{
	struct loop_timer *t = arg;

	if (++again < 1000)
		loop_timer_at(t, (struct mono){1});
}

TEST(a_timer_that_is_always_due_runs_once_a_turn)
{
	again = n_order = 0;
	CHECK_INT(loop_new(&loop), 0);
	loop_timer_init(&timers[0], loop, re_arm, &timers[0]);
	loop_timer_in_us(&timers[0], 0);
	for (int i = 1; i < 4; i++) {
		CHECK_INT(loop_turn(loop, 1000), 0);
		CHECK_INT(again, i);
	}
	loop_timer_stop(&timers[0]);
	loop_free(loop);
}

static struct loop_io *ios[2];
static int calls;

static void free_both(void *arg, int events)
{
	(void)arg, (void)events;
	calls++;
	loop_io_free(ios[0]);
	loop_io_free(ios[1]);
}

TEST(a_source_freed_in_a_handler_is_not_called)
{
	int p[2];

	calls = 0;
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(pipe(p), 0);
	CHECK_INT(write(p[1], "x", 1), 1);
	int copy = dup(p[0]);
	CHECK_INT(loop_io_new(&ios[0], loop, p[0], LOOP_IN, free_both, NULL), 0);
	CHECK_INT(loop_io_new(&ios[1], loop, copy, LOOP_IN, free_both, NULL), 0);
	CHECK_INT(loop_turn(loop, 0), 0);
	CHECK_INT(loop_turn(loop, 0), 0);
	CHECK_INT(calls, 1);
	loop_free(loop);
	close(p[0]);
	close(p[1]);
	close(copy);
}

static void count(void *arg, int events)
{
	(void)arg, (void)events;
	calls++;
}

TEST(interest_changes_before_sleeping)
{
	int p[2];

	calls = 0;
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(pipe(p), 0);
	CHECK_INT(write(p[1], "x", 1), 1);
	CHECK_INT(loop_io_new(&ios[0], loop, p[0], 0, count, NULL), 0);
	loop_turn(loop, 0);
	CHECK_INT(calls, 0);
	loop_io_want(ios[0], LOOP_IN);
	loop_turn(loop, 0);
	CHECK_INT(calls, 1);
	loop_io_want(ios[0], 0);
	loop_turn(loop, 0);
	CHECK_INT(calls, 1);
	loop_free(loop);
	close(p[0]);
	close(p[1]);
}

static int child_status;

static void ended(void *arg, pid_t pid, int status)
{
	(void)arg, (void)pid;
	child_status = status;
	loop_stop(loop, 0);
}

/* How a child ends that is started with these. */
static int status_of(const char *const argv[], const struct proc_opts *o)
{
	struct loop_child *c;
	pid_t pid;

	CHECK_INT(proc_spawn(argv, o, &pid), 0);
	CHECK_INT(loop_child_new(&c, loop, pid, ended, NULL), 0);
	CHECK_INT(loop_run(loop), 0);
	CHECK(WIFEXITED(child_status));
	return WEXITSTATUS(child_status);
}

TEST(children_are_reaped)
{
	const char *const argv[] = {"sh", "-c", "exit 3", NULL};
	const char *const none[] = {"/no/such/program", NULL};
	struct proc_opts o = {.in = -1, .out = -1, .err = -1};
	pid_t pid;

	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(proc_spawn(none, &o, &pid), -2);
	CHECK_INT(status_of(argv, &o), 3);
	/* Also where our own parent ignores its children, and so we do. */
	signal(SIGCHLD, SIG_IGN);
	CHECK_INT(status_of(argv, &o), 3);
	loop_free(loop);
}

TEST(children_have_the_descriptors_that_they_are_given)
{
	const char *const argv[] = {"sh", "-c", "set /proc/self/fd/*; exit $#", NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct proc_opts given = {.in = null, .out = null, .err = null};
	struct proc_opts o = {.in = -1, .out = -1, .err = -1};

	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(status_of(argv, &o), status_of(argv, &given));
	loop_free(loop);
	close(null);
}

static void finish(void *arg)
{
	++*(int *)arg;
}

TEST(what_nohup_had_ignored_ends_nothing)
{
	int finished = 0;

	signal(SIGHUP, SIG_IGN);
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(loop_stop_signals(loop, finish, &finished), 0);
	raise(SIGHUP);
	loop_turn(loop, 0);
	CHECK_INT(finished, 0);
	raise(SIGTERM);
	loop_turn(loop, 0);
	CHECK_INT(finished, 1);
	loop_free(loop);
	signal(SIGHUP, SIG_DFL);
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(loop_stop_signals(loop, finish, &finished), 0);
	raise(SIGHUP);
	loop_turn(loop, 0);
	CHECK_INT(finished, 2);
	loop_free(loop);
}
