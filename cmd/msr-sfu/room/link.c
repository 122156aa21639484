/*
 * Links: SDP's words for media.h's. Media objects have numbers; a map from numbers to links and
 * tracks tells what an event is about, and events about things already freed find nothing.
 */
#include "link.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fwd/media.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "room.h"

struct links {
	struct links_opts opts;
	struct peer_env *env;
	struct media *media;
	struct map links; /* by media number */
	struct map ins;
	struct media_stats stats; /* the last sample, for the metrics */
};

struct link {
	struct map_node node; /* in links.links */
	struct links *all;
	media_id id;
	struct owner *owner; /* lent */
	bool connected, ended;
	bool renewed;	       /* `ufrag` and `pwd` count once theirs have come */
	uint64_t estimate_bps; /* what its path carries; 0: not known */
	char ufrag[PEER_UFRAG_SIZE], pwd[PEER_PWD_SIZE];
	char next_ufrag[PEER_UFRAG_SIZE], next_pwd[PEER_PWD_SIZE]; /* of the restart to come */
	struct sdp_candidate *candidates;			   /* owned */
	struct peer_candidate *peer_candidates; /* owned: the same, whose strings they lend */
	unsigned n_candidates;
	struct peer_remote remote; /* ufrag empty: none yet */
};

struct link_in {
	struct map_node node; /* in links.ins */
	struct links *all;
	media_id id;
	struct track *owner; /* lent */
	uint64_t left_out;   /* of its recording, in a gap that lasts; 0: there is none */
};

struct link_out {
	struct links *all;
	media_id id;
};

/* ---- events ---- */

static void on_layer(struct links *ls, const struct media_event *e)
{
	static const char *const reasons[] = {
	    [MEDIA_WANTED] = "wanted", [MEDIA_BANDWIDTH] = "bandwidth", [MEDIA_SOURCE] = "source"};
	struct map_node *to = map_get(&ls->links, &e->peer, sizeof(e->peer));
	struct map_node *of = map_get(&ls->ins, &e->track, sizeof(e->track));
	struct link_layer l = {
	    .name = "off", .width = e->width, .height = e->height, .reason = reasons[e->reason]};

	if (!to || !of)
		return;
	const struct track *t = container_of(of, struct link_in, node)->owner;
	if (e->n_layers) {
		l.name = e->layer + 1 == e->n_layers ? "high" : e->layer ? "mid" : "low";
		l.rid = e->stream < t->agreed.n_rids ? t->agreed.rid[e->stream] : NULL;
	}
	ls->opts.layer(container_of(to, struct link, node)->owner, t, &l);
}

/* One report a gap: when it ends, or where the track does, which it cannot outlive. */
static void on_gap(struct links *ls, const struct media_event *e)
{
	struct map_node *n = map_get(&ls->ins, &e->track, sizeof(e->track));

	if (!n)
		return;
	struct link_in *in = container_of(n, struct link_in, node);
	in->left_out = e->open ? e->left_out : 0;
	if (!e->open)
		ls->opts.gap(in->owner, e->left_out);
}

static void on_event(void *arg, const struct media_event *e)
{
	struct links *ls = arg;
	struct map_node *n;

	switch (e->kind) {
	case MEDIA_CONNECTED:
		if ((n = map_get(&ls->links, &e->peer, sizeof(e->peer)))) {
			struct link *l = container_of(n, struct link, node);
			l->connected = true;
			ls->opts.connected(l->owner, l);
		}
		break;
	case MEDIA_ENDED:
		if ((n = map_get(&ls->links, &e->peer, sizeof(e->peer)))) {
			struct link *l = container_of(n, struct link, node);
			l->connected = false;
			l->ended = true;
			ls->opts.ended(l->owner, l, peer_end_name(e->why));
		}
		break;
	case MEDIA_ESTIMATE:
		if ((n = map_get(&ls->links, &e->peer, sizeof(e->peer))))
			container_of(n, struct link, node)->estimate_bps = e->bps;
		break;
	case MEDIA_SPEAKER:
		n = e->track ? map_get(&ls->ins, &e->track, sizeof(e->track)) : NULL;
		ls->opts.speaker(ls->opts.arg, e->room,
				 n ? container_of(n, struct link_in, node)->owner : NULL, e->level);
		break;
	case MEDIA_LAYER:
		on_layer(ls, e);
		break;
	case MEDIA_GAP:
		on_gap(ls, e);
		break;
	}
}

