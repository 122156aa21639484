/* WHEP viewers: one answer at the beginning, then only tracks coming and going behind it. */
#include "whep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log.h"
#include "link.h"
#include "room.h"
#include "rtp/packet.h"
#include "session.h"

#define VIEW_SECTIONS 8 /* m-sections of a viewer's offer that are served; more are rejected */

struct view {
	struct link_out_opts opts;
	enum sdp_kind kind;
	char codec[16];
	struct track *track; /* NULL while there is none */
	struct link_out *out;
	char mid[SDP_MID_MAX + 1]; /* "": its m-section has none */
	uint32_t ssrc, rtx_ssrc;   /* as answered: they outlive the publisher's tracks */
};

struct viewer {
	struct list in_room; /* in room.viewers */
	struct room *room;
	struct owner owner;
	char user[ID_SIZE]; /* whom it plays */
	struct link *link;
	struct session *session;
	char mid[SDP_MID_MAX + 1]; /* of the section that carries the transport; "": none */
	enum sdp_kind kind;	   /* of that */
	struct view views[VIEW_SECTIONS];
	size_t n_views;
};

struct link *viewer_link(const struct viewer *v)
{
	return v->link;
}

const char *viewer_mid(const struct viewer *v, enum sdp_kind *kind)
{
	*kind = v->kind;
	return v->mid;
}

void viewer_free(struct viewer *v)
{
	if (!v)
		return;
	for (size_t k = 0; k < v->n_views; k++)
		link_out_free(v->views[k].out);
	link_free(v->link);
	session_free(v->session);
	list_remove(&v->in_room);
	free(v);
}

void viewers_end(struct room *r)
{
	list_each_safe (i, &r->viewers)
		viewer_free(container_of(i, struct viewer, in_room));
}

static void view_start(struct viewer *v, struct view *w, struct track *t)
{
	struct fail f;

	w->opts.mid = w->mid;
	w->opts.cname = t->user->cname;
	w->opts.ssrc = w->ssrc;
	w->opts.rtx_ssrc = w->rtx_ssrc;
	if (link_send(v->link, t->in, &w->out, &w->opts, &f) == 0)
		w->track = t;
	else
		log_warn("room %s: a viewer gets no %s: %s", v->room->id, t->id, f.text);
}

void viewers_track(struct room *r, struct track *t)
{
	list_each (i, &r->viewers) {
		struct viewer *v = container_of(i, struct viewer, in_room);
		if (strcmp(v->user, t->user->id) != 0)
			continue;
		for (size_t k = 0; k < v->n_views; k++) {
			struct view *w = &v->views[k];
			if (w->track || w->kind != t->kind || strcmp(w->codec, track_codec(t)) != 0)
				continue;
			view_start(v, w, t);
			break;
		}
	}
}

void viewers_untrack(struct room *r, struct track *t)
{
	list_each (i, &r->viewers) {
		struct viewer *v = container_of(i, struct viewer, in_room);
		for (size_t k = 0; k < v->n_views; k++) {
			if (v->views[k].track != t)
				continue;
			link_out_free(v->views[k].out);
			v->views[k].out = NULL;
			v->views[k].track = NULL;
		}
	}
}

static struct user *find_publisher(struct room *r, const char *id)
{
	if (id) {
		struct user *u = user_get(r, id);
		return u && u->n_tracks ? u : NULL;
	}
	struct user *first = NULL;
	map_each (n, &r->users) {
		struct user *u = container_of(n, struct user, node);
		if (u->n_tracks && (!first || u->joined < first->joined))
			first = u;
	}
	return first;
}

/* The n-th track of a kind, screens last. */
static struct track *nth_track(const struct user *u, enum sdp_kind kind, unsigned n)
{
	for (int screens = 0; screens < 2; screens++) {
		list_each (i, &u->tracks) {
			struct track *t = container_of(i, struct track, link);
			if (t->kind == kind && (t->source == SOURCE_SCREEN) == screens && !n--)
				return t;
		}
	}
	return NULL;
}

/* Our capability for exactly this track's codec. */
static void cap_of(struct sdp_cap out[static 2], const struct track *t)
{
	const struct sdp_cap *all = t->kind == SDP_AUDIO ? sdp_caps_audio : sdp_caps_video;
	const struct sdp_codec *c = t->agreed.codec;

	memset(out, 0, 2 * sizeof(*out));
	for (; all->name; all++)
		if (!strcasecmp(all->name, c->name)) {
			out[0] = *all;
			out[0].fmtp = c->fmtp;
			return;
		}
}

struct plan {
	struct sdp_wish *wish;
	struct sdp_cap (*caps)[2];
	struct track **track;
};

static void make_wishes(const struct plan *p, const struct sdp *offer, const struct user *u)
{
	unsigned n_kind[2] = {0};

	for (unsigned i = 0; i < offer->n_media; i++) {
		const struct sdp_media *m = &offer->media[i];
		struct sdp_wish *w = &p->wish[i];
		struct track *t = NULL;

		if (i < VIEW_SECTIONS && m->kind <= SDP_VIDEO && (m->direction & SDP_RECVONLY))
			t = nth_track(u, m->kind, n_kind[m->kind]++);
		p->track[i] = t;
		if (!t) {
			w->reject = m->kind > SDP_VIDEO || i >= VIEW_SECTIONS;
			w->direction = SDP_INACTIVE;
			w->caps = m->kind == SDP_AUDIO ? sdp_caps_audio : sdp_caps_video;
			continue;
		}
		cap_of(p->caps[i], t);
		*w = (struct sdp_wish){
		    .direction = SDP_SENDONLY,
		    .caps = p->caps[i],
		    .exts = t->kind == SDP_AUDIO ? sdp_exts_audio : sdp_exts_video,
		    .stream = u->id,
		    .track = t->id,
		    .cname = u->cname,
		    .ssrc = t->ssrc,
		    .rtx_ssrc = t->rtx_ssrc,
		};
	}
}

