/*
 * The storage: names, and the steps by which a recording appears under its own.
 *
 *   storage/[folder/].name.journal        reserves the name, made first and removed last
 *   storage/[folder/].name.audio.part     what is received (also .video, .rtp)
 *   storage/[folder/].name.out.EXT        results of finishing (also .wave.png, .poster.jpg)
 *   storage/[folder/].name.json           written when all of these are complete
 *   storage/[folder/]name.EXT ...         the final names; name.json comes last
 */
#ifndef MSR_RECORD_STORE_H
#define MSR_RECORD_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/id.h"
#include "journal.h"

struct store {
	int dirfd;	     /* owned */
	char path[PATH_MAX]; /* absolute */
};

#define STEM_SIZE (ID_SIZE + 8) /* "session~99999" */

/* What all files of one recording have in common. */
struct store_name {
	char folder[ID_SIZE]; /* "" for the storage itself */
	char stem[STEM_SIZE];
};

#define STORE_PATH_MAX (ID_SIZE + STEM_SIZE + 64)

/* Makes the folder where it is missing. 0 or -errno, also when nothing can be written there. */
int store_open(struct store *s, const char *path);
void store_close(struct store *s);
/* Whether its file system is mounted read-only, as one with errors is by the kernel. */
bool store_is_readonly(const struct store *s);

/* "folder/.stemSUFFIX" and "folder/stemSUFFIX", relative to the storage. */
void store_hidden(const struct store_name *n, const char *suffix, char out[static STORE_PATH_MAX]);
void store_visible(const struct store_name *n, const char *suffix, char out[static STORE_PATH_MAX]);
/* ".audio.part" */
void store_part(const struct store_name *n, enum stream stream, char out[static STORE_PATH_MAX]);

/* Whether a storage id may be a folder: it must not look like a media or side file. */
bool store_folder_valid(const char *storage);

/*
 * Finds a name for this session that is free, and reserves it by making its journal, locked, in
 * *fd. A storage that was removed or moved away meanwhile is opened again by its path, and made
 * where it is missing: only what was under way goes with the old one. 0; -EEXIST when there are too
 * many of that name; or -errno.
 */
int store_reserve(struct store *s, const struct journal_head *h, struct journal_state *st,
		  struct store_name *name, int *fd);

/*
 * Calls `found` for each journal in the storage and its folders, in no order. 0 or -errno; folders
 * that cannot be read are logged and left out.
 */
int store_scan(struct store *s, void (*found)(void *arg, const struct store_name *name), void *arg);

/* Removes results of finishing that was interrupted. */
void store_remove_results(struct store *s, const struct store_name *name);
/* Removes the part files. */
void store_remove_parts(struct store *s, const struct store_name *name);
/* Removes everything of a recording without media, its journal last. */
void store_discard(struct store *s, const struct store_name *name);
/* Whether any part file is there. */
bool store_has_parts(struct store *s, const struct store_name *name);
/* Whether the hidden file with this suffix is there. */
bool store_has(struct store *s, const struct store_name *name, const char *suffix);

/*
 * Publishing. store_claim gives the media its final name: *final is `name`, or the next free one
 * where somebody else's file stands in the way. `describe` is called with that name before and
 * writes the metadata that then stands for the intent (store_write_json). store_publish does the
 * rest, also after an interruption: side files, parts away, metadata, journal away. 0 or -errno.
 */
int store_claim(struct store *s, const struct store_name *name, const char *ext,
		int (*describe)(void *arg, const struct store_name *final), void *arg,
		struct store_name *final);
int store_publish(struct store *s, const struct store_name *name, const struct store_name *final);

/* Writes the hidden ".json" durably. 0 or -errno. */
int store_write_json(struct store *s, const struct store_name *name, const void *data, size_t n);

/* Bytes free for us in the storage's file system. */
unsigned long long store_free_bytes(const struct store *s);

#endif
