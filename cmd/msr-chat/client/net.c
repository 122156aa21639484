/* Connecting, logging in, and the queue of outgoing messages. */
#include "net.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../address.h"
#include "../head.h"
#include "../proto.h"
#include "../wire.h"
#include "base/file.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "client.h"
#include "inbox.h"
#include "loop/loop.h"
#include "show.h"

enum {
	CONNECT_US = 10000000, /* for connection and login */
	FIRST_PAUSE_US = 1000000,
	LAST_PAUSE_US = 60000000,
	CLOSING_US = 10000000, /* for the server to close, or to take more of what was sent */
	WAITING_MAX = 64,      /* messages queued before the input is not read on */
	READ_SIZE = 64 * 1024,
	LAST_READS = 64,	 /* of a connection that takes nothing any more */
	SEND_TURN = 1024 * 1024, /* bytes of a file a turn, so that input stays responsive */
	HEAD_MAX = 4096,
	PASSWORD_FILE_MAX = 64 * 1024, /* bytes; only the first line counts */
};

#define NOT_TAKEN "the server did not take all that was sent"

enum net_state { NET_IDLE, NET_CONNECTING, NET_LOGIN, NET_READY, NET_CLOSING };

/* A message on its way out. */
struct outgoing {
	struct list link;
	unsigned type;
	char name[FILENAME_SIZE]; /* of the file, for progress */
	size_t head_len;
	uint8_t *data;	 /* owned: descriptor and header, and a text's content */
	size_t data_len; /* bytes of it */
	int fd;		 /* owned: the file, or -1 */
	uint64_t size;	 /* bytes of the file */
	uint64_t sent;	 /* of data and file together */
};

struct net {
	struct client *client;
	enum net_state state;
	struct addrinfo *found;	  /* owned: the addresses of the host, or NULL */
	struct addrinfo *untried; /* the rest of them */
	struct wire wire;
	struct wire_tls *tls; /* or NULL */
	struct loop_io *io;
	struct loop_timer timer; /* until connected; until the next try; until the end */
	struct proto_parser in;
	struct list out; /* of outgoing.link */
	size_t n_out;
	bool finishing;
	int unsent;	/* while closing: count_unsent() when last looked */
	bool was_ready; /* the server has let us in before */
	int64_t pause_us;
	char host[HOST_SIZE], port[PORT_SIZE];
	char password[PASSWORD_SIZE];
};

static void connect_now(struct net *n);
static void connect_next(struct net *n, int err);
static void hear_out(struct net *n);
static void on_io(void *arg, int events);

/* ---- the queue ---- */

static void outgoing_free(struct outgoing *o)
{
	if (o->fd >= 0)
		close(o->fd);
	free(o->data);
	free(o);
}

static void drop(struct net *n, struct outgoing *o)
{
	list_remove(&o->link);
	n->n_out--;
	outgoing_free(o);
}

/* A message with its header; `extra` bytes of content follow it in memory. */
static struct outgoing *outgoing_new(unsigned type, const char *to, const char *filename,
				     size_t extra, uint64_t content)
{
	struct outgoing *o = calloc(1, sizeof(*o));
	char head[HEAD_MAX];
	struct json j;
	int len = 0;

	if (!o)
		return NULL;
	o->fd = -1;
	o->type = type;
	if ((to && *to) || filename) {
		json_start(&j, head, sizeof(head));
		json_obj(&j, NULL);
		if (to && *to)
			json_str(&j, "to", to);
		if (filename)
			json_str(&j, "filename", filename);
		json_obj_end(&j);
		len = json_end(&j);
		assert(len > 0); /* HEAD_MAX has room for the longest names, all of them escaped */
	}
	o->head_len = PROTO_DESC + (size_t)len;
	o->data_len = o->head_len + extra;
	o->data = malloc(o->data_len);
	if (!o->data) {
		free(o);
		return NULL;
	}
	proto_put(o->data, type, (size_t)len, content);
	memcpy(o->data + PROTO_DESC, head, (size_t)len);
	return o;
}

/* The message to be sent now, or NULL: before the login is answered only the login. */
static struct outgoing *next_out(struct net *n)
{
	struct list *first = list_first(&n->out);
	struct outgoing *o = first ? container_of(first, struct outgoing, link) : NULL;

	if (n->state == NET_READY || (n->state == NET_LOGIN && o && o->type == PROTO_LOGIN))
		return o;
	return NULL;
}

static void update(struct net *n)
{
	int want = 0;

	if (n->state == NET_IDLE)
		return;
	if (n->state == NET_CONNECTING) {
		loop_io_want(n->io, LOOP_OUT);
		return;
	}
	want |= n->wire.recv_needs_out ? LOOP_OUT : LOOP_IN;
	if (next_out(n))
		want |= n->wire.send_needs_in ? LOOP_IN : LOOP_OUT;
	loop_io_want(n->io, want);
}

