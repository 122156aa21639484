/* Answers of terminals among the keys of a user. */
#include "../../../cmd/msr-chat/client/answer.h"

#include <string.h>

#include "../../support/test.h"

/* What of `input` are keys. */
static const char *keys_of(struct answer *a, const char *input)
{
	static char keys[1024];
	uint8_t out[ANSWER_MAX];
	size_t n = 0;

	for (const char *p = input; *p; p++) {
		size_t got = answer_feed(a, (uint8_t)*p, out);
		memcpy(keys + n, out, got);
		n += got;
	}
	keys[n] = '\0';
	return keys;
}

TEST(every_terminal_is_asked_what_it_understands)
{
	struct answer a;

	CHECK_STR(answer_ask(&a, "xterm-256color"),
		  "\033_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\033\\\033[c");
	CHECK(a.waiting);
	CHECK_STR(answer_ask(&a, "tmux-256color"), "\033[c");
	CHECK_STR(answer_ask(&a, "linux"), "\033[c");
	CHECK_STR(answer_ask(&a, "dumb"), "");
	CHECK(!a.waiting);
	CHECK_STR(answer_ask(&a, NULL), "");
}

TEST(sixel_is_the_attribute_4)
{
	static const struct {
		const char *answer;
		enum graphics want;
	} cases[] = {
	    {"\033[?62;4;22c", GRAPHICS_SIXEL}, {"\033[?4c", GRAPHICS_SIXEL},
	    {"\033[?1;2;4c", GRAPHICS_SIXEL},	{"\033[?64;14;42;40c", GRAPHICS_NONE},
	    {"\033[?1;2c", GRAPHICS_NONE},	{"\033[?6c", GRAPHICS_NONE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer a;
		answer_ask(&a, "xterm");
		CHECK_STR(keys_of(&a, cases[i].answer), "");
		CHECK(!a.waiting);
		CHECK(a.graphics == cases[i].want);
	}
}

TEST(kitty_goes_before_sixel)
{
	struct answer a;

	answer_ask(&a, "xterm");
	CHECK_STR(keys_of(&a, "\033_Gi=31;OK\033\\\033[?62;4c"), "");
	CHECK(a.graphics == GRAPHICS_KITTY);
	answer_ask(&a, "xterm");
	CHECK_STR(keys_of(&a, "\033_Gi=31;EINVAL:no\033\\\033[?62;4c"), "");
	CHECK(a.graphics == GRAPHICS_SIXEL);
}

TEST(keys_around_and_within_pass)
{
	struct answer a;

	answer_ask(&a, "xterm");
	CHECK_STR(keys_of(&a, "ab\033[A\033OP\033b\033\033[?62;4cx\033[?1"),
		  "ab\033[A\033OP\033b\033x\033[?1");
	CHECK(a.graphics == GRAPHICS_SIXEL);
	CHECK(!a.waiting);
}

TEST(what_never_ends_is_let_go)
{
	struct answer a;
	char endless[400] = "\033_G";

	memset(endless + 3, 'x', sizeof(endless) - 4);
	endless[sizeof(endless) - 1] = '\0';
	answer_ask(&a, "xterm");
	CHECK_STR(keys_of(&a, endless), endless);
	CHECK(a.waiting);
	CHECK_STR(keys_of(&a, "\033[?1;2c"), "");
}
