/* The query of a connection. */
#include "../../../cmd/msr-ws/query.h"

#include <errno.h>
#include <stdio.h>

#include "../../support/test.h"
#include "frame/frame.h"

static struct query q;
static char why[160];

static int set(const char *name, const char *value)
{
	return query_set(&q, name, value, why, sizeof(why));
}

TEST(raw_samples_have_defaults)
{
	q = (struct query){0};
	CHECK_INT(set("codec", "s16le"), 0);
	CHECK_INT(query_check(&q, why, sizeof(why)), 0);
	CHECK_INT(q.kind, FRAME_AUDIO);
	CHECK_INT(q.rate, 48000);
	CHECK_INT(q.channels, 1);
	CHECK_INT(set("rate", "8000"), 0);
	CHECK_INT(set("channels", "2"), 0);
	CHECK_INT(query_check(&q, why, sizeof(why)), 0);
	CHECK(q.rate == 8000 && q.channels == 2);
}

TEST(flags_and_numbers)
{
	q = (struct query){0};
	CHECK_INT(set("ack", "1"), 0);
	CHECK_INT(set("resume", "0"), 0);
	CHECK_INT(set("part", "9007199254740992"), 0);
	CHECK_INT(set("storage", "screen"), 0);
	CHECK_INT(set("media", "video"), 0);
	CHECK(q.ack && !q.resume && q.has_part && q.part == (uint64_t)1 << 53);
	CHECK_STR(q.storage, "screen");
	CHECK_INT(q.kind, FRAME_VIDEO);
}

TEST(nonsense_is_refused)
{
	static const char *const bad[][2] = {
	    {"media", "smell"},
	    {"codec", "mp9"},
	    {"codec", ""},
	    {"rate", "0"},
	    {"rate", "-1"},
	    {"rate", "1e3"},
	    {"rate", "9999999"},
	    {"channels", "0"},
	    {"channels", "33"},
	    {"part", "-1"},
	    {"part", " 1"},
	    {"part", "9007199254740993"},
	    {"storage", "../x"},
	    {"storage", ""},
	    {"storage", ".x"},
	    {"ack", "maybe"},
	    {"part", "99999999999999999999999999999"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		q = (struct query){0};
		CHECK_INT(set(bad[i][0], bad[i][1]), -EINVAL);
		CHECK(why[0]);
	}
	q = (struct query){0};
	CHECK_INT(set("media", "video"), 0);
	CHECK_INT(set("codec", "u8"), 0);
	CHECK_INT(query_check(&q, why, sizeof(why)), -EINVAL);
}
