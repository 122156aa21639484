/*
 * ICE by libnice: see ice.h.
 *
 *	on_pair   new-selected-pair-full ──> handler.selected(sockets, addresses)
 *	on_packet whatever is not STUN ──> handler.packet
 *	on_readable (before libnice reads) ── peek ── authentic? ──> handler.alive
 *	                                               └─ a stranger's request ──> handler.stray
 *
 * libnice 0.1.21 has no signal for "a check was answered", which the consent clock needs; so a
 * message is peeked at before libnice takes it. Of a connection that stands nearly all are checks
 * of the pair in use, a few a second for each peer; a turn of GLib and libnice for one costs more
 * than everything else that an idle peer does. So those are answered here, and libnice does not
 * ask the other side on its own (peer.c does when it falls silent). Were "keepalive-conncheck" on,
 * a clock of libnice's would run besides ours, and the other side could end the program: libnice
 * aborts when a check is answered after that clock has run out.
 */
#include "ice.h"

#include <errno.h>
#include <glib.h>
#include <nice/agent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/random.h"
#include "ice_loop.h"
#include "io.h"
#include "loop/loop.h"
#include "stun.h"

#define COMPONENT     1
#define UFRAG_CHARS   8	    /* 48 bits; RFC 8839 asks for 24 */
#define PWD_CHARS     24    /* 144 bits; RFC 8839 asks for 128 */
#define CLOSE_WAIT_US 20000 /* between looks whether libnice has let go */
#define PEEK_MAX      1500
/* libnice continues ticking this long after the last check; new ones wake it, and what failed
 * meanwhile is decided by our clock. Its own 5 s are 250 turns for each that joins. */
#define IDLE_MS 1000
/* RFC 8445 section 5.1.2.1: peer-reflexive, highest local preference, component 1 */
#define PRFLX_PRIORITY (110u << 24 | 65535u << 8 | 255u)

struct ice {
	NiceAgent *agent;
	guint stream;
	struct ice_loop *loop;
	struct loop *l; /* NULL until attached */
	const struct ice_handler *handler;
	void *arg;
	bool tcp; /* the selected pair is */
	bool have_pair, controlling;
	int fd;				/* of the selected pair; -1: none of ours */
	struct sockaddr_storage remote; /* of the selected pair */
	uint64_t tie_breaker;
	NiceAddress given[PEER_REMOTE_MAX]; /* candidates of theirs */
	unsigned n_given;
	char local_pwd[PEER_PWD_SIZE], remote_pwd[PEER_PWD_SIZE];
	char local_ufrag[PEER_UFRAG_SIZE], remote_ufrag[PEER_UFRAG_SIZE];

	void (*closed)(void *arg);
	void *closed_arg;
	struct loop_timer reap;
	bool close_done; /* libnice said so */
};

/* ---- making one ---- */

/* An ice-char each (RFC 8839, section 5.4). */
static const char ice_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void ice_credentials(char ufrag[static PEER_UFRAG_SIZE], char pwd[static PEER_PWD_SIZE])
{
	random_text(ufrag, UFRAG_CHARS, ice_chars);
	random_text(pwd, PWD_CHARS, ice_chars);
}

static void on_pair(NiceAgent *agent, guint stream, guint component, NiceCandidate *local,
		    NiceCandidate *remote, gpointer arg)
{
	struct ice *i = arg;
	struct ice_pair pair = {.tcp = local->transport != NICE_CANDIDATE_TRANSPORT_UDP};
	GSocket *s = nice_agent_get_selected_socket(agent, stream, component);

	pair.fd = s ? g_socket_get_fd(s) : -1;
	g_clear_object(&s); /* a reference of our own; the agent has one while the pair lives */
	nice_address_copy_to_sockaddr(&local->base_addr, (struct sockaddr *)&pair.local);
	nice_address_copy_to_sockaddr(&remote->addr, (struct sockaddr *)&pair.remote);
	i->tcp = pair.tcp;
	i->fd = pair.fd;
	if (pair.tcp)
		ice_loop_known_from(i->loop, &pair.remote);
	i->remote = pair.remote;
	i->have_pair = true;
	if (i->handler)
		i->handler->selected(i->arg, &pair);
}

