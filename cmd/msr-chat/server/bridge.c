/* Two queues between two threads, and the room's JSON (as the page of msr-ws speaks it). */
#include "bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../proto.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "conn.h"
#include "hub.h"
#include "keep.h"
#include "look.h"
#include "loop/loop.h"
#include "server.h"
#include "spool.h"
#include "web/ws.h"

#define SUFFIX "@web"
#define OWN    "msr-chat" /* the name under which the chat itself speaks in the room */

enum {
	QUEUE_MAX = 1024,  /* messages in each direction */
	FILES_MAX = 64,	   /* of these, contents in files: each takes a descriptor, and disk */
	PEOPLE_MAX = 1024, /* names of the room that are remembered, those heard last */
	URL_SIZE = 512,
	FIRST_PAUSE_US = 1000000, /* between tries to reach the room */
	LAST_PAUSE_US = 30000000,
};

/* A message between the threads. Owned by the queue it is in. */
struct note {
	struct list link;
	unsigned type;
	char from[NAME_SIZE], to[NAME_SIZE]; /* `to` "" for everybody */
	char filename[FILENAME_SIZE];
	char timestamp[CLOCK_RFC3339_SIZE];
	int fd;	     /* owned: a large content, or -1 */
	size_t size; /* of data, or of the file */
	char data[]; /* a small one */
};

struct queue {
	pthread_mutex_t lock;
	struct list notes;
	size_t n;
	size_t files;	     /* of these, with a file */
	uint64_t file_bytes; /* of the files, which the spool no longer counts */
};

/* A name of the room that was heard. */
struct person {
	struct map_node node;
	struct list link;     /* in people_heard */
	char name[NAME_SIZE]; /* with its suffix */
};

struct bridge {
	struct server *server;
	struct queue to_room, to_chat;
	struct map people;	  /* chat's thread: by name */
	struct list people_heard; /* the same, the one heard last at the end */
	struct keep *keep;	  /* chat's files for the room, or NULL without --storage */
	char *suffix_look;	  /* owned: what SUFFIX looks like, */
	char *own_look;		  /* and OWN */
	/* The other thread's: */
	struct web *web;
	struct loop *loop;
	struct ws *ws; /* NULL while not connected */
	bool open;
	struct loop_timer retry;
	int64_t pause_us;
	/* Owned; NULL: none. Its file is being copied, or that was over while the room was away.
	 * What comes after it waits. */
	struct note *keeping;
	struct keep_copy *copy; /* owned, likewise */
	struct loop_timer step; /* of it */
	char url[URL_SIZE];	/* where the file last kept will be */
};

/* ---- queues ---- */

static void note_free(struct note *n)
{
	if (n->fd >= 0)
		close(n->fd);
	free(n);
}

static struct note *note_new(unsigned type, size_t data)
{
	struct note *n = calloc(1, sizeof(*n) + data + 1);

	if (n) {
		n->type = type;
		n->fd = -1;
		n->size = data;
	}
	return n;
}

/* All waiting files together take no more than the largest content may. */
static bool has_room(const struct bridge *b, const struct queue *q, const struct note *n)
{
	uint64_t max = (uint64_t)b->server->set.max_content;

	if (q->n >= QUEUE_MAX)
		return false;
	return n->fd < 0 || (q->files < FILES_MAX && n->size <= max - q->file_bytes);
}

static void count(struct queue *q, const struct note *n, bool in)
{
	bool file = n->fd >= 0;

	if (in) {
		q->n++;
		q->files += file;
		q->file_bytes += file ? n->size : 0;
	} else {
		q->n--;
		q->files -= file;
		q->file_bytes -= file ? n->size : 0;
	}
}

/* Takes `n`; drops it when the queue is full. */
static void push(struct bridge *b, struct queue *q, struct note *n)
{
	pthread_mutex_lock(&q->lock);
	bool full = !has_room(b, q, n);
	if (!full) {
		list_push(&q->notes, &n->link);
		count(q, n, true);
	}
	pthread_mutex_unlock(&q->lock);
	if (full) {
		metric_add(&b->server->n.bridge_dropped, 1);
		note_free(n);
	}
	loop_wake(q == &b->to_room ? b->loop : b->server->loop);
}

/* The next one, owned by the caller, or NULL. */
static struct note *pop(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	struct list *first = list_first(&q->notes);
	if (first) {
		list_remove(first);
		count(q, container_of(first, struct note, link), false);
	}
	pthread_mutex_unlock(&q->lock);
	return first ? container_of(first, struct note, link) : NULL;
}

