/*
 * Incoming messages. A server is as little trusted as those behind it: sizes are bounded, names
 * are cleaned again, and nothing is shown raw.
 */
#include "inbox.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../head.h"
#include "base/log.h"
#include "client.h"
#include "media.h"
#include "names.h"
#include "save.h"
#include "show.h"

enum {
	TEXT_MAX = 1024 * 1024,	     /* bytes of a text that is shown; longer ones are cut */
	USERS_MAX = 4 * 1024 * 1024, /* bytes of a list of users */
};

enum sink { SINK_NONE, SINK_TEXT, SINK_FILE };

struct inbox {
	struct client *client;
	enum sink sink;
	struct server_head head;
	struct buf text;   /* text, or list of users */
	struct save *save; /* file under way, or NULL */
	uint8_t first[MEDIA_HEAD];
	size_t n_first;
	uint64_t got; /* bytes of the content */
};

int inbox_new(struct inbox **ip, struct client *c)
{
	struct inbox *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->client = c;
	buf_init(&i->text, USERS_MAX);
	*ip = i;
	return 0;
}

void inbox_reset(struct inbox *i)
{
	if (i->save)
		show_error(i->client, "not received completely", i->head.filename);
	save_abort(i->save);
	i->save = NULL;
	i->sink = SINK_NONE;
	buf_done(&i->text);
}

void inbox_free(struct inbox *i)
{
	if (!i)
		return;
	inbox_reset(i);
	free(i);
}

/* ---- files ---- */

/* A name for what has none: type, sender and time. */
static void default_name(struct inbox *i, unsigned type)
{
	char raw[2 * FILENAME_SIZE];

	snprintf(raw, sizeof(raw), "%s-%s-%.19s", proto_name(type), i->head.from,
		 i->head.timestamp);
	for (char *p = raw; *p; p++)
		if (*p == ':' || *p == '/' || *p == ' ')
			*p = '-';
	text_filename(raw, strlen(raw), i->head.filename);
}

static void file_begin(struct inbox *i, const struct proto_desc *d)
{
	struct client *c = i->client;

	i->n_first = 0;
	if (!*i->head.filename)
		default_name(i, d->type);
	if (d->content > (uint64_t)c->set.max_file) {
		show_error(c, "too large to be saved; see --max-file", i->head.filename);
		return;
	}
	int ret = save_open(&i->save, c->set.save_dir, i->head.filename);
	if (ret < 0)
		show_error(c, strerror(-ret), c->set.save_dir);
	else
		i->sink = SINK_FILE;
}

static void file_data(struct inbox *i, const struct proto_parser *p)
{
	struct client *c = i->client;

	for (size_t k = 0; k < p->n_data && i->n_first < MEDIA_HEAD; k++)
		i->first[i->n_first++] = p->data[k];
	int ret = save_write(i->save, p->data, p->n_data);
	if (ret < 0) {
		show_error(c, strerror(-ret), i->head.filename);
		save_abort(i->save);
		i->save = NULL;
		i->sink = SINK_NONE;
		show_no_progress(c);
		return;
	}
	show_progress(c, "receiving", i->head.filename, i->got, p->desc.content);
}

static void file_done(struct inbox *i, const struct proto_desc *d)
{
	struct client *c = i->client;
	struct received r = {.type = d->type, .head = &i->head, .bytes = d->content};
	struct picture picture;
	struct sound sound;
	char path[PATH_MAX];

	bool is_picture = media_picture(i->first, i->n_first, &picture);
	int ret = save_finish(i->save, is_picture ? picture.kind : NULL, path, sizeof(path));
	i->save = NULL;
	if (ret < 0) {
		show_no_progress(c);
		show_error(c, strerror(-ret), i->head.filename);
		return;
	}
	r.path = path;
	if (is_picture)
		r.picture = &picture;
	else if (d->type == PROTO_VOICE && media_sound(path, &sound) == 0)
		r.sound = &sound;
	show_received(c, &r);
}

/* ---- all messages ---- */

static void on_head(struct inbox *i, const struct proto_parser *p)
{
	const struct proto_desc *d = &p->desc;
	struct client *c = i->client;

	i->sink = SINK_NONE;
	i->got = 0;
	bool has_head = proto_is_message(d->type) || d->type == PROTO_ERROR ||
			d->type == PROTO_JOINED || d->type == PROTO_LEFT;
	if (has_head && head_server(p->head, d->header, &i->head) < 0) {
		log_debug("a message with a bad header");
		return;
	}
	switch (d->type) {
	case PROTO_ERROR:
		if (strcmp(i->head.error, "rate_warning") != 0)
			c->failed = true;
		show_refused(c, i->head.error, i->head.message);
		break;
	case PROTO_JOINED:
		names_add(c->names, i->head.from);
		show_presence(c, "joined", i->head.from, i->head.timestamp);
		break;
	case PROTO_LEFT:
		names_remove(c->names, i->head.from);
		show_presence(c, "left", i->head.from, i->head.timestamp);
		break;
	case PROTO_UTF8:
	case PROTO_USERS:
		i->sink = SINK_TEXT;
		break;
	case PROTO_IMAGE:
	case PROTO_FILE:
	case PROTO_VOICE:
		file_begin(i, d);
		break;
	default: /* of a later version of the protocol */
		break;
	}
}

static void on_body(struct inbox *i, const struct proto_parser *p)
{
	size_t max = p->desc.type == PROTO_USERS ? USERS_MAX : TEXT_MAX;

	i->got += p->n_data;
	if (i->sink == SINK_FILE) {
		file_data(i, p);
	} else if (i->sink == SINK_TEXT && buf_len(&i->text) < max) {
		size_t room = max - buf_len(&i->text);
		buf_append(&i->text, p->data, p->n_data < room ? p->n_data : room);
	}
}

static void on_done(struct inbox *i, const struct proto_desc *d)
{
	const char *text = i->text.mem ? (const char *)buf_data(&i->text) : "";
	size_t n = buf_len(&i->text);

	if (i->sink == SINK_FILE)
		file_done(i, d);
	else if (i->sink == SINK_TEXT && d->type == PROTO_UTF8)
		show_text(i->client, &i->head, text, n);
	else if (i->sink == SINK_TEXT)
		names_set(i->client->names, text, n);
	buf_done(&i->text);
	i->sink = SINK_NONE;
}

void inbox_step(struct inbox *i, struct proto_parser *p, enum proto_step step)
{
	if (step == PROTO_HEAD)
		on_head(i, p);
	else if (step == PROTO_BODY)
		on_body(i, p);
	else if (step == PROTO_DONE)
		on_done(i, &p->desc);
}
