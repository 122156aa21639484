/* JSON messages of clients: what they are, and precise errors. */
#include "../../../cmd/msr-ws/message.h"
#include "../../../cmd/msr-ws/base64.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../support/test.h"

static char text[8192];
static struct message m;

static void parse(const char *s)
{
	snprintf(text, sizeof(text), "%s", s);
	message_parse(text, strlen(text), &m);
}

static void check_error(const char *s, const char *code)
{
	parse(s);
	CHECK_INT(m.type, MESSAGE_ERROR);
	CHECK_STR(m.error, code);
}

static void check_text(const char *s)
{
	parse(s);
	CHECK_INT(m.type, MESSAGE_TEXT);
	CHECK_STR(text, s); /* untouched */
}

TEST(audio_frames)
{
	parse("{\"j_type\":\"AudioFrame\",\"storage_id\":\"st-1\",\"body\":\"AAEC\",\"part\":7}");
	CHECK_INT(m.type, MESSAGE_AUDIO);
	CHECK(m.has_part && m.part == 7);
	CHECK_STR(m.storage, "st-1");
	CHECK_INT(m.body_len, 3);
	CHECK_MEM(m.body, "\0\1\2", 3);
	parse(" { \"part\" : null , \"body\" : \"\" , \"j_type\" : \"audio\" } ");
	CHECK_INT(m.type, MESSAGE_AUDIO);
	CHECK(!m.has_part && !m.storage && m.body_len == 0);
}

TEST(video_frames_as_bytes)
{
	parse("{\"j_type\":\"video\",\"body\":[0, 1,255 ,7],\"part\":0}");
	CHECK_INT(m.type, MESSAGE_VIDEO);
	CHECK_INT(m.body_len, 4);
	CHECK_MEM(m.body, "\0\1\377\7", 4);
	parse("{\"j_type\":\"VideoFrame\",\"body\":[]}");
	CHECK_INT(m.type, MESSAGE_VIDEO);
	CHECK_INT(m.body_len, 0);
}

/* To others in the room it would be the server's own message. */
TEST(a_type_cannot_hide_in_text)
{
	char deep[256] = "{\"a\":";

	check_error("{\"\\u006a_type\":\"ack\",\"part\":9}", "bad_type");
	check_error("{\"\\u006a\\u005F\\u0074\\u0079\\u0070\\u0065\":\"ack\"}", "bad_type");
	check_error("{\"a\":NaN,\"j_type\":\"ack\"}", "bad_json");
	check_error("{\"a\":NaN,\"\\u006a_type\":\"ack\"}", "bad_json");
	memset(deep + 5, '[', 40);
	memset(deep + 45, ']', 40);
	strcpy(deep + 85, ",\"j_type\":\"ack\"}");
	check_error(deep, "bad_json");
	check_text("{\"a\":NaN}");
	check_text("{\"\\u006a_types\":\"ack\"}");
	check_text("{\"type\":\"\\u006a_type\"}");
	check_text("{:-) \\o/");
}

TEST(other_members_are_skipped)
{
	parse("{\"a\":{\"body\":\"!\",\"x\":[1,-2.5e+3,true,false,null,\"\\u00e9\\n\"]},"
	      "\"j_type\":\"audio\",\"body\":\"AA==\"}");
	CHECK_INT(m.type, MESSAGE_AUDIO);
	CHECK_INT(m.body_len, 1);
}

TEST(escapes_of_other_json_writers)
{
	parse("{\"j_type\":\"audio\",\"body\":\"\\/\\/\\u002b\\u002B\"}"); /* PHP, .NET */
	CHECK_INT(m.type, MESSAGE_AUDIO);
	CHECK_MEM(m.body, "\xff\xff\xbe", 3);
	parse("{\"j_type\":\"aud\\u0069o\",\"storage_id\":\"\\u0061\",\"body\":\"\"}");
	CHECK_INT(m.type, MESSAGE_AUDIO);
	CHECK_STR(m.storage, "a");
}

TEST(end_of_a_session)
{
	parse("{\"j_type\":\"end\"}");
	CHECK_INT(m.type, MESSAGE_END);
}

TEST(everything_else_is_for_the_room)
{
	check_text("hello");
	check_text("");
	check_text("{");
	check_text("{\"type\":\"text\",\"text\":\"hi\"}");
	check_text("{\"body\":[1,2,3],\"type\":\"text\"}");
	check_text("[{\"j_type\":\"audio\"}]");
	check_text("{\"x\":{\"j_type\":\"audio\"}}");
	check_text("{\"j_type\":null}");
}

