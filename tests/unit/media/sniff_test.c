/* Sniffing: each container by its first bytes, and nothing by accident. */
#include "media/sniff.h"

#include "frame/frame.h"

#include "../../support/test.h"

static int sniff(const char *data, size_t n, bool *begins)
{
	return sniff_container(data, n, begins);
}

TEST(containers_are_known_by_their_magic)
{
	bool begins;

	CHECK_INT(sniff("\x1a\x45\xdf\xa3\x01", 5, &begins), CODEC_WEBM);
	CHECK(begins);
	CHECK_INT(sniff("OggS\0\2", 6, &begins), CODEC_OGG);
	CHECK(begins);
	CHECK_INT(sniff("RIFF\1\2\3\4WAVE", 12, &begins), CODEC_WAV);
	CHECK_INT(sniff("RF64\1\2\3\4WAVE", 12, &begins), CODEC_WAV);
	CHECK_INT(sniff("\0\0\0\x20"
			"ftypiso5",
			12, &begins),
		  CODEC_MP4);
	CHECK(begins);
}

TEST(a_later_page_or_fragment_does_not_begin_a_stream)
{
	bool begins = true;

	CHECK_INT(sniff("OggS\0\0", 6, &begins), CODEC_OGG);
	CHECK(!begins);
	CHECK_INT(sniff("\0\0\0\x20moof", 8, &begins), CODEC_MP4);
	CHECK(!begins);
}

TEST(anything_else_is_unknown)
{
	CHECK_INT(sniff("", 0, NULL), CODEC_NONE);
	CHECK_INT(sniff("\x1a\x45\xdf", 3, NULL), CODEC_NONE);
	CHECK_INT(sniff("RIFF\1\2\3\4AVI ", 12, NULL), CODEC_NONE);
	CHECK_INT(sniff("OggS", 4, NULL), CODEC_NONE);
	CHECK_INT(sniff("ftypiso5", 8, NULL), CODEC_NONE);
}

TEST(audio_only_containers_are_told_apart)
{
	char page[64] = "OggS\0\2";

	page[26] = 1;
	memcpy(page + 28, "OpusHead", 8);
	CHECK(!sniff_may_have_video(page, sizeof(page)));
	memcpy(page + 28, "\x80theora\0", 8);
	CHECK(sniff_may_have_video(page, sizeof(page)));
	page[26] = (char)255; /* the first segment lies beyond the chunk */
	CHECK(sniff_may_have_video(page, sizeof(page)));
	CHECK(!sniff_may_have_video("RIFF\1\2\3\4WAVE", 12));
	CHECK(sniff_may_have_video("\x1a\x45\xdf\xa3", 4));
}

TEST(names_that_recordings_have_are_reserved)
{
	CHECK(sniff_reserved_name("a.mp3", 5));
	CHECK(sniff_reserved_name("a.WebM", 6));
	CHECK(sniff_reserved_name("a.json", 6));
	CHECK(!sniff_reserved_name(".mp3x", 5));
	CHECK(!sniff_reserved_name("mp3", 3));
	CHECK(!sniff_reserved_name("a.mp31", 6));
	CHECK(!sniff_reserved_name("screen", 6));
}
