/*
 * A peer: the state machine over ice, dtls, srtp and io. See peer.h.
 *
 *	NEW ── a check ──> CHECKING ── pair selected, description known ──> SECURING
 *	    ── certificate right, keys ──> CONNECTED ──> ENDED (why)
 *
 * A peer that is closed within one of its own handlers still lies on the stack; so it is only
 * marked, and freed by a timer of its thread in the next turn.
 */
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "dtls.h"
#include "env.h"
#include "ice.h"
#include "io.h"
#include "io_tx.h"
#include "loop/loop.h"
#include "ports.h"
#include "srtp.h"
#include "stun.h"

#define REMOTES_MAX 4	    /* addresses of theirs that ICE selected last */
#define CLOCK_US    5000000 /* between looks at the consent clock */
#define SILENT_US   8000000 /* without an authentic packet: then we ask for one */
#define FOLLOW_US   2000000 /* silence of the selected address before another is believed */
#define EARLY_SIZE  4096    /* bytes: a post-quantum hello is about 1,500, in two or three pieces */

_Static_assert(PEER_OUT_PACKETS == IO_TX_PACKETS, "a batch");
_Static_assert(PEER_PACKET_MAX + SRTP_TAIL_MAX <= IO_TX_SIZE, "a sealed packet");

struct peer_io {
	struct loop *loop;
	struct io_rx *rx;
	struct io_tx *tx;
	bool gathering;	  /* packets came: what they make goes out together at the end */
	struct list dead; /* peers closed in this turn */
	struct loop_timer reap;
	unsigned closing; /* peers that libnice has not let go of */
	struct peer_stats stats;
};

struct peer_socket {
	struct peer *peer;
	int fd;
	struct loop_io *io;
	struct sockaddr_storage local;
};

struct peer {
	const struct peer_env *env;
	struct peer_io *io; /* NULL until attached */
	const struct peer_handler *handler;
	void *arg;
	uint16_t port;
	enum peer_state state;
	bool closed;
	struct list link; /* in io.dead */

	struct ice *ice;
	struct dtls *dtls;
	struct srtp_session *srtp;

	/* One for each local address that a pair was selected on, over a life. */
	struct peer_socket socket[ENV_ADDRESSES_MAX];
	unsigned n_sockets;
	int fd; /* where to send: a socket of ours, or -1: through ice */
	struct sockaddr_storage remote[REMOTES_MAX]; /* [0] is where we send */
	unsigned n_remotes;

	bool have_pair, have_remote, dtls_client;
	char hash[16];
	uint8_t fingerprint[PEER_HASH_MAX];
	uint8_t fingerprint_len;
	/* DTLS datagrams that came before dtls could start, each after two bytes of length; heap,
	 * EARLY_SIZE bytes, or NULL when there are none. */
	uint8_t *early;
	size_t early_len;

	struct mono alive; /* the last authentic packet */
	struct mono heard; /* the last one from remote[0] by the sockets of our own */
	struct loop_timer clock;
};

/* Needed until libnice has closed the agent, after the peer is freed. */
struct port_return {
	struct peer_io *io;
	struct ports *ports;
	uint16_t port;
};

const char *peer_end_name(enum peer_end why)
{
	static const char *const names[] = {"none",    "ice",	 "dtls",  "fingerprint",
					    "consent", "remote", "memory"};

	_Static_assert(sizeof(names) / sizeof(*names) == PEER_ENDS, "a name for each end");
	return names[why];
}

enum peer_state peer_state(const struct peer *p)
{
	return p->state;
}

static void enter(struct peer *p, enum peer_state state, enum peer_end why)
{
	if (p->closed || p->state >= state)
		return;
	p->state = state;
	p->handler->state(p->arg, state, why);
}

static void end(struct peer *p, enum peer_end why)
{
	enter(p, PEER_ENDED, why);
}

/* ---- what came ---- */

