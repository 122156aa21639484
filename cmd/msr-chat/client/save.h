/*
 * Files from others: written as NAME.part, renamed when complete. Nothing that exists is
 * overwritten: x.png becomes x~2.png, x~3.png ...
 */
#ifndef MSR_CHAT_SAVE_H
#define MSR_CHAT_SAVE_H

#include <stddef.h>

struct save;

/* Makes the folder if needed. `name` is a base name (text_filename). 0 or -errno. */
int save_open(struct save **sp, const char *dir, const char *name);
/* 0 or -errno. */
int save_write(struct save *s, const void *data, size_t n);
/*
 * Gives the file its final name, ending in `extension` ("png", or NULL) if the name has none.
 * 0 with the path in `path`, or -errno; either way `s` is freed.
 */
int save_finish(struct save *s, const char *extension, char *path, size_t size);
/* Removes the part. Accepts NULL. */
void save_abort(struct save *s);

#endif
