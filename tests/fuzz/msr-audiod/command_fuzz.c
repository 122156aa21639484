/* Commands of clients: whatever the text, the parser gives an error or a chain that is valid. */
#include "../../../cmd/msr-audiod/command.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const allowed[] = {"cat=cat"};
	static const struct exec_list execs = {allowed, 1};
	struct command_error err;
	struct command c;

	if (command_parse(&c, (const char *)data, size, &execs, &err) == 0 &&
	    c.kind == COMMAND_START && !chain_valid(&c.chain))
		abort();
	return 0;
}