static void remember_remote(struct peer *p, const struct sockaddr_storage *a)
{
	unsigned at = 0;

	while (at < p->n_remotes && !io_same_address(a, &p->remote[at]))
		at++;
	if (at == p->n_remotes) {
		if (p->n_remotes < REMOTES_MAX)
			p->n_remotes++;
		else
			at--;
	}
	memmove(&p->remote[1], &p->remote[0], at * sizeof(p->remote[0]));
	p->remote[0] = *a;
}

static bool from_remote(const struct peer *p, const struct sockaddr_storage *from)
{
	for (unsigned i = 0; i < p->n_remotes; i++)
		if (io_same_address(from, &p->remote[i]))
			return true;
	return false;
}

/*
 * Behind a NAT that forgot its mapping the other side has a new address, and libnice stays with the
 * pair that it selected. So we send to where fresh SRTP comes from once the old address is silent;
 * replays do not count as fresh, so only somebody who can suppress the peer's own packets could
 * lead us away.
 */
static void follow(struct peer *p, const struct sockaddr_storage *from, int fd, struct mono now)
{
	if (!io_same_address(from, &p->remote[0])) {
		if (mono_diff_us(now, p->heard) < FOLLOW_US)
			return;
		remember_remote(p, from);
		p->fd = fd; /* another family, or a NAT that lets in only whom it knows */
		log_debug("media follows a peer to its new address");
	}
	p->heard = now;
}

/* `from`: NULL when it came through libnice; else `fd` is the socket of ours that it came to. */
static void got_media(struct peer *p, uint8_t *data, size_t n, const struct sockaddr_storage *from,
		      int fd, struct mono now)
{
	bool rtcp = n >= 2 && data[1] >= 192 && data[1] <= 223; /* RFC 5761 section 4 */

	if (p->state != PEER_CONNECTED) {
		p->io->stats.rx_stray++;
		return;
	}
	if ((rtcp ? srtp_open_rtcp(p->srtp, data, &n) : srtp_open_rtp(p->srtp, data, &n)) < 0) {
		p->io->stats.rx_unauthentic++;
		return;
	}
	p->alive = now;
	if (from && p->fd >= 0)
		follow(p, from, fd, now);
	if (rtcp)
		p->handler->rtcp(p->arg, data, n, now.us);
	else
		p->handler->rtp(p->arg, data, n, now.us);
}

static void got_dtls(struct peer *p, const uint8_t *data, size_t n)
{
	if (p->dtls) {
		dtls_packet(p->dtls, data, n);
		return;
	}
	/* Their hello overtook their description, or the nomination of the pair. */
	if (!p->early)
		p->early = malloc(EARLY_SIZE);
	if (!p->early || p->early_len + 2 + n > EARLY_SIZE)
		return; /* they send it again */
	put_be16(p->early + p->early_len, (uint16_t)n);
	memcpy(p->early + p->early_len + 2, data, n);
	p->early_len += 2 + n;
}

/* A datagram from an address that ICE vouches for, or that SRTP will have to; through libnice
 * (`from` is NULL) it does. */
static void got(struct peer *p, uint8_t *data, size_t n, const struct sockaddr_storage *from,
		int fd, struct mono now)
{
	struct peer_stats *s = &p->io->stats;

	s->rx_packets++;
	s->rx_bytes += n;
	if (n > 0 && data[0] >= 128 && data[0] <= 191)
		got_media(p, data, n, from, fd, now);
	else if (dtls_is(data, n) && (!from || from_remote(p, from)))
		got_dtls(p, data, n);
	else if (!from || fd != p->fd || !stun_is(data, n) || !ice_stun(p->ice, fd, data, n, from))
		s->rx_stray++;
}

static void submit(struct peer_io *io)
{
	struct io_sent sent = io_tx_submit(io->tx);
	struct peer_stats *s = &io->stats;

	s->tx_packets += sent.packets;
	s->tx_bytes += sent.bytes;
	s->tx_calls += sent.calls;
	s->tx_dropped += sent.dropped;
}

