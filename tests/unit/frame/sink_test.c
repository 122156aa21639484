/* Sinks and sources together: pipes, FIFOs, files and rings, in a loop and blocking. */
#include "frame/sink.h"
#include "frame/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "frame/ring.h"
#include "loop/loop.h"

#include "../../support/test.h"

static struct loop *loop;
static struct sink *sink;
static struct source *source;
static int n_ready, n_lost, lost_err, n_got, result;
static uint64_t next_part;
static int per_turn; /* frames a handler takes, 0: all */
static char path[128], spec[160];

static void on_ready(void *arg)
{
	(void)arg;
	n_ready++;
}

static void on_lost(void *arg, int err)
{
	(void)arg;
	n_lost++;
	lost_err = err;
}

static uint8_t big[FRAME_BODY_MAX];

static struct frame frame_of(uint64_t part, uint32_t n)
{
	return (struct frame){.kind = FRAME_AUDIO,
			      .codec = CODEC_OPUS,
			      .part = part,
			      .time_us = 1,
			      .room = "r",
			      .room_len = 1,
			      .session = "s",
			      .session_len = 1,
			      .body = big,
			      .body_len = n};
}

/* Counts what comes in order; everything else is a failure of the case. */
static void on_source(void *arg)
{
	struct frame f;
	int n = 0;

	(void)arg;
	while ((!per_turn || n++ < per_turn) && (result = source_next(source, &f)) == 1) {
		CHECK_INT(f.part, next_part);
		CHECK_MEM(f.body, big, f.body_len);
		CHECK(f.room_len == 1 && f.room[0] == 'r');
		next_part++;
		n_got++;
		source_commit(source, source_pos(source));
	}
}

static const struct sink_opts *sink_opts(size_t queue_max)
{
	static struct sink_opts o;

	o = (struct sink_opts){.loop = loop,
			       .ring_size = 1 << 20,
			       .queue_max = queue_max,
			       .ready = on_ready,
			       .lost = on_lost};
	return &o;
}

static const struct source_opts *source_opts(void)
{
	static struct source_opts o;

	o = (struct source_opts){
	    .loop = loop, .ring_size = 1 << 20, .follow = true, .ready = on_source};
	return &o;
}

static void start(void)
{
	setenv("MSR_RING_DIR", test_dir(), 1);
	signal(SIGPIPE, SIG_IGN);
	source_close(source);
	sink_close(sink, 0);
	loop_free(loop);
	source = NULL;
	sink = NULL;
	n_ready = n_lost = n_got = lost_err = per_turn = 0;
	next_part = 0;
	result = -EAGAIN;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7 >> 3);
	ring_unlink("s");
	snprintf(path, sizeof(path), "%s/stream", test_dir());
	unlink(path);
	CHECK_INT(loop_new(&loop), 0);
}

static void turn_until(const int *what, int value)
{
	for (int i = 0; i < 2000 && *what < value; i++)
		loop_turn(loop, 10);
	CHECK(*what >= value);
}

static void put_all(uint64_t n, uint32_t size)
{
	for (uint64_t i = 0; i < n;) {
		struct frame f = frame_of(i, size);
		int ret = sink_put(sink, &f, NULL);
		if (ret == -EAGAIN) {
			int before = n_ready;
			turn_until(&n_ready, before + 1);
			continue;
		}
		CHECK_INT(ret, 0);
		i++;
		if (i % 10 == 0)
			sink_flush(sink);
	}
	sink_flush(sink);
}

static void through(const char *to, uint64_t n, uint32_t size)
{
	CHECK_INT(sink_open(&sink, to, sink_opts(1 << 18)), 0);
	CHECK_INT(source_open(&source, to, source_opts()), 0);
	put_all(n, size);
	turn_until(&n_got, (int)n);
	for (int i = 0; i < 100 && result != -EAGAIN; i++)
		loop_turn(loop, 10);
	CHECK_INT(result, -EAGAIN);
	struct source_stats st;
	source_stats(source, &st);
	CHECK_INT(st.frames, n);
	CHECK_INT(st.resyncs, 0);
}