/* ---- metrics ---- */

static double sample(void *arg)
{
	return (double)*(const uint64_t *)arg;
}

/* The first metric rendered takes the sample that the others show. */
static double fresh_sample(void *arg)
{
	struct links *ls = arg;

	media_stats(ls->media, &ls->stats);
	return (double)ls->stats.peers;
}

static double ports_used(void *arg)
{
	struct links *ls = arg;
	unsigned used, total;

	peer_env_ports(ls->env, &used, &total);
	return used;
}

static void list_metrics(struct links *ls)
{
	struct metrics *m = ls->opts.metrics;
	const struct {
		const char *name, *help;
		uint64_t *value;
	} rows[] = {
#define ROW(field, metric, help) {metric, help, &ls->stats.field},
	    MEDIA_COUNTERS(ROW)
#undef ROW
	};

	_Static_assert(offsetof(struct media_stats, peers) == 0, "the first row takes the sample");
	metrics_call(m, rows[0].name, NULL, rows[0].help, fresh_sample, ls);
	for (size_t i = 1; i < sizeof(rows) / sizeof(rows[0]); i++)
		metrics_call(m, rows[i].name, NULL, rows[i].help, sample, rows[i].value);
	metrics_call(m, "msr_sfu_ports_used", NULL, "Media ports in use", ports_used, ls);
}

/* ---- all links ---- */

int links_new(struct links **lp, const struct links_opts *opts)
{
	const char *const only[] = {opts->rtc_address, NULL};
	struct links *ls = calloc(1, sizeof(*ls));
	int ret;

	if (!ls) {
		log_error("out of memory");
		return -ENOMEM;
	}
	ls->opts = *opts;
	map_init(&ls->links);
	map_init(&ls->ins);
	struct peer_env_config ec = {
	    .addresses = opts->rtc_address ? only : NULL,
	    .public_ip = opts->public_ip,
	    .min_port = opts->min_port,
	    .max_port = opts->max_port,
	    .tcp = true,
	};
	ret = peer_env_new(&ls->env, &ec);
	if (ret < 0) {
		log_error("cannot use the media addresses: %s; see --rtc-address and --public-ip",
			  strerror(-ret));
		links_free(ls);
		return ret;
	}
	struct media_config mc = {
	    .threads = opts->threads,
	    .env = ls->env,
	    .loop = opts->loop,
	    .sinks = opts->sinks,
	    .n_sinks = opts->n_sinks,
	    .event = on_event,
	    .arg = ls,
	};
	ret = media_start(&ls->media, &mc);
	if (ret < 0) {
		log_error("cannot start the media threads: %s", strerror(-ret));
		links_free(ls);
		return ret;
	}
	list_metrics(ls);
	*lp = ls;
	return 0;
}

void links_free(struct links *ls)
{
	if (!ls)
		return;
	media_stop(ls->media);
	peer_env_free(ls->env);
	map_done(&ls->links);
	map_done(&ls->ins);
	free(ls);
}

unsigned links_place(const struct links *ls)
{
	return media_place(ls->media);
}

uint32_t link_ssrc(struct links *ls)
{
	return media_new_ssrc(ls->media);
}

/* What went wrong in a command, in the interface's words. */
static int media_fail(struct fail *f, int err)
{
	switch (err) {
	case -EADDRINUSE:
		return fail_set(f, FAIL_NO_PORTS, NULL);
	case -EADDRNOTAVAIL:
		return fail_set(f, FAIL_NO_PORTS, "no local address for media is there now");
	case -EMFILE:
		return fail_set(f, FAIL_NO_PORTS,
				"no descriptor is free for a media port; try again when somebody "
				"left");
	case -EAGAIN:
		return fail_set(f, FAIL_LIMIT, "the media thread is overloaded; try again");
	case -EINVAL:
		return fail_set(f, FAIL_BAD_SDP,
				"the transport cannot be used: credentials, "
				"fingerprint or setup");
	default:
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	}
}

