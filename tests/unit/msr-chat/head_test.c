/* Headers as clients of every sort write them. */
#include "../../../cmd/msr-chat/head.h"

#include <errno.h>
#include <stdio.h>

#include "../../../cmd/msr-chat/proto.h"
#include "../../support/test.h"

static struct login_head in;
static struct message_head msg;

static int login(const char *s)
{
	return head_login(s, strlen(s), &in);
}

static enum chat_error message(unsigned type, const char *s)
{
	return head_message(type, s, strlen(s), &msg);
}

TEST(login_is_a_raw_name_or_json)
{
	CHECK_INT(login("ann"), 0);
	CHECK_STR(in.name, "ann");
	CHECK_INT(login("{\"to\":\"ann\",\"filename\":null}"), 0);
	CHECK_STR(in.name, "ann");
	CHECK(!in.presence);
	CHECK_INT(login("{\"to\":\"ann\",\"presence\":true,\"password\":\"pw\"}"), 0);
	CHECK(in.presence);
	CHECK_STR(in.password, "pw");
	CHECK(!in.bad_password);
	CHECK_INT(login("{ann"), 0);
	CHECK_STR(in.name, "{ann");
	CHECK_INT(login("{}"), -EINVAL);
	CHECK_INT(login("{\"to\":7}"), -EINVAL);
	CHECK_INT(login(""), -EINVAL);
}

TEST(a_bad_password_is_not_a_bad_name)
{
	char text[400];

	CHECK_INT(login("{\"to\":\"ann\",\"password\":7}"), 0);
	CHECK(in.bad_password);
	snprintf(text, sizeof(text), "{\"to\":\"ann\",\"password\":\"%0255d\"}", 0);
	CHECK_INT(login(text), 0);
	CHECK(!in.bad_password);
	snprintf(text, sizeof(text), "{\"to\":\"ann\",\"password\":\"%0256d\"}", 0);
	CHECK_INT(login(text), 0);
	CHECK(in.bad_password);
	CHECK_STR(in.name, "ann");
	CHECK_INT(login("{\"to\":\" ann\",\"password\":7}"), -EINVAL);
}

TEST(messages_have_an_empty_or_a_json_header)
{
	CHECK_INT(message(PROTO_UTF8, ""), CHAT_OK);
	CHECK_STR(msg.to, "");
	CHECK_INT(message(PROTO_UTF8, "{\"to\":\"bob\",\"filename\":null}"), CHAT_OK);
	CHECK_STR(msg.to, "bob");
	CHECK_INT(message(PROTO_UTF8, "{\"to\":null}"), CHAT_OK);
	CHECK_STR(msg.to, "");
	CHECK_INT(message(PROTO_UTF8, "hello"), CHAT_BAD_HEADER);
	CHECK_INT(message(PROTO_UTF8, "{\"to\":[]}"), CHAT_BAD_HEADER);
	CHECK_INT(message(PROTO_UTF8, "{\"to\":\"\"}"), CHAT_USER_NOT_FOUND);
	CHECK_INT(message(PROTO_UTF8, "[\"to\"]"), CHAT_BAD_HEADER);
}

TEST(files_may_have_a_raw_name)
{
	CHECK_INT(message(PROTO_FILE, "../a.txt"), CHAT_OK);
	CHECK_STR(msg.filename, "a.txt");
	CHECK_INT(message(PROTO_FILE, "{\"filename\":\"/x/b.txt\",\"to\":\"bob\"}"), CHAT_OK);
	CHECK_STR(msg.filename, "b.txt");
	CHECK_STR(msg.to, "bob");
	CHECK_INT(message(PROTO_FILE, "{odd name}"), CHAT_OK);
	CHECK_STR(msg.filename, "{odd name}");
	CHECK_INT(message(PROTO_FILE, "\xff"), CHAT_BAD_HEADER);
	CHECK_INT(message(PROTO_IMAGE, "a.png"), CHAT_BAD_HEADER);
}

TEST(deep_nesting_is_an_error)
{
	char deep[8001];

	memset(deep, '[', sizeof(deep) - 1);
	memcpy(deep, "{\"a\":", 5);
	deep[sizeof(deep) - 1] = '\0';
	CHECK_INT(message(PROTO_UTF8, deep), CHAT_BAD_HEADER);
}
