/* What the client makes of a server's bytes: parser, headers, names, saving, and showing. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../cmd/msr-chat/client/client.h"
#include "../../../cmd/msr-chat/client/inbox.h"
#include "../../../cmd/msr-chat/client/names.h"
#include "../../../cmd/msr-chat/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct client client;
static char dir[] = "/dev/shm/msr-chat-fuzz-XXXXXX";

static void clean_up(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		perror(command);
}

static void start(void)
{
	if (!mkdtemp(dir) || names_new(&client.names) || inbox_new(&client.inbox, &client) ||
	    !freopen("/dev/null", "w", stdout))
		abort();
	atexit(clean_up);
	client.set.save_dir = dir;
	client.set.max_file = 4096;
	strcpy(client.name, "me");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct proto_parser p;
	enum proto_step step;

	if (!started)
		start();
	started = true;
	if (!size)
		return 0;
	client.set.json = data[0] & 1;
	client.set.color = data[0] & 2;
	proto_parser_init(&p, PROTO_HEADER_MAX);
	size_t piece = (size_t)data[0] * 8 + 1;
	for (size_t at = 1; at < size; at += piece) {
		const uint8_t *in = data + at;
		size_t n = size - at < piece ? size - at : piece;
		while ((step = proto_parse(&p, &in, &n)) != PROTO_MORE)
			inbox_step(client.inbox, &p, step);
	}
	inbox_reset(client.inbox);
	proto_parser_done(&p);
	/* Saved files would make the next names longer and longer to find. */
	static unsigned runs;
	if (++runs % 256 == 0) {
		clean_up();
		if (access(dir, F_OK) == 0)
			abort();
	}
	return 0;
}