TEST(frames_pass_through_a_fifo_in_one_loop)
{
	start();
	CHECK_INT(mkfifo(path, 0600), 0);
	through(path, 3000, 5000);
	CHECK(!sink_is_ring(sink) && !source_is_ring(source));
	CHECK_INT(n_lost, 0);
}

TEST(frames_pass_through_a_ring_in_one_loop)
{
	start();
	through("shm:s", 3000, 5000);
	CHECK(sink_is_ring(sink) && source_is_ring(source));
	uint64_t pos;
	struct frame f = frame_of(3000, 100);
	CHECK_INT(sink_put(sink, &f, &pos), 0);
	CHECK(sink_safe(sink) < pos);
	int before = n_ready;
	sink_flush(sink);
	turn_until(&n_ready, before + 1);
	CHECK_INT(sink_safe(sink), pos);
}

TEST(the_largest_frame_passes)
{
	start();
	CHECK_INT(mkfifo(path, 0600), 0);
	through(path, 2, FRAME_BODY_MAX);
}

TEST(a_frame_too_large_for_the_ring_is_refused)
{
	start();
	CHECK_INT(sink_open(&sink, "shm:s", sink_opts(0)), 0);
	struct frame f = frame_of(0, 1 << 19);
	CHECK_INT(sink_put(sink, &f, NULL), -EMSGSIZE);
	f = frame_of(0, 10);
	f.session = "/";
	CHECK_INT(sink_put(sink, &f, NULL), -EINVAL);
}

TEST(a_handler_that_takes_one_is_called_again)
{
	start();
	per_turn = 1;
	through("shm:s", 50, 100);
	start();
	per_turn = 1;
	CHECK_INT(mkfifo(path, 0600), 0);
	through(path, 50, 100);
}

TEST(a_paused_source_is_quiet_and_goes_on)
{
	start();
	CHECK_INT(mkfifo(path, 0600), 0);
	for (int i = 0; i < 2; i++) {
		const char *to = i ? "shm:s" : path;
		CHECK_INT(sink_open(&sink, to, sink_opts(0)), 0);
		CHECK_INT(source_open(&source, to, source_opts()), 0);
		source_pause(source, true);
		put_all(3, 100);
		for (int k = 0; k < 5; k++)
			loop_turn(loop, 1);
		CHECK_INT(n_got, 3 * i);
		source_pause(source, false);
		turn_until(&n_got, 3 * i + 3);
		source_close(source);
		sink_close(sink, 0);
		source = NULL;
		sink = NULL;
		next_part = 0;
	}
}

static uint64_t n_wakeups(void)
{
	struct ring_stats st = {0};

	CHECK_INT(ring_inspect("s", &st), 0);
	return st.wakeups;
}

TEST(a_muted_source_asks_for_no_wake_up)
{
	struct frame f;

	start();
	CHECK_INT(sink_open(&sink, "shm:s", sink_opts(0)), 0);
	CHECK_INT(source_open(&source, "shm:s", source_opts()), 0);
	source_mute(source, true);
	CHECK_INT(source_next(source, &f), -EAGAIN);
	uint64_t before = n_wakeups();
	put_all(1, 100);
	CHECK_INT(n_wakeups(), before);
	CHECK_INT(source_next(source, &f), 1); /* it is there all the same */
	source_mute(source, false);
	CHECK_INT(source_next(source, &f), -EAGAIN);
	put_all(1, 100);
	CHECK_INT(n_wakeups(), before + 1);
}

