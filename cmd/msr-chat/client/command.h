/* Lines of input: commands begin with a slash, everything else is said to everybody. */
#ifndef MSR_CHAT_COMMAND_H
#define MSR_CHAT_COMMAND_H

#include <stddef.h>

struct client;

void command_line(struct client *c, const char *line);
/* "/msg" ..., for completion; NULL behind the last. */
const char *command_name(size_t i);

/* Sends a file that is open; it must be a `type` that makes sense. Takes `fd`. */
void command_send(struct client *c, unsigned type, const char *to, const char *name, int fd);

#endif
