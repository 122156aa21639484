/*
 * Names: which files of the storage are recordings, and the keys that the ledger knows them by.
 *
 *	file  NAME.EXT       EXT from the table of media extensions
 *	name  SESSION[~N]    what a recording's files are called, see msr-record(8)
 *	key   [FOLDER/]NAME  one recording in the whole storage
 */
#ifndef MSR_TASKSCAN_NAME_H
#define MSR_TASKSCAN_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/id.h"

#define NAME_SIZE (ID_MAX + 12)		/* SESSION, '~', up to 10 digits, NUL */
#define KEY_SIZE  (ID_SIZE + NAME_SIZE) /* FOLDER '/' NAME NUL */
#define PATH_ROOM (KEY_SIZE + 32)	/* a key with a dot before and a suffix behind it */

struct name_media {
	const char *ext;  /* without the dot */
	const char *kind; /* "audio" or "video" */
};

/* Every media extension; the last entry has ext NULL. */
extern const struct name_media name_media[];

/* The length of NAME in "NAME.EXT" when EXT is a media extension, otherwise 0. */
size_t name_of_media(const char *file);
/* The length of the session id in a valid NAME, otherwise 0. */
size_t name_session(const char *name, size_t len);
/* A folder (may be NULL) and a name, both valid: "[FOLDER/]NAME" into `key`. */
void name_key(char key[static KEY_SIZE], const char *folder, const char *name, size_t len);
/* Whether these bytes are a key: everything that becomes a path went through here. */
bool name_key_valid(const char *key, size_t len);
/* The NAME part of a valid key. */
const char *name_in_key(const char *key);
/* "[FOLDER/]" + prefix + NAME + suffix, for side files and tasks. */
void name_path(char path[static PATH_ROOM], const char *key, const char *prefix,
	       const char *suffix);

#endif