TEST(a_full_queue_says_so_and_says_when_not)
{
	uint64_t n = 0;

	start();
	CHECK_INT(mkfifo(path, 0600), 0);
	CHECK_INT(sink_open(&sink, path, sink_opts(1 << 16)), 0);
	struct frame f = frame_of(0, 1000);
	while (sink_put(sink, &f, NULL) == 0) {
		sink_flush(sink);
		f.part = ++n;
	}
	CHECK(!sink_has_room(sink, frame_size(&f)));
	for (int i = 0; i < 5; i++)
		loop_turn(loop, 1);
	CHECK_INT(n_ready, 0);
	CHECK(sink_safe(sink) < n * frame_size(&f));
	CHECK_INT(source_open(&source, path, source_opts()), 0);
	turn_until(&n_got, (int)n);
	CHECK(n_ready > 0);
	CHECK_INT(sink_safe(sink), n * frame_size(&f));
}

TEST(room_that_is_not_used_is_announced_once)
{
	struct frame f = frame_of(0, 1000);
	const uint8_t *p;
	struct ring *r;

	start();
	CHECK_INT(sink_open(&sink, "shm:s", sink_opts(0)), 0);
	CHECK_INT(ring_open(&r, "s", RING_CONSUMER, 0), 0);
	for (int i = 0; i < 3; i++) /* opening rings the bell */
		loop_turn(loop, 0);
	while (sink_put(sink, &f, NULL) == 0)
		;
	n_ready = 0;
	uint64_t half = (uint64_t)ring_peek(r, &p) / 2 & ~7ull;
	ring_advance(r, half);
	ring_commit(r, ring_cursor(r));
	for (int i = 0; i < 3; i++)
		loop_turn(loop, 0);
	CHECK_INT(n_ready, 1);
	ring_advance(r, 8);
	ring_commit(r, ring_cursor(r));
	for (int i = 0; i < 3; i++)
		loop_turn(loop, 0);
	CHECK_INT(n_ready, 2);
	ring_close(r);
}

TEST(a_file_is_continued_and_read_to_its_end)
{
	start();
	for (uint64_t part = 0; part < 2; part++) {
		struct frame f = frame_of(part, 3000);
		CHECK_INT(sink_open(&sink, path, sink_opts(0)), 0);
		CHECK_INT(sink_put(sink, &f, NULL), 0);
		CHECK_INT(sink_close(sink, 0), 0);
		sink = NULL;
	}
	CHECK_INT(source_open(&source, path, source_opts()), 0);
	turn_until(&n_got, 2);
	for (int i = 0; i < 5; i++)
		loop_turn(loop, 1);
	CHECK_INT(result, 0);
}

TEST(a_fifo_survives_its_reader)
{
	start();
	CHECK_INT(mkfifo(path, 0600), 0);
	CHECK_INT(sink_open(&sink, path, sink_opts(0)), 0);
	for (uint64_t part = 0; part < 4; part++) {
		if (part % 2 == 0)
			CHECK_INT(source_open(&source, path, source_opts()), 0);
		struct frame f = frame_of(part, 3000);
		CHECK_INT(sink_put(sink, &f, NULL), 0);
		sink_flush(sink);
		if (part % 2) /* one is still in the pipe when the reader changes */
			continue;
		turn_until(&n_got, (int)part + 1);
		source_close(source);
		source = NULL;
	}
	CHECK_INT(source_open(&source, path, source_opts()), 0);
	turn_until(&n_got, 4);
	CHECK_INT(n_lost, 0);
}

TEST(closing_a_fifo_nobody_reads_says_so)
{
	start();
	CHECK_INT(mkfifo(path, 0600), 0);
	CHECK_INT(sink_open(&sink, path, sink_opts(0)), 0);
	struct frame f = frame_of(0, 3000);
	CHECK_INT(sink_put(sink, &f, NULL), 0);
	CHECK_INT(sink_close(sink, 5), -ETIMEDOUT);
	sink = NULL;
}

