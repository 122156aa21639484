/* Records: what is encoded is decoded; damage is found and passed over. */
#include "frame/frame.h"

#include <errno.h>
#include <stdlib.h>

#include "../../support/test.h"

static struct frame sample(const uint8_t *body, uint32_t n)
{
	return (struct frame){.kind = FRAME_AUDIO,
			      .codec = CODEC_S16LE,
			      .channels = 1,
			      .rate = 48000,
			      .time_us = 1700000000000001,
			      .part = 7,
			      .room = "room",
			      .room_len = 4,
			      .session = "session",
			      .session_len = 7,
			      .storage = "st",
			      .storage_len = 2,
			      .body = body,
			      .body_len = n};
}

TEST(a_record_survives_the_round_trip)
{
	for (uint32_t n = 0; n < 40; n++) {
		uint8_t body[40], rec[256];
		struct frame f = sample(body, n), g;
		memset(body, 0x5a, sizeof(body));
		CHECK_INT(frame_encode(&f, rec), 0);
		size_t size = frame_size(&f);
		CHECK_INT(size % 8, 0);
		for (size_t have = 0; have < size; have++) {
			size_t need = 0;
			CHECK_INT(frame_decode(rec, have, &g, &need), -EAGAIN);
			CHECK(need > have && need <= size);
		}
		CHECK_INT(frame_decode(rec, size, &g, NULL), size);
		CHECK_INT(g.part, 7);
		CHECK_INT(g.rate, 48000);
		CHECK_INT(g.time_us, f.time_us);
		CHECK_INT(g.body_len, n);
		CHECK_MEM(g.body, body, n);
		CHECK_MEM(g.storage, "st", 2);
	}
}

TEST(every_damaged_bit_is_found)
{
	/* Longer than the record: damaged id lengths must not look like a short read. */
	uint8_t body[16], rec[512] = {0};
	struct frame f = sample(body, 16), g;

	memset(body, 0x33, sizeof(body));
	CHECK_INT(frame_encode(&f, rec), 0);
	size_t covered = FRAME_HEAD + 13 + 16;
	for (size_t bit = 0; bit < covered * 8; bit++) {
		rec[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_INT(frame_decode(rec, sizeof(rec), &g, NULL), -EBADMSG);
		rec[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

TEST(resync_finds_the_next_record)
{
	uint8_t body[8] = {0}, data[512] = "MSRFjunkMSMSR";
	struct frame f = sample(body, 8), g;
	size_t at = 0;
	long n;

	CHECK_INT(frame_encode(&f, data + 100), 0);
	while ((n = frame_decode(data + at, sizeof(data) - at, &g, NULL)) < 0) {
		CHECK_INT(n, -EBADMSG);
		at += frame_resync(data + at, sizeof(data) - at);
		CHECK(at < sizeof(data));
	}
	CHECK_INT(at, 100);
}

TEST(invalid_fields_are_not_encoded)
{
	uint8_t rec[128];
	struct frame f = sample(NULL, 0);

	f.room = "..";
	f.room_len = 2;
	CHECK_INT(frame_encode(&f, rec), -EINVAL);
	f = sample(NULL, 0);
	f.kind = FRAME_KINDS;
	CHECK_INT(frame_encode(&f, rec), -EINVAL);
}

TEST(ids_that_are_checked_once_are_encoded_as_others_are)
{
	uint8_t each[128], once[128];
	struct frame f = sample((const uint8_t *)"body", 4);

	memset(each, 1, sizeof(each));
	memset(once, 2, sizeof(once));
	CHECK_INT(frame_encode(&f, each), 0);
	frame_check_ids(&f);
	CHECK(f.ids_checked);
	CHECK_INT(frame_encode(&f, once), 0);
	CHECK_MEM(each, once, frame_size(&f));
}

TEST(ids_that_are_wrong_are_not_encoded_for_being_checked)
{
	const char *const wrong[] = {"..", "a/b", ".a", "", "a b", "\xc3\xa4"};
	uint8_t rec[128];

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct frame f = sample(NULL, 0);
		f.session = wrong[i];
		f.session_len = (uint8_t)strlen(wrong[i]);
		frame_check_ids(&f);
		CHECK_INT(frame_encode(&f, rec), -EINVAL);
	}
}
