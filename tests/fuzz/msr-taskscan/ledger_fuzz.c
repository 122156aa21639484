/* A line of the ledger: whatever is accepted is a valid key inside the line. */
#include "../../../cmd/msr-taskscan/ledger.h"

#include <stdlib.h>

#include "../../../cmd/msr-taskscan/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data;
	struct ledger_line l;

	if (ledger_parse(line, size, &l) &&
	    (l.key < line || l.key + l.key_len > line + size || !name_key_valid(l.key, l.key_len) ||
	     l.start < line || l.start + l.start_len > line + size || l.start_len >= LEDGER_START))
		abort();
	return 0;
}
