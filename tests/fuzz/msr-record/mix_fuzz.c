/*
 * What becomes a mix: metadata of recordings, separated by zeros, each with a byte for its folder
 * in front. Whatever it says, cells and times are within their bounds, and the command line fits.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../../cmd/msr-record/ffmpeg.h"
#include "../../../cmd/msr-record/mix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mix m;
	static struct args a;

	memset(&m, 0, sizeof(m));
	while (size) {
		const uint8_t *end = memchr(data, 0, size);
		size_t n = end ? (size_t)(end - data) : size;
		if (n)
			mix_add(&m, data[0] & 1 ? "screen" : "", (const char *)data + 1, n - 1);
		data += n + (end != NULL);
		size -= n + (end != NULL);
	}
	mix_arrange(&m);
	assert(m.seconds >= 0 && m.seconds <= MIX_S_MAX);
	for (int i = 0; i < m.n; i++)
		assert(m.in[i].cell < m.n_cells && m.in[i].start_us >= m.start_us);
	mix_command(&a, &m, "/storage", "webm", false, "/out");
	assert(!a.full);
	return 0;
}
