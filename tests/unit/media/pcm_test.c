/* WAV headers: sizes that fit the samples, one length for all, RF64 beyond 4 GiB. */
#include "media/pcm.h"

#include "base/buf.h"
#include "frame/frame.h"

#include "../../support/test.h"

TEST(header_says_how_much_there_is)
{
	static const int codecs[] = {CODEC_U8, CODEC_S16LE, CODEC_S24LE, CODEC_S32LE, CODEC_F32LE};

	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
		uint8_t h[PCM_HEADER_MAX];
		unsigned frame = 2 * frame_pcm_bytes(codecs[i]);
		int n = pcm_header(h, codecs[i], 48000, 2, 1000 * frame);
		CHECK(n > 44 && n % 4 == 0);
		CHECK_MEM(h, "RIFF", 4);
		CHECK_INT(get_le32(h + 4), (unsigned)n - 8 + 1000 * frame);
		CHECK_MEM(h + n - 8, "data", 4);
		CHECK_INT(get_le32(h + n - 4), 1000 * frame);
	}
}

TEST(length_is_the_same_for_all_sizes)
{
	uint8_t h[PCM_HEADER_MAX];
	int n = pcm_header(h, CODEC_S16LE, 16000, 1, 0);

	CHECK_INT(pcm_header(h, CODEC_S16LE, 16000, 1, 123456), n);
	CHECK_INT(pcm_header(h, CODEC_S16LE, 16000, 1, 6000000000), n);
	CHECK_MEM(h, "RF64", 4);
	CHECK_MEM(h + 12, "ds64", 4);
	CHECK(get_le64(h + 28) == 6000000000);
}

TEST(impossible_formats_are_refused)
{
	uint8_t h[PCM_HEADER_MAX];

	CHECK(pcm_header(h, CODEC_OPUS, 48000, 2, 0) < 0);
	CHECK(pcm_header(h, CODEC_S16LE, 0, 2, 0) < 0);
	CHECK(pcm_header(h, CODEC_S16LE, 48000, 0, 0) < 0);
	CHECK(pcm_header(h, CODEC_S16LE, 48000, 255, 0) < 0);
	CHECK(pcm_header(h, CODEC_S16LE, UINT32_MAX, 2, 0) < 0);
	CHECK(pcm_header(h, CODEC_S16LE, 48000, 2, UINT64_MAX) < 0);
}