static void queue_init(struct queue *q)
{
	pthread_mutex_init(&q->lock, NULL);
	list_init(&q->notes);
	q->n = q->files = 0;
	q->file_bytes = 0;
}

static void queue_done(struct queue *q)
{
	for (struct note *n; (n = pop(q));)
		note_free(n);
	pthread_mutex_destroy(&q->lock);
}

/* ---- the chat's thread ---- */

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), len = strlen(end);

	return n >= len && !strcmp(text + n - len, end);
}

bool bridge_owns(const struct bridge *b, const char *name)
{
	char *look = b ? look_of(b->server->look, name) : NULL;

	if (!look)
		return b != NULL;
	bool owns = ends_in(look, b->suffix_look) || !strcmp(look, b->own_look);
	free(look);
	return owns;
}

bool bridge_knows(const struct bridge *b, const char *name)
{
	return b && map_get(&b->people, name, strlen(name));
}

struct note *bridge_note(struct bridge *b, const struct post *p)
{
	if (!b || (*p->to && !bridge_knows(b, p->to)))
		return NULL;
	if (p->type != PROTO_UTF8 && !b->keep)
		return NULL;
	if (p->type == PROTO_UTF8 && p->file)
		return NULL; /* longer than msr-ws takes as a text of the room */
	struct note *n = note_new(p->type, p->file ? 0 : p->size);
	if (!n)
		return NULL;
	if (p->file) {
		n->fd = fcntl(p->file->fd, F_DUPFD_CLOEXEC, 0);
		n->size = p->file->size;
		if (n->fd < 0) {
			log_warn("cannot keep a file for the room: %s", strerror(errno));
			metric_add(&b->server->n.bridge_dropped, 1);
			note_free(n);
			return NULL;
		}
	} else {
		memcpy(n->data, p->data, p->size);
	}
	strcpy(n->from, p->from);
	strcpy(n->to, p->to);
	if (*n->to)
		n->to[strlen(n->to) - strlen(SUFFIX)] = '\0';
	strcpy(n->filename, p->filename);
	strcpy(n->timestamp, b->server->timestamp);
	return n;
}

void bridge_pass(struct bridge *b, struct note *n)
{
	if (n)
		push(b, &b->to_room, n);
}

void bridge_drop(struct note *n)
{
	if (n)
		note_free(n);
}

static void forget(struct bridge *b, struct person *p)
{
	map_remove(&b->people, &p->node);
	list_remove(&p->link);
	free(p);
}

static void remember(struct bridge *b, const char *name)
{
	struct map_node *known = map_get(&b->people, name, strlen(name));
	struct person *p = known ? container_of(known, struct person, node) : NULL;

	if (p) {
		list_remove(&p->link);
		list_push(&b->people_heard, &p->link);
		return;
	}
	if (b->people.n >= PEOPLE_MAX)
		forget(b, container_of(list_first(&b->people_heard), struct person, link));
	p = calloc(1, sizeof(*p));
	if (!p)
		return;
	strcpy(p->name, name);
	if (map_put(&b->people, &p->node, p->name, strlen(p->name)) < 0)
		free(p);
	else
		list_push(&b->people_heard, &p->link);
}

/* Why a message was not said here: `person`, its sender in the room, is told by the chat. Either
 * thread's. */
static void answer(struct bridge *b, const char *person, const char *text, const char *name)
{
	struct note *n = note_new(PROTO_UTF8, strlen(text) + strlen(name));

	if (!n)
		return;
	n->size = (size_t)sprintf(n->data, "%s%s", text, name);
	strcpy(n->from, OWN);
	strcpy(n->to, person);
	n->to[strlen(n->to) - strlen(SUFFIX)] = '\0';
	clock_rfc3339(clock_wall_us(), n->timestamp);
	push(b, &b->to_room, n);
}

/* A "@name" that is meant for another person of the room, not for the chat. */
static bool is_in_room(const struct bridge *b, const char *name)
{
	char there[NAME_SIZE + sizeof(SUFFIX)];

	snprintf(there, sizeof(there), "%s" SUFFIX, name);
	return bridge_knows(b, there);
}