static void on_socket(void *arg, int events)
{
	struct peer_socket *s = arg;
	struct peer *p = s->peer;
	struct io_rx *rx = p->io->rx;

	(void)events;
	unsigned n = io_receive(rx, s->fd);
	if (!n) {
		/* Clears a pending error, of which epoll would tell for ever. */
		int err;
		socklen_t len = sizeof(err);
		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		return;
	}
	struct mono now = mono_now();
	struct peer_io *io = p->io;
	io->gathering = true;
	for (unsigned i = 0; i < n && !p->closed; i++) {
		struct io_packet k = io_rx_packet(rx, i);
		got(p, k.p, k.n, k.from, s->fd, now);
	}
	if (!p->closed)
		p->handler->batch_end(p->arg, now.us);
	io->gathering = false;
	submit(io);
}

static void on_ice_packet(void *arg, uint8_t *data, size_t n)
{
	struct peer *p = arg;
	struct peer_io *io = p->io;
	struct mono now = mono_now();

	if (p->closed)
		return;
	io->gathering = true;
	got(p, data, n, NULL, -1, now);
	if (!p->closed)
		p->handler->batch_end(p->arg, now.us);
	io->gathering = false;
	submit(io);
}

/* ---- DTLS ---- */

static void send_raw(struct peer *p, const uint8_t *data, size_t n)
{
	struct peer_stats *s = &p->io->stats;
	bool ok;

	if (p->fd >= 0) {
		const struct sockaddr_storage *to = &p->remote[0];
		ok = sendto(p->fd, data, n, MSG_DONTWAIT, (const struct sockaddr *)to,
			    io_address_size(to)) >= 0;
	} else {
		ok = ice_send(p->ice, data, n);
	}
	s->tx_calls++;
	s->tx_packets += ok;
	s->tx_bytes += ok ? n : 0;
	s->tx_dropped += !ok;
}

static void on_dtls_send(void *arg, const uint8_t *data, size_t n)
{
	send_raw(arg, data, n);
}

static void on_dtls_ready(void *arg, enum srtp_kind kind, const struct srtp_master *ours,
			  const struct srtp_master *theirs)
{
	struct peer *p = arg;

	if (srtp_session_new(&p->srtp, kind, ours, theirs) < 0) {
		end(p, PEER_END_MEMORY);
		return;
	}
	p->alive = mono_now();
	enter(p, PEER_CONNECTED, PEER_END_NONE);
}

static void on_dtls_ended(void *arg, int why)
{
	end(arg, why == 0	  ? PEER_END_REMOTE
		 : why == -EACCES ? PEER_END_FINGERPRINT
				  : PEER_END_DTLS);
}

static void give_early(struct peer *p)
{
	for (size_t at = 0; at < p->early_len && !p->closed;) {
		size_t n = get_be16(p->early + at);
		dtls_packet(p->dtls, p->early + at + 2, n);
		at += 2 + n;
	}
	free(p->early);
	p->early = NULL;
	p->early_len = 0;
}

/* DTLS starts once there is a way and their description says role and fingerprint. */
static void start_dtls(struct peer *p)
{
	static const struct dtls_handler handler = {on_dtls_send, on_dtls_ready, on_dtls_ended};

	if (p->dtls || p->closed || !p->have_pair || !p->have_remote || p->state == PEER_ENDED)
		return;
	int ret = dtls_new(&p->dtls, p->env->identity, p->io->loop, p->dtls_client, p->hash,
			   p->fingerprint, p->fingerprint_len, &handler, p);
	if (ret < 0) {
		end(p, ret == -ENOMEM ? PEER_END_MEMORY : PEER_END_DTLS);
		return;
	}
	enter(p, PEER_SECURING, PEER_END_NONE);
	if (p->closed)
		return;
	if (p->dtls_client)
		dtls_start(p->dtls);
	give_early(p);
}

/* ---- ICE ---- */

