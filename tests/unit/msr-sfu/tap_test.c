/* The recorder's tap at a ring without room: what is left out, what is asked for, what is told. */
#include "../../../cmd/msr-sfu/fwd/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../cmd/msr-sfu/fwd/endpoint.h"
#include "../../../cmd/msr-sfu/fwd/track.h"
#include "../../support/test.h"
#include "frame/ring.h"
#include "frame/sink.h"
#include "loop/loop.h"
#include "rtp/rtcp.h"

#define RING	   262144
#define VIDEO	   96
#define AUDIO	   111
#define VIDEO_SSRC 11
#define AUDIO_SSRC 22
#define PAYLOAD	   1000 /* bytes */

static const struct tap_config who = {.room = "r", .user = "u"};
static struct media_stats stats;
static struct endpoint from;
static struct track *video, *audio;
static struct tap_sink sink;
static struct ring *reader;
static struct loop *loop;
static unsigned n_plis;
static uint16_t video_seq, audio_seq;
static int64_t now, wall = 1800000000000000;

/* All but lib/base goes by it. */
int64_t __wrap_clock_wall_us(void);

int64_t __wrap_clock_wall_us(void)
{
	return wall;
}

/* What was told of gaps, the last time. */
static struct told {
	unsigned n, n_open;
	media_id track;
	uint64_t left_out;
} told;

static void on_gap(void *arg, const struct track *of, uint64_t left_out, bool open)
{
	(void)arg;
	told.n += !open;
	told.n_open += open;
	told.track = of->id;
	told.left_out = left_out;
}

static uint8_t *no_out(void *arg)
{
	(void)arg;
	return NULL;
}

static void no_rtp(void *arg, size_t header_len, const uint8_t *payload, size_t len, uint64_t index)
{
	(void)arg, (void)header_len, (void)payload, (void)len, (void)index;
}

static void no_flush(void *arg)
{
	(void)arg;
}

static void count_plis(void *arg, const uint8_t *p, size_t n)
{
	struct rtcp_msg m;
	uint32_t ssrc;

	(void)arg;
	for (struct rtcp_iter it = rtcp_begin(p, n); rtcp_next(&it, &m);)
		if (m.type == RTCP_PSFB && m.count == RTCP_PLI && !rtcp_get_media(&m, &ssrc)) {
			CHECK_INT(ssrc, VIDEO_SSRC);
			n_plis++;
		}
}

static const struct wire wire = {no_out, no_rtp, no_flush, count_plis};

/* A packet of a burst that has not ended yet. */
static void put(uint8_t pt, uint32_t ssrc, uint16_t seq, bool key)
{
	static uint8_t ring[8][RTP_HEADER + PAYLOAD];
	static unsigned i;
	uint8_t *p = ring[i++ % 8];
	struct rtp_header h = {.pt = pt, .marker = true, .seq = seq, .ts = seq, .ssrc = ssrc};

	CHECK_INT(rtp_header_write(p, sizeof(ring[0]), &h, NULL, 0), RTP_HEADER);
	memset(p + RTP_HEADER, 0, PAYLOAD);
	if (pt == VIDEO) {
		p[RTP_HEADER] = 0x10;	  /* VP8: a picture begins */
		p[RTP_HEADER + 1] = !key; /* whether it is not a key frame */
		memcpy(p + RTP_HEADER + 4, "\x9d\x01\x2a", 3);
	}
	endpoint_rtp(&from, p, sizeof(ring[0]), now);
}

static void send(uint8_t pt, uint32_t ssrc, uint16_t seq, bool key)
{
	now += 10000;
	put(pt, ssrc, seq, key);
	endpoint_batch_end(&from, now);
}

static void picture(bool key)
{
	send(VIDEO, VIDEO_SSRC, video_seq++, key);
}

static void sound(void)
{
	send(AUDIO, AUDIO_SSRC, audio_seq++, false);
}

static void tick(void)
{
	now += FWD_TICK_US;
	n_plis = 0;
	endpoint_tick(&from, now);
	tap_sink_flush(&sink);
}

static void set_up(void)
{
	struct media_track_config v = {.codec = RTP_CODEC_VP8,
				       .pt = VIDEO,
				       .ssrc = VIDEO_SSRC,
				       .mid = "v",
				       .feedback = {.pli = true}};
	struct media_track_config a = {
	    .codec = RTP_CODEC_OPUS, .pt = AUDIO, .ssrc = AUDIO_SSRC, .mid = "a"};

	now = 100000000;
	stats = (struct media_stats){0};
	told = (struct told){0};
	video_seq = audio_seq = 1;
	setenv("MSR_RING_DIR", test_dir(), 1);
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(ring_open(&reader, "tap", RING_CONSUMER, RING), 0);
	CHECK_INT(tap_sink_open(&sink, "shm:tap", loop, &stats), 0);
	sink.gap = on_gap;
	endpoint_init(&from, &wire, NULL, &stats);
	CHECK_INT(track_new(&video, &from, 1, &v), 0);
	CHECK_INT(track_new(&audio, &from, 2, &a), 0);
	endpoint_connected(&from, now);
	CHECK_INT(tap_open(&video->tap, &sink, &who, video), 0);
	CHECK_INT(tap_open(&audio->tap, &sink, &who, audio), 0);
}