void bridge_deliver(struct bridge *b)
{
	if (!b)
		return;
	for (struct note *n; (n = pop(&b->to_chat)); note_free(n)) {
		struct post p = {.type = PROTO_UTF8,
				 .from = n->from,
				 .to = n->to,
				 .filename = "",
				 .data = (const uint8_t *)n->data,
				 .size = n->size};
		remember(b, n->from);
		enum chat_error e = hub_post(b->server, &p);
		if (e == CHAT_USER_NOT_FOUND && !is_in_room(b, n->to))
			answer(b, n->from, "nobody in the chat has the name ", n->to);
		else if (e == CHAT_BUSY)
			answer(b, n->from, "has not taken earlier messages yet: ", n->to);
	}
}

/* ---- the other thread: to the room ---- */

static void send_note(struct bridge *b, struct note *n)
{
	bool file = n->type != PROTO_UTF8;
	const char *text = !file ? n->data : *n->filename ? n->filename : proto_name(n->type);
	size_t text_len = file ? strlen(text) : n->size, cap;
	struct json j;

	cap = 6 * text_len + 6 * NAME_SIZE + URL_SIZE + 256;
	char *out = malloc(cap);
	if (!out)
		return;
	json_start(&j, out, cap);
	json_obj(&j, NULL);
	json_str(&j, "type", "text");
	json_str(&j, "from", n->from);
	json_strn(&j, "text", text, text_len);
	json_str(&j, "ts", n->timestamp);
	if (*n->to)
		json_str(&j, "to", n->to);
	if (file)
		json_str(&j, "url", b->url);
	json_obj_end(&j);
	int len = json_end(&j);
	if (len < 0 || !b->open || ws_send(b->ws, WS_TEXT, out, (size_t)len) < 0)
		metric_add(&b->server->n.bridge_dropped, 1);
	free(out);
}

/* Its file, if it has one, is kept (0), or cannot be. Takes the note. */
static void kept(struct bridge *b, struct note *n, int ret)
{
	if (!ret) {
		send_note(b, n);
	} else {
		log_warn("cannot keep a file for the room: %s", strerror(-ret));
		metric_add(&b->server->n.bridge_dropped, 1);
	}
	note_free(n);
}

/* A piece a turn: copying a large file to a slow disk takes minutes, and /health is answered here.
 */
static void on_step(void *arg)
{
	struct bridge *b = arg;
	struct note *n = b->keeping;
	int ret = keep_go_on(b->copy);

	if (ret > 0) {
		loop_timer_in_us(&b->step, 1);
		return;
	}
	b->copy = NULL;
	if (ret < 0) {
		b->keeping = NULL;
		kept(b, n, ret);
	}
	bridge_send_queued(b);
}

/* A file whose copy ended, be it while the room was away. */
static void send_copied(struct bridge *b)
{
	struct note *n = b->keeping;

	if (!b->open || !n || b->copy)
		return;
	b->keeping = NULL;
	kept(b, n, 0);
}

void bridge_send_queued(struct bridge *b)
{
	/* While the room is away messages wait, up to the bound of the queue. */
	if (!b)
		return;
	send_copied(b);
	for (struct note *n; b->open && !b->keeping && (n = pop(&b->to_room));) {
		int ret = 0;
		if (n->type != PROTO_UTF8)
			ret = keep_file(&b->copy, b->keep, n->filename, n->data, n->size, n->fd,
					b->url, sizeof(b->url));
		if (ret <= 0) {
			kept(b, n, ret);
			continue;
		}
		b->keeping = n;
		loop_timer_in_us(&b->step, 1);
	}
}

/* ---- the other thread: from the room ---- */

/* "Ann" in the room is Ann@web here. Names that the chat would refuse become guest@web. */
static void name_here(const char *from, char out[static NAME_SIZE])
{
	char longer[4 * NAME_SIZE];

	if (text_name(from, strlen(from), out) == 0) {
		snprintf(longer, sizeof(longer), "%s" SUFFIX, out);
		if (text_name(longer, strlen(longer), out) == 0)
			return;
	}
	strcpy(out, "guest" SUFFIX);
}

/* "@name text" is for that user alone; returns the text behind it. */
static const char *take_receiver(const char *text, char to[static NAME_SIZE])
{
	size_t n = strcspn(text, " ");

	*to = '\0';
	if (*text != '@' || !text[n] || text_name(text + 1, n - 1, to) < 0)
		return text;
	return text + n + 1;
}

