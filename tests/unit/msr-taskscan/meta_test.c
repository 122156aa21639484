/* What NAME.json may say, and what it may not. */
#include "../../../cmd/msr-taskscan/meta.h"

#include <string.h>

#include "../../support/test.h"

static int parse(const char *text, struct meta *m)
{
	const char *why;

	return meta_parse(text, strlen(text), m, &why);
}

#define SHA "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"

TEST(everything_that_is_said_is_taken_over)
{
	struct meta m;

	CHECK_INT(parse("{\"room\":\"r\",\"session\":\"s\",\"start\":\"2026-01-01T00:00:00Z\","
			"\"duration\":1.5,\"codecs\":[\"vp8\",\"opus\"],\"bytes\":6,"
			"\"sha256\":\"" SHA "\"}",
			&m),
		  0);
	CHECK_STR(m.room, "r");
	CHECK_STR(m.session, "s");
	CHECK_STR(m.start, "2026-01-01T00:00:00Z");
	CHECK_STR(m.codec, "vp8,opus");
	CHECK_STR(m.sha256, SHA);
	CHECK_INT(m.bytes, 6);
	CHECK(m.duration == 1.5);
}

TEST(codecs_come_in_several_forms)
{
	struct meta m;

	CHECK_INT(parse("{\"codecs\":{\"audio\":\"opus\",\"video\":\"vp9\"}}", &m), 0);
	CHECK_STR(m.codec, "vp9,opus");
	CHECK_INT(parse("{\"codec\":\"mp3\"}", &m), 0);
	CHECK_STR(m.codec, "mp3");
}

TEST(what_is_not_said_or_has_another_type_stays_unknown)
{
	struct meta m;

	CHECK_INT(parse("{\"room\":null,\"bytes\":-1,\"duration\":\"x\",\"codecs\":7,"
			"\"sha256\":\"ABC\",\"start\":\"a\\nb\"}",
			&m),
		  0);
	CHECK_STR(m.room, "");
	CHECK_STR(m.start, "");
	CHECK_STR(m.codec, "");
	CHECK_STR(m.sha256, "");
	CHECK_INT(m.bytes, -1);
	CHECK(m.duration < 0);
}

TEST(ids_that_are_none_and_broken_json_are_refused)
{
	struct meta m;

	CHECK(parse("{\"room\":\"../x\"}", &m) < 0);
	CHECK_STR(m.room, "");
	CHECK(parse("{\"session\":7}", &m) < 0);
	CHECK(parse("{\"session\":\"a\\u0000b\"}", &m) < 0);
	CHECK(parse("[1]", &m) < 0);
	CHECK(parse("{", &m) < 0);
	CHECK(parse("", &m) < 0);
	CHECK(parse("{\"room\":\"a\",\"room\":\"b\"}", &m) < 0);
}
