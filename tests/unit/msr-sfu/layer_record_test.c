/* What the recorder gets of layers of simulcast, and of a ring that is full or new. */
#include <stdio.h>
#include <stdlib.h>

#include "../../support/test.h"
#include "frame/frame.h"
#include "frame/ring.h"
#include "frame/sink.h"
#include "loop/loop.h"
#include "scene.h"

/* What the recorder got, as if it were a receiver. */
static struct scene_side *recorded(const char *path, uint32_t *ts, uint32_t *sr_ts)
{
	static uint8_t bytes[4 << 20];
	struct scene_side *b = calloc(1, sizeof(*b));
	FILE *f = fopen(path, "r");
	struct frame fr;
	long n;

	CHECK(b && f);
	size_t len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	for (size_t at = 0; at < len; at += (size_t)n) {
		n = frame_decode(bytes + at, len - at, &fr, NULL);
		CHECK(n > 0);
		if (fr.kind == FRAME_RTCP) {
			scene_side_rtcp(b, fr.body, fr.body_len);
			*sr_ts = b->sr.ts;
		}
		if (fr.kind != FRAME_RTP)
			continue;
		CHECK_INT(get_be32(fr.body + 8),
			  b->n_rtp ? get_be32(b->rtp[0].p + 8) : get_be32(fr.body + 8));
		memcpy(b->rtp[b->n_rtp].p, fr.body, fr.body_len);
		b->rtp[b->n_rtp++].n = fr.body_len;
		*ts = get_be32(fr.body + 4);
	}
	return b;
}

TEST(the_recorder_gets_the_best_layer_as_one_stream)
{
	static const struct tap_config who = {.room = "r", .user = "u"};
	struct scene x = scene_new(MEDIA_LOW);
	uint32_t ts = 0, sr_ts = 0;
	struct tap_sink sink;
	char path[200];

	snprintf(path, sizeof(path), "%s/sink", test_dir());
	CHECK_INT(tap_sink_open(&sink, path, NULL, &scene_stats), 0);
	CHECK_INT(tap_open(&x.t->tap, &sink, &who, x.t), 0);
	scene_play(&x, 1000000);
	CHECK_INT(x.t->tap->layer.current, 0); /* whatever the viewer wants */
	for (unsigned i = 0; i < 2; i++) {
		x.layer[0].silent = true;
		scene_play(&x, 1500000);
		CHECK_INT(x.t->tap->layer.current, 1);
		x.layer[0].silent = false;
		x.layer[0].key = true;
		scene_play(&x, 1500000);
		CHECK_INT(x.t->tap->layer.current, 0);
	}
	for (unsigned i = 0; i < 3; i++) /* only that of the present layer is for the recorder */
		scene_report(&x, i, 100000000 + i * 1000000);
	scene_free(&x);
	tap_sink_close(&sink);
	struct scene_side *b = recorded(path, &ts, &sr_ts);
	CHECK(b->n_rtp > 2 * 4500000 / FRAME);
	CHECK(scene_check_stream(b, 0) >= 5);
	CHECK_INT(b->sr.ssrc, get_be32(b->rtp[0].p + 8));
	CHECK_INT(b->sr.ntp >> 32, 100);
	CHECK_INT(sr_ts, ts);
	free(b);
}

TEST(a_recorder_that_begins_anew_gets_a_key_frame)
{
	static const struct tap_config who = {.room = "r", .user = "u"};
	struct scene x = scene_new(MEDIA_OFF);
	struct tap_sink sink;
	struct ring *reader;

	setenv("MSR_RING_DIR", test_dir(), 1);
	CHECK_INT(tap_sink_open(&sink, "shm:tap", NULL, &scene_stats), 0);
	CHECK_INT(tap_open(&x.t->tap, &sink, &who, x.t), 0);
	scene_play(&x, 1000000);
	tap_sink_flush(&sink);
	scene_play(&x, 1000000);
	CHECK_INT(x.from->n_key_requests, 0); /* it has one, and nobody begins */
	CHECK_INT(ring_open(&reader, "tap", RING_CONSUMER, 0), 0);
	tap_sink_flush(&sink);
	x.from->n_key_requests = 0;
	endpoint_tick(&x.from->e, scene_now);
	CHECK_INT(x.from->n_key_requests, 1);
	CHECK_INT(x.from->key_ssrc, x.layer[0].ssrc);
	ring_close(reader);
	scene_free(&x);
	tap_sink_close(&sink);
	ring_unlink("tap");
}

/* What lies in the ring is safe and makes room; the kind of the last record, 0: there is none. */
static int last_kind(struct ring *reader)
{
	const uint8_t *data;
	long len = ring_peek(reader, &data);
	struct frame f = {0};

	for (long at = 0, n; at < len; at += n) {
		n = frame_decode(data + at, (size_t)(len - at), &f, NULL);
		CHECK(n > 0);
	}
	ring_advance(reader, (size_t)len);
	ring_commit(reader, ring_cursor(reader));
	return f.kind;
}

TEST(the_end_of_a_recording_waits_for_room)
{
	static const struct tap_config who = {.room = "r", .user = "u"};
	struct frame junk = {
	    .kind = FRAME_TEXT, .room = "r", .room_len = 1, .session = "u", .session_len = 1};
	struct scene x = scene_new(MEDIA_OFF);
	struct tap_sink sink;
	struct ring *reader;
	struct loop *loop;

	setenv("MSR_RING_DIR", test_dir(), 1);
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(ring_open(&reader, "end", RING_CONSUMER, 65536), 0);
	CHECK_INT(tap_sink_open(&sink, "shm:end", loop, &scene_stats), 0);
	for (unsigned round = 0; round < 2; round++) {
		CHECK_INT(tap_open(&x.t->tap, &sink, &who, x.t), 0);
		while (sink_put(sink.sink, &junk, NULL) == 0)
			;
		tap_close(x.t->tap);
		tap_sink_flush(&sink);
		CHECK_INT(last_kind(reader), FRAME_TEXT);
		if (round) { /* who comes again before that goes on in it */
			CHECK_INT(tap_open(&x.t->tap, &sink, &who, x.t), 0);
			tap_sink_flush(&sink);
			CHECK_INT(last_kind(reader), 0);
			tap_close(x.t->tap);
		}
		tap_sink_flush(&sink);
		CHECK_INT(last_kind(reader), FRAME_CLOSE);
		tap_sink_flush(&sink);
		CHECK_INT(last_kind(reader), 0);
	}
	x.t->tap = NULL;
	scene_free(&x);
	tap_sink_close(&sink);
	ring_close(reader);
	ring_unlink("end");
	loop_free(loop);
}
