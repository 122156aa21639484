/* Membership, encoding, and the ways of a message: feed, insert, or large parcel. */
#include "hub.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "bridge.h"
#include "conn.h"
#include "look.h"
#include "parcel.h"
#include "report.h"
#include "server.h"
#include "spool.h"

/* A header: two names and a file name, every byte of them escaped, and the timestamp. */
enum { HEAD_SIZE = 2 * (2 * NAME_SIZE + FILENAME_SIZE) + 128 };
_Static_assert(PROTO_DESC + HEAD_SIZE + SMALL_MAX <= FEED_CHUNK, "a message fits a chunk");

/* The place of the message with that number. */
static struct parcel **history_at(const struct server *s, uint64_t i)
{
	return &s->history[i % (uint64_t)s->set.history];
}

int hub_init(struct server *s)
{
	map_init(&s->users);
	map_init(&s->looks);
	int ret = look_open(&s->look);
	if (ret)
		return ret;
	for (int i = 0; i < FEEDS; i++) {
		list_init(&s->feeds[i].members);
		if (feed_init(&s->feeds[i].feed) < 0)
			return -ENOMEM;
	}
	if (s->set.history)
		s->history = calloc((size_t)s->set.history, sizeof(*s->history));
	return s->set.history && !s->history ? -ENOMEM : 0;
}

void hub_done(struct server *s)
{
	for (uint64_t i = s->history_first; i < s->history_end; i++)
		parcel_unref(*history_at(s, i));
	free(s->history);
	for (int i = 0; i < FEEDS; i++)
		feed_done(&s->feeds[i].feed);
	map_done(&s->users);
	map_done(&s->looks);
	look_close(s->look);
}

struct conn *hub_find(struct server *s, const char *name)
{
	struct map_node *node = map_get(&s->users, name, strlen(name));

	return node ? container_of(node, struct conn, by_name) : NULL;
}

/* ---- encoding ---- */

/* {"from":name,"timestamp":" : the part of the header that a user's messages share. */
static size_t encode_prefix(char out[PREFIX_SIZE], const char *name)
{
	struct json j;

	json_start(&j, out, PREFIX_SIZE);
	json_obj(&j, NULL);
	json_str(&j, "from", name);
	json_raw(&j, "timestamp", "\"");
	return (size_t)json_end(&j);
}

/* Puts descriptor and header in front of where the content goes; returns their length. */
static size_t encode(uint8_t *out, const struct server *s, const struct post *p, const char *prefix,
		     size_t prefix_len, uint64_t content)
{
	char *at = (char *)out + PROTO_DESC;

	memcpy(at, prefix, prefix_len);
	at += prefix_len;
	memcpy(at, s->timestamp, CLOCK_RFC3339_SIZE - 1);
	at += CLOCK_RFC3339_SIZE - 1;
	*at++ = '"';
	if (*p->to || *p->filename) {
		struct json j;
		json_start(&j, at, HEAD_SIZE - PREFIX_SIZE);
		j.comma = true;
		if (*p->to)
			json_str(&j, "to", p->to);
		if (*p->filename)
			json_str(&j, "filename", p->filename);
		at += json_end(&j);
	}
	*at++ = '}';
	size_t head = (size_t)(at - (char *)out);
	proto_put(out, p->type, head - PROTO_DESC, content);
	return head;
}

/* ---- the ways of a message ---- */

/* Keeps the last messages: as many as were asked for, but only so much that a new user who is sent
 * them all is not far behind at once. */
static void remember(struct server *s, const uint8_t *data, size_t n)
{
	if (!s->history)
		return;
	struct parcel *p = parcel_new(n, NULL);
	if (!p)
		return; /* a history with a gap is better than no message */
	memcpy(p->data, data, n);
	s->history_bytes += n;
	while (s->history_end - s->history_first == (uint64_t)s->set.history ||
	       s->history_bytes > (uint64_t)s->set.max_queue / 2) {
		struct parcel **oldest = history_at(s, s->history_first++);
		s->history_bytes -= (*oldest)->len;
		parcel_unref(*oldest);
	}
	*history_at(s, s->history_end++) = p;
}

