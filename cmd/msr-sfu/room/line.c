/* Transports as descriptions have them: struct line of room.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "room.h"

int line_open(struct line *l, struct user *u, bool controlling)
{
	struct rooms *r = u->room->rooms;
	struct media_peer_config c = {
	    .thread = u->room->thread, .room = u->room->number, .controlling = controlling};
	int ret = media_peer_new(r->config.media, &c, &l->peer, &l->local);

	if (ret < 0)
		return ret;
	l->user = u;
	ret = map_put(&r->by_peer, &l->node, &l->peer, sizeof(l->peer));
	if (ret < 0) {
		media_peer_close(r->config.media, l->peer);
		l->peer = 0;
		return ret;
	}
	/* RFC 8866 section 5.2: unique; 62 bits, so that no reader takes it for negative. */
	if (getrandom(&l->session_id, sizeof(l->session_id), 0) != sizeof(l->session_id))
		l->session_id = l->peer;
	l->session_id >>= 2;
	return 0;
}

void line_close(struct line *l)
{
	if (!l->peer)
		return;
	struct rooms *r = l->user->room->rooms;
	map_remove(&r->by_peer, &l->node);
	media_peer_close(r->config.media, l->peer);
	l->peer = 0;
	l->connected = false;
	l->remote_ufrag[0] = '\0';
}

struct line *line_find(const struct rooms *r, media_id peer)
{
	struct map_node *n = map_get(&r->by_peer, &peer, sizeof(peer));
	return n ? container_of(n, struct line, node) : NULL;
}

void line_describe(struct line *l, struct sdp_local *out)
{
	static struct sdp_candidate list[PEER_CANDIDATES_MAX];
	const uint8_t *hash = peer_env_fingerprint(l->user->room->rooms->config.env);

	for (unsigned i = 0; i < l->local.n_candidates; i++) {
		const struct peer_candidate *c = &l->local.candidate[i];
		list[i] =
		    (struct sdp_candidate){.foundation = c->foundation,
					   .address = c->address,
					   .priority = c->priority,
					   .port = c->port,
					   .component = 1,
					   .tcp = c->tcp,
					   .tcp_type = c->tcp ? SDP_TCP_PASSIVE : SDP_TCP_NONE,
					   .type = SDP_HOST};
	}
	*out = (struct sdp_local){.session_id = l->session_id,
				  .version = ++l->version,
				  .ufrag = l->local.ufrag,
				  .pwd = l->local.pwd,
				  .fingerprint = {.hash = "sha-256", .len = 32},
				  .candidates = list,
				  .n_candidates = l->local.n_candidates,
				  .end_of_candidates = true};
	memcpy(out->fingerprint.value, hash, 32);
}

static bool copy(char *to, size_t size, const char *from)
{
	return from && (size_t)snprintf(to, size, "%s", from) < size;
}

static unsigned candidates(const struct sdp_media *m, struct peer_candidate *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_candidates && n < PEER_REMOTE_MAX; i++) {
		const struct sdp_candidate *c = &m->candidates[i];
		out[n] = (struct peer_candidate){
		    .priority = c->priority, .port = c->port, .tcp = c->tcp};
		/* Names (.local) are ignored: their checks tell the address. */
		if (c->component == 1 && copy(out[n].address, sizeof(out[n].address), c->address) &&
		    copy(out[n].foundation, sizeof(out[n].foundation), c->foundation))
			n++;
	}
	return n;
}

int line_remote(struct line *l, const struct sdp *theirs)
{
	const struct sdp_media *m = sdp_transport_media(theirs);
	struct peer_candidate list[PEER_REMOTE_MAX];
	struct peer_remote r = {0};

	if (!m || m->transport.fingerprint.len > sizeof(r.fingerprint) ||
	    !copy(r.ufrag, sizeof(r.ufrag), m->transport.ufrag) ||
	    !copy(r.pwd, sizeof(r.pwd), m->transport.pwd))
		return -EINVAL;
	r.fingerprint_len = m->transport.fingerprint.len;
	memcpy(r.fingerprint, m->transport.fingerprint.value, r.fingerprint_len);
	copy(r.hash, sizeof(r.hash), m->transport.fingerprint.hash);
	/* We answer passive; in their answers they choose. */
	r.dtls_client = m->transport.setup == SDP_PASSIVE;
	memcpy(l->remote_ufrag, r.ufrag, sizeof(r.ufrag));
	unsigned n = candidates(m, list);
	return media_peer_remote(l->user->room->rooms->config.media, l->peer, &r, list, n,
				 m->end_of_candidates);
}
