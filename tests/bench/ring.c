/*
 * Rings between two processes, beside memcpy(3) and a plain pipe in the same run.
 *
 *   ring [SECONDS]: each throughput figure is the median of ROUNDS runs of that length, taken in
 * turns
 *
 * memcpy        one process copies a warm record to places that go round in as much memory as the
 *               ring has: the least that handing bytes over can cost
 * ring          the producer copies the record into the ring, the consumer uses it in place
 * ring, out     the consumer copies it out as well, as a reader of a pipe must
 * frames        sink_put to source_next over a ring: heads, ids, checks
 * pipe          write(2) and read(2), 1 MiB pipe
 *
 * Latency: a record every INTERVAL_US to a consumer that sleeps; the time from before publishing to
 * after waking, by the clock that both share.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "frame/frame.h"
#include "frame/ring.h"
#include "frame/sink.h"
#include "frame/source.h"

#define RING_SIZE   (64u << 20)
#define ROUNDS	    5
#define RECORD_MAX  (1u << 16)
#define N_PINGS	    2000
#define INTERVAL_US 300

static char name[64], spec[80];
static uint8_t record[RECORD_MAX], *area;
static double seconds = 0.3;

/* What the processes tell each other outside of what is measured. */
static struct shared {
	_Atomic int stop;
	_Atomic uint64_t bytes; /* consumed */
	uint64_t ping_ns[N_PINGS];
} * shared;

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		_exit(1);
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ---- one side each; all end when shared->stop is set ---- */

static void ring_producer(size_t n)
{
	struct ring *r;

	must(ring_open(&r, name, RING_PRODUCER, RING_SIZE) == 0, "ring");
	while (!shared->stop) {
		uint8_t *p = ring_reserve(r, n);
		if (!p) {
			ring_wait(r, 100);
			continue;
		}
		memcpy(p, record, n);
		ring_publish(r, n);
	}
	ring_close(r);
}

static void ring_consumer(size_t n, bool copy)
{
	static uint8_t out[RECORD_MAX];
	const uint8_t *p;
	struct ring *r;

	must(ring_open(&r, name, RING_CONSUMER, RING_SIZE) == 0, "ring");
	while (!shared->stop) {
		long have = ring_peek(r, &p);
		if (!have) {
			ring_wait(r, 100);
			continue;
		}
		for (; have; have -= (long)n, p += n) {
			must(p[0] == record[0] && p[n - 1] == record[n - 1], "content");
			if (copy)
				memcpy(out, p, n);
			ring_advance(r, n);
			ring_commit(r, ring_cursor(r));
			atomic_fetch_add_explicit(&shared->bytes, n, memory_order_relaxed);
		}
	}
	ring_close(r);
}

static void in_place(size_t n)
{
	ring_consumer(n, false);
}

static void copied_out(size_t n)
{
	ring_consumer(n, true);
}

static void frame_producer(size_t n)
{
	struct sink_opts o = {.ring_size = RING_SIZE};
	struct frame f = {.kind = FRAME_AUDIO,
			  .room = "room",
			  .room_len = 4,
			  .session = "session",
			  .session_len = 7,
			  .body = record,
			  .body_len = (uint32_t)n};
	struct sink *s;

	must(sink_open(&s, spec, &o) == 0, "sink");
	for (; !shared->stop; f.part++)
		must(sink_put(s, &f, NULL) == 0, "sink");
	sink_close(s, 0);
}

static void frame_consumer(size_t n)
{
	struct source_opts o = {.ring_size = RING_SIZE};
	struct source *s;
	struct frame f;

	must(source_open(&s, spec, &o) == 0, "source");
	for (uint64_t part = 0; !shared->stop && source_next(s, &f) == 1; part++) {
		must(f.part == part && f.body_len == n && f.body[n - 1] == record[n - 1],
		     "content");
		source_commit(s, source_pos(s));
		atomic_fetch_add_explicit(&shared->bytes, n, memory_order_relaxed);
	}
	source_close(s);
}

static int pipe_fd[2];

static void pipe_producer(size_t n)
{
	while (!shared->stop)
		must(file_write_all(pipe_fd[1], record, n) == 0, "write");
}