TEST(standard_output_without_a_reader_is_lost)
{
	int p[2], saved = dup(1);
	struct frame f = frame_of(0, 3000);

	start();
	CHECK(saved >= 0 && pipe(p) == 0 && fflush(stdout) == 0);
	dup2(p[1], 1);
	close(p[1]);
	int ret = sink_open(&sink, "-", sink_opts(0));
	ret = ret ? ret : sink_put(sink, &f, NULL);
	if (!ret)
		sink_flush(sink);
	close(p[0]);
	for (int i = 0; i < 20 && !n_lost; i++)
		loop_turn(loop, 10);
	int after = sink_put(sink, &f, NULL);
	bool room = sink_has_room(sink, frame_size(&f));
	sink_close(sink, 0);
	sink = NULL;
	dup2(saved, 1);
	close(saved);
	CHECK_INT(ret, 0);
	CHECK_INT(n_lost, 1);
	CHECK_INT(lost_err, -EPIPE);
	CHECK_INT(after, -EPIPE);
	CHECK(!room);
}

TEST(a_source_ends_with_its_last_writer)
{
	start();
	CHECK_INT(mkfifo(path, 0600), 0);
	struct source_opts o = *source_opts();
	o.follow = false;
	CHECK_INT(source_open(&source, path, &o), 0);
	for (int i = 0; i < 3; i++)
		loop_turn(loop, 1);
	CHECK_INT(result, -EAGAIN); /* before the first writer it is not at its end */
	CHECK_INT(sink_open(&sink, path, sink_opts(0)), 0);
	put_all(3, 100);
	turn_until(&n_got, 3);
	CHECK_INT(sink_close(sink, 0), 0);
	sink = NULL;
	for (int i = 0; i < 20 && result; i++)
		loop_turn(loop, 10);
	CHECK_INT(result, 0);
}

TEST(a_hang_up_does_not_keep_a_paused_source_busy)
{
	start();
	CHECK_INT(mkfifo(path, 0600), 0);
	struct source_opts o = *source_opts();
	o.follow = false;
	CHECK_INT(source_open(&source, path, &o), 0);
	CHECK_INT(sink_open(&sink, path, sink_opts(0)), 0);
	put_all(3, 100);
	source_pause(source, true);
	sink_close(sink, 0);
	sink = NULL;
	struct mono t0 = mono_now();
	for (int i = 0; i < 20; i++)
		loop_turn(loop, 5);
	CHECK(mono_diff_us(mono_now(), t0) > 50000);
	CHECK_INT(n_got, 0);
	source_pause(source, false);
	turn_until(&n_got, 3);
	for (int i = 0; i < 20 && result; i++)
		loop_turn(loop, 10);
	CHECK_INT(result, 0);
}

/* A disk that is full for a while, as far as write(2) can tell. */
TEST(what_cannot_be_written_is_kept_and_tried_again)
{
	struct rlimit old, small = {.rlim_cur = 5000};
	struct frame f = frame_of(0, 3000);

	start();
	signal(SIGXFSZ, SIG_IGN);
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	CHECK_INT(sink_open(&sink, path, sink_opts(0)), 0);
	setrlimit(RLIMIT_FSIZE, &small);
	int ret = 0;
	for (; f.part < 4 && !ret; f.part++) {
		ret = sink_put(sink, &f, NULL);
		sink_flush(sink);
	}
	for (int i = 0; i < 20 && !n_lost; i++)
		loop_turn(loop, 10);
	for (int i = 0; i < 3; i++)
		loop_turn(loop, 5);
	setrlimit(RLIMIT_FSIZE, &old);
	CHECK_INT(ret, 0);
	CHECK_INT(n_lost, 1);
	CHECK_INT(lost_err, -EFBIG);
	CHECK_INT(n_ready, 0);
	turn_until(&n_ready, 1);
	CHECK_INT(sink_safe(sink), 4 * frame_size(&f));
	CHECK_INT(source_open(&source, path, source_opts()), 0);
	turn_until(&n_got, 4);
}

