/* Saving under names that are free: written, synced, then renamed. */
#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../text.h"
#include "base/file.h"

enum { TRIES = 10000, STEM_MAX = 200 };

struct save {
	int dirfd, fd;
	char dir[PATH_MAX];
	char stem[STEM_MAX + 1]; /* the name without its extension */
	char ext[32];		 /* with its dot, or "" */
	char part[FILENAME_SIZE + 32];
};

/* Splits at the last dot; an extension is short. */
static void split(struct save *s, const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t stem = dot && dot != name ? (size_t)(dot - name) : strlen(name);

	if (name[stem] && strlen(name + stem) >= sizeof(s->ext))
		stem = strlen(name);
	strcpy(s->ext, name + stem);
	if (stem > STEM_MAX) {
		stem = STEM_MAX;
		while (stem && ((unsigned char)name[stem] & 0xc0) == 0x80)
			stem--; /* not inside a character */
	}
	memcpy(s->stem, name, stem);
	s->stem[stem] = '\0';
}

static void name_of(const struct save *s, int try, const char *suffix, char *out, size_t size)
{
	if (try < 2)
		snprintf(out, size, "%s%s%s", s->stem, s->ext, suffix);
	else
		snprintf(out, size, "%s~%d%s%s", s->stem, try, s->ext, suffix);
}

int save_open(struct save **sp, const char *dir, const char *name)
{
	struct save *s;
	int ret = file_mkdirs(dir);

	if (ret < 0)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->fd = -1;
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	split(s, name);
	s->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd < 0) {
		ret = -errno;
		free(s);
		return ret;
	}
	for (int i = 1; i < TRIES && s->fd < 0; i++) {
		name_of(s, i, ".part", s->part, sizeof(s->part));
		s->fd = openat(s->dirfd, s->part,
			       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
		if (s->fd < 0 && errno != EEXIST)
			break;
	}
	if (s->fd < 0) {
		ret = -errno;
		close(s->dirfd);
		free(s);
		return ret;
	}
	*sp = s;
	return 0;
}

int save_write(struct save *s, const void *data, size_t n)
{
	return file_write_all(s->fd, data, n);
}

static void save_free(struct save *s)
{
	close(s->fd);
	close(s->dirfd);
	free(s);
}

void save_abort(struct save *s)
{
	if (!s)
		return;
	unlinkat(s->dirfd, s->part, 0);
	save_free(s);
}

int save_finish(struct save *s, const char *extension, char *path, size_t size)
{
	char name[FILENAME_SIZE + 32] = "";
	int ret = fsync(s->fd) < 0 ? -errno : -EEXIST;

	if (!*s->ext && extension)
		snprintf(s->ext, sizeof(s->ext), ".%s", extension);
	for (int i = 1; i < TRIES && ret == -EEXIST; i++) {
		name_of(s, i, "", name, sizeof(name));
		ret = file_rename_excl(s->dirfd, s->part, name);
	}
	if (ret < 0) {
		save_abort(s);
		return ret;
	}
	snprintf(path, size, "%s/%s", s->dir, name);
	/* Another client may have begun a file of the part's name by now: it is not ours. */
	save_free(s);
	return 0;
}