static void pipe_consumer(size_t n)
{
	static uint8_t out[RECORD_MAX];
	ssize_t got;

	while (!shared->stop && (got = read(pipe_fd[0], out, n)) > 0)
		atomic_fetch_add_explicit(&shared->bytes, (uint64_t)got, memory_order_relaxed);
}

/* ---- throughput ---- */

static pid_t start(void (*side)(size_t n), size_t n)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	side(n);
	_exit(0);
}

static void end(pid_t pid, const char *what)
{
	int status;

	kill(pid, SIGTERM);
	must(waitpid(pid, &status, 0) == pid, what);
	must(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM), what);
}

/* GB/s that arrive while both sides run; their start is not counted. */
static double measure(void (*produce)(size_t n), void (*consume)(size_t n), size_t n)
{
	ring_unlink(name);
	must(pipe(pipe_fd) == 0, "pipe");
	fcntl(pipe_fd[0], F_SETPIPE_SZ, 1 << 20);
	shared->stop = 0;
	shared->bytes = 0;
	pid_t c = start(consume, n), p = start(produce, n);
	close(pipe_fd[1]);
	/* Once round the ring: its pages are mapped on both sides by then. */
	for (int i = 0; i < 5000 && shared->bytes < RING_SIZE; i++)
		poll(NULL, 0, 1);
	uint64_t t0 = now_ns(), b0 = shared->bytes;
	poll(NULL, 0, (int)(seconds * 1000));
	double gbps = (double)(shared->bytes - b0) / (double)(now_ns() - t0);
	shared->stop = 1;
	close(pipe_fd[0]);
	/* One that waits for the other side does not see `stop`. */
	end(p, "producer");
	end(c, "consumer");
	ring_unlink(name);
	return gbps;
}

static double measure_memcpy(size_t n)
{
	uint64_t bytes = 0, t0 = 0, t = 0;

	for (size_t at = 0; t < t0 + (uint64_t)(seconds * 1e9) || !t0; at += n) {
		if (at + n > RING_SIZE) {
			at = 0;
			if (!t0) {
				t0 = now_ns();
				bytes = 0;
			}
		}
		memcpy(area + at, record, n);
		__asm__ volatile("" : : "r"(area + at) : "memory");
		bytes += n;
		t = bytes % (1 << 22) < n ? now_ns() : t;
	}
	return (double)bytes / (double)(t - t0);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	return v[n / 2];
}

static bool throughput(size_t n, bool goal)
{
	double copy[ROUNDS], ring[ROUNDS], out[ROUNDS], frames[ROUNDS], pipes[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		copy[i] = measure_memcpy(n);
		ring[i] = measure(ring_producer, in_place, n);
		out[i] = measure(ring_producer, copied_out, n);
		frames[i] = measure(frame_producer, frame_consumer, n);
		pipes[i] = measure(pipe_producer, pipe_consumer, n);
	}
	double m = median(copy, ROUNDS), r = median(ring, ROUNDS), f = median(frames, ROUNDS);
	printf("%7zu B %8.2f %8.2f %9.2f %8.2f %8.2f   %5.0f %%  %6.2f x %8.0f\n", n, m, r,
	       median(out, ROUNDS), f, median(pipes, ROUNDS), 100 * r / m,
	       f / median(pipes, ROUNDS), (double)n / f);
	fflush(stdout);
	if (!goal)
		return true;
	double want = m * 0.6 < 5 ? m * 0.6 : 5;
	printf("goal: at least %.2f GB/s with %zu B (5 GB/s or 60 %% of memcpy): %s\n", want, n,
	       r >= want ? "met" : "missed");
	return r >= want;
}

/* ---- latency ---- */

static void ping(int i, uint64_t sent)
{
	shared->ping_ns[i] = now_ns() - sent;
}

static void ring_pinger(size_t n)
{
	struct ring *r;

	(void)n;
	must(ring_open(&r, name, RING_PRODUCER, RING_SIZE) == 0, "ring");
	while (!shared->stop) {
		usleep(INTERVAL_US);
		uint64_t *p = (uint64_t *)(void *)ring_reserve(r, 8);
		*p = now_ns();
		ring_publish(r, 8);
	}
}

