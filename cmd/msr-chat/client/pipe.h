/* Standard input as a pipe or file: a line is a message or command. */
#ifndef MSR_CHAT_PIPE_H
#define MSR_CHAT_PIPE_H

struct client;
struct pipe_input;

/* 0 or -errno. Reading begins with pipe_start, after the login. */
int pipe_open(struct pipe_input **pp, struct client *c);
/* Accepts NULL. */
void pipe_close(struct pipe_input *p);
/* Reads from now on; harmless when it does already. */
void pipe_start(struct pipe_input *p);

#endif
