/* The reorder buffer: any arrivals, in order out, each packet at most once, all accounted for. */
#include <assert.h>

#include "base/buf.h"
#include "rtp/jitter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jitter_limits l = {32, 100000, size % 2 ? 20000 : 0};
	struct jitter_packet p;
	struct jitter *j;
	int64_t now = 0, last = INT64_MIN;
	uint64_t in = 0, out = 0;

	if (jitter_new(&j, &l) < 0)
		return 0;
	for (; size >= 3; data += 3, size -= 3) {
		now += data[2] * 1000;
		in += jitter_put(j, get_be16(data), data, 2, now) == 0;
		while (jitter_get(j, now, &p) == 1) {
			assert(p.seq > last && (uint16_t)p.seq == get_be16(p.data));
			last = p.seq;
			out++;
		}
		assert(jitter_deadline(j) > now);
	}
	while (jitter_drain(j, &p) == 1) {
		assert(p.seq > last);
		last = p.seq;
		out++;
	}
	/* A packet that waits to begin the stream anew is replaced by a second one. */
	assert(out <= in && in - out <= jitter_resets(j));
	jitter_free(j);
	return 0;
}