static void on_state(NiceAgent *agent, guint stream, guint component, guint state, gpointer arg)
{
	struct ice *i = arg;

	(void)agent;
	(void)stream;
	(void)component;
	if (!i->handler)
		return;
	if (state == NICE_COMPONENT_STATE_CONNECTING)
		i->handler->checking(i->arg);
	else if (state == NICE_COMPONENT_STATE_FAILED && i->have_pair && i->tcp)
		i->handler->lost(i->arg);
	/* Other failures may heal: the other side's checks can still come. Time decides. */
}

static void on_packet(NiceAgent *agent, guint stream, guint component, guint len, gchar *buf,
		      gpointer arg)
{
	struct ice *i = arg;

	(void)agent;
	(void)stream;
	(void)component;
	if (i->handler)
		i->handler->packet(i->arg, (uint8_t *)buf, len);
}

static bool to_nice(NiceAddress *a, const struct sockaddr_storage *s)
{
	nice_address_init(a);
	nice_address_set_from_sockaddr(a, (const struct sockaddr *)s);
	return nice_address_is_valid(a);
}

static int gather(struct ice *i, const struct ice_config *c)
{
	NiceAddress a;

	for (unsigned n = 0; n < c->n_addresses; n++)
		if (!to_nice(&a, &c->addresses[n]) || !nice_agent_add_local_address(i->agent, &a))
			return -ENOMEM;
	i->stream = nice_agent_add_stream(i->agent, 1);
	if (!i->stream)
		return -ENOMEM;
	if (c->port)
		nice_agent_set_port_range(i->agent, i->stream, COMPONENT, c->port, c->port);
	nice_agent_attach_recv(i->agent, i->stream, COMPONENT, ice_loop_context(i->loop), on_packet,
			       i);
	return nice_agent_gather_candidates(i->agent, i->stream) ? 0 : -EADDRINUSE;
}

static int list_candidates(struct ice *i, struct peer_local *local, unsigned n_addresses)
{
	GSList *all = nice_agent_get_local_candidates(i->agent, i->stream, COMPONENT);
	unsigned n = 0, udp = 0;

	for (GSList *l = all; l && n < PEER_CANDIDATES_MAX; l = l->next) {
		NiceCandidate *c = l->data;
		if (c->transport == NICE_CANDIDATE_TRANSPORT_TCP_ACTIVE)
			continue; /* we never connect */
		struct peer_candidate *out = &local->candidate[n++];
		*out = (struct peer_candidate){.priority = c->priority,
					       .port = (uint16_t)nice_address_get_port(&c->addr),
					       .tcp = c->transport ==
						      NICE_CANDIDATE_TRANSPORT_TCP_PASSIVE};
		nice_address_to_string(&c->addr, out->address);
		snprintf(out->foundation, sizeof(out->foundation), "%s", c->foundation);
		udp += !out->tcp;
	}
	g_slist_free_full(all, (GDestroyNotify)nice_candidate_free);
	local->n_candidates = n;
	/* Fewer sockets than addresses: descriptors ran out, or an address is gone. */
	return udp < n_addresses ? -EMFILE : 0;
}

