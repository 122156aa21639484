/* JSON messages: whatever comes, the result lies inside the message, and room text is untouched. */
#include "../../../cmd/msr-ws/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message m;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	message_parse(text, size, &m);
	if (m.type == MESSAGE_TEXT && size && memcmp(text, data, size) != 0)
		abort();
	if (m.type == MESSAGE_ERROR && (!m.error || !m.why))
		abort();
	if (m.storage && !id_valid(m.storage, strlen(m.storage)))
		abort();
	if (m.body_len && ((char *)m.body < text || (char *)m.body + m.body_len > text + size))
		abort();
	free(text);
	return 0;
}