static void ring_pinged(bool by_epoll)
{
	struct epoll_event ev = {.events = EPOLLIN};
	const uint8_t *p;
	struct ring *r;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	must(ring_open(&r, name, RING_CONSUMER, RING_SIZE) == 0, "ring");
	must(epoll_ctl(ep, EPOLL_CTL_ADD, ring_fd(r), &ev) == 0, "epoll");
	for (int i = 0; i < N_PINGS;) {
		uint64_t sent;
		if (!ring_peek(r, &p)) {
			if (!by_epoll) {
				ring_wait(r, -1);
			} else if (!ring_arm(r)) {
				epoll_wait(ep, &ev, 1, -1);
				ring_disarm(r);
			}
			continue;
		}
		memcpy(&sent, p, 8);
		ping(i++, sent);
		ring_advance(r, 8);
		ring_commit(r, ring_cursor(r));
	}
	shared->stop = 1;
}

static void wait_pinged(size_t n)
{
	(void)n;
	ring_pinged(false);
}

static void epoll_pinged(size_t n)
{
	(void)n;
	ring_pinged(true);
}

static void pipe_pinger(size_t n)
{
	(void)n;
	signal(SIGPIPE, SIG_IGN);
	while (!shared->stop) {
		usleep(INTERVAL_US);
		uint64_t t = now_ns();
		if (write(pipe_fd[1], &t, sizeof(t)) < 0)
			break;
	}
}

static void pipe_pinged(size_t n)
{
	uint64_t sent;

	(void)n;
	for (int i = 0; i < N_PINGS; i++) {
		must(read(pipe_fd[0], &sent, sizeof(sent)) == sizeof(sent), "read");
		ping(i, sent);
	}
	shared->stop = 1;
}

static double latency(const char *what, void (*send)(size_t n), void (*receive)(size_t n))
{
	double us[N_PINGS];
	int status;

	ring_unlink(name);
	must(pipe(pipe_fd) == 0, "pipe");
	shared->stop = 0;
	pid_t c = start(receive, 8), p = start(send, 8);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	must(waitpid(c, &status, 0) == c && status == 0, "receiver");
	must(waitpid(p, &status, 0) == p && status == 0, "sender");
	for (int i = 0; i < N_PINGS; i++)
		us[i] = (double)shared->ping_ns[i] / 1000;
	double mid = median(us, N_PINGS);
	printf("%-28s %7.1f %7.1f %7.1f %7.1f\n", what, us[0], mid, us[N_PINGS * 9 / 10],
	       us[N_PINGS * 99 / 100]);
	ring_unlink(name);
	return mid;
}

int main(int argc, char **argv)
{
	bool ok;

	if (argc > 1)
		seconds = atof(argv[1]);
	snprintf(name, sizeof(name), "bench-%d", (int)getpid());
	snprintf(spec, sizeof(spec), "shm:%s", name);
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	area = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(shared != MAP_FAILED && area != MAP_FAILED, "mmap");
	memset(record, 0x5a, sizeof(record));

	printf("throughput, GB/s (ring of %u MiB; medians of %d)\n", RING_SIZE >> 20, ROUNDS);
	printf("%9s %8s %8s %9s %8s %8s %9s %8s %8s\n", "record", "memcpy", "ring", "ring, out",
	       "frames", "pipe", "ring/mem", "fr/pipe", "ns/frame");
	static const size_t sizes[] = {160, 1024, 4096};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		throughput(sizes[i], false);
	ok = throughput(RECORD_MAX, true);

	printf("\nwake-up of a sleeping reader, us\n%-28s %7s %7s %7s %7s\n", "", "least", "median",
	       "90 %", "99 %");
	double w = latency("ring, ring_wait", ring_pinger, wait_pinged);
	latency("ring, epoll", ring_pinger, epoll_pinged);
	latency("pipe, blocking read", pipe_pinger, pipe_pinged);
	printf("goal: median below 10 us: %s\n", w < 10 ? "met" : "missed");
	return ok && w < 10 ? 0 : 1;
}
