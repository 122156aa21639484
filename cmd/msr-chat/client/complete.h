/* Completion: commands at the beginning of a line, paths behind commands with files, else names. */
#ifndef MSR_CHAT_COMPLETE_H
#define MSR_CHAT_COMPLETE_H

#include <stddef.h>

struct client;

enum { COMPLETE_SIZE = 512, COMPLETE_LIST = 4096 };

struct completion {
	size_t erase;			/* characters in front of the cursor, to be replaced by */
	char insert[COMPLETE_SIZE + 8]; /* "": nothing fits, or several with no more in common */
	char list[COMPLETE_LIST];	/* these, for the user; else "" */
};

/* For the first `len` bytes of `line`, up to the cursor. */
void complete(struct client *c, const char *line, size_t len, struct completion *out);

#endif
