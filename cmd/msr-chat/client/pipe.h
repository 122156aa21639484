/* Standard input as a pipe or file: a line is a message or command. */
#ifndef MSR_CHAT_PIPE_H
#define MSR_CHAT_PIPE_H

#include <stdbool.h>

struct client;
struct pipe_input;

/* 0 or -errno. Reading begins with pipe_start, after the login. */
int pipe_open(struct pipe_input **pp, struct client *c);
/* Accepts NULL. */
void pipe_close(struct pipe_input *p);
/* Reads from now on; harmless when it does already. */
void pipe_start(struct pipe_input *p);
/* Reads no more. The lines that are there are taken as they can be sent; then client_quit. */
void pipe_end(struct pipe_input *p);
/* Whether something was read that has not been taken. */
bool pipe_has_more(const struct pipe_input *p);

#endif
