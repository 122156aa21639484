/* Packets of a track to frames with their time: other streams in its place, rests, lost packets. */
#include "../../../cmd/msr-record/rtp_track.h"

#include "../../support/test.h"
#include "frame/frame.h"
#include "rtp/depack.h"
#include "rtp/packet.h"

#define MS     1000
#define ORIGIN 1750000000000000LL
#define OPUS   "\xf8\xff\xfe"				      /* 20 ms */
#define KEY    "\x10\x10\x02\x00\x9d\x01\x2a\x80\x02\xe0\x01" /* the whole of a VP8 key frame */
#define DELTA  "\x10\x01one"

static struct rtp_track t;
static unsigned n_frames, n_bytes;
static int64_t last_us;

static int take(void *arg, int64_t time_us, const struct depack_frame *f)
{
	(void)arg;
	n_frames++;
	n_bytes = (unsigned)f->len;
	last_us = time_us;
	return 0;
}

static void begin(enum rtp_codec codec)
{
	n_frames = 0;
	CHECK_INT(rtp_track_init(&t, codec, ORIGIN), 0);
}

struct sent {
	uint32_t ssrc, ts;
	uint16_t seq;
	bool marker;
	uint64_t part; /* of its frame, */
	bool gap;      /* with FRAME_GAP */
};

static struct frame frame_of(const uint8_t *packet, size_t len, int64_t at_us)
{
	return (struct frame){.body = packet, .body_len = (uint32_t)len, .time_us = ORIGIN + at_us};
}

static void put(struct sent s, const char *payload, size_t len, int64_t at_us)
{
	uint8_t packet[RTP_HEADER + 64] = {0x80};

	rtp_set_seq(packet, s.seq);
	rtp_set_ts(packet, s.ts);
	rtp_set_ssrc(packet, s.ssrc);
	rtp_set_marker(packet, s.marker);
	memcpy(packet + RTP_HEADER, payload, len);
	struct frame f = frame_of(packet, RTP_HEADER + len, at_us);
	f.part = s.part;
	f.flags = s.gap ? FRAME_GAP : 0;
	CHECK_INT(rtp_track_put(&t, &f, take, NULL), 0);
}

#define PUT(sent, payload, at_us) put(sent, payload, sizeof(payload) - 1, at_us)

/* `n` packets of sound, from this number on, 20 ms apart. */
static void sound(uint32_t ssrc, uint16_t seq, unsigned n, int64_t at_us)
{
	for (unsigned i = 0; i < n; i++)
		PUT(((struct sent){.ssrc = ssrc, .ts = i * 960, .seq = (uint16_t)(seq + i)}), OPUS,
		    at_us + i * 20 * MS);
}

TEST(another_stream_may_have_any_sequence_numbers)
{
	static const uint16_t others[] = {1, 900, 1000, 1050, 1099, 1100, 2500, 4000, 40000};

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		begin(RTP_CODEC_OPUS);
		sound(1, 1000, 100, 0);
		sound(2, others[i], 100, 2000 * MS);
		rtp_track_drain(&t, take, NULL);
		CHECK_INT(n_frames, 200);
		CHECK_INT(t.lost, 0);
		CHECK_INT(last_us, 3980 * MS);
		rtp_track_done(&t);
	}
}

TEST(a_picture_that_a_rest_finds_half_there_is_whole_or_not_there)
{
	begin(RTP_CODEC_VP8);
	PUT(((struct sent){.ts = 0, .seq = 1, .marker = true}), KEY, 0);
	PUT(((struct sent){.ts = 3000, .seq = 2}), DELTA, 200 * MS);
	rtp_track_drain(&t, take, NULL); /* the network stands still between two packets of it */
	CHECK_INT(n_frames, 1);
	PUT(((struct sent){.ts = 3000, .seq = 3, .marker = true}),
	    "\x00"
	    "two",
	    1500 * MS);
	rtp_track_drain(&t, take, NULL);
	CHECK_INT(n_frames, 2);
	CHECK_INT(n_bytes, 7);
	PUT(((struct sent){.ts = 6000, .seq = 4}), DELTA, 1600 * MS);
	rtp_track_drain(&t, take, NULL); /* its rest never comes */
	CHECK_INT(n_frames, 2);
	rtp_track_done(&t);
}

