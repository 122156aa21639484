/*
 * Files of the chat that the room can fetch: <storage>/chat/, which msr-ws serves below
 * /recordings/chat/. Their names cannot be guessed, because some are private.
 */
#ifndef MSR_CHAT_KEEP_H
#define MSR_CHAT_KEEP_H

#include <stddef.h>

struct keep;
struct keep_copy;

/* Makes the folder. 0 or -errno. */
int keep_open(struct keep **kp, const char *storage);
/* Accepts NULL. */
void keep_close(struct keep *k);

/*
 * Keeps a content, of a file or (fd -1) from memory, under a name that ends in a clean form of
 * `name`, and writes the path that a page fetches it from. 0; 1 when it is long and *cp is to go on
 * with it, to which `fd` is lent until then; or -errno, leaving nothing.
 */
int keep_file(struct keep_copy **cp, struct keep *k, const char *name, const void *data, size_t n,
	      int fd, char *url, size_t size);
/* Copies a piece. 1 when more is to come; 0 or, leaving nothing, -errno when it is over and freed.
 */
int keep_go_on(struct keep_copy *c);
/* Ends it, leaving nothing. Accepts NULL. */
void keep_give_up(struct keep_copy *c);

#endif
