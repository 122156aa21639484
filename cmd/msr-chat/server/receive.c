/*
 * What a client sends: login, then messages. Every message is answered, passed on or refused
 * with an Error; in each case its bytes are consumed, so that the stream stays in step.
 *
 *	HEAD → refuse (discard) | small (collect in memory) | large (spool)
 *	BODY → ...
 *	DONE → hub_post
 */
#include <errno.h>
#include <string.h>

#include "auth.h"
#include "base/log.h"
#include "bridge.h"
#include "conn.h"
#include "hub.h"
#include "report.h"
#include "server.h"
#include "spool.h"

enum { LOGIN_TRIES = 16 };

void receive_drop(struct conn *c)
{
	if (c->file)
		report_received(c, "disconnected");
	spool_free(c->file);
	c->file = NULL;
	c->content = CONTENT_DISCARD;
	buf_done(&c->small);
}

/* ---- login ---- */

/* Something other than a proper Login while there is no user. */
static void bad_login(struct conn *c, const char *why)
{
	log_debug("%s: %s", c->address->text, why);
	metric_add(&c->server->n.refused, 1);
	conn_reply(c, PROTO_BAD_LOGIN);
	conn_leave(c, why);
}

static void login(struct conn *c)
{
	struct server *s = c->server;
	struct login_head head;

	if (c->in.desc.type != PROTO_LOGIN || c->in.desc.content) {
		bad_login(c, "not a login");
		return;
	}
	if (++c->login_tries > LOGIN_TRIES) {
		bad_login(c, "too many tries");
		return;
	}
	if (!c->in.head || head_login(c->in.head, c->in.desc.header, &head) < 0 ||
	    bridge_owns(s->bridge, head.name)) {
		metric_add(&s->n.refused, 1);
		conn_reply(c, PROTO_BAD_USERNAME);
		return;
	}
	strcpy(c->name, head.name);
	c->presence = head.presence;
	if (!s->auth) {
		hub_login(c);
		return;
	}
	if (head.bad_password) {
		bad_login(c, "a password that is too long, or not a string");
		return;
	}
	/* The hash is slow on purpose: another thread computes it. */
	c->state = CONN_AUTH;
	int ret = auth_check(s->auth, c->serial, c->name, head.password);
	explicit_bzero(&head, sizeof(head));
	if (ret == 0)
		return;
	/* Not the password's fault: trying again later may succeed. */
	metric_add(&s->n.refused, 1);
	c->state = CONN_LOGIN;
	conn_fail(c, CHAT_SERVER_FULL);
}

/* ---- messages ---- */

/* Connections of this machine may be a proxy's, for many people. */
static bool limited(const struct conn *c)
{
	return !c->address->loopback || c->server->set.limit_loopback;
}

static enum chat_error allow_rate(struct conn *c)
{
	const struct settings *set = &c->server->set;

	if (!set->rate || !limited(c))
		return CHAT_OK;
	switch (rate_take(&c->rate, set->rate, set->burst, c->server->now)) {
	case RATE_OK:
		return CHAT_OK;
	case RATE_WARN:
		conn_error(c, CHAT_RATE_WARNING);
		return CHAT_OK;
	case RATE_DROP:
		return CHAT_RATE;
	case RATE_FLOOD:
		break;
	}
	return CHAT_FLOOD;
}

/* Where the content goes, or why it is refused. */
static enum chat_error begin(struct conn *c)
{
	struct server *s = c->server;
	const struct proto_desc *d = &c->in.desc;
	/* Also of what is refused: an answer costs more than the question. */
	enum chat_error e = allow_rate(c);

	if (e)
		return e;
	if (d->type == PROTO_LOGIN)
		return CHAT_ALREADY_LOGGED_IN;
	if (!proto_is_message(d->type))
		return CHAT_BAD_TYPE;
	if (!c->in.head)
		return CHAT_BAD_HEADER;
	if ((e = head_message(d->type, c->in.head, d->header, &c->head)))
		return e;
	if (d->content > (uint64_t)s->set.max_content)
		return CHAT_TOO_LARGE;
	/* Looked for now; if the receiver leaves during the upload, the sender is told at its end.
	 */
	if (*c->head.to && !hub_find(s, c->head.to) && !bridge_knows(s->bridge, c->head.to))
		return CHAT_USER_NOT_FOUND;
	if (d->content <= SMALL_MAX) {
		c->content = CONTENT_COLLECT;
		c->whole = NULL;
		return CHAT_OK;
	}
	int ret = spool_open(&s->spool, c->address, limited(c), d->content, &c->file);
	if (ret < 0) {
		log_warn("cannot spool %llu bytes in %s: %s", (unsigned long long)d->content,
			 s->set.spool, strerror(-ret));
		return CHAT_NO_SPACE;
	}
	c->content = CONTENT_SPOOL;
	c->reported = 0;
	c->text = (struct text_check){0};
	return CHAT_OK;
}