/* ---- one link ---- */

/* Keeps what there is of `local`, which has room for much more. */
static int set_local(struct link *l, const struct peer_local *local)
{
	unsigned n = local->n_candidates;

	memcpy(l->ufrag, local->ufrag, sizeof(l->ufrag));
	memcpy(l->pwd, local->pwd, sizeof(l->pwd));
	l->candidates = calloc(n, sizeof(*l->candidates));
	l->peer_candidates = calloc(n, sizeof(*l->peer_candidates));
	if (!l->candidates || !l->peer_candidates)
		return -ENOMEM;
	memcpy(l->peer_candidates, local->candidate, n * sizeof(*l->peer_candidates));
	l->n_candidates = n;
	for (unsigned i = 0; i < n; i++) {
		const struct peer_candidate *c = &l->peer_candidates[i];
		l->candidates[i] = (struct sdp_candidate){
		    .foundation = c->foundation,
		    .address = c->address,
		    .priority = c->priority,
		    .port = c->port,
		    .component = 1,
		    .tcp = c->tcp,
		    .tcp_type = c->tcp ? SDP_TCP_PASSIVE : SDP_TCP_NONE,
		    .type = SDP_HOST,
		};
	}
	return 0;
}

static void link_done(struct link *l)
{
	free(l->candidates);
	free(l->peer_candidates);
	free(l);
}

int link_new(struct link **lp, struct links *ls, const struct link_opts *opts, struct fail *f)
{
	struct link *l = calloc(1, sizeof(*l));
	struct media_peer_config c = {
	    .thread = opts->thread, .room = opts->room, .controlling = opts->controlling};
	struct peer_local local;

	if (!l)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	l->all = ls;
	l->owner = opts->owner;
	int ret = media_peer_new(ls->media, &c, &l->id, &local);
	if (ret < 0) {
		free(l);
		return media_fail(f, ret);
	}
	if (set_local(l, &local) < 0 || map_put(&ls->links, &l->node, &l->id, sizeof(l->id)) < 0) {
		media_peer_close(ls->media, l->id);
		link_done(l);
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	}
	*lp = l;
	return 0;
}

void link_free(struct link *l)
{
	if (!l)
		return;
	media_peer_close(l->all->media, l->id);
	map_remove(&l->all->links, &l->node);
	link_done(l);
}

bool link_connected(const struct link *l)
{
	return l->connected;
}

bool link_ended(const struct link *l)
{
	return l->ended;
}

uint64_t link_estimate_bps(const struct link *l)
{
	return l->estimate_bps;
}

void link_local(const struct link *l, struct sdp_local *local)
{
	*local = (struct sdp_local){
	    .ufrag = l->ufrag,
	    .pwd = l->pwd,
	    .fingerprint = {.hash = "sha-256", .len = 32},
	    .candidates = l->candidates,
	    .n_candidates = l->n_candidates,
	    .end_of_candidates = true,
	};
	memcpy(local->fingerprint.value, peer_env_fingerprint(l->all->env), 32);
}

static bool to_peer_candidate(struct peer_candidate *out, const struct sdp_candidate *c)
{
	if (c->tcp || c->component != 1 || strlen(c->address) >= sizeof(out->address))
		return false;
	*out = (struct peer_candidate){.priority = c->priority, .port = c->port};
	snprintf(out->address, sizeof(out->address), "%s", c->address);
	snprintf(out->foundation, sizeof(out->foundation), "%.32s", c->foundation);
	return true;
}

static int send_remote(struct link *l, const struct sdp_media *m)
{
	struct peer_candidate c[PEER_REMOTE_MAX];
	unsigned n = 0;

	for (unsigned i = 0; m && i < m->n_candidates && n < PEER_REMOTE_MAX; i++)
		n += to_peer_candidate(&c[n], &m->candidates[i]);
	return media_peer_remote(l->all->media, l->id, &l->remote, c, n, m && m->end_of_candidates);
}