int ice_new(struct ice **out, const struct ice_config *c, struct peer_local *local)
{
	struct ice *i = calloc(1, sizeof(*i));
	int ret = i ? ice_loop_new(&i->loop) : -ENOMEM;

	if (ret < 0)
		goto fail;
	i->agent = nice_agent_new_full(ice_loop_context(i->loop), NICE_COMPATIBILITY_RFC5245,
				       NICE_AGENT_OPTION_ICE_TRICKLE);
	g_object_set(i->agent, "controlling-mode", c->controlling, "ice-tcp", c->tcp, "upnp", FALSE,
		     "idle-timeout", IDLE_MS, NULL);
	g_signal_connect(i->agent, "new-selected-pair-full", G_CALLBACK(on_pair), i);
	g_signal_connect(i->agent, "component-state-changed", G_CALLBACK(on_state), i);
	ret = gather(i, c);
	if (!ret)
		ret = list_candidates(i, local, c->n_addresses);
	if (ret < 0)
		goto fail;
	ice_credentials(local->ufrag, local->pwd);
	nice_agent_set_local_credentials(i->agent, i->stream, local->ufrag, local->pwd);
	memcpy(i->local_pwd, local->pwd, sizeof(i->local_pwd));
	memcpy(i->local_ufrag, local->ufrag, sizeof(i->local_ufrag));
	i->controlling = c->controlling;
	random_bytes(&i->tie_breaker, sizeof(i->tie_breaker));
	*out = i;
	return 0;
fail:
	ice_free(i);
	return ret;
}

/* ---- at work ---- */

/* Takes a check of the pair in use from the socket, and answers it. */
static bool answer(struct ice *i, int fd, const uint8_t *p, size_t n,
		   const struct sockaddr_storage *from, socklen_t from_len)
{
	uint8_t out[STUN_OUT_MAX];

	/* On another socket it is another pair, and may nominate that. */
	if (!i->have_pair || i->tcp || fd != i->fd || !io_same_address(from, &i->remote))
		return false;
	size_t len = stun_answer(out, p, n, i->controlling, from, i->local_pwd);
	if (!len)
		return false;
	recv(fd, out + len, 0, MSG_DONTWAIT);
	/* One that is lost is asked for again. */
	sendto(fd, out, len, MSG_DONTWAIT, (const struct sockaddr *)from, from_len);
	return true;
}

static bool is_authentic(const struct ice *i, const uint8_t *p, size_t n)
{
	return stun_is(p, n) &&
	       stun_authentic(p, n, i->local_pwd, i->remote_pwd[0] ? i->remote_pwd : NULL);
}

bool ice_stun(struct ice *i, int fd, const uint8_t *p, size_t n,
	      const struct sockaddr_storage *from)
{
	uint8_t out[STUN_OUT_MAX];

	if (!i->handler || !is_authentic(i, p, n))
		return false;
	i->handler->alive(i->arg);
	if (!i->have_pair || i->tcp || !io_same_address(from, &i->remote))
		return true; /* of another pair: libnice gets it when it is sent again */
	size_t len = stun_answer(out, p, n, i->controlling, from, i->local_pwd);
	if (len)
		sendto(fd, out, len, MSG_DONTWAIT, (const struct sockaddr *)from,
		       io_address_size(from));
	return true;
}

/*
 * A TCP connection that has proved nothing yet: RFC 6544 begins it with a check, behind a length.
 * Of anything else libnice gets to see no byte, for it has one buffer for all connections, and
 * would put what others send behind what is missing here.
 */
static bool meet_stranger(struct ice *i, int fd)
{
	uint8_t p[PEEK_MAX];
	ssize_t n = recv(fd, p, sizeof(p), MSG_PEEK | MSG_DONTWAIT);
	size_t have = n > 0 ? (size_t)n : 0;
	size_t need = have < 2 ? 2 : 2 + (size_t)get_be16(p);

	if (have >= need && is_authentic(i, p + 2, need - 2)) {
		ice_loop_known(i->loop, fd);
		i->handler->alive(i->arg);
		return false;
	}
	if (have < need && need <= sizeof(p) && ice_loop_await(i->loop, fd, need))
		return true;
	return !ice_loop_refuse(i->loop, fd);
}

/*
 * A request over UDP that is not to this peer, which a glance tells mostly, or not authentic: taken
 * from the socket. For libnice it would be a turn and an answer; so strangers could make more work
 * than calls do. Responses are libnice's: it alone knows what it has asked.
 */
static bool drop_stray(struct ice *i, int fd)
{
	recv(fd, NULL, 0, MSG_DONTWAIT);
	i->handler->stray(i->arg);
	return true;
}

