/*
 * Recorded calls without a network: call_load RING CAPTURE CALLS
 *
 * CAPTURE holds the frames of one person's call (tests/support/call.py). Each of two people in
 * CALLS rooms sends them into the ring at their own pace, as msr-sfu's tap would: people p0, p1 in
 * room c0, p2, p3 in c1 and so on, spread over 20 ms. The sound and picture of all are the same,
 * and so are what must come out. Prints "frames N waits N late_ms N": waits are the times the ring
 * was full, late_ms how far the load itself fell behind. Ends when the ring is empty.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "frame/frame.h"
#include "frame/ring.h"

#define CAPTURE_MAX (512u << 20)
#define WAIT_MS	    1000
#define SPREAD_US   20000

static struct ring *ring;
static uint64_t n_frames, n_waits;
static int64_t late_us;

static void put(const struct frame *from, int person, int64_t time_us)
{
	char room[32], session[32];
	struct frame f = *from;
	uint8_t *p;

	f.room_len = (uint8_t)snprintf(room, sizeof(room), "c%d", person / 2);
	f.session_len = (uint8_t)snprintf(session, sizeof(session), "p%d", person);
	f.room = room;
	f.session = session;
	f.time_us = time_us;
	f.flags |= FRAME_NO_BODY_CRC;
	size_t size = frame_size(&f);
	while (!(p = ring_reserve(ring, size))) {
		n_waits++;
		if (!ring_arm(ring))
			ring_wait(ring, WAIT_MS);
		ring_disarm(ring);
	}
	if (frame_encode(&f, p) < 0)
		abort();
	ring_publish_more(ring, size);
	n_frames++;
}

static void wait_until(struct mono start, int64_t at_us)
{
	int64_t early_us = at_us - mono_diff_us(mono_now(), start);

	if (early_us > 0)
		nanosleep(&(struct timespec){early_us / 1000000, early_us % 1000000 * 1000}, NULL);
	else if (-early_us > late_us)
		late_us = -early_us;
}

/* Takes turns of 20 ms: what the capture has there, from everybody. */
static void play(const uint8_t *data, size_t n, int people)
{
	struct mono start = mono_now();
	int64_t wall_us = clock_wall_us(), first_us = 0;
	size_t at = 0, begin = 0;
	struct frame f;
	long size;

	for (int64_t turn_us = 0; at < n; turn_us += SPREAD_US) {
		begin = at;
		for (int person = 0; person < people; person++) {
			if (person % 10 == 0) {
				ring_flush(ring);
				wait_until(start, turn_us + SPREAD_US * person / people);
			}
			for (at = begin; (size = frame_decode(data + at, n - at, &f, NULL)) > 0;
			     at += (size_t)size) {
				first_us = first_us ? first_us : f.time_us;
				if (f.time_us - first_us >= turn_us + SPREAD_US)
					break;
				put(&f, person, wall_us + f.time_us - first_us);
			}
			if (size <= 0 && at < n)
				return; /* damaged */
		}
	}
}

int main(int argc, char **argv)
{
	struct ring_stats st;
	struct buf capture;

	buf_init(&capture, 0);
	if (argc != 4 || file_read(AT_FDCWD, argv[2], CAPTURE_MAX, &capture) ||
	    ring_open(&ring, argv[1], RING_PRODUCER, 0)) {
		fprintf(stderr, "usage: call_load RING CAPTURE CALLS\n");
		return 2;
	}
	play(buf_data(&capture), buf_len(&capture), 2 * atoi(argv[3]));
	ring_flush(ring);
	do {
		nanosleep(&(struct timespec){0, 5000000}, NULL);
		ring_stats(ring, &st);
	} while (st.tail != st.head);
	printf("frames %llu waits %llu late_ms %lld\n", (unsigned long long)n_frames,
	       (unsigned long long)n_waits, (long long)late_us / 1000);
	ring_close(ring);
	buf_done(&capture);
	return 0;
}
