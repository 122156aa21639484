/* NAME.json: any bytes; what is taken over fits and is an id where it must be one. */
#include "../../../cmd/msr-taskscan/meta.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meta m;
	const char *why;

	meta_parse(data, size, &m, &why);
	if (m.room[0] && !id_valid(m.room, strlen(m.room)))
		abort();
	if (m.session[0] && !id_valid(m.session, strlen(m.session)))
		abort();
	if (m.sha256[0] && strlen(m.sha256) != META_SHA256 - 1)
		abort();
	return 0;
}
