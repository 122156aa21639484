/* UTF-8: what RFC 3629 allows, and nothing else. */
#include "base/utf8.h"

#include "../../support/test.h"

static bool valid(const char *s)
{
	return utf8_valid(s, strlen(s));
}

TEST(sequences_have_their_length)
{
	const struct {
		const char *text;
		size_t len; /* 0: refused */
	} t[] = {
	    {"a", 1},
	    {"\xc3\xa4", 2},
	    {"\xe2\x82\xac", 3},
	    {"\xf0\x9f\x8e\x99", 4},
	    {"\xf4\x8f\xbf\xbf", 4},	 /* U+10FFFF, the last */
	    {"\xf4\x90\x80\x80", 0},	 /* beyond it */
	    {"\xf8\x88\x80\x80\x80", 0}, /* five bytes */
	    {"\x80", 0},		 /* a continuation alone */
	    {"\xc3", 0},		 /* cut off */
	    {"\xe2\x82", 0},
	    {"\xc3"
	     "a",
	     0},
	    {"\xc0\xaf", 0}, /* overlong */
	    {"\xe0\x80\xaf", 0},
	    {"\xf0\x80\x80\xaf", 0},
	    {"\xed\x9f\xbf", 3}, /* before the surrogates */
	    {"\xed\xa0\x80", 0}, /* a surrogate */
	    {"\xee\x80\x80", 3}, /* after them */
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		CHECK_INT(utf8_len((const unsigned char *)t[i].text, strlen(t[i].text)), t[i].len);
}

TEST(texts_are_valid_as_a_whole)
{
	char text[40];

	CHECK(valid(""));
	CHECK(valid("plain ASCII that is longer than eight bytes"));
	CHECK(valid("gr\xc3\xbc\xc3\x9f dich, \xe2\x82\xac und \xf0\x9f\x8e\x99"));
	/* A bad byte is found wherever it is, though eight are looked at together. */
	for (size_t at = 0; at < sizeof(text); at++) {
		memset(text, 'x', sizeof(text));
		CHECK(utf8_valid(text, sizeof(text)));
		text[at] = '\xff';
		CHECK(!utf8_valid(text, sizeof(text)));
	}
	/* One that ends in the middle of a character. */
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\xc3';
	CHECK(!utf8_valid(text, sizeof(text)));
}
