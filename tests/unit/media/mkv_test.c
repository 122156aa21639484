/* The Matroska writer: header of fixed size, clusters, and going on with a file. */
#include "media/mkv.h"

#include <errno.h>
#include <string.h>

#include "../../support/test.h"

#define WALL 1750000000000000LL

static const struct mkv_track opus = {.codec = MKV_OPUS, .channels = 2};
static const struct mkv_track h264 = {
    .codec = MKV_H264, .width = 1280, .height = 720, .private_len = 4, .private = {1, 2, 3, 4}};

static bool contains(const uint8_t *p, size_t n, const void *what, size_t len)
{
	return memmem(p, n, what, len);
}

TEST(a_header_tells_its_tracks_and_is_always_as_long)
{
	uint8_t head[MKV_HEAD + 1];
	struct mkv m, again;

	mkv_init(&m, WALL);
	head[MKV_HEAD] = 77;
	CHECK_INT(mkv_add_track(&m, &opus), 1);
	CHECK(mkv_is_webm(&m));
	mkv_head(&m, head);
	CHECK(contains(head, MKV_HEAD, "webm", 4) && contains(head, MKV_HEAD, "OpusHead", 8));
	CHECK_INT(mkv_add_track(&m, &h264), 2);
	CHECK(!mkv_is_webm(&m));
	m.duration_us = 1234567;
	mkv_head(&m, head);
	CHECK(contains(head, MKV_HEAD, "matroska", 8));
	CHECK_INT(head[MKV_HEAD], 77);

	CHECK_INT(mkv_resume(&again, head, MKV_HEAD), 0);
	CHECK_INT(again.start_wall_us, WALL);
	CHECK_INT(again.n_tracks, 2);
	CHECK_INT(again.tracks[0].codec, MKV_OPUS);
	CHECK_INT(again.tracks[0].channels, 2);
	CHECK_INT(again.tracks[1].codec, MKV_H264);
	CHECK_INT(again.tracks[1].width, 1280);
	CHECK_INT(again.tracks[1].height, 720);
	CHECK_INT(again.tracks[1].private_len, 4);
	CHECK_MEM(again.tracks[1].private, h264.private, 4);
}

TEST(the_largest_header_fits)
{
	struct mkv_track t = {.codec = MKV_AV1, .private_len = MKV_PRIVATE_MAX};
	uint8_t head[MKV_HEAD];
	struct mkv m, again;

	mkv_init(&m, WALL);
	for (int i = 1; i <= MKV_TRACKS_MAX; i++)
		CHECK_INT(mkv_add_track(&m, &t), i);
	CHECK_INT(mkv_add_track(&m, &t), -ENOSPC);
	mkv_head(&m, head);
	CHECK_INT(mkv_resume(&again, head, MKV_HEAD), 0);
	CHECK_INT(again.n_tracks, MKV_TRACKS_MAX);
	t.private_len++;
	mkv_init(&m, WALL);
	CHECK_INT(mkv_add_track(&m, &t), -EINVAL);
}

TEST(what_is_no_header_of_ours_is_not_gone_on_with)
{
	uint8_t head[MKV_HEAD] = {0};
	struct mkv m;

	CHECK_INT(mkv_resume(&m, head, sizeof(head)), -EBADMSG);
	mkv_init(&m, WALL);
	mkv_head(&m, head); /* without tracks */
	CHECK_INT(mkv_resume(&m, head, sizeof(head)), -EBADMSG);
	mkv_init(&m, WALL);
	mkv_add_track(&m, &opus);
	mkv_head(&m, head);
	CHECK_INT(mkv_resume(&m, head, sizeof(head) - 1), -EBADMSG);
}

TEST(the_beginning_of_a_file_tells_its_tracks_and_length)
{
	uint8_t head[MKV_HEAD];
	struct mkv m, again;

	mkv_init(&m, WALL);
	mkv_add_track(&m, &opus);
	mkv_add_track(&m, &h264);
	m.duration_us = 1234567000;
	mkv_head(&m, head);
	CHECK_INT(mkv_read_head(&again, head, sizeof(head)), 0);
	CHECK_INT(again.duration_us, 1234567000);
	CHECK_INT(again.n_tracks, 2);
	/* Without the end of its tracks it does not say all, with other codecs nothing. */
	for (size_t n = 0; n < 300; n++)
		CHECK(mkv_read_head(&again, head, n) != 0 || again.n_tracks == 2);
	uint8_t *codec = memmem(head, sizeof(head), "A_OPUS", 6);
	codec[0] = 'S';
	CHECK_INT(mkv_read_head(&again, head, sizeof(head)), -ENOTSUP);
}

/* Clusters begun so far: their ids in what was written. */
static int clusters(const struct buf *b)
{
	static const uint8_t id[] = {0x1f, 0x43, 0xb6, 0x75};
	int n = 0;

	for (size_t i = 0; i + 4 <= buf_len(b); i++)
		n += !memcmp(buf_data(b) + i, id, 4);
	return n;
}

TEST(clusters_begin_at_key_frames_and_never_grow_old)
{
	struct mkv m;
	struct buf b;

	mkv_init(&m, WALL);
	mkv_add_track(&m, &opus);
	mkv_add_track(&m, &h264);
	buf_init(&b, 0);
	for (int ms = 0; ms < 900; ms += 20) /* young: sound alone and key frames change nothing */
		CHECK_INT(mkv_block(&m, &b, 1 + (ms % 100 == 0), ms * 1000, true,
				    (const uint8_t *)"abc", 3),
			  0);
	CHECK_INT(clusters(&b), 1);
	CHECK_INT(mkv_block(&m, &b, 2, 1000000, true, (const uint8_t *)"k", 1), 0);
	CHECK_INT(clusters(&b), 2);
	CHECK_INT(mkv_block(&m, &b, 1, 5999000, true, (const uint8_t *)"a", 1), 0);
	CHECK_INT(clusters(&b), 2);
	CHECK_INT(mkv_block(&m, &b, 1, 6000000, true, (const uint8_t *)"a", 1), 0);
	CHECK_INT(clusters(&b), 3);
	/* A block of the other track that is a little behind stays in its cluster. */
	CHECK_INT(mkv_block(&m, &b, 2, 5500000, false, (const uint8_t *)"p", 1), 0);
	CHECK_INT(clusters(&b), 3);
	const uint8_t *last = buf_data(&b) + buf_len(&b) - 5;
	CHECK_INT(last[0], 0x82);
	CHECK_INT((int16_t)get_be16(last + 1), -500);
	CHECK_INT(last[3], 0);
	CHECK_INT(m.duration_us, 6000000);
	buf_done(&b);
}

TEST(bad_blocks_change_nothing)
{
	struct mkv m;
	struct buf b;

	mkv_init(&m, WALL);
	mkv_add_track(&m, &opus);
	buf_init(&b, 16);
	CHECK_INT(mkv_block(&m, &b, 0, 0, true, NULL, 0), -EINVAL);
	CHECK_INT(mkv_block(&m, &b, 2, 0, true, NULL, 0), -EINVAL);
	CHECK_INT(mkv_block(&m, &b, 1, -1, true, NULL, 0), -EINVAL);
	CHECK_INT(mkv_block(&m, &b, 1, 0, true, NULL, 0), -ENOBUFS);
	CHECK_INT(buf_len(&b), 0);
	CHECK(!m.open);
	buf_done(&b);
}
