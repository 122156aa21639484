/* A clock that can be put forward, for the one file of a test program that waits for late timers.
 */
#ifndef MSR_TESTS_SKIP_H
#define MSR_TESTS_SKIP_H

#include <stdint.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int64_t skipped_us;

/* Instead of the C library's, also for GLib and libnice: tests need not wait for late timers. */
int clock_gettime(clockid_t id, struct timespec *t)
{
	if (syscall(SYS_clock_gettime, id, t) < 0)
		return -1;
	int64_t us = t->tv_sec * 1000000LL + t->tv_nsec / 1000 + skipped_us;
	t->tv_sec = us / 1000000;
	t->tv_nsec = us % 1000000 * 1000;
	return 0;
}

/* And the loop's, which waits for a time of that clock. It uses one such timer. */
static struct itimerspec timer_at;
static int timer_fd = -1;

static int set_timer(void)
{
	int64_t us = timer_at.it_value.tv_sec * 1000000LL + timer_at.it_value.tv_nsec / 1000;
	struct itimerspec real = {0};

	if (us) {
		us = us > skipped_us ? us - skipped_us : 1;
		real.it_value.tv_sec = us / 1000000;
		real.it_value.tv_nsec = us % 1000000 * 1000;
	}
	return (int)syscall(SYS_timerfd_settime, timer_fd, TFD_TIMER_ABSTIME, &real, NULL);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *old)
{
	(void)flags;
	(void)old;
	timer_at = *at;
	timer_fd = fd;
	return set_timer();
}

static inline void skip(int64_t us)
{
	skipped_us += us;
	set_timer();
}

#endif
