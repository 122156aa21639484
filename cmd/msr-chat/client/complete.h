/* Completion: commands at the beginning of a line, paths behind commands with files, else names. */
#ifndef MSR_CHAT_COMPLETE_H
#define MSR_CHAT_COMPLETE_H

#include <stddef.h>

struct client;

enum { COMPLETE_SIZE = 512, COMPLETE_LIST = 4096 };

/*
 * For the first `len` bytes of `line`: what to put in at the cursor, and, when that is nothing
 * because several fit, a list of these for the user. Either may be "".
 */
void complete(struct client *c, const char *line, size_t len, char insert[static COMPLETE_SIZE],
	      char list[static COMPLETE_LIST]);

#endif
