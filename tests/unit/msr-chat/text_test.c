/* Names, file names, and what reaches a terminal. */
#include "../../../cmd/msr-chat/text.h"

#include <errno.h>

#include "../../support/test.h"

static int name(const char *in)
{
	char out[NAME_SIZE];

	return text_name(in, strlen(in), out);
}

TEST(ordinary_names_are_fine)
{
	CHECK_INT(name("ann"), 0);
	CHECK_INT(name("Анна Каренина"), 0);
	CHECK_INT(name("李小龍"), 0);
	CHECK_INT(name("🦊"), 0);
	CHECK_INT(name("{x"), 0);
	CHECK_INT(name("12345678901234567890123456789012"), 0);
}

TEST(names_are_compared_in_nfc)
{
	char a[NAME_SIZE], b[NAME_SIZE];

	CHECK_INT(text_name("Zoe\xcc\x88", 5, a), 0);
	CHECK_INT(text_name("Zo\xc3\xab", 4, b), 0);
	CHECK_STR(a, b);
}

TEST(names_that_deceive_are_refused)
{
	static const char *const bad[] = {
	    "",
	    " ann",
	    "ann ",
	    "an\nn",
	    "an\x1b[31mn",
	    "123456789012345678901234567890123",
	    "ann\xe2\x80\xae", /* right-to-left override */
	    "a\xe2\x80\x8bnn", /* zero width space */
	    "a\xe2\x81\xa6nn", /* left-to-right isolate */
	    "\xc2\xa0"
	    "ann",	       /* no-break space */
	    "an\xc2\xa0n",     /* inside, too: it looks like a blank */
	    "\xe3\x85\xa4",    /* Hangul filler */
	    "ann\xef\xb8\x8f", /* variation selector */
	    "\xcc\x81"
	    "ann",			  /* begins with a combining mark */
	    "a\xcc\x96\xcc\x97\xcc\x98n", /* three in a row */
	    "\xee\x80\x80",		  /* private use */
	    "an\xff",
	    "\xed\xa0\x80", /* surrogate */
	    "\xc0\xae",	    /* overlong */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (name(bad[i]) != -EINVAL)
			test_fail(__FILE__, __LINE__, "name %zu was taken", i);
	char out[NAME_SIZE];
	CHECK_INT(text_name("a\0b", 3, out), -EINVAL);
}

static const char *filename(const char *in)
{
	static char out[FILENAME_SIZE];

	text_filename(in, strlen(in), out);
	return out;
}

TEST(file_names_lose_folders_and_tricks)
{
	CHECK_STR(filename("a.txt"), "a.txt");
	CHECK_STR(filename("../../etc/passwd"), "passwd");
	CHECK_STR(filename("C:\\x\\y.doc"), "y.doc");
	CHECK_STR(filename(".."), "_.");
	CHECK_STR(filename(".bashrc"), "_bashrc");
	CHECK_STR(filename("-rf"), "_rf");
	CHECK_STR(filename("dir/"), "file");
	CHECK_STR(filename("a\x1b[2Jb"), "a[2Jb");
	CHECK_STR(filename("gpj.\xe2\x80\xae"
			   "exe"),
		  "gpj.exe");
	CHECK_STR(filename("a\xff"
			   "b"),
		  "a_b");
	char longname[400];
	memset(longname, 'x', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	CHECK_INT(strlen(filename(longname)), 255);
}

TEST(nothing_raw_reaches_a_terminal)
{
	char out[64];

	text_visible("\x1b]0;x\x07", 6, true, out, sizeof(out));
	CHECK_STR(out, "^[]0;x^G");
	text_visible("a\nb", 3, true, out, sizeof(out));
	CHECK_STR(out, "a\nb");
	text_visible("a\nb", 3, false, out, sizeof(out));
	CHECK_STR(out, "a b");
	text_visible("\xc2\x9b"
		     "31m",
		     5, true, out, sizeof(out)); /* CSI as C1 */
	CHECK_STR(out, "\xef\xbf\xbd"
		       "31m");
	text_visible("\x9b", 1, true, out, sizeof(out));
	CHECK_STR(out, "\xef\xbf\xbd");
	CHECK_INT(text_visible("abcdef", 6, true, out, 4), 3);
	CHECK_INT(text_width("a\xe6\x9d\x8e", 4), 3);
}

TEST(utf8_is_checked_to_the_last_byte)
{
	CHECK(text_is_utf8("", 0));
	CHECK(text_is_utf8("0123456789abcdef\xc3\xab", 18));
	CHECK(!text_is_utf8("0123456789abcdef\xc3", 17));
	CHECK(!text_is_utf8("\xf5\x80\x80\x80", 4));
	CHECK(text_is_utf8("a\0b", 3));
}