static bool on_readable(void *arg, int fd)
{
	struct sockaddr_storage from = {0};
	socklen_t from_len = sizeof(from);
	struct ice *i = arg;
	uint8_t p[PEEK_MAX];

	if (!i->handler)
		return false;
	if (ice_loop_stranger(i->loop, fd))
		return meet_stranger(i, fd);
	ssize_t n = recvfrom(fd, p, sizeof(p), MSG_PEEK | MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_len);
	if (n <= 0)
		return false;
	/* A stream has no address for each message. */
	bool udp = from.ss_family != AF_UNSPEC;
	bool request = udp && stun_is(p, (size_t)n) && stun_is_request(p);
	if (request && !(stun_names(p, (size_t)n, i->local_ufrag) && is_authentic(i, p, (size_t)n)))
		return drop_stray(i, fd);
	if (!request && !is_authentic(i, p, (size_t)n)) {
		/* Over TCP a length stands before a message. All else about it is libnice's. */
		if (n > 2 && get_be16(p) <= n - 2 && is_authentic(i, p + 2, get_be16(p))) {
			ice_loop_known(i->loop, fd);
			i->handler->alive(i->arg);
		}
		return false;
	}
	i->handler->alive(i->arg);
	if (answer(i, fd, p, (size_t)n, &from, from_len))
		return true;
	/* libnice settles who is controlling; after that the other side's word is right. */
	bool theirs;
	if (stun_claims(p, (size_t)n, &theirs))
		i->controlling = !theirs;
	return false;
}

size_t ice_check(struct ice *i, uint8_t out[static STUN_OUT_MAX])
{
	struct stun_check c = {.local_ufrag = i->local_ufrag,
			       .remote_ufrag = i->remote_ufrag,
			       .remote_pwd = i->remote_pwd,
			       .controlling = i->controlling,
			       .tie_breaker = i->tie_breaker,
			       .priority = PRFLX_PRIORITY};

	random_bytes(c.id, sizeof(c.id));
	return stun_request(out, &c);
}

void ice_attach(struct ice *i, struct loop *loop, const struct ice_handler *handler, void *arg)
{
	i->handler = handler;
	i->arg = arg;
	i->l = loop;
	ice_loop_attach(i->loop, loop, on_readable, i);
}

int ice_set_remote(struct ice *i, const char *ufrag, const char *pwd)
{
	/* A renegotiation repeats them. */
	if (!strcmp(i->remote_ufrag, ufrag) && !strcmp(i->remote_pwd, pwd))
		return 0;
	if (!nice_agent_set_remote_credentials(i->agent, i->stream, ufrag, pwd))
		return -EINVAL;
	snprintf(i->remote_ufrag, sizeof(i->remote_ufrag), "%s", ufrag);
	snprintf(i->remote_pwd, sizeof(i->remote_pwd), "%s", pwd);
	ice_loop_changed(i->loop);
	return 0;
}

/* A renegotiation repeats them. */
static bool is_given(const struct ice *i, const NiceAddress *a)
{
	for (unsigned k = 0; k < i->n_given; k++)
		if (nice_address_equal(&i->given[k], a))
			return true;
	return false;
}

int ice_add_candidate(struct ice *i, const struct peer_candidate *c)
{
	NiceAddress addr;

	nice_address_init(&addr);
	if (c->tcp || !c->port)
		return 0; /* they connect to us */
	if (!nice_address_set_from_string(&addr, c->address))
		return -EINVAL;
	nice_address_set_port(&addr, c->port);
	if (!is_given(i, &addr)) {
		if (i->n_given == PEER_REMOTE_MAX)
			return -ENOSPC;
		i->given[i->n_given++] = addr;
	}
	NiceCandidate *n = nice_candidate_new(NICE_CANDIDATE_TYPE_HOST);
	n->stream_id = i->stream;
	n->component_id = COMPONENT;
	n->transport = NICE_CANDIDATE_TRANSPORT_UDP;
	n->addr = addr;
	n->base_addr = addr;
	n->priority = c->priority ? c->priority : 1; /* libnice 0.1.21 stumbles over 0 */
	snprintf(n->foundation, sizeof(n->foundation), "%.*s", (int)sizeof(n->foundation) - 1,
		 c->foundation);
	GSList *list = g_slist_append(NULL, n);
	nice_agent_set_remote_candidates(i->agent, i->stream, COMPONENT, list);
	g_slist_free_full(list, (GDestroyNotify)nice_candidate_free);
	ice_loop_changed(i->loop);
	return 0;
}