/* The same for a player, whose offer must be of use with what is published now. */
static int check_plays(const struct plan *p, const struct sdp *offer, const struct user *u,
		       struct fail *f)
{
	bool receives = false, wanted = false;

	for (unsigned i = 0; i < offer->n_media; i++) {
		if (p->track[i] && sdp_flows(offer, &offer->media[i], &p->wish[i]))
			return 0;
		wanted |= p->track[i] != NULL;
		receives |=
		    !sdp_is_rejected(&offer->media[i]) && offer->media[i].direction & SDP_RECVONLY;
	}
	if (!receives)
		return fail_set(f, FAIL_BAD_SDP, "the offer receives nothing (a=recvonly)");
	if (!wanted)
		return fail_set(f, FAIL_NOT_PUBLISHING,
				"nothing of what the offer receives is published yet");
	struct track *t = container_of(u->tracks.next, struct track, link);
	return fail_set(f, FAIL_BAD_SDP, "the offer has no codec of what is published, such as %s",
			track_codec(t));
}

static void start_views(struct viewer *v, const struct plan *p, const struct sdp *offer,
			const struct sdp *answer)
{
	for (unsigned i = 0; i < answer->n_media && v->n_views < VIEW_SECTIONS; i++) {
		const struct sdp_media *ours = &answer->media[i];
		struct track *t = p->track[i];
		struct sdp_agreed a;

		sdp_agree(&a, ours, &offer->media[i]);
		if (!t || !a.alive || !a.codec)
			continue;
		struct view *w = &v->views[v->n_views++];
		w->kind = t->kind;
		snprintf(w->codec, sizeof(w->codec), "%s", track_codec(t));
		snprintf(w->mid, sizeof(w->mid), "%s", ours->mid ? ours->mid : "");
		w->ssrc = t->ssrc;
		w->rtx_ssrc = t->rtx_ssrc;
		w->opts = (struct link_out_opts){
		    .pt = a.pt,
		    .rtx_pt = a.rtx_pt,
		    .red_pt = a.red_pt,
		    .feedback = a.feedback,
		    .lasting = true,
		};
		view_start(v, w, t);
	}
}

static int answer_offer(struct viewer *v, const struct user *u, const struct sdp *offer,
			struct buf *out, struct fail *f)
{
	size_t n = offer->n_media;
	struct plan p = {
	    .wish = calloc(n + 1, sizeof(*p.wish)),
	    .caps = calloc(n + 1, sizeof(*p.caps)),
	    .track = calloc(n + 1, sizeof(struct track *)),
	};
	struct sfu *s = v->room->sfu;
	struct sdp *answer = NULL;
	struct sdp_error err = {0};
	struct sdp_local local;
	int ret = -1;

	if (!p.wish || !p.caps || !p.track) {
		fail_set(f, FAIL_NO_MEMORY, NULL);
		goto out;
	}
	make_wishes(&p, offer, u);
	if (check_plays(&p, offer, u, f) < 0)
		goto out;
	link_local(v->link, &local);
	local.session_id = ++s->session_seq;
	local.version = 1;
	int e = sdp_answer(&answer, offer, p.wish, &local, &err);
	if (e < 0) {
		if (e == -EPROTO)
			fail_set(f, FAIL_BAD_SDP, "%s", err.reason);
		else
			fail_set(f, FAIL_NO_MEMORY, NULL);
		goto out;
	}
	struct rtp_extmap map;
	link_extmap(&map, answer);
	if (link_remote(v->link, sdp_transport_media(offer), f) < 0 ||
	    link_extensions(v->link, &map, f) < 0)
		goto out;
	const struct sdp_media *carrier = sdp_transport_media(answer);
	if (carrier) {
		snprintf(v->mid, sizeof(v->mid), "%s", carrier->mid ? carrier->mid : "");
		v->kind = carrier->kind;
	}
	start_views(v, &p, offer, answer);
	ret = sdp_write(answer, out) < 0 ? fail_set(f, FAIL_NO_MEMORY, NULL) : 0;
out:
	sdp_free(answer);
	free(p.wish);
	free(p.caps);
	free(p.track);
	return ret;
}

int viewer_new(struct room *r, const char *user, const char *text, size_t len, struct buf *out,
	       struct session **session, struct fail *f)
{
	struct user *u = find_publisher(r, user);
	struct sdp *offer;
	struct viewer *v;

	if (!u)
		return fail_set(f, FAIL_NOT_PUBLISHING, NULL);
	if (link_read_offer(&offer, text, len, false, f) < 0)
		return -1;
	v = calloc(1, sizeof(*v));
	if (!v) {
		sdp_free(offer);
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	}
	list_init(&v->in_room);
	v->room = r;
	v->owner.viewer = v;
	snprintf(v->user, sizeof(v->user), "%s", u->id);
	struct link_opts lo = {.thread = r->thread,
			       .room = r->number,
			       .controlling = offer->ice_lite,
			       .owner = &v->owner};
	int ret = link_new(&v->link, r->sfu->opts.links, &lo, f);
	if (!ret)
		ret = session_new(r->sfu, offer, &v->session, f);
	if (!ret) {
		v->session->viewer = v;
		list_push(&r->viewers, &v->in_room);
		ret = answer_offer(v, u, offer, out, f);
	}
	sdp_free(offer);
	if (ret < 0) {
		viewer_free(v);
		return -1;
	}
	*session = v->session;
	return 0;
}
