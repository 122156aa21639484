/* Formatting and the three forms of output. */
#include "show.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../head.h"
#include "../proto.h"
#include "base/clock.h"
#include "base/json.h"
#include "client.h"
#include "media.h"
#include "names.h"
#include "terminal.h"

enum {
	PROGRESS_STEP = 20, /* events of a transfer in JSON, at most */
	LINE_MAX_ = 4096,   /* bytes of a line that is not a text of somebody */
};

/* ---- output ---- */

static void print(struct client *c, const char *line)
{
	if (c->term) {
		terminal_print(c->term, line);
		return;
	}
	/* Whoever read is gone: nobody would hear us out. */
	if ((puts(line) == EOF || fflush(stdout) == EOF) && !c->done) {
		fprintf(stderr, "msr-chat: cannot write: %s\n", strerror(errno));
		c->failed = c->done = true;
	}
}

static void complain(struct client *c, const char *line)
{
	if (c->term)
		terminal_print(c->term, line);
	else
		fprintf(stderr, "msr-chat: %s\n", line);
}

/* An event under construction, in memory of its own: texts can be long. */
struct line {
	struct json json;
	char *text;
};

static bool line_start(struct line *l, const char *ev, size_t room)
{
	size_t cap = room * 6 + LINE_MAX_;

	l->text = malloc(cap);
	if (!l->text)
		return false;
	json_start(&l->json, l->text, cap);
	json_obj(&l->json, NULL);
	json_str(&l->json, "ev", ev);
	return true;
}

static void line_end(struct client *c, struct line *l)
{
	json_obj_end(&l->json);
	if (json_end(&l->json) >= 0)
		print(c, l->text);
	free(l->text);
}

/* ---- parts of lines ---- */

/* The server's time of day here, with the date if it is not today. "--:--" if unreadable. */
static void local_time(const char *timestamp, char out[32])
{
	struct tm tm = {0}, now_tm, then_tm;
	time_t now = time(NULL), then = now;

	if (*timestamp) {
		if (!strptime(timestamp, "%Y-%m-%dT%H:%M:%S", &tm)) {
			strcpy(out, "--:--");
			return;
		}
		then = timegm(&tm);
	}
	localtime_r(&now, &now_tm);
	localtime_r(&then, &then_tm);
	bool today = now_tm.tm_yday == then_tm.tm_yday && now_tm.tm_year == then_tm.tm_year;
	strftime(out, 32, today ? "%H:%M" : "%Y-%m-%d %H:%M", &then_tm);
}

/* A colour for each name, the same everywhere; light and dark grounds both show these. */
static int colour_of(const char *name)
{
	static const int colours[] = {31, 32, 33, 34, 35, 36, 91, 92, 94, 95, 96};
	unsigned hash = 5381;

	for (const char *p = name; *p; p++)
		hash = hash * 33 + (unsigned char)*p;
	return colours[hash % (sizeof(colours) / sizeof(colours[0]))];
}

/* Names and file names are printable already (text.h), but a server could send others. */
static const char *clean(const char *text, char *out, size_t size)
{
	text_visible(text, strlen(text), false, out, size);
	return out;
}

static void name_in_colour(struct client *c, const char *name, char *out, size_t size)
{
	char visible[2 * NAME_SIZE];

	clean(name, visible, sizeof(visible));
	if (c->set.color)
		snprintf(out, size, "\033[%dm%s\033[0m", colour_of(name), visible);
	else
		snprintf(out, size, "%s", visible);
}

/* "12:03 <ann>" or, for private messages, "12:03 [ann > bob]". Returns the length. */
static int lead(struct client *c, const char *timestamp, const char *from, const char *to,
		char *out, size_t size)
{
	char when[32], a[3 * NAME_SIZE], b[3 * NAME_SIZE];

	local_time(timestamp, when);
	name_in_colour(c, from, a, sizeof(a));
	name_in_colour(c, to, b, sizeof(b));
	const char *dim = c->set.color ? "\033[2m" : "", *off = c->set.color ? "\033[0m" : "";
	if (*to)
		return snprintf(out, size, "%s%s%s [%s > %s] ", dim, when, off, a, b);
	return snprintf(out, size, "%s%s%s <%s> ", dim, when, off, a);
}