static void enqueue(struct net *n, struct outgoing *o)
{
	list_push(&n->out, &o->link);
	n->n_out++;
	update(n);
}

int net_text(struct net *n, const char *to, const char *text, size_t len)
{
	struct outgoing *o = outgoing_new(PROTO_UTF8, to, NULL, len, len);

	if (!o)
		return -ENOMEM;
	memcpy(o->data + o->head_len, text, len);
	enqueue(n, o);
	return 0;
}

int net_file(struct net *n, unsigned type, const char *to, const char *name, int fd)
{
	struct stat st;
	struct outgoing *o;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	o = outgoing_new(type, to, name, 0, (uint64_t)st.st_size);
	if (!o) {
		close(fd);
		return -ENOMEM;
	}
	o->fd = fd;
	o->size = (uint64_t)st.st_size;
	text_filename(name, strlen(name), o->name);
	enqueue(n, o);
	return 0;
}

bool net_connected(const struct net *n)
{
	return n->state == NET_READY || n->state == NET_CLOSING;
}

bool net_takes(const struct net *n)
{
	return n->n_out < WAITING_MAX;
}

/* ---- losing and finding the server ---- */

static void disconnect(struct net *n)
{
	if (n->state == NET_IDLE)
		return;
	loop_timer_stop(&n->timer);
	loop_io_free(n->io);
	n->io = NULL;
	wire_done(&n->wire);
	proto_parser_done(&n->in);
	show_no_progress(n->client);
	inbox_reset(n->client->inbox);
	n->state = NET_IDLE;
	/* What was sent in part is sent again from its start. A login belongs to one connection. */
	list_each_safe (i, &n->out) {
		struct outgoing *o = container_of(i, struct outgoing, link);
		o->sent = 0;
		if (o->type == PROTO_LOGIN) {
			drop(n, o);
		}
	}
}

static void lost(struct net *n, const char *why, bool final)
{
	struct client *c = n->client;

	disconnect(n);
	if (n->finishing || !c->set.reconnect)
		final = true;
	client_lost(c, why, final);
	if (final)
		return;
	n->pause_us = n->pause_us ? n->pause_us * 2 : FIRST_PAUSE_US;
	if (n->pause_us > LAST_PAUSE_US)
		n->pause_us = LAST_PAUSE_US;
	loop_timer_in_us(&n->timer, n->pause_us);
}

/* What an error of the wire means to people. */
static const char *why(ssize_t err)
{
	return err == -EPROTO ? "TLS failed: is this the right server? See --tls and --ca"
			      : strerror((int)-err);
}

/* Bytes that the kernel still has to send, or whose arrival is not confirmed; our FIN counts as
 * one. */
static int count_unsent(const struct net *n)
{
	int left = 0;

	return ioctl(n->wire.fd, SIOCOUTQ, &left) < 0 ? 0 : left;
}

bool net_has_unsent(struct net *n)
{
	struct list *i = list_first(&n->out);
	bool login = i && container_of(i, struct outgoing, link)->type == PROTO_LOGIN;

	return n->n_out > (size_t)login || (n->state == NET_CLOSING && count_unsent(n) > 1);
}

/* The server has not closed: as long as it takes more of what was sent, it may. */
static void on_closing_timer(struct net *n)
{
	int left = count_unsent(n);

	if (left < n->unsent) {
		n->unsent = left;
		loop_timer_in_us(&n->timer, CLOSING_US);
		return;
	}
	lost(n, left ? NOT_TAKEN : "", true);
}

static void on_timer(void *arg)
{
	struct net *n = arg;

	if (n->state == NET_IDLE)
		connect_now(n);
	else if (n->state == NET_CONNECTING && n->untried)
		connect_next(n, -ETIMEDOUT);
	else if (n->state == NET_CLOSING)
		on_closing_timer(n);
	else
		lost(n, "the server does not answer", false);
}

static int open_socket(const struct addrinfo *ai)
{
	int one = 1, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS) {
		int err = -errno;
		close(fd);
		return err;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	return fd;
}

/* The next address of the host; `err` is why the last one did not do. */
static void connect_next(struct net *n, int err)
{
	int fd = err;

	disconnect(n);
	while (n->untried && fd < 0) {
		fd = open_socket(n->untried);
		n->untried = n->untried->ai_next;
	}
	if (fd < 0) {
		lost(n, strerror(-fd), false);
		return;
	}
	if (wire_init(&n->wire, fd, n->tls, n->host) < 0) {
		close(fd);
		lost(n, "out of memory", false);
		return;
	}
	proto_parser_init(&n->in, PROTO_HEADER_MAX);
	if (loop_io_new(&n->io, n->client->loop, fd, LOOP_OUT, on_io, n) < 0) {
		wire_done(&n->wire);
		lost(n, "out of memory", false);
		return;
	}
	n->state = NET_CONNECTING;
	loop_timer_in_us(&n->timer, CONNECT_US);
}

