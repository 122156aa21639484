/*
 * Files of the chat that the room can fetch: <storage>/chat/, which msr-ws serves below
 * /recordings/chat/. Their names cannot be guessed, because some are private.
 */
#ifndef MSR_CHAT_KEEP_H
#define MSR_CHAT_KEEP_H

#include <stddef.h>

struct keep;

/* Makes the folder. 0 or -errno. */
int keep_open(struct keep **kp, const char *storage);
/* Accepts NULL. */
void keep_close(struct keep *k);

/*
 * Keeps a content, of a file or (fd -1) from memory, under a name that ends in a clean form of
 * `name`, and writes the path that a page fetches it from. 0 or -errno, leaving nothing.
 */
int keep_file(struct keep *k, const char *name, const void *data, size_t n, int fd, char *url,
	      size_t size);

#endif