static int socket_for(struct peer *p, const struct ice_pair *pair)
{
	for (unsigned i = 0; i < p->n_sockets; i++)
		if (io_same_address(&p->socket[i].local, &pair->local))
			return p->socket[i].fd;
	if (p->n_sockets == ENV_ADDRESSES_MAX)
		return -1;
	struct peer_socket *s = &p->socket[p->n_sockets];
	int fd = io_open(pair->fd, &pair->local);
	if (fd < 0) {
		log_debug("media shares libnice's socket: %s", strerror(-fd));
		return -1;
	}
	*s = (struct peer_socket){.peer = p, .fd = fd, .local = pair->local};
	if (loop_io_new(&s->io, p->io->loop, fd, LOOP_IN, on_socket, s) < 0) {
		close(fd);
		return -1;
	}
	p->n_sockets++;
	return fd;
}

static void on_ice_selected(void *arg, const struct ice_pair *pair)
{
	struct peer *p = arg;

	if (p->closed)
		return;
	remember_remote(p, &pair->remote);
	p->heard = mono_now();
	p->fd = pair->tcp || pair->fd < 0 ? -1 : socket_for(p, pair);
	p->have_pair = true;
	start_dtls(p);
}

static void on_ice_checking(void *arg)
{
	enter(arg, PEER_CHECKING, PEER_END_NONE);
}

static void on_ice_lost(void *arg)
{
	end(arg, PEER_END_ICE);
}

static void on_ice_alive(void *arg)
{
	((struct peer *)arg)->alive = mono_now();
}

static void on_ice_stray(void *arg)
{
	((struct peer *)arg)->io->stats.rx_stray++;
}

/* On a grid, so that the clocks of many peers are one wake-up. */
static struct mono next_look(void)
{
	return (struct mono){(mono_now().us / CLOCK_US + 1) * CLOCK_US};
}

/* Most clients ask us every few seconds; one that does not is asked, which keeps a NAT open too. */
static void ask_silent(struct peer *p)
{
	uint8_t check[STUN_OUT_MAX];

	if (p->state == PEER_CONNECTED && mono_diff_us(mono_now(), p->alive) > SILENT_US)
		send_raw(p, check, ice_check(p->ice, check));
}

static void on_clock(void *arg)
{
	struct peer *p = arg;

	ask_silent(p);
	/* Before the client has described itself there is nobody to miss. */
	if (p->have_remote && mono_diff_us(mono_now(), p->alive) > PEER_CONSENT_US)
		end(p, p->state == PEER_CONNECTED ? PEER_END_CONSENT : PEER_END_ICE);
	if (!p->closed && p->state != PEER_ENDED)
		loop_timer_at(&p->clock, next_look());
}

int peer_set_remote(struct peer *p, const struct peer_remote *r)
{
	if (!r->fingerprint_len || r->fingerprint_len > sizeof(p->fingerprint))
		return -EINVAL;
	int ret = ice_set_remote(p->ice, r->ufrag, r->pwd);
	if (ret < 0)
		return ret;
	if (!p->dtls) {
		memcpy(p->fingerprint, r->fingerprint, r->fingerprint_len);
		p->fingerprint_len = r->fingerprint_len;
		memcpy(p->hash, r->hash, sizeof(p->hash));
		p->hash[sizeof(p->hash) - 1] = '\0';
		p->dtls_client = r->dtls_client;
	}
	if (!p->have_remote)
		p->alive = mono_now();
	p->have_remote = true;
	start_dtls(p);
	return 0;
}

int peer_add_candidate(struct peer *p, const struct peer_candidate *c)
{
	return ice_add_candidate(p->ice, c);
}

void peer_end_of_candidates(struct peer *p)
{
	ice_end_of_candidates(p->ice);
}

void peer_credentials(char ufrag[static PEER_UFRAG_SIZE], char pwd[static PEER_PWD_SIZE])
{
	ice_credentials(ufrag, pwd);
}

int peer_restart(struct peer *p, const char *ufrag, const char *pwd)
{
	return ice_restart(p->ice, ufrag, pwd);
}

/* ---- life ---- */