static void forget_addresses(struct net *n)
{
	if (n->found)
		freeaddrinfo(n->found);
	n->found = n->untried = NULL;
}

static void connect_now(struct net *n)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

	forget_addresses(n);
	int gai = getaddrinfo(n->host, n->port, &hints, &n->found);
	if (gai) {
		n->found = NULL;
		lost(n, gai == EAI_SYSTEM ? strerror(errno) : gai_strerror(gai), false);
		return;
	}
	n->untried = n->found;
	connect_next(n, -EHOSTUNREACH);
}

static void send_login(struct net *n)
{
	char head[HEAD_MAX];
	struct json j;

	json_start(&j, head, sizeof(head));
	json_obj(&j, NULL);
	json_str(&j, "to", n->client->name);
	json_bool(&j, "presence", true);
	if (*n->password)
		json_str(&j, "password", n->password);
	json_obj_end(&j);
	int len = json_end(&j);
	assert(len > 0); /* as in outgoing_new */
	struct outgoing *o = outgoing_new(PROTO_LOGIN, NULL, NULL, (size_t)len, 0);
	if (!o)
		return; /* the timer ends this connection */
	proto_put(o->data, PROTO_LOGIN, (size_t)len, 0);
	memcpy(o->data + PROTO_DESC, head, (size_t)len);
	list_push_front(&n->out, &o->link);
	n->n_out++;
	n->state = NET_LOGIN;
}

/* ---- sending ---- */

static void maybe_close(struct net *n)
{
	if (!n->finishing || n->state != NET_READY || !list_empty(&n->out))
		return;
	/* The server reads to the end, answers what it refuses, and closes. */
	n->unsent = count_unsent(n);
	wire_shutdown(&n->wire);
	n->state = NET_CLOSING;
	loop_timer_in_us(&n->timer, CLOSING_US);
}

void net_finish(struct net *n)
{
	n->finishing = true;
	if (n->state == NET_IDLE)
		lost(n, "not connected", true);
	else
		maybe_close(n);
}

/* One message: 0 when it is through, 1 when the socket is full, -errno. */
static int send_one(struct net *n, struct outgoing *o, size_t *budget)
{
	uint64_t whole = o->data_len + o->size;

	while (o->sent < whole) {
		ssize_t sent;
		if (o->sent < o->data_len) {
			struct iovec iov = {o->data + o->sent, o->data_len - (size_t)o->sent};
			sent = wire_sendv(&n->wire, &iov, 1, o->size > 0);
		} else {
			uint64_t at = o->sent - o->data_len;
			if (!*budget)
				return 1;
			sent = wire_sendfile(&n->wire, o->fd, (off_t)at,
					     o->size - at < *budget ? (size_t)(o->size - at)
								    : *budget);
			if (sent > 0)
				*budget -= (size_t)sent;
		}
		if (sent < 0)
			return sent == -EAGAIN ? 1 : (int)sent;
		o->sent += (uint64_t)sent;
	}
	return 0;
}

static void send_more(struct net *n)
{
	size_t budget = SEND_TURN;

	for (struct outgoing *o; (o = next_out(n));) {
		int ret = send_one(n, o, &budget);
		if (o->fd >= 0)
			show_progress(n->client, "sending", o->name,
				      o->sent > o->data_len ? o->sent - o->data_len : 0, o->size);
		if (ret < 0) {
			/* A file that shrank would leave the stream out of step: connect
			 * again, without it. */
			if (ret == -EIO) {
				show_error(n->client, "the file changed while it was sent",
					   o->name);
				drop(n, o);
			} else {
				hear_out(n);
			}
			if (n->state != NET_IDLE)
				lost(n, ret == -EIO ? "connecting again" : why(ret),
				     ret == -EPROTO);
			return;
		}
		if (ret)
			break;
		if (o->fd >= 0)
			show_sent(n->client, o->name, o->size);
		drop(n, o);
	}
	maybe_close(n);
	update(n);
}

/* ---- receiving ---- */

static void on_login_answer(struct net *n)
{
	switch (n->in.desc.type) {
	case PROTO_LOGIN_OK:
		n->state = NET_READY;
		n->was_ready = true;
		n->pause_us = 0;
		loop_timer_stop(&n->timer);
		client_ready(n->client);
		return;
	case PROTO_USERNAME_EXISTS:
		/* Perhaps we ourselves: a server notices late that a connection is dead. */
		lost(n,
		     n->was_ready
			 ? "the server has somebody with this name"
			 : "somebody has this name already; choose another with --username",
		     !n->was_ready);
		return;
	case PROTO_BAD_USERNAME:
		lost(n, "the server does not take this name; choose another with --username", true);
		return;
	case PROTO_BAD_LOGIN:
		lost(n, "the server refused the login; a password may be wrong or missing", true);
		return;
	default: /* an Error before the login: shown by the inbox */
		return;
	}
}

