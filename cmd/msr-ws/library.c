/*
 * The list of recordings. A recording is finished when its .json is there, the last of its files.
 *
 *   storage/NAME.json, storage/STORAGE_ID/NAME.json → entries, read once → one JSON text → ETag
 *
 * The folders are looked through at most once a second, and a .json is read only when it is new or
 * has changed; a large storage costs two system calls a recording then.
 */
#include "library.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/id.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "web/http.h"

#define LOOK_US	  1000000
#define JSON_MAX  (256u << 10) /* bytes of one .json */
#define LIST_MAX  (64u << 20)  /* bytes of the reply; the list ends there */
#define FILE_NAME 255
#define PATH_ROOM (2 * ID_SIZE + FILE_NAME + 1) /* two folders and a file */

/*
 * The storage holds what strangers sent, such as files of the chat: opened on its own, a page or
 * drawing among them runs no script and is of no origin. Players of browsers need their own style.
 */
#define FILE_POLICY \
	"default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"

struct entry {
	struct map_node node; /* by path of the .json */
	int64_t mtime_ns;
	unsigned seen; /* number of the last look that found it */
	char *text;    /* owned: JSON; NULL: not a recording */
	char path[];
};

struct library {
	int dirfd;
	struct map entries;
	struct buf text; /* the reply */
	char etag[32];
	struct mono looked;
	unsigned look;
};

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && strcmp(name + n - m, suffix) == 0;
}

/* Turns the name of a file beside the .json into its path in the storage. */
static void add_path(json_t *o, const char *to, const char *from, const char *folder)
{
	const char *name = json_string_value(json_object_get(o, from));
	char path[PATH_ROOM];

	if (!name || strchr(name, '/') || *name == '.') {
		json_object_del(o, to);
		return;
	}
	snprintf(path, sizeof(path), "%s%s%s", folder, *folder ? "/" : "", name);
	json_object_set_new(o, to, json_string(path));
}

/*
 * Whether the .json called `name` is about a file of its own name. Those that people send each
 * other in the chat lie in the storage as well, under names that they do not know beforehand.
 */
static bool is_about(const char *name, const char *file)
{
	size_t stem = strlen(name) - strlen(".json");

	return file && strncmp(file, name, stem) == 0 && file[stem] == '.';
}

/* The entry of one .json, or NULL when it is not one of ours. */
static char *read_entry(int dirfd, const char *folder, const char *name)
{
	struct buf b;
	char *text = NULL;

	buf_init(&b, 0);
	if (file_read(dirfd, name, JSON_MAX, &b) == 0) {
		json_t *o = json_loadb((const char *)buf_data(&b), buf_len(&b), 0, NULL);
		if (is_about(name, json_string_value(json_object_get(o, "file")))) {
			add_path(o, "path", "file", folder);
			add_path(o, "wave", "wave", folder);
			add_path(o, "poster", "poster", folder);
			json_object_del(o, "file");
			text = json_dumps(o, JSON_COMPACT);
		}
		json_decref(o);
	}
	buf_done(&b);
	return text;
}

static void look_at(struct library *l, int dirfd, const char *folder, const char *name)
{
	char path[PATH_ROOM];
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	int len = snprintf(path, sizeof(path), "%s/%s", folder, name);
	int64_t mtime = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	struct map_node *n = map_get(&l->entries, path, (size_t)len);
	struct entry *e = n ? container_of(n, struct entry, node) : NULL;
	if (!e) {
		e = calloc(1, sizeof(*e) + (size_t)len + 1);
		if (!e)
			return;
		memcpy(e->path, path, (size_t)len + 1);
		if (map_put(&l->entries, &e->node, e->path, (size_t)len) < 0) {
			free(e);
			return;
		}
	}
	if (e->mtime_ns != mtime) {
		free(e->text);
		e->text = read_entry(dirfd, folder, name);
		e->mtime_ns = mtime;
	}
	e->seen = l->look;
}

/* `depth` 0 is the storage itself, 1 a folder named by a storage id; "mix/ROOM" makes it 2. */
static void look_through(struct library *l, int fd, const char *folder, int depth)
{
	DIR *d = fdopendir(fd);

	if (!d) {
		close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(d));) {
		if (*e->d_name == '.')
			continue;
		if (has_suffix(e->d_name, ".json")) {
			look_at(l, dirfd(d), folder, e->d_name);
			continue;
		}
		if ((e->d_type != DT_DIR && e->d_type != DT_UNKNOWN) || depth == 2 ||
		    !id_valid(e->d_name, strlen(e->d_name)))
			continue;
		char path[2 * ID_SIZE];
		int sub =
		    openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		snprintf(path, sizeof(path), "%s%s%s", folder, *folder ? "/" : "", e->d_name);
		if (sub >= 0)
			look_through(l, sub, path, depth + 1);
	}
	closedir(d);
}

static void write_list(struct library *l)
{
	const char *comma = "";

	buf_done(&l->text);
	buf_init(&l->text, LIST_MAX);
	buf_printf(&l->text, "{\"recordings\":[");
	map_each (n, &l->entries) {
		struct entry *e = container_of(n, struct entry, node);
		if (e->seen != l->look) { /* removed */
			map_remove(&l->entries, n);
			free(e->text);
			free(e);
		} else if (e->text && buf_len(&l->text) + strlen(e->text) + 8 < LIST_MAX) {
			buf_printf(&l->text, "%s\n%s", comma, e->text);
			comma = ",";
		}
	}
	buf_printf(&l->text, "]}\n");
	snprintf(l->etag, sizeof(l->etag), "\"%08x-%zx\"",
		 crc32c(0, buf_data(&l->text), buf_len(&l->text)), buf_len(&l->text));
}

static void refresh(struct library *l)
{
	struct mono now = mono_now();

	if (l->look && mono_diff_us(now, l->looked) < LOOK_US)
		return;
	int fd = openat(l->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	l->look++;
	if (fd >= 0)
		look_through(l, fd, "", 0);
	write_list(l);
	l->looked = mono_now();
}

static void handle_list(void *arg, struct web_req *req)
{
	struct library *l = arg;
	const char *known = web_header(req, "if-none-match");

	refresh(l);
	web_reply_header(req, "ETag", "%s", l->etag);
	web_reply_header(req, "Cache-Control", "no-cache");
	if (known && strstr(known, l->etag))
		web_reply(req, 304, NULL, NULL, 0);
	else
		web_reply_json(req, 200, (const char *)buf_data(&l->text), buf_len(&l->text));
}

int library_new(struct library **lp, const char *dir, struct web_server *s)
{
	struct web_static_opts files = {
	    .prefix = "/recordings/", .dir = dir, .policy = FILE_POLICY};
	struct library *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return -ENOMEM;
	map_init(&l->entries);
	buf_init(&l->text, LIST_MAX);
	l->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = l->dirfd < 0 ? -errno : web_static(s, &files);
	if (ret) {
		library_free(l);
		return ret;
	}
	web_route(s, "GET", "/recordings", 0, handle_list, l);
	*lp = l;
	return 0;
}

void library_free(struct library *l)
{
	if (!l)
		return;
	map_each (n, &l->entries) {
		struct entry *e = container_of(n, struct entry, node);
		map_remove(&l->entries, n);
		free(e->text);
		free(e);
	}
	map_done(&l->entries);
	buf_done(&l->text);
	if (l->dirfd >= 0)
		close(l->dirfd);
	free(l);
}
