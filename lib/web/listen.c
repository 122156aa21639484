/*
 * Listening sockets: accepted here, handed to libwebsockets. Limits in all and per address are
 * applied before anything is read.
 */
#include "web_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define BACKLOG		   1024
#define ACCEPT_BATCH	   64	  /* connections a turn and server */
#define KEEP_ALIVE_IDLE_S  60	  /* TCP keep-alive: after so much silence, */
#define KEEP_ALIVE_AGAIN_S 10	  /* and so often until it is answered */
#define RETRY_US	   100000 /* after running out of descriptors */

/* ---- connections per address ---- */

struct address_count {
	struct map_node node;
	size_t n;
	char addr[INET6_ADDRSTRLEN];
};

struct address_count *web_address_take(struct web *w, const char *addr)
{
	struct map_node *node = map_get(&w->addresses, addr, strlen(addr));
	struct address_count *a = node ? container_of(node, struct address_count, node) : NULL;

	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return NULL;
		snprintf(a->addr, sizeof(a->addr), "%s", addr);
		if (map_put(&w->addresses, &a->node, a->addr, strlen(a->addr)) < 0) {
			free(a);
			return NULL;
		}
	}
	if (w->opts.max_per_address && a->n >= w->opts.max_per_address)
		return NULL;
	a->n++;
	return a;
}

void web_address_release(struct web *w, struct address_count *a)
{
	if (a && --a->n == 0) {
		map_remove(&w->addresses, &a->node);
		free(a);
	}
}

/* ---- accepting ---- */

/* Numeric text; IPv4 addresses that came over an IPv6 socket are written as IPv4. */
static void addr_text(const struct sockaddr_storage *sa, char out[static INET6_ADDRSTRLEN],
		      bool *loopback)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	const void *v4 = NULL;

	if (sa->ss_family == AF_INET)
		v4 = &in->sin_addr;
	else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		v4 = &in6->sin6_addr.s6_addr[12];
	if (v4) {
		inet_ntop(AF_INET, v4, out, INET6_ADDRSTRLEN);
		*loopback = *(const uint8_t *)v4 == 127;
	} else {
		inet_ntop(AF_INET6, &in6->sin6_addr, out, INET6_ADDRSTRLEN);
		*loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	}
}

static void take_connection(struct web_server *s, int fd, const struct sockaddr_storage *sa)
{
	struct web *w = s->web;
	struct conn *c = NULL;
	int one = 1, idle = KEEP_ALIVE_IDLE_S, again = KEEP_ALIVE_AGAIN_S;

	if (w->n_conns >= w->opts.max_connections && s->n_conns >= s->opts.reserve) {
		metric_add(&w->n_refused_total, 1);
		close(fd);
		return;
	}
	c = web_conn_new(w, s);
	if (!c) {
		close(fd);
		return;
	}
	addr_text(sa, c->addr, &c->loopback);
	/* Behind a trusted proxy the client's address is only known with the request. */
	if (!web_conn_is_proxied(c)) {
		c->address = web_address_take(w, c->addr);
		if (!c->address) {
			metric_add(&w->n_refused_address, 1);
			close(fd);
			web_conn_free(c);
			return;
		}
	}
	metric_add(&w->n_accepted, 1);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* The kernel finds peers that are gone, also where no pings are sent. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &again, sizeof(again));
	web_conn_adopt(c, fd);
}

static void on_retry(void *arg)
{
	struct web_server *s = arg;

	if (s->io)
		loop_io_want(s->io, LOOP_IN);
}

static void on_listen(void *arg, int events)
{
	struct web_server *s = arg;

	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && s->fd >= 0; i++) {
		struct sockaddr_storage sa = {0};
		socklen_t len = sizeof(sa);
		int fd = accept4(s->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take_connection(s, fd, &sa);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* They wait in the backlog; looking again at once would spin. */
			loop_io_want(s->io, 0);
			loop_timer_in_us(&s->retry, RETRY_US);
			return;
		}
	}
}

/* ---- opening ---- */

static bool is_loopback(const struct addrinfo *ai)
{
	struct sockaddr_storage sa = {0};
	char text[INET6_ADDRSTRLEN];
	bool loopback;

	memcpy(&sa, ai->ai_addr, ai->ai_addrlen);
	addr_text(&sa, text, &loopback);
	return loopback;
}