TEST(what_waits_for_a_lost_packet_does_not_wait_for_the_next_one)
{
	begin(RTP_CODEC_VP8);
	PUT(((struct sent){.ts = 0, .seq = 1}), KEY, 0);
	PUT(((struct sent){.ts = 0, .seq = 2, .marker = true}), "\x00rest", 0);
	PUT(((struct sent){.ts = 3000, .seq = 3, .marker = true}), DELTA, 200 * MS);
	PUT(((struct sent){.ts = 9000, .seq = 5, .marker = true}), KEY, 266 * MS);
	CHECK_INT(n_frames, 2);
	CHECK_INT(rtp_track_tick(&t, ORIGIN + 2400 * MS, take, NULL), 0);
	CHECK_INT(n_frames, 2);
	CHECK_INT(rtp_track_tick(&t, ORIGIN + 2500 * MS, take, NULL), 0);
	CHECK_INT(n_frames, 3);
	CHECK_INT(last_us, 100 * MS);
	rtp_track_done(&t);
}

TEST(a_picture_that_waits_for_the_packet_behind_it_lies_where_it_came)
{
	begin(RTP_CODEC_VP8);
	/* A slide, of which nobody knows yet whether its marker is right; the next comes late. */
	PUT(((struct sent){.ts = 0, .seq = 1, .marker = true}), KEY, 0);
	PUT(((struct sent){.ts = 90000, .seq = 2, .marker = true}), DELTA, 1000 * MS);
	CHECK_INT(n_frames, 1);
	CHECK_INT(last_us, 0);
	CHECK_INT(rtp_track_tick(&t, ORIGIN + 3100 * MS, take, NULL), 0);
	CHECK_INT(n_frames, 1);
	CHECK_INT(rtp_track_tick(&t, ORIGIN + 3300 * MS, take, NULL), 0);
	CHECK_INT(n_frames, 2);
	CHECK_INT(last_us, 1000 * MS);
	rtp_track_done(&t);
}

TEST(padding_behind_a_picture_that_waits_neither_moves_it_nor_keeps_it)
{
	begin(RTP_CODEC_VP8);
	PUT(((struct sent){.ts = 0, .seq = 1, .marker = true}), KEY, 0);
	PUT(((struct sent){.ts = 0, .seq = 2}), "", 1000 * MS);
	PUT(((struct sent){.ts = 180000, .seq = 3, .marker = true}), DELTA, 2000 * MS);
	CHECK_INT(n_frames, 1);
	CHECK_INT(last_us, 0);
	PUT(((struct sent){.ts = 180000, .seq = 4}), "", 4000 * MS);
	CHECK_INT(rtp_track_tick(&t, ORIGIN + 4300 * MS, take, NULL), 0);
	CHECK_INT(n_frames, 2);
	CHECK_INT(last_us, 2000 * MS);
	rtp_track_done(&t);
}

TEST(what_was_left_out_before_a_frame_is_lost_from_its_own_stream_alone)
{
	begin(RTP_CODEC_OPUS);
	PUT(((struct sent){.ssrc = 1, .seq = 1, .part = 7}), OPUS, 0);
	/* Its numbers look like those of the next packet: a whole round of them is missing. */
	PUT(((struct sent){.ssrc = 1, .seq = 2, .part = 65544, .gap = true}), OPUS, 1000 * MS);
	CHECK_INT(t.lost, 65536);
	/* The flag without a number that says so; another stream; a number that comes again. */
	PUT(((struct sent){.ssrc = 1, .seq = 3, .part = 65545, .gap = true}), OPUS, 1020 * MS);
	PUT(((struct sent){.ssrc = 2, .seq = 9, .part = 70000, .gap = true}), OPUS, 1040 * MS);
	PUT(((struct sent){.ssrc = 2, .seq = 9, .part = 70000, .gap = true}), OPUS, 1040 * MS);
	CHECK_INT(t.lost, 65536);
	PUT(((struct sent){.ssrc = 2, .seq = 12, .part = 70003, .gap = true}), OPUS, 1100 * MS);
	CHECK_INT(t.lost, 65538);
	rtp_track_drain(&t, take, NULL);
	CHECK_INT(n_frames, 5);
	CHECK_INT(t.lost, 65538);
	rtp_track_done(&t);
}