/* Whether a section has what a transport needs. */
static int check_described(const struct sdp_media *m, struct fail *f)
{
	const struct sdp_transport *t = &m->transport;

	if (!t->ufrag || !t->pwd)
		return fail_set(f, FAIL_BAD_SDP, "a=ice-ufrag or a=ice-pwd is missing");
	if (strlen(t->ufrag) >= PEER_UFRAG_SIZE || strlen(t->pwd) >= PEER_PWD_SIZE)
		return fail_set(f, FAIL_BAD_SDP, "the ICE credentials are too long");
	if (!t->fingerprint.len)
		return fail_set(f, FAIL_BAD_SDP,
				"a=fingerprint of sha-256, sha-384 or sha-512 is missing");
	return 0;
}

int link_parse(struct sdp **out, const char *text, size_t len, struct fail *f)
{
	struct sdp_error err = {0};
	int ret = sdp_parse(out, text, len, &err);

	if (ret == -ENOMEM)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	if (ret < 0 && err.line)
		return fail_set(f, FAIL_BAD_SDP, "line %u: %s", err.line, err.reason);
	return ret < 0 ? fail_set(f, FAIL_BAD_SDP, "%s", err.reason) : 0;
}

int link_read_offer(struct sdp **out, const char *text, size_t len, bool may_end, struct fail *f)
{
	struct sdp *offer = NULL;
	int ret = 0;

	if (link_parse(&offer, text, len, f) < 0)
		return -1;
	const struct sdp_media *m = sdp_transport_media(offer);
	if (m)
		ret = check_described(m, f);
	else if (!may_end || !sdp_is_over(offer))
		ret = fail_set(f, FAIL_BAD_SDP, "no m-section of the offer is alive");
	if (ret < 0) {
		sdp_free(offer);
		return -1;
	}
	*out = offer;
	return 0;
}

int link_check(const struct link *l, const struct sdp_media *m, struct fail *f)
{
	const struct sdp_fingerprint *now = &m->transport.fingerprint;
	const struct peer_remote *r = &l->remote;

	if (!r->fingerprint_len || !now->len) /* that it is missing is another mistake */
		return 0;
	if (now->len == r->fingerprint_len && !strcmp(now->hash, r->hash) &&
	    !memcmp(now->value, r->fingerprint, now->len))
		return 0;
	return fail_set(f, FAIL_OTHER_CONNECTION, NULL);
}

int link_remote(struct link *l, const struct sdp_media *m, struct fail *f)
{
	const struct sdp_transport *t = &m->transport;
	struct peer_remote *r = &l->remote;

	if (check_described(m, f) < 0 || link_check(l, m, f) < 0)
		return -1;
	snprintf(r->ufrag, sizeof(r->ufrag), "%s", t->ufrag);
	snprintf(r->pwd, sizeof(r->pwd), "%s", t->pwd);
	snprintf(r->hash, sizeof(r->hash), "%s", t->fingerprint.hash);
	memcpy(r->fingerprint, t->fingerprint.value, sizeof(r->fingerprint));
	r->fingerprint_len = t->fingerprint.len;
	r->dtls_client = t->setup == SDP_PASSIVE;
	int ret = 0;
	if (l->renewed)
		ret = media_peer_restart(l->all->media, l->id, l->ufrag, l->pwd);
	if (!ret) {
		l->renewed = false;
		ret = send_remote(l, m);
	}
	return ret < 0 ? media_fail(f, ret) : 0;
}

void link_extmap(struct rtp_extmap *map, const struct sdp *answer)
{
	*map = (struct rtp_extmap){0};
	for (unsigned i = 0; i < answer->n_media; i++) {
		const struct sdp_media *m = &answer->media[i];
		for (unsigned k = 0; k < m->n_exts; k++) {
			int kind = rtp_ext_of(m->exts[k].uri);
			if (kind >= 0)
				rtp_extmap_set(map, (enum rtp_ext_kind)kind, m->exts[k].id);
		}
	}
}

