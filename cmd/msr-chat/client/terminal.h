/*
 * The terminal: a line for input at the bottom, everything else scrolls above it.
 */
#ifndef MSR_CHAT_TERMINAL_H
#define MSR_CHAT_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

struct client;
struct terminal;

/* 0 or -errno. */
int terminal_open(struct terminal **tp, struct client *c);
/* Gives the terminal back as it was. Accepts NULL. */
void terminal_close(struct terminal *t);

/* Reads lines and turns the loop until client.done. */
void terminal_run(struct terminal *t);

/* Lines above the input; they may be coloured. */
void terminal_print(struct terminal *t, const char *lines);
/* A picture above the input, some time later, where the terminal said that it can. */
void terminal_picture(struct terminal *t, const char *path);
void terminal_bell(struct terminal *t);
/* A bar in front of the input; it goes away when done == of. */
void terminal_progress(struct terminal *t, const char *what, const char *name, uint64_t done,
		       uint64_t of);
/* Ctrl-C: clears the line; true when there was none. The window changed its size. */
bool terminal_interrupt(struct terminal *t);
void terminal_resize(struct terminal *t);

#endif