static bool same_family(const char *a, const char *b)
{
	return !strchr(a, ':') == !strchr(b, ':');
}

/* The public address maps to some local one, so each port is announced with it once more. */
static void announce_public(const struct peer_env *e, struct peer_local *local)
{
	unsigned n = local->n_candidates;

	for (unsigned i = 0; *e->public_ip && i < n; i++) {
		const struct peer_candidate *c = &local->candidate[i];
		bool known = false;
		if (!same_family(c->address, e->public_ip))
			continue;
		for (unsigned k = 0; k < local->n_candidates; k++)
			known |= local->candidate[k].port == c->port &&
				 local->candidate[k].tcp == c->tcp &&
				 !strcmp(local->candidate[k].address, e->public_ip);
		if (known || local->n_candidates == PEER_CANDIDATES_MAX)
			continue;
		struct peer_candidate *out = &local->candidate[local->n_candidates++];
		*out = *c;
		memcpy(out->address, e->public_ip, sizeof(out->address));
		/* Another base address, so another foundation: RFC 8445 section 5.1.1.3. */
		snprintf(out->foundation, sizeof(out->foundation), "public%s",
			 c->tcp ? "tcp" : "udp");
		out->priority--;
	}
}

/* Whether other addresses are there than before. */
static bool look(struct peer_env *e)
{
	bool other = env_look(e) > 0;

	if (other)
		log_info("the network has changed; local addresses for media: %u", e->local.n);
	return other;
}

/*
 * Another process may sit on ports of our range; so one after the other is tried. Or it is not the
 * port, and not for want of descriptors: an address has just gone.
 */
static int make_ice(struct peer *p, struct peer_env *e, bool controlling, struct peer_local *local)
{
	unsigned used, total, failed = 0;
	int ret = -EADDRINUSE;

	ports_count(e->ports, &used, &total);
	while (failed <= total && ret == -EADDRINUSE) {
		if (!e->local.n) /* libnice would take all that it finds */
			return -EADDRNOTAVAIL;
		ret = ports_take(e->ports, &p->port);
		if (ret < 0)
			return ret;
		struct ice_config c = {.addresses = e->local.a,
				       .n_addresses = e->local.n,
				       .port = p->port,
				       .tcp = e->tcp,
				       .controlling = controlling};
		memset(local, 0, sizeof(*local));
		ret = ice_new(&p->ice, &c, local);
		if (!ret)
			return 0;
		ports_give(e->ports, p->port);
		if (!failed++ && look(e))
			ret = -EADDRINUSE;
	}
	return ret;
}

int peer_new(struct peer **out, struct peer_env *env, bool controlling, struct peer_local *local)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->env = env;
	p->fd = -1;
	list_init(&p->link);
	if (mono_diff_us(mono_now(), env->looked) >= ENV_LOOK_US)
		look(env);
	int ret = make_ice(p, env, controlling, local);
	if (ret < 0) {
		free(p);
		return ret;
	}
	announce_public(env, local);
	*out = p;
	return 0;
}

int peer_attach(struct peer *p, struct peer_io *io, const struct peer_handler *handler, void *arg)
{
	static const struct ice_handler ice_handler = {on_ice_selected, on_ice_checking,
						       on_ice_lost,	on_ice_packet,
						       on_ice_alive,	on_ice_stray};

	p->io = io;
	p->handler = handler;
	p->arg = arg;
	p->alive = mono_now();
	loop_timer_init(&p->clock, io->loop, on_clock, p);
	int ret = loop_timer_at(&p->clock, next_look());
	if (!ret) /* nothing fails behind it */
		ice_attach(p->ice, io->loop, &ice_handler, p);
	return ret;
}

void peer_free(struct peer *p)
{
	if (!p)
		return;
	ice_free(p->ice);
	ports_give(p->env->ports, p->port);
	free(p);
}

static void on_ice_closed(void *arg)
{
	struct port_return *r = arg;

	ports_give(r->ports, r->port);
	r->io->closing--;
	free(r);
}

