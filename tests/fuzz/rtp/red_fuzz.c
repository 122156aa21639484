/* Redundant audio: the blocks lie in the payload one behind the other, and end with it. */
#include <assert.h>

#include "rtp/red.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct red_block b[RED_BLOCKS];
	int n = size < 65536 ? red_read(b, data, size) : 0;

	for (int i = 0; i < n; i++) {
		size_t end = i + 1 < n ? b[i + 1].off : size;
		assert((size_t)b[i].off + b[i].len == end);
		assert(b[i].pt < 128 && b[i].before <= RED_BEFORE_MAX);
	}
	assert(n <= 0 || (b[n - 1].before == 0 && b[0].off > 0));
	return 0;
}