int link_extensions(struct link *l, const struct rtp_extmap *map, struct fail *f)
{
	int ret = media_peer_extensions(l->all->media, l->id, map);

	return ret < 0 ? media_fail(f, ret) : 0;
}

bool link_is_restart(const struct link *l, const char *ufrag)
{
	return l->remote.ufrag[0] && ufrag && strcmp(l->remote.ufrag, ufrag) != 0;
}

void link_draw(struct link *l, struct sdp_local *local)
{
	peer_credentials(l->next_ufrag, l->next_pwd);
	local->ufrag = l->next_ufrag;
	local->pwd = l->next_pwd;
}

int link_restart(struct link *l, struct fail *f)
{
	int ret = media_peer_restart(l->all->media, l->id, l->next_ufrag, l->next_pwd);

	if (ret < 0)
		return media_fail(f, ret);
	memcpy(l->ufrag, l->next_ufrag, sizeof(l->ufrag));
	memcpy(l->pwd, l->next_pwd, sizeof(l->pwd));
	return 0;
}

int link_restart_with(struct link *l, const char *ufrag, const char *pwd, struct fail *f)
{
	struct sdp_local local;

	if (!*pwd || strlen(ufrag) >= sizeof(l->remote.ufrag) ||
	    strlen(pwd) >= sizeof(l->remote.pwd))
		return fail_set(f, FAIL_BAD_SDP, "the ICE credentials are missing or too long");
	link_draw(l, &local);
	if (link_restart(l, f) < 0)
		return -1;
	snprintf(l->remote.ufrag, sizeof(l->remote.ufrag), "%s", ufrag);
	snprintf(l->remote.pwd, sizeof(l->remote.pwd), "%s", pwd);
	int ret = send_remote(l, NULL);
	return ret < 0 ? media_fail(f, ret) : 0;
}

int link_renew(struct link *l, struct fail *f)
{
	if (l->ended)
		return fail_set(f, FAIL_CONNECTION_ENDED, NULL);
	peer_credentials(l->ufrag, l->pwd);
	l->renewed = true;
	return 0;
}

void link_candidate(struct link *l, const struct sdp_candidate *c)
{
	struct peer_candidate pc;

	if (to_peer_candidate(&pc, c))
		media_peer_candidates(l->all->media, l->id, &pc, 1, false);
}

void link_candidates_end(struct link *l)
{
	media_peer_candidates(l->all->media, l->id, NULL, 0, true);
}

/* ---- tracks ---- */

/* A mid or rid as packets carry it. One that is too long for them they do not carry. */
static void copy_name(char out[static RTP_MID_MAX + 1], const char *name)
{
	bool fits = name && strlen(name) <= RTP_MID_MAX;

	snprintf(out, RTP_MID_MAX + 1, "%s", fits ? name : "");
}

/* SSRCs as the publisher signalled them; simulcast and Firefox signal none. */
static void signalled_ssrcs(struct media_track_config *c, const struct sdp_media *m)
{
	for (unsigned i = 0; i < m->n_ssrc_groups; i++) {
		const struct sdp_ssrc_group *g = &m->ssrc_groups[i];
		if (!strcmp(g->semantics, "FID") && g->n >= 2) {
			c->ssrc = g->ssrc[0];
			c->rtx_ssrc = g->ssrc[1];
			return;
		}
	}
	if (m->n_ssrcs)
		c->ssrc = m->ssrcs[0].ssrc;
}

static int track_config(struct media_track_config *c, const struct sdp_media *m,
			const struct sdp_agreed *a)
{
	enum rtp_codec codec = rtp_codec_of(a->codec->name);

	if (codec == RTP_CODEC_NONE)
		return -EINVAL;
	*c = (struct media_track_config){
	    .codec = codec,
	    .pt = a->pt,
	    .rtx_pt = a->rtx_pt,
	    .red_pt = a->red_pt,
	    .feedback = a->feedback,
	};
	copy_name(c->mid, m->mid);
	for (unsigned i = 0; i < a->n_rids && i < MEDIA_LAYERS_MAX; i++)
		copy_name(c->rid[c->n_rids++], a->rid[i]);
	/* Layers are told apart by their rids alone (RFC 8853 section 5.5). */
	if (!c->n_rids)
		signalled_ssrcs(c, m);
	return 0;
}