static void bytes_text(uint64_t n, char out[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)n;
	size_t u = 0;

	while (v >= 1024 && u + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1024;
		u++;
	}
	snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void head_members(struct json *j, const struct server_head *h)
{
	json_str(j, "from", h->from);
	if (*h->to)
		json_str(j, "to", h->to);
	json_str(j, "timestamp", h->timestamp);
}

/* ---- messages ---- */

/*
 * A text of several lines: in a terminal each further line is marked, so that none can pretend
 * to be another message; in a pipe it becomes one line.
 */
static void print_text(struct client *c, const char *start, const char *text, size_t len)
{
	static const char mark[] = "\n      | ";
	size_t lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	size_t cap = strlen(start) + 3 * len + (c->term ? lines * sizeof(mark) : 0) + 1;
	char *visible = malloc(3 * len + 1), *out = malloc(cap);
	if (visible && out) {
		text_visible(text, len, c->term != NULL, visible, 3 * len + 1);
		char *at = stpcpy(out, start);
		for (const char *p = visible; *p; p++) {
			if (*p == '\n')
				at = stpcpy(at, mark);
			else
				*at++ = *p;
		}
		*at = '\0';
		print(c, out);
	}
	free(visible);
	free(out);
}

void show_text(struct client *c, const struct server_head *h, const char *text, size_t len)
{
	char start[8 * NAME_SIZE];
	struct line l;

	if (c->set.json) {
		if (!line_start(&l, "message", len))
			return;
		json_str(&l.json, "type", "utf8");
		head_members(&l.json, h);
		json_strn(&l.json, "text", text, len);
		line_end(c, &l);
		return;
	}
	lead(c, h->timestamp, h->from, h->to, start, sizeof(start));
	print_text(c, start, text, len);
	if (*h->to && c->set.bell && c->term)
		terminal_bell(c->term);
}

void show_own(struct client *c, const char *to, const char *text)
{
	char start[8 * NAME_SIZE];

	if (!c->term)
		return;
	lead(c, "", c->name, to ? to : "", start, sizeof(start));
	print_text(c, start, text, strlen(text));
}

static void received_json(struct client *c, const struct received *r)
{
	struct line l;

	if (!line_start(&l, "message", strlen(r->path) + FILENAME_SIZE))
		return;
	json_str(&l.json, "type", proto_name(r->type));
	head_members(&l.json, r->head);
	json_str(&l.json, "filename", r->head->filename);
	json_str(&l.json, "path", r->path);
	json_uint(&l.json, "bytes", r->bytes);
	if (r->picture) {
		json_str(&l.json, "kind", r->picture->kind);
		json_uint(&l.json, "width", r->picture->width);
		json_uint(&l.json, "height", r->picture->height);
	} else if (r->sound) {
		json_str(&l.json, "kind", r->sound->kind);
		json_num(&l.json, "seconds", r->sound->seconds, 3);
	}
	line_end(c, &l);
}

void show_received(struct client *c, const struct received *r)
{
	char start[8 * NAME_SIZE], what[128], size[32], path[LINE_MAX_], line[2 * LINE_MAX_];

	show_progress(c, "receiving", r->head->filename, r->bytes, r->bytes);
	if (c->set.json) {
		received_json(c, r);
		return;
	}
	lead(c, r->head->timestamp, r->head->from, r->head->to, start, sizeof(start));
	bytes_text(r->bytes, size);
	if (r->picture && r->picture->width)
		snprintf(what, sizeof(what), "%s picture %ux%u", r->picture->kind,
			 r->picture->width, r->picture->height);
	else if (r->picture)
		snprintf(what, sizeof(what), "%s picture", r->picture->kind);
	else if (r->sound)
		snprintf(what, sizeof(what), "%.60s voice %.1f s", r->sound->kind,
			 r->sound->seconds);
	else
		snprintf(what, sizeof(what), "%s", proto_name(r->type));
	snprintf(line, sizeof(line), "%s* %s, %s: %s", start, what, size,
		 clean(r->path, path, sizeof(path)));
	print(c, line);
	if (r->picture && c->term && c->set.images)
		terminal_picture(c->term, r->path);
	if (*r->head->to && c->set.bell && c->term)
		terminal_bell(c->term);
}

/* ---- everything else ---- */

void show_presence(struct client *c, const char *what, const char *name, const char *timestamp)
{
	char start[3 * NAME_SIZE];
	struct line l;

	if (c->set.json) {
		if (!line_start(&l, what, NAME_SIZE))
			return;
		json_str(&l.json, "from", name);
		json_str(&l.json, "timestamp", timestamp);
		line_end(c, &l);
	} else if (c->term) {
		name_in_colour(c, name, start, sizeof(start));
		show_info(c, "%s %s", start, what);
	}
}

void show_refused(struct client *c, const char *code, const char *message)
{
	char a[256], b[1024], line[1400];
	struct line l;

	if (c->set.json) {
		if (!line_start(&l, "error", strlen(message)))
			return;
		json_str(&l.json, "error", code);
		json_str(&l.json, "message", message);
		line_end(c, &l);
		return;
	}
	snprintf(line, sizeof(line), "%s%s: %s", c->term ? "!! " : "", clean(code, a, sizeof(a)),
		 clean(message, b, sizeof(b)));
	complain(c, line);
}

void show_error(struct client *c, const char *why, const char *what)
{
	char a[LINE_MAX_], line[LINE_MAX_ + 512];
	struct line l;

	c->failed = true;
	if (c->set.json) {
		if (!line_start(&l, "error", strlen(what)))
			return;
		json_str(&l.json, "error", "local");
		json_str(&l.json, "message", why);
		json_str(&l.json, "what", what);
		line_end(c, &l);
		return;
	}
	snprintf(line, sizeof(line), "%s%s: %s", c->term ? "!! " : "", clean(what, a, sizeof(a)),
		 why);
	complain(c, line);
}

void show_info(struct client *c, const char *fmt, ...)
{
	char text[LINE_MAX_], line[LINE_MAX_ + 16];
	va_list ap;

	if (!c->term)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "-- %s", text);
	print(c, line);
}

