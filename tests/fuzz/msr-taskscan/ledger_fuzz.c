/* A line of the ledger: whatever is accepted is a valid key inside the line. */
#include "../../../cmd/msr-taskscan/ledger.h"

#include <stdlib.h>

#include "../../../cmd/msr-taskscan/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line = (const char *)data, *key;
	enum ledger_op op;
	size_t len;

	if (ledger_parse(line, size, &op, &key, &len) &&
	    (key < line || key + len > line + size || !name_key_valid(key, len)))
		abort();
	return 0;
}