static void destroy(struct peer *p)
{
	struct port_return *r = p->ice ? calloc(1, sizeof(*r)) : NULL;

	for (unsigned i = 0; i < p->n_sockets; i++) {
		loop_io_free(p->socket[i].io);
		close(p->socket[i].fd);
	}
	dtls_free(p->dtls);
	srtp_session_free(p->srtp);
	free(p->early);
	if (r) {
		*r = (struct port_return){p->io, p->env->ports, p->port};
		ice_close(p->ice, on_ice_closed, r);
	} else {
		/* Without memory the port stays taken: better than handing it out while bound. */
		p->io->closing--;
		ice_free(p->ice);
	}
	free(p);
}

static void on_reap(void *arg)
{
	struct peer_io *io = arg;

	list_each_safe (i, &io->dead) {
		list_remove(i);
		destroy(container_of(i, struct peer, link));
	}
}

void peer_close(struct peer *p)
{
	if (p->closed)
		return;
	if (p->dtls)
		dtls_goodbye(p->dtls);
	p->closed = true;
	p->state = PEER_ENDED;
	loop_timer_stop(&p->clock);
	p->io->closing++;
	list_push(&p->io->dead, &p->link);
	loop_timer_in_us(&p->io->reap, 0);
}

/* ---- sending ---- */

uint8_t *peer_out(struct peer *p)
{
	if (io_tx_packets(p->io->tx) == PEER_OUT_PACKETS)
		peer_flush(p);
	return io_tx_next(p->io->tx);
}

void peer_send_rtp(struct peer *p, size_t header_len, const uint8_t *payload, size_t len,
		   uint64_t index)
{
	struct io_tx *tx = p->io->tx;

	if (p->state != PEER_CONNECTED || header_len + len > PEER_PACKET_MAX) {
		p->io->stats.tx_dropped++;
		return;
	}
	size_t n = srtp_seal_rtp(p->srtp, io_tx_next(tx), header_len, payload, len, index);
	if (!n)
		p->io->stats.tx_dropped++;
	else
		io_tx_add(tx, n);
}

void peer_flush(struct peer *p)
{
	struct io_tx *tx = p->io->tx;
	unsigned n = io_tx_packets(tx);

	if (!n)
		return;
	if (p->fd >= 0) {
		io_tx_queue(tx, p->fd, &p->remote[0]);
		if (!p->io->gathering)
			submit(p->io);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		size_t len;
		const uint8_t *at = io_tx_packet(tx, i, &len);
		send_raw(p, at, len);
	}
	io_tx_drop(tx);
}

void peer_send_rtcp(struct peer *p, const uint8_t *packet, size_t len)
{
	uint8_t out[PEER_PACKET_MAX + SRTP_TAIL_MAX] __attribute__((aligned(8)));

	if (p->state != PEER_CONNECTED || len > PEER_PACKET_MAX)
		return;
	memcpy(out, packet, len);
	size_t n = srtp_seal_rtcp(p->srtp, out, len);
	if (n)
		send_raw(p, out, n);
}

/* ---- a thread ---- */

int peer_io_new(struct peer_io **out, struct loop *loop)
{
	struct peer_io *io = calloc(1, sizeof(*io));

	if (!io)
		return -ENOMEM;
	io->loop = loop;
	list_init(&io->dead);
	loop_timer_init(&io->reap, loop, on_reap, io);
	io->rx = io_rx_new();
	if (!io->rx || io_tx_new(&io->tx, true) < 0) {
		peer_io_free(io);
		return -ENOMEM;
	}
	*out = io;
	return 0;
}

void peer_io_free(struct peer_io *io)
{
	if (!io)
		return;
	loop_timer_stop(&io->reap);
	io_rx_free(io->rx);
	io_tx_free(io->tx);
	free(io);
}

unsigned peer_io_closing(const struct peer_io *io)
{
	return io->closing;
}

const struct peer_stats *peer_io_stats(const struct peer_io *io)
{
	return &io->stats;
}