void ice_end_of_candidates(struct ice *i)
{
	nice_agent_peer_candidate_gathering_done(i->agent, i->stream);
	ice_loop_changed(i->loop);
}

int ice_restart(struct ice *i, const char *ufrag, const char *pwd)
{
	if (!nice_agent_restart_stream(i->agent, i->stream))
		return -EINVAL;
	nice_agent_set_local_credentials(i->agent, i->stream, ufrag, pwd);
	snprintf(i->local_pwd, sizeof(i->local_pwd), "%s", pwd);
	snprintf(i->local_ufrag, sizeof(i->local_ufrag), "%s", ufrag);
	/* Until a pair is selected again, all checks are libnice's. */
	i->have_pair = false;
	i->remote_pwd[0] = i->remote_ufrag[0] = '\0';
	i->n_given = 0;
	ice_loop_changed(i->loop);
	return 0;
}

bool ice_send(struct ice *i, const uint8_t *p, size_t n)
{
	/* Over TCP libnice frames the packet and keeps what the socket does not take yet. */
	bool sent =
	    nice_agent_send(i->agent, i->stream, COMPONENT, (guint)n, (const gchar *)p) == (gint)n;
	/* For that it now waits, and takes nothing more until it has come true. */
	if (i->tcp)
		ice_loop_changed(i->loop);
	return sent;
}

/* ---- the end ---- */

static void release(struct ice *i)
{
	if (i->agent) {
		g_signal_handlers_disconnect_by_data(i->agent, i);
		g_object_unref(i->agent);
	}
	ice_loop_free(i->loop);
	free(i);
}

void ice_free(struct ice *i)
{
	if (!i)
		return;
	i->handler = NULL;
	if (i->agent && i->stream)
		nice_agent_remove_stream(i->agent, i->stream);
	/* Nothing is under way yet that would need further turns than these. */
	for (int n = 0; i->loop && n < 8; n++)
		g_main_context_iteration(ice_loop_context(i->loop), FALSE);
	release(i);
}

static void on_close_done(GObject *agent, GAsyncResult *result, gpointer arg)
{
	struct ice *i = arg;

	(void)agent;
	(void)result;
	i->close_done = true;
}

static void on_reap(void *arg)
{
	struct ice *i = arg;
	void (*closed)(void *arg2) = i->closed;
	void *closed_arg = i->closed_arg;

	if (!i->close_done) {
		ice_loop_changed(i->loop);
		loop_timer_in_us(&i->reap, CLOSE_WAIT_US);
		return;
	}
	/* What remove_stream left for later. */
	for (int n = 0; n < 8; n++)
		g_main_context_iteration(ice_loop_context(i->loop), FALSE);
	release(i);
	closed(closed_arg);
}

void ice_close(struct ice *i, void (*closed)(void *arg), void *arg)
{
	i->handler = NULL;
	i->closed = closed;
	i->closed_arg = arg;
	loop_timer_init(&i->reap, i->l, on_reap, i);
	ice_loop_unwatch(i->loop);
	/* The answer comes through the context that is the thread's default at the time of the
	 * call.
	 */
	g_main_context_push_thread_default(ice_loop_context(i->loop));
	nice_agent_close_async(i->agent, on_close_done, i);
	g_main_context_pop_thread_default(ice_loop_context(i->loop));
	nice_agent_remove_stream(i->agent, i->stream);
	ice_loop_changed(i->loop);
	loop_timer_in_us(&i->reap, 0);
}