/* To everybody in the feed except `but`. 0 or -ENOMEM. */
static int put_in_feed(struct room_feed *r, const uint8_t *data, size_t n, struct conn *but)
{
	uint8_t *at = r->n ? feed_reserve(&r->feed, n) : NULL;

	if (!r->n)
		return 0;
	if (!at)
		return -ENOMEM;
	memcpy(at, data, n);
	feed_commit(&r->feed, n);
	return but && but->out.feed == &r->feed ? outbox_skip(&but->out, n) : 0;
}

/* The sender's header prefix; the bridge's people have none prepared. */
static const char *prefix_of(const struct post *p, char buf[PREFIX_SIZE], size_t *len)
{
	if (p->sender) {
		*len = p->sender->prefix_len;
		return p->sender->prefix;
	}
	*len = encode_prefix(buf, p->from);
	return buf;
}

static enum chat_error post_small(struct server *s, struct post *p, struct conn *to)
{
	static uint8_t whole[PROTO_DESC + HEAD_SIZE + SMALL_MAX];
	char buf[PREFIX_SIZE];
	size_t prefix_len;
	const char *prefix = prefix_of(p, buf, &prefix_len);
	size_t n = encode(whole, s, p, prefix, prefix_len, p->size);

	assert(p->size <= SMALL_MAX);
	memcpy(whole + n, p->data, p->size);
	n += p->size;
	if (to) {
		struct parcel *parcel = parcel_new(n, NULL);
		if (!parcel)
			return CHAT_NO_SPACE;
		memcpy(parcel->data, whole, n);
		conn_insert(to, parcel);
		parcel_unref(parcel);
		return CHAT_OK;
	}
	for (int i = 0; i < FEEDS; i++)
		if (put_in_feed(&s->feeds[i], whole, n, p->sender) < 0)
			return CHAT_NO_SPACE;
	remember(s, whole, n);
	return CHAT_OK;
}

static enum chat_error post_large(struct server *s, struct post *p, struct conn *to)
{
	uint8_t head[PROTO_DESC + HEAD_SIZE];
	char buf[PREFIX_SIZE];
	size_t prefix_len;
	const char *prefix = prefix_of(p, buf, &prefix_len);
	size_t n = encode(head, s, p, prefix, prefix_len, p->file->size);
	struct parcel *parcel = parcel_new(n, p->file);

	p->file = NULL;
	if (!parcel)
		return CHAT_NO_SPACE;
	memcpy(parcel->data, head, n);
	if (to)
		conn_large(to, parcel);
	for (int i = 0; i < FEEDS && !to; i++)
		list_each_safe (at, &s->feeds[i].members) {
			struct conn *c = container_of(at, struct conn, in_feed);
			if (c != p->sender)
				conn_large(c, parcel);
		}
	parcel_unref(parcel);
	return CHAT_OK;
}

/*
 * Private messages may fill half of what a receiver may be behind. The sender is told: if they
 * could fill it, anybody could have anybody disconnected.
 */
static bool is_busy(const struct server *s, const struct conn *to, const struct post *p)
{
	if (p->file)
		return to->out.n_large >= OUTBOX_LARGE_MAX / 2;
	return to->out.inserted + p->size > (uint64_t)s->set.max_queue / 2;
}

enum chat_error hub_post(struct server *s, struct post *p)
{
	struct conn *to = *p->to ? hub_find(s, p->to) : NULL;
	size_t receivers = to ? 1 : s->users.n - (p->sender ? 1 : 0);
	enum chat_error e = CHAT_USER_NOT_FOUND;
	uint64_t bytes = p->file ? p->file->size : p->size;

	/* Copied before the file is given away, but passed on only if the chat gets it, too. */
	struct note *note = p->sender ? bridge_note(s->bridge, p) : NULL;
	if (to && is_busy(s, to, p))
		e = CHAT_BUSY;
	else if (to || !*p->to)
		e = p->file ? post_large(s, p, to) : post_small(s, p, to);
	else if (note)
		e = CHAT_OK;
	spool_free(p->file);
	p->file = NULL;
	if (e) {
		bridge_drop(note);
		return e;
	}
	bridge_pass(s->bridge, note);
	metric_add(&s->n.messages, 1);
	metric_add(&s->n.deliveries, (int64_t)receivers);
	if (s->message_events)
		report_message(s, p, bytes, receivers);
	return CHAT_OK;
}