static void refuse(struct conn *c, enum chat_error e)
{
	c->content = CONTENT_DISCARD;
	if (e == CHAT_FLOOD) {
		metric_add(&c->server->n.floods, 1);
		conn_fail(c, e);
	} else {
		conn_error(c, e);
	}
}

static void on_head(struct conn *c)
{
	c->content = CONTENT_DISCARD;
	if (c->state == CONN_LOGIN) {
		if (c->server->draining)
			conn_fail(c, CHAT_SHUTTING_DOWN);
		else
			login(c);
		return;
	}
	enum chat_error e = c->server->draining ? CHAT_SHUTTING_DOWN : begin(c);
	if (e)
		refuse(c, e);
}

/* A large content that cannot be kept. */
static void give_up(struct conn *c, enum chat_error e)
{
	report_received(c, chat_error_code(e));
	spool_free(c->file);
	c->file = NULL;
	refuse(c, e);
}

static void on_body(struct conn *c)
{
	if (c->content == CONTENT_COLLECT) {
		if (c->in.n_data == c->in.desc.content)
			c->whole = c->in.data;
		else if (buf_append(&c->small, c->in.data, c->in.n_data) < 0)
			refuse(c, CHAT_NO_SPACE);
		return;
	}
	if (c->content != CONTENT_SPOOL)
		return;
	bool text = c->in.desc.type == PROTO_UTF8;
	if (text &&
	    (!text_check(&c->text, c->in.data, c->in.n_data) || (!c->in.left && c->text.n))) {
		give_up(c, CHAT_BAD_TEXT);
		return;
	}
	int ret = spool_write(c->file, c->in.data, c->in.n_data);
	if (ret == 0)
		return;
	log_warn("cannot spool in %s: %s", c->server->set.spool, strerror(-ret));
	give_up(c, CHAT_NO_SPACE);
}

static void on_done(struct conn *c)
{
	struct server *s = c->server;
	struct post p = {.type = c->in.desc.type,
			 .sender = c,
			 .from = c->name,
			 .to = c->head.to,
			 .filename = c->head.filename,
			 .size = (size_t)c->in.desc.content};
	enum chat_error e = CHAT_OK;

	switch (c->content) {
	case CONTENT_DISCARD:
		return;
	case CONTENT_COLLECT:
		p.data = c->whole ? c->whole : (const uint8_t *)"";
		if (!c->whole && p.size)
			p.data = buf_data(&c->small);
		if (p.type == PROTO_UTF8 && !text_is_utf8(p.data, p.size))
			e = CHAT_BAD_TEXT;
		break;
	case CONTENT_SPOOL:
		report_received(c, NULL);
		p.file = c->file;
		c->file = NULL;
		break;
	}
	c->content = CONTENT_DISCARD;
	if (!e)
		e = hub_post(s, &p);
	if (c->small.mem)
		buf_done(&c->small);
	if (e)
		conn_error(c, e);
	if (s->draining)
		conn_leave(c, chat_error_code(CHAT_SHUTTING_DOWN));
}

void receive(struct conn *c, const uint8_t *data, size_t n)
{
	enum proto_step step;

	/* After CONN_AUTH the rest of the input waits: a client that sends without waiting for
	 * the answer to its login loses nothing. */
	while (c->state == CONN_LOGIN || c->state == CONN_USER) {
		step = proto_parse(&c->in, &data, &n);
		if (step == PROTO_MORE)
			return;
		if (step == PROTO_HEAD)
			on_head(c);
		else if (step == PROTO_BODY)
			on_body(c);
		else if (step == PROTO_DONE)
			on_done(c);
		else
			conn_close(c, "out of memory");
	}
	if (c->state == CONN_AUTH && n && buf_append(&c->held, data, n) < 0)
		conn_close(c, "too much before the login");
}