static void on_bytes(struct net *n, const uint8_t *data, size_t len)
{
	enum proto_step step;

	while (n->state != NET_IDLE && (step = proto_parse(&n->in, &data, &len)) != PROTO_MORE) {
		if (step == PROTO_NOMEM) {
			lost(n, "out of memory", false);
			return;
		}
		if (step == PROTO_HEAD && n->state == NET_LOGIN)
			on_login_answer(n);
		if (n->state != NET_IDLE)
			inbox_step(n->client->inbox, &n->in, step);
	}
}

/* What wire_recv returned; the bytes are dealt with. */
static ssize_t receive(struct net *n)
{
	static uint8_t bytes[READ_SIZE];
	ssize_t got = wire_recv(&n->wire, bytes, sizeof(bytes));

	if (got > 0)
		on_bytes(n, bytes, (size_t)got);
	return got;
}

/* The connection is broken: what the server said before tells more than the error. */
static void hear_out(struct net *n)
{
	for (int i = 0; i < LAST_READS && n->state != NET_IDLE; i++)
		if (receive(n) <= 0)
			return;
}

/* The server has closed: "" if that is the proper end, after all of ours has arrived. */
static const char *why_closed(const struct net *n)
{
	if (n->state != NET_CLOSING)
		return "the server closed the connection";
	return n->n_out || count_unsent(n) > 1 ? NOT_TAKEN : "";
}

static void on_readable(struct net *n)
{
	do {
		ssize_t got = receive(n);
		if (got == -EAGAIN)
			break;
		if (got <= 0) {
			lost(n, got ? why(got) : why_closed(n), got == -EPROTO);
			return;
		}
	} while (n->state != NET_IDLE && wire_pending(&n->wire));
}

static void on_io(void *arg, int events)
{
	struct net *n = arg;

	if (n->state == NET_CONNECTING) {
		int err = 0;
		socklen_t len = sizeof(err);
		getsockopt(n->wire.fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			hear_out(n);
			if (n->state != NET_IDLE)
				connect_next(n, -err);
			return;
		}
		send_login(n);
	}
	send_more(n);
	if (n->state != NET_IDLE && (events & (LOOP_IN | LOOP_HUP) || n->wire.ssl))
		on_readable(n);
	if (n->state == NET_READY)
		send_more(n);
	if (n->state != NET_IDLE)
		update(n);
}

/* ---- life ---- */

static int read_password(struct net *n, const char *path)
{
	struct buf b;

	buf_init(&b, 0);
	int ret = file_read(AT_FDCWD, path, PASSWORD_FILE_MAX, &b);
	const char *p = (const char *)buf_data(&b);
	size_t len = buf_len(&b);
	if (!ret) {
		const char *end = memchr(p, '\n', len);
		len = end ? (size_t)(end - p) : len;
		ret = len && len < PASSWORD_SIZE ? 0 : -EINVAL;
	}
	if (!ret)
		memcpy(n->password, p, len);
	if (b.mem)
		explicit_bzero(b.mem, b.cap);
	buf_done(&b);
	if (ret)
		log_error("cannot read a password from '%s': %s", path, strerror(-ret));
	return ret;
}

int net_open(struct net **np, struct client *c)
{
	struct net *n = calloc(1, sizeof(*n));
	int ret;

	if (!n)
		return -ENOMEM;
	n->client = c;
	list_init(&n->out);
	loop_timer_init(&n->timer, c->loop, on_timer, n);
	ret = address_split(c->set.address, NULL, n->host, n->port);
	if (ret < 0)
		log_error("'%s' is not an address; use host:port, a port is at most 65535",
			  c->set.address);
	if (!ret && c->set.password_file)
		ret = read_password(n, c->set.password_file);
	if (!ret && c->set.tls)
		ret = wire_tls_client(&n->tls, c->set.ca);
	/* The first try comes from the loop too, so that its failure finds everything set up. */
	if (!ret)
		ret = loop_timer_in_us(&n->timer, 0);
	if (ret < 0) {
		net_close(n);
		return ret;
	}
	*np = n;
	return 0;
}

void net_close(struct net *n)
{
	if (!n)
		return;
	disconnect(n);
	loop_timer_stop(&n->timer);
	forget_addresses(n);
	list_each_safe (i, &n->out)
		outgoing_free(container_of(i, struct outgoing, link));
	wire_tls_free(n->tls);
	explicit_bzero(n->password, sizeof(n->password));
	free(n);
}