/* ---- coming and going ---- */

/* Joined or Left, to those who asked. */
static void announce(struct server *s, const struct conn *c, enum proto_type type)
{
	uint8_t whole[PROTO_DESC + HEAD_SIZE];
	struct post p = {.type = type, .to = "", .filename = ""};
	size_t n = encode(whole, s, &p, c->prefix, c->prefix_len, 0);

	/* Out of memory: whoever misses this sees the name in the next list of users. */
	put_in_feed(&s->feeds[FEED_PRESENCE], whole, n, NULL);
}

/* A JSON array of all names. */
static void send_users(struct conn *c)
{
	struct server *s = c->server;
	size_t cap = PROTO_DESC + s->users.n * (2 * NAME_SIZE + 3) + 3;
	struct parcel *p = parcel_new(cap, NULL);
	struct json j;

	if (!p) {
		conn_close(c, "out of memory");
		return;
	}
	json_start(&j, (char *)p->data + PROTO_DESC, cap - PROTO_DESC);
	json_arr(&j, NULL);
	map_each (i, &s->users)
		json_str(&j, NULL, container_of(i, struct conn, by_name)->name);
	json_arr_end(&j);
	size_t len = (size_t)json_end(&j);
	proto_put(p->data, PROTO_USERS, 0, len);
	p->len = PROTO_DESC + len;
	conn_insert(c, p);
	parcel_unref(p);
}

static void send_history(struct conn *c)
{
	const struct server *s = c->server;

	for (uint64_t i = s->history_first; i < s->history_end; i++)
		conn_insert(c, *history_at(s, i));
}

/* 0, -EEXIST when somebody has this name or one that looks like it, or -ENOMEM. */
static int take_name(struct conn *c)
{
	struct server *s = c->server;
	int ret = map_put(&s->users, &c->by_name, c->name, strlen(c->name));

	if (ret)
		return ret;
	c->look = look_of(s->look, c->name);
	ret = c->look ? map_put(&s->looks, &c->by_look, c->look, strlen(c->look)) : -ENOMEM;
	if (!ret)
		return 0;
	free(c->look);
	c->look = NULL;
	map_remove(&s->users, &c->by_name);
	return ret;
}

static void give_name_back(struct conn *c)
{
	map_remove(&c->server->users, &c->by_name);
	map_remove(&c->server->looks, &c->by_look);
	free(c->look);
	c->look = NULL;
}

void hub_login(struct conn *c)
{
	struct server *s = c->server;

	if (s->users.n >= (size_t)s->set.max_users) {
		metric_add(&s->n.refused, 1);
		conn_fail(c, CHAT_SERVER_FULL);
		return;
	}
	int ret = take_name(c);
	if (ret == -ENOMEM) {
		conn_close(c, "out of memory");
		return;
	}
	if (ret) {
		metric_add(&s->n.refused, 1);
		conn_reply(c, PROTO_USERNAME_EXISTS);
		return;
	}
	struct room_feed *r = &s->feeds[c->presence ? FEED_PRESENCE : FEED_PLAIN];
	c->state = CONN_USER;
	c->since = s->now;
	c->prefix_len = encode_prefix(c->prefix, c->name);
	announce(s, c, PROTO_JOINED);
	conn_reply(c, PROTO_LOGIN_OK);
	if (c->state == CONN_USER && c->presence)
		send_users(c);
	if (c->state == CONN_USER)
		send_history(c);
	if (c->state != CONN_USER)
		return;
	outbox_attach(&c->out, &r->feed);
	list_push(&r->members, &c->in_feed);
	r->n++;
	metric_add(&s->n.logins, 1);
	metric_set(&s->n.users, (int64_t)s->users.n);
	report_join(c);
}

void hub_leave(struct conn *c, const char *reason)
{
	struct server *s = c->server;

	give_name_back(c);
	if (!list_empty(&c->in_feed)) {
		s->feeds[c->presence ? FEED_PRESENCE : FEED_PLAIN].n--;
		list_remove(&c->in_feed);
	}
	outbox_close(&c->out);
	metric_set(&s->n.users, (int64_t)s->users.n);
	announce(s, c, PROTO_LEFT);
	report_leave(c, reason);
}
