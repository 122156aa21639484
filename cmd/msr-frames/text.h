/* Frames in words: what dump and json show of them. */
#ifndef MSR_FRAMES_TEXT_H
#define MSR_FRAMES_TEXT_H

#include "pump.h"

/* Runs a subcommand that prints each matching frame to standard output. */
int text_run(int argc, char **argv, void (*print)(const struct frame *f));

/* Calls `each` for the name of every flag that is set. */
void text_flags(uint8_t flags, void (*each)(void *arg, const char *name), void *arg);

#endif