static int bind_to(const struct addrinfo *ai)
{
	int one = 1, ret = 0;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		ret = -errno;
		close(fd);
	}
	return ret ? ret : fd;
}

static int open_socket(struct web_server *s)
{
	const struct web_listen_opts *o = &s->opts;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *ai = NULL;
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	char port[8];

	snprintf(port, sizeof(port), "%d", o->port);
	if (strcmp(o->address, "localhost") == 0)
		hints.ai_family = AF_INET;
	else
		hints.ai_flags |= AI_NUMERICHOST;
	if (o->port < 0 || o->port > 65535 || getaddrinfo(o->address, port, &hints, &ai) != 0)
		return -EADDRNOTAVAIL;
	int ret = bind_to(ai);
	if (ret >= 0) {
		s->fd = ret;
		ret = 0;
		if (!is_loopback(ai) && !o->tls_cert)
			log_warn("%s listens on %s without TLS: put a TLS proxy in front, or give "
				 "it a certificate",
				 o->server_name, o->address);
		if (getsockname(s->fd, (struct sockaddr *)&sa, &len) == 0)
			s->port = ntohs(sa.ss_family == AF_INET
					    ? ((struct sockaddr_in *)&sa)->sin_port
					    : ((struct sockaddr_in6 *)&sa)->sin6_port);
	}
	freeaddrinfo(ai);
	return ret;
}

static bool is_readable(struct web *w, const char *path)
{
	if (access(path, R_OK) == 0)
		return true;
	snprintf(w->error, ERROR_SIZE, "cannot read '%s': %s", path, strerror(errno));
	return false;
}

static int open_vhost(struct web_server *s)
{
	const struct web_listen_opts *o = &s->opts;
	struct lws_context_creation_info tls = {0};

	if (o->tls_cert) {
		if (!is_readable(s->web, o->tls_cert) || !is_readable(s->web, o->tls_key))
			return -EINVAL;
		tls.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
		tls.ssl_cert_filepath = o->tls_cert;
		tls.ssl_private_key_filepath = o->tls_key;
	}
	snprintf(s->name, sizeof(s->name), "%s:%d", o->server_name, s->port);
	if (web_vhost_new(s->web, s, &tls, &s->vhost) < 0) {
		if (!o->tls_cert)
			return -EIO;
		snprintf(s->web->error, ERROR_SIZE, "cannot use certificate '%s' with key '%s'",
			 o->tls_cert, o->tls_key);
		return -EINVAL;
	}
	return 0;
}

int web_listen(struct web_server **sp, struct web *w, const struct web_listen_opts *opts)
{
	struct web_server *s = calloc(1, sizeof(*s));
	int ret;

	if (!s) {
		snprintf(w->error, ERROR_SIZE, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	*w->error = '\0';
	s->web = w;
	s->opts = *opts;
	s->fd = -1;
	if (!s->opts.server_name)
		s->opts.server_name = "server";
	if (!s->opts.max_body)
		s->opts.max_body = 256 << 10;
	s->last_route = &s->routes;
	loop_timer_init(&s->retry, w->opts.loop, on_retry, s);
	ret = !opts->tls_cert == !opts->tls_key ? open_socket(s) : -EINVAL;
	if (!ret)
		ret = open_vhost(s);
	if (!ret)
		ret = loop_io_new(&s->io, w->opts.loop, s->fd, LOOP_IN, on_listen, s);
	if (ret) {
		if (!*w->error)
			snprintf(w->error, ERROR_SIZE, "%s", strerror(-ret));
		/* A vhost goes with the context. */
		if (s->fd >= 0)
			close(s->fd);
		free(s);
		return ret;
	}
	list_init(&s->link);
	list_push(&w->servers, &s->link);
	web_http_builtin_routes(s);
	*sp = s;
	return 0;
}

void web_listen_stop(struct web_server *s)
{
	loop_timer_stop(&s->retry);
	loop_io_free(s->io);
	s->io = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

const char *web_error(const struct web *w)
{
	return w->error;
}

int web_port(const struct web_server *s)
{
	return s->port;
}
