/*
 * Load for msr-record: record_load RING SESSIONS PER_SECOND BYTES SECONDS CODEC
 *
 * Puts parts of BYTES for each session PER_SECOND times a second into the ring; with PER_SECOND 0
 * as fast as they are taken. The producer's side of msr-ws without its sockets. Ends when the ring
 * is empty and prints "parts N bytes N waits N", waits being the times that the ring was full.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "frame/frame.h"
#include "frame/ring.h"

#define WAIT_MS 1000

static struct ring *ring;
static uint64_t n_parts, n_bytes, n_waits;

static void put(int session, uint64_t part, int codec, const uint8_t *body, uint32_t len)
{
	char id[32];
	int n = snprintf(id, sizeof(id), "s%d", session);
	struct frame f = {.kind = FRAME_AUDIO,
			  .flags = FRAME_NO_BODY_CRC,
			  .codec = (uint8_t)codec,
			  .rate = 48000,
			  .channels = 2,
			  .time_us = clock_wall_us(),
			  .part = part,
			  .room = "bench",
			  .room_len = 5,
			  .session = id,
			  .session_len = (uint8_t)n,
			  .storage = "",
			  .body = body,
			  .body_len = len};
	size_t size = frame_size(&f);
	uint8_t *p;

	while (!(p = ring_reserve(ring, size))) {
		n_waits++;
		if (!ring_arm(ring))
			ring_wait(ring, WAIT_MS);
		ring_disarm(ring);
	}
	if (frame_encode(&f, p) < 0)
		abort();
	ring_publish_more(ring, size);
	n_parts++;
	n_bytes += len;
}

int main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr,
			"usage: record_load RING SESSIONS PER_SECOND BYTES SECONDS CODEC\n");
		return 2;
	}
	int sessions = atoi(argv[2]), rate = atoi(argv[3]), seconds = atoi(argv[5]);
	uint32_t bytes = (uint32_t)atoi(argv[4]);
	int codec = frame_codec_of(argv[6]);
	uint8_t *body = malloc(bytes + 1);
	int ret = ring_open(&ring, argv[1], RING_PRODUCER, 0);

	if (ret < 0 || codec < 0 || !body) {
		fprintf(stderr, "record_load: %s\n", ret < 0 ? strerror(-ret) : "bad codec");
		return 1;
	}
	for (uint32_t i = 0; i < bytes; i++)
		body[i] = (uint8_t)(i * 7);
	struct mono start = mono_now();
	/* Paced: the sessions' turns are spread over each period, as clients' are. */
	for (uint64_t part = 0; rate ? part < (uint64_t)rate * (uint64_t)seconds
				     : mono_diff_us(mono_now(), start) < seconds * 1000000ll;
	     part++) {
		for (int s = 0; s < sessions; s++) {
			put(s, part, codec, body, bytes);
			if (s % 25)
				continue;
			ring_flush(ring);
			if (!rate)
				continue;
			int64_t due_us = (int64_t)((double)part * 1e6 / rate +
						   (double)s * 1e6 / rate / sessions);
			int64_t early_us = due_us - mono_diff_us(mono_now(), start);
			if (early_us > 0)
				nanosleep(&(struct timespec){early_us / 1000000,
							     early_us % 1000000 * 1000},
					  NULL);
		}
	}
	ring_flush(ring);
	struct ring_stats st;
	do {
		nanosleep(&(struct timespec){0, 5000000}, NULL);
		ring_stats(ring, &st);
	} while (st.tail != st.head);
	printf("parts %llu bytes %llu waits %llu\n", (unsigned long long)n_parts,
	       (unsigned long long)n_bytes, (unsigned long long)n_waits);
	ring_close(ring);
	free(body);
	return 0;
}
