/* ffprobe's JSON and our own metadata, whole or damaged. */
#include "../../../cmd/msr-record/meta.h"
#include "../../../cmd/msr-record/probe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char stem[STEM_SIZE], ext[8];
	unsigned unread;
	struct media_probe p;

	if (probe_parse((const char *)data, size, &p) == 0 &&
	    (p.n < 0 || p.n > PROBE_STREAMS || !(p.duration >= 0)))
		abort();
	if (meta_read_name((const char *)data, size, stem, ext, &unread) == 0 &&
	    (strchr(stem, '/') || strchr(ext, '/')))
		abort();
	return 0;
}
