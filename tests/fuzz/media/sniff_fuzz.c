/* Sniffing never reads beyond a chunk, and what begins a stream has a type. */
#include "media/sniff.h"

#include <stdint.h>
#include <stdlib.h>

#include "frame/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool begins;
	int codec = sniff_container(data, size, &begins);

	if (codec != CODEC_NONE && (codec < CODEC_WEBM || codec > CODEC_MP4))
		abort();
	sniff_may_have_video(data, size);
	sniff_reserved_name((const char *)data, size);
	return 0;
}
