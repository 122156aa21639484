/*
 * Files of static folders: RFC 9110 conditional requests (section 13) and ranges (section 14).
 *
 * A path is walked one name at a time from a descriptor of the folder, without following symbolic
 * links and without dot names, so nothing outside the folder can be reached however the path is
 * written.
 */
#include "web_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

struct folder {
	struct folder *next;
	struct web_static_opts opts;
	size_t prefix_len;
	int fd;
};

int web_static(struct web_server *s, const struct web_static_opts *opts)
{
	struct folder *f = calloc(1, sizeof(*f)), **at = &s->folders;

	if (!f)
		return -ENOMEM;
	f->opts = *opts;
	f->prefix_len = strlen(opts->prefix);
	f->fd = open(opts->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0) {
		int err = -errno;
		free(f);
		return err;
	}
	while (*at && (*at)->prefix_len >= f->prefix_len)
		at = &(*at)->next;
	f->next = *at;
	*at = f;
	return 0;
}

void web_static_free(struct web_server *s)
{
	for (struct folder *f = s->folders, *next; f; f = next) {
		next = f->next;
		close(f->fd);
		free(f);
	}
	s->folders = NULL;
}

/* ---- opening ---- */

/* Opens a regular file, or the index.html of a folder. -errno. */
static int open_below(int dirfd, const char *path, struct stat *st)
{
	int fd = dirfd, ret = 0;
	char name[256];

	while (!ret) {
		size_t n = strcspn(path, "/");
		bool last = !path[n];
		if (n >= sizeof(name) || *path == '.') {
			ret = -ENOENT;
			break;
		}
		if (n == 0) { /* the path ends with a slash */
			snprintf(name, sizeof(name), "index.html");
			last = true;
		} else {
			snprintf(name, sizeof(name), "%.*s", (int)n, path);
		}
		int next = openat(fd, name,
				  O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
				      (last ? O_RDONLY : O_PATH | O_DIRECTORY));
		if (next < 0)
			ret = -errno;
		if (fd != dirfd)
			close(fd);
		fd = next;
		if (last || ret)
			break;
		path += n + 1;
	}
	if (!ret && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)))
		ret = S_ISDIR(st->st_mode) ? -EISDIR : -ENOENT;
	if (ret && fd >= 0 && fd != dirfd)
		close(fd);
	return ret ? ret : fd;
}

static const char *content_type(const char *path)
{
	static const struct {
		const char *ext, *type;
	} types[] = {
	    {"html", "text/html; charset=utf-8"},
	    {"css", "text/css; charset=utf-8"},
	    {"js", "text/javascript; charset=utf-8"},
	    {"mjs", "text/javascript; charset=utf-8"},
	    {"json", "application/json"},
	    {"txt", "text/plain; charset=utf-8"},
	    {"md", "text/plain; charset=utf-8"},
	    {"svg", "image/svg+xml"},
	    {"png", "image/png"},
	    {"jpg", "image/jpeg"},
	    {"jpeg", "image/jpeg"},
	    {"webp", "image/webp"},
	    {"ico", "image/x-icon"},
	    {"woff2", "font/woff2"},
	    {"webmanifest", "application/manifest+json"},
	    {"wasm", "application/wasm"},
	    {"mp3", "audio/mpeg"},
	    {"m4a", "audio/mp4"},
	    {"ogg", "audio/ogg"},
	    {"opus", "audio/ogg"},
	    {"flac", "audio/flac"},
	    {"wav", "audio/wav"},
	    {"webm", "video/webm"},
	    {"mkv", "video/x-matroska"},
	    {"mp4", "video/mp4"},
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof(types) / sizeof(*types); i++)
		if (strcasecmp(dot + 1, types[i].ext) == 0)
			return types[i].type;
	return "application/octet-stream";
}

/* ---- conditions and ranges ---- */

/* Whether a list of entity tags has `etag`, compared weakly. */
static bool etag_listed(const char *list, const char *etag)
{
	return strcmp(list, "*") == 0 || strstr(list, etag) != NULL;
}

static bool is_unchanged(struct web_req *req, const char *etag, const char *modified)
{
	const char *none = web_header(req, "if-none-match");
	const char *since = web_header(req, "if-modified-since");

	if (none)
		return etag_listed(none, etag);
	return since && strcmp(since, modified) == 0;
}

