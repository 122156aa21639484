/* From the files of a recording to its task. */
#include "task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "ledger.h"
#include "meta.h"
#include "name.h"

#define FILES_MAX   8		/* media files of one name; msr-record(8) makes one */
#define DIGEST_STEP (256 << 10) /* bytes a read(2) */
#define TASK_EXT    ".task"

_Static_assert(META_START == LEDGER_START, "a start fits into both");

struct media {
	const struct name_media *type;
	int fd;		/* owned, open for reading until the digest is known */
	struct stat st; /* when it was found finished */
	EVP_MD_CTX *md; /* owned while the digest is computed */
	bool from_meta; /* NAME.json describes this one */
	char sha256[META_SHA256];
};

struct task {
	char key[KEY_SIZE];
	struct meta meta;
	struct media file[FILES_MAX];
	int n_files;
	bool has_meta;
};

const char *task_key(const struct task *t)
{
	return t->key;
}

const char *task_room(const struct task *t)
{
	return t->meta.room;
}

const char *task_session(const struct task *t)
{
	return t->meta.session;
}

int task_n_files(const struct task *t)
{
	return t->n_files;
}

int64_t task_bytes(const struct task *t)
{
	int64_t sum = 0;

	for (int i = 0; i < t->n_files; i++)
		sum += t->file[i].st.st_size;
	return sum;
}

void task_free(struct task *t)
{
	if (!t)
		return;
	for (int i = 0; i < t->n_files; i++) {
		EVP_MD_CTX_free(t->file[i].md);
		if (t->file[i].fd >= 0)
			close(t->file[i].fd);
	}
	free(t);
}

/* ---- looking ---- */

/*
 * Opens a plain file of the storage: neither its name nor its folder may be a symbolic link, and
 * a FIFO or device must not block. The descriptor or -errno.
 */
static int open_plain(int dirfd, const char *path, struct stat *st)
{
	const char *slash = strchr(path, '/');
	char folder[KEY_SIZE];
	int dir = dirfd;

	if (slash) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		dir = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0)
			return -errno;
	}
	int fd = openat(dir, slash ? slash + 1 : path,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int ret = fd < 0 ? -errno : fd;
	if (dir != dirfd)
		close(dir);
	if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))) {
		close(fd);
		ret = -ELOOP;
	}
	return ret;
}

