/* Names in the storage. Everything is relative to its descriptor, built from checked ids. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "media/sniff.h"

#define NAMES_MAX 99999 /* recordings of one session id */
#define JOURNAL	  ".journal"

/* Pictures beside the media. */
static const char *const side_suffixes[] = {".wave.png", ".poster.jpg", NULL};

int store_open(struct store *s, const char *path)
{
	int ret = file_mkdirs(path);

	if (ret)
		return ret;
	if (!realpath(path, s->path))
		return -errno;
	s->dirfd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dirfd < 0)
		return -errno;
	if (faccessat(s->dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		ret = -errno;
		store_close(s);
	}
	return ret;
}

void store_close(struct store *s)
{
	if (s->dirfd >= 0)
		close(s->dirfd);
	s->dirfd = -1;
}

bool store_is_readonly(const struct store *s)
{
	struct statvfs v;

	return fstatvfs(s->dirfd, &v) == 0 && v.f_flag & ST_RDONLY;
}

/* Whether the path still leads to the folder that is open. */
static bool is_in_place(const struct store *s)
{
	struct stat now, then;

	return stat(s->path, &now) == 0 && fstat(s->dirfd, &then) == 0 &&
	       now.st_dev == then.st_dev && now.st_ino == then.st_ino;
}

static int reopen(struct store *s)
{
	struct store now;
	int ret = store_open(&now, s->path);

	if (ret)
		return ret;
	log_warn("the storage '%s' was removed or moved away; new recordings go to the one that is "
		 "there now",
		 s->path);
	store_close(s);
	*s = now;
	return 0;
}

static void build(const struct store_name *n, const char *dot, const char *suffix, char *out)
{
	snprintf(out, STORE_PATH_MAX, "%s%s%s%s%s", n->folder, *n->folder ? "/" : "", dot, n->stem,
		 suffix);
}

void store_hidden(const struct store_name *n, const char *suffix, char out[static STORE_PATH_MAX])
{
	build(n, ".", suffix, out);
}

void store_visible(const struct store_name *n, const char *suffix, char out[static STORE_PATH_MAX])
{
	build(n, "", suffix, out);
}

void store_part(const struct store_name *n, enum stream stream, char out[static STORE_PATH_MAX])
{
	char suffix[32];

	snprintf(suffix, sizeof(suffix), ".%s.part", stream_names[stream]);
	store_hidden(n, suffix, out);
}

bool store_folder_valid(const char *storage)
{
	return !sniff_reserved_name(storage, strlen(storage));
}