static void write_raw(const void *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	CHECK(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	close(fd);
}

TEST(damage_is_passed_over_and_counted)
{
	static uint8_t rec[8192];
	struct source_opts blocking = {0};
	struct source_stats st;
	struct frame f = frame_of(0, 1000);
	size_t size = frame_size(&f);

	start();
	CHECK_INT(frame_encode(&f, rec), 0);
	write_raw(rec + 100, size - 100); /* begins in the middle */
	write_raw(rec, size);
	write_raw("MSRFgarbage", 11);
	write_raw(rec, size);
	write_raw(rec, size / 2); /* cut, with a whole one behind */
	write_raw(rec, size);
	write_raw(rec, 60); /* ends in the middle */
	CHECK_INT(source_open(&source, path, &blocking), 0);
	for (int i = 0; i < 3; i++) {
		struct frame g;
		CHECK_INT(source_next(source, &g), 1);
		CHECK_MEM(g.body, big, 1000);
	}
	CHECK_INT(source_next(source, &f), 0);
	source_stats(source, &st);
	CHECK_INT(st.frames, 3);
	CHECK_INT(st.resyncs, 4);
	CHECK_INT(st.skipped, size - 100 + 11 + size / 2 + 60);
	CHECK_INT(source_pos(source), 3 * size + st.skipped);
}

TEST(damage_in_a_ring_is_passed_over)
{
	struct ring *r;
	struct frame f = frame_of(0, 100);
	size_t size = frame_size(&f);

	start();
	CHECK_INT(ring_open(&r, "s", RING_PRODUCER, 1 << 16), 0);
	for (int i = 0; i < 3; i++) {
		uint8_t *p = ring_reserve(r, size);
		f.part = (uint64_t)i;
		CHECK_INT(frame_encode(&f, p), 0);
		if (i == 1)
			p[50]++;
		ring_publish(r, size);
	}
	CHECK_INT(source_open(&source, "shm:s", source_opts()), 0);
	CHECK_INT(source_next(source, &f), 1);
	CHECK_INT(f.part, 0);
	CHECK_INT(source_next(source, &f), 1);
	CHECK_INT(f.part, 2);
	struct source_stats st;
	source_stats(source, &st);
	CHECK_INT(st.resyncs, 1);
	CHECK_INT(st.skipped, size);
	source_commit(source, source_pos(source));

	/* Damage alone does not fill the ring for ever. */
	for (int i = 0; i < 3; i++) {
		uint8_t *p;
		while ((p = ring_reserve(r, 1 << 10))) {
			memset(p, 0x33, 1 << 10);
			ring_publish(r, 1 << 10);
		}
		CHECK_INT(source_next(source, &f), -EAGAIN);
	}
	source_stats(source, &st);
	CHECK(st.skipped > 3 << 15);
	ring_close(r);
}

/* ---- blocking, between two threads ---- */

static void *put_blocking(void *arg)
{
	(void)arg;
	struct sink_opts o = {.ring_size = 1 << 20};
	if (sink_open(&sink, spec, &o) < 0)
		return big;
	for (uint64_t i = 0; i < 2000; i++) {
		struct frame f = frame_of(i, (uint32_t)(i * 37 % 90000));
		if (sink_put(sink, &f, NULL) < 0)
			return big;
	}
	return NULL;
}

static void blocking_pair(void)
{
	struct source_opts o = {.ring_size = 1 << 20};
	pthread_t t;
	void *failed;

	CHECK_INT(pthread_create(&t, NULL, put_blocking, NULL), 0);
	CHECK_INT(source_open(&source, spec, &o), 0);
	uint64_t i = 0;
	for (struct frame f; i < 2000 && source_next(source, &f) == 1; i++) {
		if (f.part != i || f.body_len != i * 37 % 90000 || memcmp(f.body, big, f.body_len))
			break;
		source_commit(source, source_pos(source));
	}
	CHECK_INT(i, 2000);
	pthread_join(t, &failed);
	CHECK(!failed);
}

TEST(blocking_sides_wait_for_each_other)
{
	start();
	snprintf(spec, sizeof(spec), "shm:s");
	blocking_pair();
	start();
	CHECK_INT(mkfifo(path, 0600), 0);
	snprintf(spec, sizeof(spec), "%s", path);
	blocking_pair();
	start();
}
