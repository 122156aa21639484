/*
 * The beginning of a file, of any length, and going on with one of ours: a header is refused, or is
 * one that can be written and read again.
 */
#include <assert.h>
#include <string.h>

#include "media/mkv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t head[MKV_HEAD], out[MKV_HEAD];
	struct mkv m, again;

	if (mkv_read_head(&m, data, size) == 0)
		assert(m.n_tracks && m.n_tracks <= MKV_TRACKS_MAX && m.duration_us >= 0);
	memset(head, 0, sizeof(head));
	memcpy(head, data, size < sizeof(head) ? size : sizeof(head));
	if (mkv_resume(&m, head, sizeof(head)) < 0)
		return 0;
	mkv_head(&m, out);
	assert(mkv_resume(&again, out, sizeof(out)) == 0);
	assert(again.n_tracks == m.n_tracks);
	return 0;
}