static bool exists(struct store *s, const char *path)
{
	struct stat st;

	return fstatat(s->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool store_has(struct store *s, const struct store_name *name, const char *suffix)
{
	char path[STORE_PATH_MAX];

	store_hidden(name, suffix, path);
	return exists(s, path);
}

/* Whether finished files of this name are there. */
static bool is_taken(struct store *s, const struct store_name *n)
{
	char path[STORE_PATH_MAX], suffix[32];

	store_visible(n, ".json", path);
	if (exists(s, path))
		return true;
	for (const char *const *e = media_extensions; *e; e++) {
		snprintf(suffix, sizeof(suffix), ".%s", *e);
		store_visible(n, suffix, path);
		if (exists(s, path))
			return true;
	}
	return false;
}

static void number_stem(struct store_name *n, const char *session, unsigned number)
{
	if (number < 2)
		snprintf(n->stem, sizeof(n->stem), "%.*s", ID_MAX, session);
	else
		snprintf(n->stem, sizeof(n->stem), "%.*s~%u", ID_MAX, session, number);
}

/* Links are refused: nobody looks behind them for what a crash left, nor for what is finished. */
static int make_folder(struct store *s, const char *folder)
{
	struct stat st;

	if (mkdirat(s->dirfd, folder, 0777) == 0)
		return 0;
	if (errno != EEXIST || fstatat(s->dirfd, folder, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int store_reserve(struct store *s, const struct journal_head *h, struct journal_state *st,
		  struct store_name *name, int *fd)
{
	char path[STORE_PATH_MAX];
	int again = is_in_place(s) ? 0 : reopen(s);

	if (again)
		return again;
	name->folder[0] = '\0';
	if (*h->storage && strcmp(h->storage, h->session) != 0) {
		snprintf(name->folder, sizeof(name->folder), "%s", h->storage);
		int ret = make_folder(s, name->folder);
		if (ret)
			return ret;
	}
	for (unsigned i = 1; i <= NAMES_MAX; i++) {
		number_stem(name, h->session, i);
		/* Parts whose journal is gone are somebody's to look at. */
		if (is_taken(s, name) || store_has_parts(s, name))
			continue;
		store_hidden(name, JOURNAL, path);
		int ret = journal_create(fd, s->dirfd, path, h, st);
		if (ret == -EEXIST)
			continue;
		if (ret)
			return ret;
		/* Finished by another process between the look and the reservation? */
		if (!is_taken(s, name))
			return 0;
		unlinkat(s->dirfd, path, 0);
		close(*fd);
		*fd = -1;
	}
	return -EEXIST;
}

/* Takes ".stem.journal" apart. */
static bool stem_of(const char *file, char out[STEM_SIZE])
{
	size_t len = strlen(file), end = strlen(JOURNAL);

	if (file[0] != '.' || len <= end + 1 || strcmp(file + len - end, JOURNAL) != 0)
		return false;
	len -= end + 1;
	if (len >= STEM_SIZE)
		return false;
	memcpy(out, file + 1, len);
	out[len] = '\0';
	return true;
}

static int scan_folder(struct store *s, const char *folder,
		       void (*found)(void *, const struct store_name *), void *arg)
{
	int fd = openat(s->dirfd, *folder ? folder : ".",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		int err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while ((e = readdir(d))) {
		struct store_name n;
		snprintf(n.folder, sizeof(n.folder), "%s", folder);
		if (stem_of(e->d_name, n.stem)) {
			found(arg, &n);
			continue;
		}
		if (*folder || !id_valid(e->d_name, strlen(e->d_name)) ||
		    (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
			continue;
		int ret = scan_folder(s, e->d_name, found, arg);
		if (ret && ret != -ENOTDIR)
			log_warn("cannot look into '%s/%s': %s", s->path, e->d_name,
				 strerror(-ret));
	}
	closedir(d);
	return 0;
}

int store_scan(struct store *s, void (*found)(void *arg, const struct store_name *name), void *arg)
{
	return scan_folder(s, "", found, arg);
}

static void remove_hidden(struct store *s, const struct store_name *name, const char *suffix)
{
	char path[STORE_PATH_MAX];

	store_hidden(name, suffix, path);
	if (unlinkat(s->dirfd, path, 0) < 0 && errno != ENOENT)
		log_warn("cannot remove '%s/%s': %s", s->path, path, strerror(errno));
}

void store_remove_results(struct store *s, const struct store_name *name)
{
	char suffix[32];

	remove_hidden(s, name, ".json");
	for (const char *const *side = side_suffixes; *side; side++)
		remove_hidden(s, name, *side);
	for (const char *const *e = media_extensions; *e; e++) {
		snprintf(suffix, sizeof(suffix), ".out.%s", *e);
		remove_hidden(s, name, suffix);
	}
}

void store_remove_parts(struct store *s, const struct store_name *name)
{
	char path[STORE_PATH_MAX];

	for (int i = 0; i < STREAMS; i++) {
		store_part(name, i, path);
		if (unlinkat(s->dirfd, path, 0) < 0 && errno != ENOENT)
			log_warn("cannot remove '%s/%s': %s", s->path, path, strerror(errno));
	}
}

void store_discard(struct store *s, const struct store_name *name)
{
	store_remove_results(s, name);
	store_remove_parts(s, name);
	remove_hidden(s, name, JOURNAL);
}

bool store_has_parts(struct store *s, const struct store_name *name)
{
	char path[STORE_PATH_MAX];

	for (int i = 0; i < STREAMS; i++) {
		store_part(name, i, path);
		if (exists(s, path))
			return true;
	}
	return false;
}

int store_write_json(struct store *s, const struct store_name *name, const void *data, size_t n)
{
	char path[STORE_PATH_MAX];

	/* In place: while the media is hidden a broken one means nothing, and is made again. */
	store_hidden(name, ".json", path);
	int fd =
	    openat(s->dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	int ret = file_write_all(fd, data, n);
	if (!ret && fsync(fd) < 0)
		ret = -errno;
	if (close(fd) < 0 && !ret)
		ret = -errno;
	return ret;
}

static int sync_folder(struct store *s, const struct store_name *n)
{
	return file_sync_dir(s->dirfd, *n->folder ? n->folder : ".");
}

/* Renames the hidden file to its final name; one that does not exist is not an error. */
static int reveal(struct store *s, const struct store_name *name, const struct store_name *final,
		  const char *suffix)
{
	char from[STORE_PATH_MAX], to[STORE_PATH_MAX];

	store_hidden(name, suffix, from);
	store_visible(final, suffix, to);
	int ret = file_rename_excl(s->dirfd, from, to);
	return ret == -ENOENT ? 0 : ret;
}

int store_claim(struct store *s, const struct store_name *name, const char *ext,
		int (*describe)(void *arg, const struct store_name *final), void *arg,
		struct store_name *final)
{
	char from[STORE_PATH_MAX], to[STORE_PATH_MAX], suffix[32], session[STEM_SIZE];

	snprintf(session, sizeof(session), "%s", name->stem);
	session[strcspn(session, "~")] = '\0';
	snprintf(suffix, sizeof(suffix), ".out.%s", ext);
	store_hidden(name, suffix, from);
	*final = *name;
	for (unsigned i = 1; i <= NAMES_MAX; i++) {
		bool own = strcmp(final->stem, name->stem) == 0;
		if (!is_taken(s, final) && (own || !store_has(s, final, JOURNAL))) {
			int ret = describe(arg, final);
			if (ret)
				return ret;
			snprintf(suffix, sizeof(suffix), ".%s", ext);
			store_visible(final, suffix, to);
			/* Its digest may have taken minutes. Whoever sees it before its .json goes
			 * by its age, as msr-taskscan does. */
			utimensat(s->dirfd, from, NULL, AT_SYMLINK_NOFOLLOW);
			ret = file_rename_excl(s->dirfd, from, to);
			if (ret != -EEXIST)
				return ret;
		}
		number_stem(final, session, i);
	}
	return -EEXIST;
}

int store_publish(struct store *s, const struct store_name *name, const struct store_name *final)
{
	int ret;

	for (const char *const *side = side_suffixes; *side; side++) {
		ret = reveal(s, name, final, *side);
		if (ret == -EEXIST) /* somebody else's picture stays */
			remove_hidden(s, name, *side);
		else if (ret)
			return ret;
	}
	/* The media must be there for good before what it was made from goes. */
	if ((ret = sync_folder(s, name)))
		return ret;
	store_remove_parts(s, name);
	if ((ret = reveal(s, name, final, ".json")))
		return ret;
	if ((ret = sync_folder(s, name)))
		return ret;
	remove_hidden(s, name, JOURNAL);
	return 0;
}

unsigned long long store_free_bytes(const struct store *s)
{
	struct statvfs v;

	if (fstatvfs(s->dirfd, &v) < 0)
		return ULLONG_MAX;
	return (unsigned long long)v.f_bavail * v.f_frsize;
}
