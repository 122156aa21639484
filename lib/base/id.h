/*
 * Ids of rooms, sessions, users and storages. They become parts of file names, URLs and events,
 * so each is checked here before it touches anything.
 */
#ifndef MSR_BASE_ID_H
#define MSR_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>

#define ID_MAX	128	     /* bytes, without the NUL */
#define ID_SIZE (ID_MAX + 1) /* a buffer for one */

/* 1 to 128 of A-Z a-z 0-9 . _ - and not beginning with a dot. `s` need not end with a NUL. */
bool id_valid(const char *s, size_t len);

/* The rule in words, for error messages. */
#define ID_RULE "an id is 1 to 128 of A-Z a-z 0-9 . _ - and does not begin with a dot"

#endif