/* ---- clocks that drift ---- */

#define SENDER	   3900000000000000LL
#define REPORT_US  5000000
#define PICTURE_US 40000

static int remember(void *arg, int64_t time_us, const struct depack_frame *f)
{
	CHECK(f->len > 0);
	*(int64_t *)arg = time_us;
	return 0;
}

/*
 * An hour whose sound card's clock is off by so much, and whose camera's is right. By how much the
 * picture came to lie before the sound that was sent with it, at its end; the gaps in *gaps_us.
 */
static int64_t skew_of_an_hour(int ppm, int64_t *gaps_us)
{
	uint8_t sound[RTP_HEADER + 3] = {0x80}, picture[RTP_HEADER + sizeof(KEY)] = {0x80};
	int64_t sound_us = 0, picture_us = 0, at_us = 0, reported_us = 0;
	struct rtp_track a, v;
	uint32_t n_pictures = 0;

	CHECK_INT(rtp_track_init(&a, RTP_CODEC_OPUS, ORIGIN), 0);
	CHECK_INT(rtp_track_init(&v, RTP_CODEC_VP8, ORIGIN), 0);
	memcpy(sound + RTP_HEADER, OPUS, 3);
	memcpy(picture + RTP_HEADER, KEY, sizeof(KEY));
	*gaps_us = 0;
	/* The first picture has a packet more, without a marker: the others do not wait then. */
	rtp_set_seq(picture, UINT16_MAX);
	rtp_set_marker(picture, false);
	struct frame s = frame_of(sound, sizeof(sound), 0),
		     p = frame_of(picture, sizeof(picture), 0);
	rtp_track_put(&v, &p, remember, &picture_us);
	rtp_set_marker(picture, true);
	for (uint32_t i = 0; at_us < 3600 * 1000000LL; i++) {
		int64_t before_us = sound_us;
		at_us = (int64_t)i * 20000 * (1000000 - ppm) / 1000000;
		rtp_set_seq(sound, (uint16_t)i);
		rtp_set_ts(sound, i * 960);
		s.time_us = p.time_us = ORIGIN + at_us;
		rtp_track_put(&a, &s, remember, &sound_us);
		*gaps_us += sound_us > before_us + 20 * MS ? sound_us - before_us - 20 * MS : 0;
		for (; n_pictures * (int64_t)PICTURE_US <= at_us; n_pictures++) {
			rtp_set_seq(picture, (uint16_t)n_pictures);
			rtp_set_ts(picture, n_pictures * PICTURE_US / 1000 * 90);
			rtp_track_put(&v, &p, remember, &picture_us);
		}
		if (at_us - reported_us < REPORT_US)
			continue;
		reported_us = at_us;
		timeline_report(&a.time, i * 960, SENDER + at_us);
		timeline_report(&v.time, (uint32_t)(at_us / 1000 * 90), SENDER + at_us);
		timeline_follow(&v.time, &a.time);
	}
	rtp_track_done(&a);
	rtp_track_done(&v);
	int64_t ahead_us = (n_pictures - 1) * (int64_t)PICTURE_US - at_us;
	return sound_us - (picture_us - ahead_us);
}

TEST(sound_and_picture_stay_together_whatever_their_clocks)
{
	static const int ppm[] = {0, 50, -50, 300, -300, 500, -500};

	for (unsigned i = 0; i < sizeof(ppm) / sizeof(ppm[0]); i++) {
		int64_t gaps_us, skew_us = skew_of_an_hour(ppm[i], &gaps_us);
		CHECK(skew_us > -10 * MS && skew_us < 10 * MS);
		CHECK(gaps_us < 200 * MS); /* its first packets come at once */
	}
}
