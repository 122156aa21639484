/* ffprobe's JSON and our own metadata, whole or damaged. */
#include "../../../cmd/msr-record/meta.h"
#include "../../../cmd/msr-record/probe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meta_found found;
	struct media_probe p;

	if (probe_parse((const char *)data, size, &p) == 0 &&
	    (p.n < 0 || p.n > PROBE_STREAMS || !(p.duration >= 0)))
		abort();
	if (meta_read((const char *)data, size, &found) == 0 &&
	    (strchr(found.stem, '/') || strchr(found.ext, '/') ||
	     strlen(found.sha256) != SHA256_HEX))
		abort();
	return 0;
}