/* Recording goes with publishing; a track that cannot be recorded is still a track. */
static void record(const struct link_in *in)
{
	const struct track *t = in->owner;
	struct tap_config c = {.source = t->source};

	snprintf(c.room, sizeof(c.room), "%s", t->user->room->id);
	snprintf(c.user, sizeof(c.user), "%s", t->user->id);
	int ret = media_track_record(in->all->media, in->id, &c);
	if (ret < 0)
		log_warn("%s of room %s is not recorded: %s", t->id, c.room, strerror(-ret));
}

int link_receive(struct link *l, struct link_in **inp, struct track *owner,
		 const struct sdp_media *theirs, const struct sdp_agreed *agreed, struct fail *f)
{
	struct links *ls = l->all;
	struct link_in *in = calloc(1, sizeof(*in));
	struct media_track_config c;

	if (!in)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	in->all = ls;
	in->owner = owner;
	in->id = media_new_id(ls->media);
	int ret = track_config(&c, theirs, agreed);
	if (!ret)
		ret = map_put(&ls->ins, &in->node, &in->id, sizeof(in->id));
	if (!ret) {
		ret = media_track_new(ls->media, l->id, in->id, &c);
		if (ret < 0)
			map_remove(&ls->ins, &in->node);
	}
	if (ret < 0) {
		free(in);
		return media_fail(f, ret);
	}
	if (ls->opts.n_sinks)
		record(in);
	*inp = in;
	return 0;
}

int link_receive_again(struct link_in *in, const struct sdp_media *theirs,
		       const struct sdp_agreed *agreed, struct fail *f)
{
	struct media_track_config c;
	int ret = track_config(&c, theirs, agreed);

	if (!ret)
		ret = media_track_change(in->all->media, in->id, &c);
	return ret < 0 ? media_fail(f, ret) : 0;
}

void link_in_free(struct link_in *in)
{
	if (!in)
		return;
	if (in->left_out)
		in->all->opts.gap(in->owner, in->left_out);
	media_track_close(in->all->media, in->id);
	map_remove(&in->all->ins, &in->node);
	free(in);
}

int link_send(struct link *l, const struct link_in *in, struct link_out **outp,
	      const struct link_out_opts *o, struct fail *f)
{
	struct links *ls = l->all;
	struct link_out *out = calloc(1, sizeof(*out));
	struct media_sub_config c = {
	    .peer = l->id,
	    .track = in->id,
	    .pt = o->pt,
	    .rtx_pt = o->rtx_pt,
	    .red_pt = o->red_pt,
	    .ssrc = o->ssrc,
	    .rtx_ssrc = o->rtx_pt ? o->rtx_ssrc : 0,
	    .feedback = o->feedback,
	    .want = o->want,
	    .lasting = o->lasting,
	};

	if (!out)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	copy_name(c.mid, o->mid);
	snprintf(c.cname, sizeof(c.cname), "%s", o->cname);
	out->all = ls;
	out->id = media_new_id(ls->media);
	int ret = media_sub_new(ls->media, out->id, &c);
	if (ret < 0) {
		free(out);
		return media_fail(f, ret);
	}
	*outp = out;
	return 0;
}

void link_out_free(struct link_out *out)
{
	if (!out)
		return;
	media_sub_close(out->all->media, out->id);
	free(out);
}

int link_out_want(struct link_out *out, enum media_level want, struct fail *f)
{
	int ret = media_sub_want(out->all->media, out->id, want);

	return ret < 0 ? media_fail(f, ret) : 0;
}

int link_limit(struct link *l, uint64_t max_bps, struct fail *f)
{
	int ret = media_peer_limit(l->all->media, l->id, max_bps);

	return ret < 0 ? media_fail(f, ret) : 0;
}