static void tear_down(void)
{
	endpoint_done(&from);
	tap_sink_close(&sink);
	ring_close(reader);
	ring_unlink("tap");
	loop_free(loop);
}

/* What the reader finds of one track. */
struct found {
	unsigned n, gaps;
	uint64_t first, last; /* numbers */
	bool first_gap, first_key;
	int64_t time_us; /* of the last */
};

/* Reads everything, which makes room. */
static struct found take(uint8_t codec)
{
	const uint8_t *data;
	long len = ring_peek(reader, &data);
	struct found found = {0};
	struct frame f;

	for (long at = 0, n; at < len; at += n) {
		n = frame_decode(data + at, (size_t)(len - at), &f, NULL);
		CHECK(n > 0);
		if (f.kind != FRAME_RTP || f.codec != codec)
			continue;
		if (!found.n++) {
			found.first = f.part;
			found.first_gap = f.flags & FRAME_GAP;
			found.first_key = f.flags & FRAME_KEY;
		}
		found.last = f.part;
		found.time_us = f.time_us;
		found.gaps += (f.flags & FRAME_GAP) != 0;
	}
	ring_advance(reader, (size_t)len);
	ring_commit(reader, ring_cursor(reader));
	return found;
}

TEST(pictures_are_left_out_up_to_a_key_frame_that_is_asked_for)
{
	uint64_t dropped = 0;

	set_up();
	picture(true);
	tick();
	tick();
	CHECK_INT(n_plis, 0); /* it has its key frame */
	while (!stats.record_gaps)
		picture(false);
	CHECK_INT(stats.record_gaps, 1);
	uint64_t first_missing = video_seq - 1u;
	struct found f = take(CODEC_VP8);
	CHECK_INT(f.last, first_missing - 1);
	CHECK_INT(f.gaps, 0);
	/* There is room again, but nothing that could be shown. */
	for (unsigned i = 0; i < 5; i++)
		picture(false);
	CHECK_INT(take(CODEC_VP8).n, 0);
	now += STREAM_KEY_US;
	tick();
	CHECK_INT(n_plis, 1);
	CHECK_INT(told.n, 0);
	CHECK_INT(stats.record_dropped, 6);
	picture(true);
	picture(false);
	f = take(CODEC_VP8);
	CHECK_INT(f.n, 2);
	CHECK_INT(f.first, first_missing + 6);
	CHECK(f.first_gap && f.first_key);
	CHECK_INT(f.gaps, 1);
	CHECK_INT(told.n, 1);
	CHECK_INT(told.track, 1);
	CHECK_INT(told.left_out, 6);
	dropped = stats.record_dropped;
	picture(false);
	CHECK_INT(stats.record_dropped, dropped);
	CHECK_INT(told.n, 1);
	tear_down();
}

/* Else the end of either would end both. */
TEST(camera_and_screen_of_somebody_called_screen_are_two_recordings)
{
	struct tap_config camera = {.room = "r", .user = "screen", .source = SOURCE_CAMERA};
	struct tap_config screen = {.room = "r", .user = "screen", .source = SOURCE_SCREEN};
	struct tap *a, *b;
	char marks[256] = "";
	const uint8_t *data;
	struct frame f;

	set_up();
	CHECK_INT(tap_open(&a, &sink, &camera, video), 0);
	CHECK_INT(tap_open(&b, &sink, &screen, video), 0);
	tap_close(b);
	tap_close(a);
	tap_sink_flush(&sink);
	long len = ring_peek(reader, &data);
	for (long at = 0, n; at < len; at += n) {
		n = frame_decode(data + at, (size_t)(len - at), &f, NULL);
		CHECK(n > 0);
		if (f.session_len == 6)
			snprintf(marks + strlen(marks), sizeof(marks) - strlen(marks), "%s %.*s, ",
				 frame_kind_name(f.kind), f.storage_len, f.storage);
	}
	CHECK_STR(marks, "open camera, open screen, close screen, close camera, ");
	tear_down();
}

TEST(sound_is_left_out_packet_by_packet)
{
	set_up();
	while (!stats.record_gaps)
		sound();
	uint64_t first_missing = audio_seq - 1u;
	sound();
	sound();
	CHECK_INT(stats.record_dropped, 3);
	CHECK_INT(told.n, 0);
	CHECK_INT(take(CODEC_OPUS).last, first_missing - 1);
	sound();
	sound();
	struct found f = take(CODEC_OPUS);
	CHECK_INT(f.n, 2);
	CHECK_INT(f.first, first_missing + 3);
	CHECK(f.first_gap);
	CHECK_INT(f.gaps, 1);
	CHECK_INT(told.n, 1);
	CHECK_INT(told.track, 2);
	CHECK_INT(told.left_out, 3);
	CHECK_INT(stats.record_gaps, 1);
	tear_down();
}