/* "bytes=A-B", "bytes=A-" or "bytes=-N". 1: one range; 0: ignore the header; -1: outside. */
static int parse_range(const char *text, int64_t size, int64_t *from, int64_t *to)
{
	char *end;

	if (!text || strncmp(text, "bytes=", 6) != 0 || strchr(text, ','))
		return 0;
	text += 6;
	errno = 0;
	if (*text == '-') {
		int64_t n = strtoll(text + 1, &end, 10);
		if (*end || errno || n < 0 || end == text + 1 || text[1] == '-')
			return 0;
		if (n == 0 || size == 0)
			return -1;
		*from = n < size ? size - n : 0;
		*to = size;
		return 1;
	}
	if (*text < '0' || *text > '9')
		return 0;
	int64_t a = strtoll(text, &end, 10), b = INT64_MAX - 1;
	if (*end != '-' || errno)
		return 0;
	text = end + 1;
	if (*text) {
		b = strtoll(text, &end, 10);
		if (*end || errno || *text < '0' || *text > '9' || b < a)
			return 0;
	}
	if (a >= size)
		return -1;
	*from = a;
	*to = b + 1 < size ? b + 1 : size;
	return 1;
}

static bool range_applies(struct web_req *req, const char *etag, const char *modified)
{
	const char *if_range = web_header(req, "if-range");

	return !if_range || strcmp(if_range, etag) == 0 || strcmp(if_range, modified) == 0;
}

static void reply_opened(struct web_req *req, int fd, const struct stat *st, const char *path,
			 const char *cache_control)
{
	char etag[64], modified[HTTP_DATE_SIZE];
	int64_t size = st->st_size, from = 0, to = size;
	int status = 200;

	snprintf(etag, sizeof(etag), "\"%llx-%llx\"",
		 (unsigned long long)st->st_mtim.tv_sec * 1000000000u +
		     (unsigned long long)st->st_mtim.tv_nsec,
		 (unsigned long long)size);
	web_http_date(st->st_mtim.tv_sec, modified);
	web_reply_header(req, "ETag", "%s", etag);
	web_reply_header(req, "Last-Modified", "%s", modified);
	web_reply_header(req, "Cache-Control", "%s", cache_control ? cache_control : "no-cache");
	web_reply_header(req, "Accept-Ranges", "bytes");
	if (is_unchanged(req, etag, modified)) {
		close(fd);
		web_reply(req, 304, NULL, NULL, 0);
		return;
	}
	int range = range_applies(req, etag, modified)
			? parse_range(web_header(req, "range"), size, &from, &to)
			: 0;
	if (range < 0) {
		close(fd);
		web_reply_header(req, "Content-Range", "bytes */%" PRId64, size);
		web_reply_error(req, 416, "bad_range", "the file has %" PRId64 " bytes", size);
		return;
	}
	if (range > 0) {
		status = 206;
		web_reply_header(req, "Content-Range", "bytes %" PRId64 "-%" PRId64 "/%" PRId64,
				 from, to - 1, size);
	}
	if (req->is_head || from == to) {
		close(fd);
	} else {
		req->fd = fd;
		req->file_pos = from;
		req->file_end = to;
	}
	web_http_reply_start(req, status, content_type(path), to - from);
}

static bool is_below(const struct web_req *req, const struct folder *f)
{
	return strncmp(req->path, f->opts.prefix, f->prefix_len) == 0;
}

bool web_static_is_for(struct web_req *req)
{
	for (const struct folder *f = req->c->server->folders; f; f = f->next)
		if (f->prefix_len > 1 && is_below(req, f))
			return true;
	return false;
}

bool web_static_serve(struct web_req *req)
{
	bool get = strcmp(req->method, "GET") == 0 || req->is_head;

	for (const struct folder *f = req->c->server->folders; f; f = f->next) {
		if (!is_below(req, f))
			continue;
		const char *path = req->path + f->prefix_len;
		struct stat st;
		if (!get) {
			web_reply_header(req, "Allow", "GET, HEAD");
			web_reply_error(req, 405, "method_not_allowed", "%s takes GET", req->path);
			return true;
		}
		if (f->opts.allow && !f->opts.allow(f->opts.arg, path))
			continue;
		/* Another folder, or a WebSocket, may have what this one has not. */
		int fd = open_below(f->fd, path, &st);
		if (fd < 0 && fd != -EISDIR)
			continue;
		if (f->opts.policy)
			web_reply_header(req, "Content-Security-Policy", "%s", f->opts.policy);
		if (fd == -EISDIR) {
			/* Relative links in its index need the slash. */
			web_reply_header(req, "Location", "%s/", req->path);
			web_reply(req, 301, NULL, NULL, 0);
			return true;
		}
		size_t n = strlen(path);
		bool index = n == 0 || path[n - 1] == '/';
		reply_opened(req, fd, &st, index ? "index.html" : path, f->opts.cache_control);
		return true;
	}
	return false;
}