TEST(errors_are_precise)
{
	check_error("{\"j_type\":\"song\"}", "bad_type");
	check_error("{\"j_type\":5}", "bad_type");
	check_error("{\"j_type\":\"audio\",\"body\":\"AAAA", "bad_json");
	check_error("{\"j_type\":\"audio\",\"body\":\"AAAA\"", "bad_json");
	check_error("{\"j_type\":\"audio\",\"body\":\"AAAA\"} x", "bad_json");
	check_error("{\"j_type\":\"audio\",\"body\":[1,2", "bad_json");
	check_error("{\"j_type\":\"audio\",\"body\":[01]}", "bad_json");
	check_error("{\"j_type\":\"audio\"}", "bad_body");
	check_error("{\"j_type\":\"audio\",\"body\":null}", "bad_body");
	check_error("{\"j_type\":\"audio\",\"body\":\"A\"}", "bad_body");
	check_error("{\"j_type\":\"audio\",\"body\":\"AA=A\"}", "bad_body");
	check_error("{\"j_type\":\"audio\",\"body\":[256]}", "bad_body");
	check_error("{\"j_type\":\"audio\",\"body\":[1,\"2\"]}", "bad_body");
	check_error("{\"j_type\":\"audio\",\"body\":[1,-2]}", "bad_body");
	check_error("{\"j_type\":\"audio\",\"body\":[1.5]}", "bad_body");
	check_error("{\"j_type\":\"audio\",\"part\":-1,\"body\":\"\"}", "bad_part");
	check_error("{\"j_type\":\"audio\",\"part\":1.5,\"body\":\"\"}", "bad_part");
	check_error("{\"j_type\":\"audio\",\"part\":\"1\",\"body\":\"\"}", "bad_part");
	check_error("{\"j_type\":\"audio\",\"part\":99999999999999999999,\"body\":\"\"}",
		    "bad_part");
	check_error("{\"j_type\":\"audio\",\"storage_id\":\"../x\",\"body\":\"\"}",
		    "bad_storage_id");
	check_error("{\"j_type\":\"audio\",\"storage_id\":7,\"body\":\"\"}", "bad_storage_id");
	check_error("{\"j_type\":\"audio\",\"storage_id\":\"\",\"body\":\"\"}", "bad_storage_id");
}

TEST(errors_name_the_part)
{
	check_error("{\"j_type\":\"audio\",\"part\":12,\"body\":\"?\"}", "bad_body");
	CHECK(m.has_part && m.part == 12);
}

TEST(nesting_is_bounded)
{
	char deep[4096];
	size_t n = (size_t)snprintf(deep, sizeof(deep), "{\"j_type\":\"end\",\"x\":");

	memset(deep + n, '[', 2000);
	deep[n + 2000] = '\0';
	check_error(deep, "bad_json");
}

TEST(sizes_are_bounded)
{
	size_t body = ((size_t)16 << 20) / 3 * 4 + 8, len = body + 64;
	char *big = malloc(len);

	CHECK(big);
	size_t n = (size_t)snprintf(big, len, "{\"j_type\":\"audio\",\"body\":\"");
	memset(big + n, 'A', body);
	n += body;
	n += (size_t)snprintf(big + n, len - n, "\"}");
	message_parse(big, n, &m);
	CHECK_INT(m.type, MESSAGE_ERROR);
	CHECK_STR(m.error, "too_large");
	free(big);

	size_t count = ((size_t)1 << 20) + 1;
	char *array = malloc(2 * count + 64);
	CHECK(array);
	n = (size_t)snprintf(array, 64, "{\"j_type\":\"audio\",\"body\":[0");
	for (size_t i = 1; i < count; i++) {
		array[n++] = ',';
		array[n++] = '0';
	}
	n += (size_t)snprintf(array + n, 8, "]}");
	message_parse(array, n, &m);
	CHECK_INT(m.type, MESSAGE_ERROR);
	CHECK_STR(m.error, "too_large");
	free(array);
}

/* RFC 4648 section 10, and what is not canonical. */
TEST(base64)
{
	static const struct {
		const char *in, *out;
	} good[] = {{"", ""},
		    {"Zg==", "f"},
		    {"Zm8=", "fo"},
		    {"Zm9v", "foo"},
		    {"Zm9vYg==", "foob"},
		    {"Zm9vYmE=", "fooba"},
		    {"Zm9vYmFy", "foobar"},
		    {"Zg", "f"},
		    {"Zm8", "fo"}};
	static const char *const bad[] = {"Z",	   "Zg=",  "Zh==",   "Zm9=", "Z===",	 "====",
					  "Zm9v!", "Zm 9", "Zm9v\n", "-_-_", "Zg==Zg==", "="};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		snprintf(text, sizeof(text), "%s", good[i].in);
		CHECK_INT(base64_decode((uint8_t *)text, strlen(text)), strlen(good[i].out));
		CHECK_MEM(text, good[i].out, strlen(good[i].out));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), "%s", bad[i]);
		CHECK_INT(base64_decode((uint8_t *)text, strlen(text)), -1);
	}
}