/* Of every request all viewers pay a key frame's bytes. */
TEST(no_key_frame_is_asked_for_while_none_fits)
{
	set_up();
	picture(true);
	while (!stats.record_gaps)
		picture(false);
	for (unsigned i = 0; i < 300; i++) {
		picture(i % 50 == 0); /* others ask for one now and then */
		tick();
		CHECK_INT(n_plis, 0);
	}
	take(CODEC_VP8);
	tick();
	CHECK_INT(n_plis, 1);
	picture(true);
	tick();
	CHECK_INT(take(CODEC_VP8).n, 1);
	CHECK_INT(n_plis, 0);
	tear_down();
}

TEST(a_key_frame_that_is_never_seen_is_asked_for_less_and_less)
{
	unsigned asked = 0;

	set_up();
	for (int64_t until = now + 120000000; now < until; asked += n_plis) {
		picture(false); /* encrypted end to end, say */
		tick();
	}
	CHECK(asked > 10 && asked < 50);
	take(CODEC_VP8);
	picture(true);
	CHECK_INT(take(CODEC_VP8).n, 1);
	tear_down();
}

/* The rest of it came in time, and nobody asks for it again. */
TEST(a_key_frame_whose_first_packet_comes_late_is_recorded_whole)
{
	set_up();
	picture(false);
	for (uint16_t seq = 3; seq < 6; seq++)
		send(VIDEO, VIDEO_SSRC, seq, false);
	put(VIDEO, VIDEO_SSRC, 2, true);
	put(VIDEO, VIDEO_SSRC, 6, false);
	endpoint_batch_end(&from, now);
	send(VIDEO, VIDEO_SSRC, 7, false);
	struct found f = take(CODEC_VP8);
	CHECK_INT(f.n, 6);
	CHECK(f.first == 2 && f.first_key);
	CHECK_INT(f.last, 7);
	tear_down();
}

TEST(what_is_lost_without_nack_is_made_good_by_a_key_frame)
{
	unsigned asked = 0;

	set_up();
	picture(true);
	video_seq++;
	for (unsigned i = 0; i < 50; i++, asked += n_plis) {
		picture(false);
		tick();
	}
	CHECK(asked > 0);
	tear_down();
}

/* When something is recorded of a room by another user. */
static int64_t newcomer_us(const char *room)
{
	struct tap_config other = {.user = "v"};
	struct media_track_config c = audio->config;
	struct track *t;

	snprintf(other.room, sizeof(other.room), "%s", room);
	c.ssrc = 33;
	c.pt = 112;
	CHECK_INT(track_new(&t, &from, 3, &c), 0);
	CHECK_INT(tap_open(&t->tap, &sink, &other, t), 0);
	send(112, 33, 1, false);
	int64_t time_us = take(CODEC_OPUS).time_us;
	endpoint_drop_track(&from, t);
	return time_us;
}

TEST(a_clock_that_is_set_moves_nothing_within_a_room)
{
	set_up();
	sound();
	int64_t first_us = take(CODEC_OPUS).time_us - now;
	wall += 3600000000;
	tick();
	sound();
	CHECK_INT(take(CODEC_OPUS).time_us - now, first_us);
	CHECK_INT(newcomer_us("r") - now, first_us);
	CHECK(newcomer_us("q") - now > first_us + 3500000000);
	tear_down();
}

/* One track's gap is nothing to the other, and each is told by itself. */
TEST(each_track_has_gaps_of_its_own)
{
	set_up();
	picture(true);
	while (!stats.record_gaps)
		picture(false);
	sound();
	CHECK_INT(stats.record_gaps, 2);
	take(CODEC_VP8);
	sound();
	CHECK_INT(told.n, 1);
	CHECK_INT(told.track, 2);
	picture(false);
	picture(true);
	CHECK_INT(told.n, 2);
	CHECK_INT(told.track, 1);
	CHECK_INT(told.left_out, 2);
	tear_down();
}

TEST(a_gap_that_lasts_is_told_once_a_second)
{
	set_up();
	while (!stats.record_gaps)
		sound();
	tick();
	CHECK_INT(told.n_open, 1);
	CHECK_INT(told.left_out, 1);
	sound();
	tick();
	CHECK_INT(told.n_open, 1);
	now += 1000000;
	tick();
	CHECK_INT(told.n_open, 2);
	CHECK_INT(told.left_out, 2);
	CHECK_INT(told.n, 0);
	tear_down();
}

TEST(before_the_first_key_frame_nothing_is_missing)
{
	set_up();
	picture(false);
	picture(false);
	tick();
	CHECK_INT(n_plis, 1);
	picture(true);
	CHECK_INT(told.n + told.n_open, 0);
	CHECK_INT(stats.record_dropped, 0);
	struct found f = take(CODEC_VP8);
	CHECK_INT(f.n, 1);
	CHECK(f.first_key && !f.first_gap);
	tear_down();
}
