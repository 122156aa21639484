/* Accepting connections. */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../address.h"
#include "base/log.h"
#include "conn.h"
#include "loop/loop.h"
#include "report.h"
#include "server.h"

enum {
	BACKLOG = 4096,	   /* connections that the kernel keeps while we are busy */
	ACCEPT_TURN = 64,  /* connections a turn, so that users are not kept waiting */
	LOGINS_MAX = 1024, /* connections beyond those of users: who logs in, or is leaving */
};

struct listener {
	struct server *server;
	int fd;
	int reserve; /* a descriptor to give up when there are no more */
	struct loop_io *io;
};

static void set_option(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof(value));
}

/* Small messages leave at once, and dead peers are found within two minutes. */
static void set_options(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

/* One more connection than there may be: tells why, if that can be said without waiting. */
static void turn_away(struct server *s, int fd)
{
	static const char json[] = "{\"error\":\"server_full\",\"message\":\"too many users or "
				   "connections; try again later\"}";
	uint8_t out[PROTO_DESC + sizeof(json) - 1];

	metric_add(&s->n.refused, 1);
	proto_put(out, PROTO_ERROR, sizeof(json) - 1, 0);
	memcpy(out + PROTO_DESC, json, sizeof(json) - 1);
	if (!s->tls && send(fd, out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		shutdown(fd, SHUT_WR);
	close(fd);
}

static void admit(struct server *s, int fd, const struct sockaddr_storage *peer)
{
	const struct settings *set = &s->set;
	struct address *a = address_get(&s->addresses, peer);

	if (!a) {
		close(fd);
		return;
	}
	bool limited = set->max_per_address && (!a->loopback || set->limit_loopback);
	if (s->n_conns >= (size_t)set->max_users + LOGINS_MAX ||
	    (limited && a->n > set->max_per_address)) {
		turn_away(s, fd);
		address_put(&s->addresses, a);
		return;
	}
	set_options(fd);
	conn_new(s, fd, a);
}

/* No descriptor left: without this the connection would wait and wake us for ever. */
static void drop_one(struct listener *l)
{
	close(l->reserve);
	int fd = accept(l->fd, NULL, NULL);
	if (fd >= 0)
		close(fd);
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	metric_add(&l->server->n.refused, 1);
}

static void on_accept(void *arg, int events)
{
	struct listener *l = arg;

	(void)events;
	server_tick(l->server);
	for (int i = 0; i < ACCEPT_TURN; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd =
		    accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				drop_one(l);
			return;
		}
		admit(l->server, fd, &peer);
	}
}

static int bound_socket(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		int err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static bool is_loopback(const struct addrinfo *ai)
{
	struct address a;
	struct addresses none;
	struct sockaddr_storage peer = {0};

	memcpy(&peer, ai->ai_addr, ai->ai_addrlen);
	map_init(&none.map);
	struct address *got = address_get(&none, &peer);
	a = got ? *got : (struct address){0};
	if (got)
		address_put(&none, got);
	map_done(&none.map);
	return a.loopback;
}

static int port_of(int fd)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &len) < 0)
		return 0;
	return ntohs(own.ss_family == AF_INET ? ((struct sockaddr_in *)&own)->sin_port
					      : ((struct sockaddr_in6 *)&own)->sin6_port);
}

int listener_open(struct listener **lp, struct server *s)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *ai = NULL;
	char host[HOST_SIZE], port[PORT_SIZE];
	int ret = address_split(s->set.address, s->set.port, host, port);

	if (ret < 0) {
		log_error("'%s%s%s' is not an address; use host:port, a port is at most 65535",
			  s->set.address, s->set.port ? ":" : "", s->set.port ? s->set.port : "");
		return ret;
	}
	int gai = getaddrinfo(host, port, &hints, &ai);
	if (gai) {
		log_error("cannot find the address '%s': %s", host, gai_strerror(gai));
		return -EINVAL;
	}
	struct listener *l = calloc(1, sizeof(*l));
	if (!l) {
		freeaddrinfo(ai);
		return -ENOMEM;
	}
	l->server = s;
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	l->fd = ret = bound_socket(ai);
	if (ret < 0)
		log_error("cannot listen on %s port %s: %s; choose another with --address", host,
			  port, strerror(-ret));
	else
		ret = loop_io_new(&l->io, s->loop, l->fd, LOOP_IN, on_accept, l);
	if (ret < 0 && l->fd >= 0)
		log_error("cannot wait for connections: %s", strerror(-ret));
	if (ret >= 0 && !is_loopback(ai) && !s->tls)
		log_warn("listening on %s without TLS: use --tls-cert and --tls-key, or a proxy",
			 host);
	freeaddrinfo(ai);
	if (ret < 0) {
		listener_close(l);
		return ret;
	}
	report_start(s, host, port_of(l->fd));
	*lp = l;
	return 0;
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	loop_io_free(l->io);
	if (l->fd >= 0)
		close(l->fd);
	close(l->reserve);
	free(l);
}