/* As file_read, of what is open already. */
static int read_whole(int fd, struct buf *b)
{
	for (;;) {
		uint8_t *p = buf_reserve(b, DIGEST_STEP);
		if (!p)
			return -ENOMEM;
		ssize_t n = read(fd, p, DIGEST_STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		buf_commit(b, (size_t)n);
		if (buf_len(b) > META_MAX)
			return -EFBIG;
	}
}

/* Whether `key` has a NAME.json, read into `m`. */
static bool read_meta(int storage_fd, const char *key, struct meta *m)
{
	char path[PATH_ROOM];
	const char *why = "it cannot be read";
	struct stat st;
	struct buf b;

	name_path(path, key, "", ".json");
	int fd = open_plain(storage_fd, path, &st);
	if (fd == -ENOENT)
		return false;
	buf_init(&b, 0);
	int ret = fd < 0 ? fd : read_whole(fd, &b);
	if (ret == -ELOOP)
		why = "it is not a plain file";
	else if (ret == -EFBIG)
		why = "it is longer than 1 MiB";
	else if (!ret)
		ret = meta_parse(buf_data(&b), buf_len(&b), m, &why);
	if (ret < 0)
		log_warn("ignoring %s: %s", path, why);
	buf_done(&b);
	if (fd >= 0)
		close(fd);
	return ret == 0;
}

bool task_had(const struct task_dirs *d, struct ledger *l, const char *key)
{
	char path[PATH_ROOM], changed[CLOCK_RFC3339_SIZE];
	struct meta m;
	struct stat st;

	if (!ledger_has(l, key))
		return false;
	name_path(path, key, "", ".json");
	if (fstatat(d->storage_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	clock_rfc3339(st.st_ctim.tv_sec * 1000000 + st.st_ctim.tv_nsec / 1000, changed);
	if (ledger_has_since(l, key, changed))
		return true;
	meta_init(&m);
	read_meta(d->storage_fd, key, &m);
	if (!ledger_has_this(l, key, m.start))
		return false;
	ledger_seen(l, key, changed);
	return true;
}

static void find_media(struct task *t, int storage_fd)
{
	char path[PATH_ROOM], suffix[16];

	for (const struct name_media *m = name_media; m->ext && t->n_files < FILES_MAX; m++) {
		struct media *f = &t->file[t->n_files];
		snprintf(suffix, sizeof(suffix), ".%s", m->ext);
		name_path(path, t->key, "", suffix);
		int fd = open_plain(storage_fd, path, &f->st);
		if (fd < 0) {
			if (fd != -ENOENT)
				log_warn("skipping %s: %s", path,
					 fd == -ELOOP ? "not a plain file" : strerror(-fd));
			continue;
		}
		f->fd = fd;
		f->type = m;
		t->n_files++;
	}
}

/* Microseconds until the newest file has been left alone for `settle_us`; 0: it has. */
static int64_t unsettled_us(const struct task *t, int64_t settle_us)
{
	int64_t now = clock_wall_us(), wait = 0;

	for (int i = 0; i < t->n_files; i++) {
		const struct timespec *m = &t->file[i].st.st_mtim;
		int64_t left = m->tv_sec * 1000000 + m->tv_nsec / 1000 + settle_us - now;
		if (left > settle_us) /* changed in the future: some clock was set back */
			left = settle_us;
		if (left > wait)
			wait = left;
	}
	return wait;
}

/* Which file the digest in NAME.json is of: the one with that many bytes. */
static void match_meta(struct task *t)
{
	for (int i = 0; i < t->n_files; i++) {
		struct media *f = &t->file[i];
		if (t->meta.bytes != f->st.st_size)
			continue;
		f->from_meta = true;
		if (!f->sha256[0])
			memcpy(f->sha256, t->meta.sha256, META_SHA256);
		return;
	}
}

/* What NAME.json says, or else the file's name. */
static void use_meta(struct task *t)
{
	const char *name = name_in_key(t->key);

	if (!t->meta.session[0])
		snprintf(t->meta.session, ID_SIZE, "%.*s", (int)name_session(name, strlen(name)),
			 name);
	match_meta(t);
}

int task_inspect(struct task **tp, const struct task_dirs *d, const char *key, int64_t settle_us,
		 int64_t *wait_us)
{
	struct task *t = calloc(1, sizeof(*t));
	int ret = 0;

	if (!t)
		return -ENOMEM;
	snprintf(t->key, sizeof(t->key), "%s", key);
	meta_init(&t->meta);
	/* NAME.json first: it comes last, so whoever sees it sees the whole media file. */
	t->has_meta = read_meta(d->storage_fd, key, &t->meta);
	find_media(t, d->storage_fd);
	if (!t->n_files)
		ret = -ENOENT;
	else if (!t->has_meta && (*wait_us = unsettled_us(t, settle_us)) > 0)
		ret = -EAGAIN;
	if (ret) {
		task_free(t);
		return ret;
	}
	use_meta(t);
	*tp = t;
	return 0;
}

/* ---- digests ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int end_digest(struct media *f)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	struct stat now;

	if (EVP_DigestFinal_ex(f->md, sum, &n) != 1 || n * 2 + 1 != META_SHA256)
		return -EIO;
	for (unsigned int i = 0; i < n; i++)
		snprintf(f->sha256 + 2 * i, 3, "%02x", sum[i]);
	if (fstat(f->fd, &now) < 0)
		return -errno;
	return same_file(&now, &f->st) ? 1 : -EAGAIN;
}

/* 1: this file's digest is known; 0: more to read. */
static int digest_file(struct media *f, uint64_t max)
{
	static unsigned char step[DIGEST_STEP]; /* one task is digested at a time */

	if (f->sha256[0])
		return 1;
	if (!f->md) {
		f->md = EVP_MD_CTX_new();
		if (!f->md || EVP_DigestInit_ex(f->md, EVP_sha256(), NULL) != 1)
			return -ENOMEM;
	}
	for (uint64_t done = 0; done < max;) {
		ssize_t n = read(f->fd, step, sizeof(step));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return end_digest(f);
		if (EVP_DigestUpdate(f->md, step, (size_t)n) != 1)
			return -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

int task_digest(struct task *t, uint64_t max)
{
	for (int i = 0; i < t->n_files; i++) {
		int ret = digest_file(&t->file[i], max);
		if (ret <= 0)
			return ret;
	}
	return 1;
}

/* ---- publishing ---- */

static json_t *text_or_null(const char *s)
{
	return s[0] ? json_string(s) : json_null();
}

static json_t *describe_file(const struct task *t, const struct media *f, const struct task_dirs *d)
{
	char rel[PATH_ROOM], suffix[16];
	const struct meta *m = &t->meta;

	snprintf(suffix, sizeof(suffix), ".%s", f->type->ext);
	name_path(rel, t->key, "", suffix);
	json_t *path = json_sprintf("%s/%s", d->storage, rel);
	if (!path) /* the storage's own path is not UTF-8: relative to it then */
		path = json_string(rel);
	return json_pack("{s:o, s:s, s:o, s:o, s:I, s:s}", "path", path, "kind", f->type->kind,
			 "codec", f->from_meta ? text_or_null(m->codec) : json_null(), "duration",
			 f->from_meta && m->duration >= 0 ? json_real(m->duration) : json_null(),
			 "bytes", (json_int_t)f->st.st_size, "sha256", f->sha256);
}

/* The task as text, owned by the caller; NULL when memory is short. */
static char *describe(const struct task *t, const struct task_dirs *d)
{
	char now[CLOCK_RFC3339_SIZE], folder[ID_SIZE];
	const char *name = name_in_key(t->key);
	json_t *o = json_object(), *files = json_array();
	int bad = 0;

	bad |= json_object_set_new(o, "session", text_or_null(t->meta.session));
	bad |= json_object_set_new(o, "room", text_or_null(t->meta.room));
	if (name != t->key) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(name - t->key) - 1, t->key);
		bad |= json_object_set_new(o, "storage_id", json_string(folder));
	}
	bad |= json_object_set_new(o, "name", json_string(name));
	bad |= json_object_set_new(o, "start", text_or_null(t->meta.start));
	for (int i = 0; i < t->n_files; i++)
		bad |= json_array_append_new(files, describe_file(t, &t->file[i], d));
	bad |= json_object_set_new(o, "files", files);
	clock_rfc3339(clock_wall_us(), now);
	bad |= json_object_set_new(o, "created", json_string(now));
	char *text = bad ? NULL : json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
	json_decref(o);
	size_t len = text ? strlen(text) : 0;
	char *line = text ? realloc(text, len + 2) : NULL;
	if (line)
		strcpy(line + len, "\n");
	else
		free(text);
	return line;
}

static int make_folder(int tasks_fd, const char *key)
{
	const char *name = name_in_key(key);
	char folder[KEY_SIZE];

	if (name == key)
		return 0;
	snprintf(folder, sizeof(folder), "%.*s", (int)(name - key) - 1, key);
	if (mkdirat(tasks_fd, folder, 0777) == 0)
		return file_sync_dir(tasks_fd, ".");
	return errno == EEXIST ? 0 : -errno;
}

/* The last step: the rename that makes the task visible. */
static int reveal(int tasks_fd, const char *key)
{
	char hidden[PATH_ROOM], final[PATH_ROOM], folder[PATH_ROOM];

	name_path(hidden, key, ".", TASK_EXT);
	name_path(final, key, "", TASK_EXT);
	if (renameat(tasks_fd, hidden, tasks_fd, final) < 0)
		return -errno;
	snprintf(folder, sizeof(folder), "%.*s.", (int)(name_in_key(key) - key), key);
	return file_sync_dir(tasks_fd, folder);
}

int task_publish(struct task *t, const struct task_dirs *d, struct ledger *l)
{
	char hidden[PATH_ROOM], *text = NULL;
	int ret = ledger_lock(l);

	if (ret < 0)
		return ret;
	/* It may have come while the digest was computed. */
	if (!t->has_meta) {
		t->has_meta = read_meta(d->storage_fd, t->key, &t->meta);
		use_meta(t);
	}
	if (ledger_has_this(l, t->key, t->meta.start))
		goto out;
	ret = -ENOMEM;
	text = describe(t, d);
	if (!text)
		goto out;
	ret = make_folder(d->tasks_fd, t->key);
	if (ret < 0)
		goto out;
	name_path(hidden, t->key, ".", TASK_EXT);
	ret = file_publish(d->tasks_fd, hidden, text, strlen(text));
	if (!ret)
		ret = ledger_add(l, LEDGER_MAKE, t->key, t->meta.start);
	if (!ret)
		ret = reveal(d->tasks_fd, t->key);
	if (!ret)
		ret = 1;
out:
	free(text);
	ledger_unlock(l);
	return ret;
}

/* ---- recovery ---- */

static void copy_member(const json_t *o, const char *key, char *out, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	if (s && strlen(s) < size)
		strcpy(out, s);
}

/* Whether `file` is ".NAME.task"; then its key. */
static bool is_hidden(const char *folder, const char *file, char key[static KEY_SIZE])
{
	size_t len = strlen(file), ext = strlen(TASK_EXT);

	if (file[0] != '.' || len <= ext + 1 || strcmp(file + len - ext, TASK_EXT) != 0 ||
	    !name_session(file + 1, len - ext - 1))
		return false;
	name_key(key, folder, file + 1, len - ext - 1);
	return true;
}

/* file_publish's own leavings: ".tmp-RANDOM". Nobody else writes here while we hold the lock. */
static bool is_temp(const char *file)
{
	return !strncmp(file, ".tmp-", 5);
}

/* When the recording of the hidden task `file` began; "" where unknown. */
static void read_start(int dirfd, const char *file, char start[static META_START])
{
	struct buf b;

	start[0] = '\0';
	buf_init(&b, 0);
	if (file_read(dirfd, file, META_MAX, &b) == 0) {
		json_t *o = json_loadb((const char *)buf_data(&b), buf_len(&b), 0, NULL);
		copy_member(o, "start", start, META_START);
		json_decref(o);
	}
	buf_done(&b);
}

static int recover_folder(int fd, const char *folder, const struct task_dirs *d, struct ledger *l)
{
	DIR *dir = fdopendir(fd);
	int n = 0, ret = 0;

	if (!dir) {
		ret = -errno;
		close(fd);
		return ret;
	}
	for (struct dirent *e; ret >= 0 && (e = readdir(dir));) {
		char key[KEY_SIZE];
		if (is_temp(e->d_name)) {
			unlinkat(fd, e->d_name, 0);
			continue;
		}
		if (is_hidden(folder, e->d_name, key)) {
			char start[META_START];
			read_start(fd, e->d_name, start);
			if (!ledger_has_this(l, key, start)) {
				unlinkat(fd, e->d_name, 0);
				continue;
			}
			ret = reveal(d->tasks_fd, key);
			if (!ret) {
				n++;
				log_info("completed the task of %s, cut off earlier", key);
			}
			continue;
		}
		if (folder || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN) ||
		    !id_valid(e->d_name, strlen(e->d_name)))
			continue;
		int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			ret = recover_folder(sub, e->d_name, d, l);
		if (ret > 0)
			n += ret;
	}
	closedir(dir);
	return ret < 0 ? ret : n;
}

int task_recover(const struct task_dirs *d, struct ledger *l)
{
	int ret = ledger_lock(l);

	if (ret < 0)
		return ret;
	int fd = openat(d->tasks_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = fd < 0 ? -errno : recover_folder(fd, NULL, d, l);
	ledger_unlock(l);
	return ret;
}

/* ---- reading tasks back ---- */

int task_read(int fd, struct task_info *info)
{
	struct buf b;

	memset(info, 0, sizeof(*info));
	buf_init(&b, 0);
	int ret = read_whole(fd, &b);
	json_t *o = ret ? NULL : json_loadb((const char *)buf_data(&b), buf_len(&b), 0, NULL);
	if (!ret && !json_is_object(o))
		ret = -EINVAL;
	copy_member(o, "room", info->room, sizeof(info->room));
	copy_member(o, "session", info->session, sizeof(info->session));
	copy_member(json_array_get(json_object_get(o, "files"), 0), "path", info->file,
		    sizeof(info->file));
	json_decref(o);
	buf_done(&b);
	return ret;
}
