/* The first bytes of an MP3 file: whatever they are, what is said about it makes sense. */
#include <assert.h>

#include "media/mp3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mp3_head h;

	if (mp3_read_head(&h, data, size) < 0)
		return 0;
	assert(h.rate >= 8000 && h.rate <= 48000 && (h.channels == 1 || h.channels == 2));
	return 0;
}
