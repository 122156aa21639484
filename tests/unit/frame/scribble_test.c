/*
 * A process that writes at random into a ring's memory while others use it: they may lose frames
 * and give up on the ring, but they neither crash nor take anything invalid for a frame.
 */
#include "frame/ring.h"
#include "frame/sink.h"
#include "frame/source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "loop/loop.h"

#include "../../support/test.h"

#define RING_SIZE  (1 << 16)
#define ROUNDS	   60
#define ROUNDS_MAX 600
#define ROUND_US   15000

static uint64_t random64(void)
{
	return (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
}

static pid_t spawn(void (*run)(void))
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	srandom((unsigned)getpid());
	run();
	_exit(0);
}

/* Positions, waits and counters in some rounds, the data always; small steps and wild values. */
static void scribble(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char path[128];

	snprintf(path, sizeof(path), "%s/msr-scribble", test_dir());
	int fd = open(path, O_RDWR);
	uint8_t *p = mmap(NULL, page + RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || p == MAP_FAILED)
		_exit(1);
	bool positions = random() % 3 == 0;
	for (;;) {
		size_t at = page + random64() % RING_SIZE;
		if (positions && random() % 16 == 0)
			at = 128 + random64() % 480;
		uint64_t v = random64() >> random() % 64;
		memcpy(p + at / 8 * 8, &v, 8);
		if (random() % 64 == 0)
			usleep(20);
	}
}

static void produce(void)
{
	static uint8_t body[4000];
	struct sink_opts o = {.ring_size = RING_SIZE};
	struct sink *s;

	int ret = sink_open(&s, "shm:scribble", &o);
	if (ret < 0)
		_exit(ret == -EBADMSG ? 0 : 1);
	for (uint64_t part = 0;; part++) {
		struct frame f = {.kind = FRAME_AUDIO,
				  .part = part,
				  .room = "room",
				  .room_len = 4,
				  .session = "session",
				  .session_len = 7,
				  .body = body,
				  .body_len = (uint32_t)(random64() % sizeof(body))};
		if (sink_put(s, &f, NULL) == -EBADMSG)
			_exit(0);
	}
}

/* One frame: ids that were checked stay valid, and all of the body can be read. */
static unsigned touch(const struct frame *f)
{
	unsigned sum = 0;

	CHECK(id_valid(f->room, f->room_len) && id_valid(f->session, f->session_len));
	CHECK(f->body_len <= RING_SIZE);
	for (uint32_t i = 0; i < f->body_len; i++)
		sum += f->body[i];
	CHECK(id_valid(f->room, f->room_len) && id_valid(f->session, f->session_len));
	return sum;
}

static void nothing(void *arg)
{
	(void)arg;
}

TEST(scribbling_crashes_nobody)
{
	struct source_opts o = {.ring_size = RING_SIZE, .ready = nothing};
	uint64_t frames = 0, skipped = 0;
	int rounds, broken = 0, status;
	unsigned sum = 0;

	setenv("MSR_RING_DIR", test_dir(), 1);
	CHECK_INT(loop_new(&o.loop), 0);
	/* More of them where the machine is too slow for all of that to happen. */
	for (rounds = 0; rounds < ROUNDS || (rounds < ROUNDS_MAX && !(frames && skipped && broken));
	     rounds++) {
		struct source_stats st;
		struct source *s;
		struct frame f;
		int ret = 0;

		ring_unlink("scribble");
		CHECK_INT(source_open(&s, "shm:scribble", &o), 0);
		pid_t producer = spawn(produce), vandal = spawn(scribble);
		struct mono end = mono_add_us(mono_now(), ROUND_US);
		while (ret != -EBADMSG && mono_diff_us(end, mono_now()) > 0) {
			ret = source_next(s, &f);
			if (ret == 1)
				sum += touch(&f);
			source_commit(s, source_pos(s));
			if (ret == -EAGAIN)
				loop_turn(o.loop, 1);
		}
		source_stats(s, &st);
		frames += st.frames;
		skipped += st.skipped;
		source_close(s);
		kill(vandal, SIGKILL);
		kill(producer, SIGKILL);
		CHECK(waitpid(vandal, &status, 0) == vandal);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		CHECK(waitpid(producer, &status, 0) == producer);
		CHECK(WIFEXITED(status) ? !WEXITSTATUS(status) : WTERMSIG(status) == SIGKILL);
		broken += ret == -EBADMSG || WIFEXITED(status);
	}
	loop_free(o.loop);
	ring_unlink("scribble");
	printf("# %llu frames, %llu bytes skipped, %d of %d rings given up (%u)\n",
	       (unsigned long long)frames, (unsigned long long)skipped, broken, rounds, sum % 10);
	CHECK(frames > 0 && skipped > 0 && broken > 0);
}