static void on_message(void *session, struct ws *ws, enum ws_type type, uint8_t *data, size_t len)
{
	struct bridge *b = session;
	json_t *o = type == WS_TEXT ? json_loadb((char *)data, len, 0, NULL) : NULL;
	const char *kind = json_string_value(json_object_get(o, "type"));
	const char *text = json_string_value(json_object_get(o, "text"));
	const char *from = json_string_value(json_object_get(o, "from"));
	const char *to = json_string_value(json_object_get(o, "to"));
	const char *url = json_string_value(json_object_get(o, "url"));
	char receiver[NAME_SIZE], sender[NAME_SIZE];

	(void)ws;
	if (!kind || strcmp(kind, "text") != 0 || !text || !from)
		goto out;
	if (to && text_name(to, strlen(to), receiver) < 0)
		goto out; /* for nobody who could be here */
	if (!to)
		text = take_receiver(text, receiver);
	name_here(from, sender);
	size_t n_text = strlen(text) + (url ? strlen(url) + 1 : 0);
	if (n_text > SMALL_MAX) {
		metric_add(&b->server->n.bridge_dropped, 1);
		answer(b, sender, "too long for the chat: texts of up to 16 KiB pass", "");
		goto out;
	}
	struct note *n = note_new(PROTO_UTF8, n_text);
	if (!n)
		goto out;
	n->size = (size_t)sprintf(n->data, "%s%s%s", text, url ? " " : "", url ? url : "");
	strcpy(n->from, sender);
	strcpy(n->to, receiver);
	push(b, &b->to_chat, n);
out:
	json_decref(o);
}

static void on_open(void *session, struct ws *ws)
{
	struct bridge *b = session;

	log_info("in the room %s", b->server->set.room);
	b->ws = ws;
	b->open = true;
	b->pause_us = 0;
	bridge_send_queued(b);
}

static void on_close(void *session, struct ws *ws, int code, const char *reason)
{
	struct bridge *b = session;

	(void)ws;
	if (b->open || !b->pause_us)
		log_warn("not in the room %s: %d %s; trying again", b->server->set.room, code,
			 reason ? reason : "");
	b->ws = NULL;
	b->open = false;
	b->pause_us = b->pause_us ? b->pause_us * 2 : FIRST_PAUSE_US;
	if (b->pause_us > LAST_PAUSE_US)
		b->pause_us = LAST_PAUSE_US;
	loop_timer_in_us(&b->retry, b->pause_us);
}

static int connect_room(struct bridge *b)
{
	static const struct ws_ops ops = {
	    .open = on_open, .message = on_message, .close = on_close};
	/* A text may be as long as msr-ws lets it be. */
	struct ws_connect_opts opts = {.url = b->server->set.room,
				       .ws = {.message_max = 512 * 1024}};

	return ws_connect(&b->ws, b->web, &opts, &ops, b);
}

static void on_retry(void *arg)
{
	struct bridge *b = arg;

	if (connect_room(b) < 0)
		loop_timer_in_us(&b->retry, LAST_PAUSE_US);
}

/* ---- life ---- */

int bridge_new(struct bridge **bp, struct server *s, struct web *w, struct loop *l)
{
	struct bridge *b = calloc(1, sizeof(*b));
	int ret;

	if (!b)
		return -ENOMEM;
	b->server = s;
	b->web = w;
	b->loop = l;
	map_init(&b->people);
	list_init(&b->people_heard);
	queue_init(&b->to_room);
	queue_init(&b->to_chat);
	loop_timer_init(&b->retry, l, on_retry, b);
	loop_timer_init(&b->step, l, on_step, b);
	b->suffix_look = look_of(s->look, SUFFIX);
	b->own_look = look_of(s->look, OWN);
	if (!b->suffix_look || !b->own_look) {
		ret = -ENOMEM;
		goto fail;
	}
	if (s->set.storage && (ret = keep_open(&b->keep, s->set.storage)) < 0) {
		log_error("cannot use %s/chat: %s", s->set.storage, strerror(-ret));
		goto fail;
	}
	ret = connect_room(b);
	if (ret == 0) {
		*bp = b;
		return 0;
	}
	log_error("'%s' is not a room URL; use ws://127.0.0.1:8000/ROOM/SESSION", s->set.room);
fail:
	bridge_free(b);
	return ret;
}

void bridge_free(struct bridge *b)
{
	if (!b)
		return;
	loop_timer_stop(&b->retry);
	loop_timer_stop(&b->step);
	keep_give_up(b->copy);
	if (b->keeping)
		note_free(b->keeping);
	while (!list_empty(&b->people_heard))
		forget(b, container_of(list_first(&b->people_heard), struct person, link));
	map_done(&b->people);
	queue_done(&b->to_room);
	queue_done(&b->to_chat);
	keep_close(b->keep);
	free(b->suffix_look);
	free(b->own_look);
	free(b);
}
