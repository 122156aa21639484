/*
 * Queries and ids as a client may send them: name=value pairs, one a line. What is taken is within
 * its bounds.
 */
#include "../../../cmd/msr-ws/query.h"

#include <stdlib.h>
#include <string.h>

#include "frame/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct query q = {0};
	char why[32], line[512];

	while (size) {
		const uint8_t *nl = memchr(data, '\n', size);
		size_t n = nl ? (size_t)(nl - data) : size,
		       k = n < sizeof(line) ? n : sizeof(line) - 1;
		memcpy(line, data, k);
		line[k] = '\0';
		char *eq = strchr(line, '=');
		if (eq) {
			*eq = '\0';
			query_set(&q, line, eq + 1, why, sizeof(why));
		}
		data += n + (nl ? 1 : 0);
		size -= n + (nl ? 1 : 0);
	}
	query_check(&q, why, sizeof(why));
	if (q.storage[0] && !id_valid(q.storage, strlen(q.storage)))
		abort();
	if (strchr(q.storage, '/') || q.storage[0] == '.')
		abort();
	if (q.kind && q.kind != FRAME_AUDIO && q.kind != FRAME_VIDEO)
		abort();
	return 0;
}
