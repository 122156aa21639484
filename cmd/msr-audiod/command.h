/* Commands: what clients say in text messages. */
#ifndef MSR_AUDIOD_COMMAND_H
#define MSR_AUDIOD_COMMAND_H

#include <stddef.h>

#include "chain.h"

enum command_kind { COMMAND_START, COMMAND_STOP, COMMAND_STATS };

struct command {
	enum command_kind kind;
	struct chain_spec chain; /* COMMAND_START */
};

struct command_error {
	const char *code; /* as in the manual */
	char text[192];
};

/* 0, or -1 with *err. */
int command_parse(struct command *out, const char *text, size_t len, const struct exec_list *execs,
		  struct command_error *err);

#endif