void show_state(struct client *c, const char *ev, const char *key, const char *text)
{
	struct line l;

	if (!c->set.json) {
		if (c->term)
			show_info(c, "%s%s%s", ev, *text ? ": " : "", text);
		return;
	}
	if (!line_start(&l, ev, strlen(text)))
		return;
	json_str(&l.json, key, text);
	line_end(c, &l);
}

void show_progress(struct client *c, const char *what, const char *name, uint64_t done, uint64_t of)
{
	static uint64_t told[2]; /* twentieths of the transfers out and in that were told last */
	uint64_t *last = &told[!strcmp(what, "receiving")];
	uint64_t step = of ? done / (of / PROGRESS_STEP + 1) : 0;
	struct line l;

	if (c->term) {
		terminal_progress(c->term, what, name, done, of);
		return;
	}
	if (!c->set.json || step == *last)
		return;
	*last = step;
	if (done >= of || !line_start(&l, "progress", FILENAME_SIZE))
		return;
	json_str(&l.json, "state", what);
	json_str(&l.json, "filename", name);
	json_uint(&l.json, "bytes", done);
	json_uint(&l.json, "of", of);
	line_end(c, &l);
}

void show_no_progress(struct client *c)
{
	if (c->term)
		terminal_progress(c->term, "", "", 0, 0);
}

void show_sent(struct client *c, const char *name, uint64_t bytes)
{
	char size[32];
	struct line l;

	bytes_text(bytes, size);
	if (!c->set.json) {
		show_info(c, "sent %s, %s", name, size);
		return;
	}
	if (!line_start(&l, "sent", FILENAME_SIZE))
		return;
	json_str(&l.json, "filename", name);
	json_uint(&l.json, "bytes", bytes);
	line_end(c, &l);
}

void show_users(struct client *c)
{
	size_t n = names_count(c->names), cap = n * 3 * NAME_SIZE + 64;
	char *out = malloc(cap);
	struct line l;

	if (c->set.json) {
		if (line_start(&l, "users", n * NAME_SIZE)) {
			json_arr(&l.json, "users");
			for (size_t i = 0; i < n; i++)
				json_str(&l.json, NULL, names_at(c->names, i));
			json_arr_end(&l.json);
			line_end(c, &l);
		}
	} else if (out) {
		size_t used = (size_t)snprintf(out, cap, "%s%zu here:", c->term ? "-- " : "", n);
		for (size_t i = 0; i < n; i++) {
			char name[3 * NAME_SIZE];
			name_in_colour(c, names_at(c->names, i), name, sizeof(name));
			if (strlen(name) + 2 < cap - used)
				used += (size_t)snprintf(out + used, cap - used, " %s", name);
		}
		print(c, out);
	}
	free(out);
}
