/*
 * Publishing: the offer of a user's sending connection becomes an answer, and its m-sections
 * become tracks that everybody else in the room is offered.
 *
 *	offer text → sdp_parse → wishes → sdp_answer → transport (link) → tracks (by mid)
 */
#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log.h"
#include "link.h"
#include "rtp/codec.h"
#include "session.h"
#include "whep.h"

const char *track_codec(const struct track *t)
{
	return rtp_codec_name(rtp_codec_of(t->agreed.codec->name));
}

static void track_free(struct track *t)
{
	struct user *u = t->user;

	map_each (n, &u->room->users) {
		struct user *other = container_of(n, struct user, node);
		if (other != u)
			offer_untrack(other, t);
	}
	viewers_untrack(u->room, t);
	link_in_free(t->in);
	list_remove(&t->link);
	u->n_tracks--;
	metric_add(&u->room->sfu->n_tracks, -1);
	free(t);
}

void tracks_free(struct user *u)
{
	list_each_safe (i, &u->tracks)
		track_free(container_of(i, struct track, link));
}

/* The only section of an offer may do without. */
static const char *mid_of(const struct sdp_media *m)
{
	return m->mid ? m->mid : "";
}

static struct track *track_by_mid(const struct user *u, const char *mid)
{
	list_each (i, &u->tracks) {
		struct track *t = container_of(i, struct track, link);
		if (!strcmp(t->mid, mid))
			return t;
	}
	return NULL;
}

/* `otherwise`: where the client says nothing. */
static enum frame_source source_of(const struct sdp_media *m, const struct source_hint *hints,
				   size_t n, enum frame_source otherwise)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(hints[i].mid, mid_of(m)))
			return hints[i].source;
	return otherwise;
}

static int track_new(struct user *u, const struct sdp_media *offered,
		     const struct sdp_agreed *agreed, enum frame_source source, struct fail *f)
{
	struct links *links = u->room->sfu->opts.links;
	struct track *t;

	if (u->n_tracks >= TRACKS_MAX)
		return fail_set(f, FAIL_LIMIT, "a user publishes at most %d tracks", TRACKS_MAX);
	t = calloc(1, sizeof(*t));
	if (!t)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	t->user = u;
	t->kind = offered->kind;
	t->source = source;
	t->agreed = *agreed;
	snprintf(t->mid, sizeof(t->mid), "%s", mid_of(offered));
	snprintf(t->id, sizeof(t->id), "%s/%s", u->id, t->mid);
	t->ssrc = link_ssrc(links);
	t->rtx_ssrc = t->kind == SDP_VIDEO ? link_ssrc(links) : 0;
	if (link_receive(u->pub, &t->in, t, offered, agreed, f) < 0) {
		free(t);
		return -1;
	}
	list_init(&t->link);
	list_push(&u->tracks, &t->link);
	u->n_tracks++;
	metric_add(&u->room->sfu->n_tracks, 1);
	map_each (n, &u->room->users) {
		struct user *other = container_of(n, struct user, node);
		if (other != u && other->sub)
			offer_track(other, t);
	}
	viewers_track(u->room, t);
	return 0;
}

/* Another codec, source or other layers under the same mid are another track to receivers. */
static bool same_media(const struct track *t, const struct sdp_agreed *a, enum frame_source source)
{
	bool same = t->source == source && a->codec && t->agreed.codec &&
		    !strcasecmp(t->agreed.codec->name, a->codec->name) &&
		    t->agreed.n_rids == a->n_rids;

	for (unsigned i = 0; same && i < a->n_rids; i++)
		same = !strcmp(t->agreed.rid[i], a->rid[i]);
	return same;
}

/* Brings the track of one section, if there is one or should be, in step with our answer. */
static int update_track(struct user *u, const struct sdp_media *theirs,
			const struct sdp_media *ours, const struct source_hint *hints,
			size_t n_hints, struct fail *f)
{
	struct track *t = track_by_mid(u, mid_of(theirs));
	struct sdp_agreed a;

	sdp_agree(&a, ours, theirs);
	enum frame_source usual = theirs->kind == SDP_AUDIO ? SOURCE_MICROPHONE : SOURCE_CAMERA;
	enum frame_source source = source_of(theirs, hints, n_hints, t ? t->source : usual);
	bool flows = a.alive && a.codec && (a.direction & SDP_RECVONLY);
	if (t && (!flows || !same_media(t, &a, source))) {
		track_free(t);
		t = NULL;
	}
	if (!flows)
		return 0;
	if (!t)
		return track_new(u, theirs, &a, source, f);
	t->agreed = a;
	return link_receive_again(t->in, theirs, &a, f);
}

/*
 * Brings the tracks in step with the sections of `offer` as we answered them. The old answer lives
 * until this is done, because the tracks lend their codecs from it; so a section that fails stops
 * none of the others, whose tracks must not be left with what is freed then. *f tells of the last.
 */
static int update_tracks(struct user *u, const struct sdp *offer, const struct sdp *answer,
			 const struct source_hint *hints, size_t n_hints, struct fail *f)
{
	int ret = 0;

	for (unsigned i = 0; i < offer->n_media; i++)
		if (update_track(u, &offer->media[i], &answer->media[i], hints, n_hints, f) < 0)
			ret = -1;
	return ret;
}

/* Sections that vanished from the offer altogether; a client that does so is wrong, but sure. */
static void drop_unmentioned(struct user *u, const struct sdp *offer)
{
	list_each_safe (i, &u->tracks) {
		struct track *t = container_of(i, struct track, link);
		bool mentioned = false;
		for (unsigned k = 0; k < offer->n_media && !mentioned; k++)
			mentioned = !strcmp(mid_of(&offer->media[k]), t->mid);
		if (!mentioned)
			track_free(t);
	}
}

/* ICE restarts where the offer asks for that, once it has an answer: with one that is refused
 * nothing may change. With an offer in which nothing is alive there is no ICE. */
static int make_answer(struct user *u, const struct sdp *offer, struct sdp **answer,
		       struct rtp_extmap *map, struct fail *f)
{
	struct sfu *s = u->room->sfu;
	const struct sdp_media *transport = sdp_transport_media(offer);
	struct sdp_error err = {0};
	struct sdp_local local = {0};
	struct sdp_wish *wish = calloc(offer->n_media ? offer->n_media : 1, sizeof(*wish));

	if (!wish)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	for (unsigned i = 0; i < offer->n_media; i++)
		sdp_wish_receive(&wish[i], &offer->media[i]);
	bool restart = transport && link_is_restart(u->pub, transport->transport.ufrag);
	if (transport)
		link_local(u->pub, &local);
	if (restart)
		link_draw(u->pub, &local);
	local.session_id = (uint64_t)u->room->created_us; /* stays: RFC 3264 section 8 */
	local.version = ++s->session_seq;
	int ret = sdp_answer(answer, offer, wish, &local, &err);
	free(wish);
	if (ret == -EPROTO)
		return fail_set(f, FAIL_BAD_SDP, "%s", err.reason);
	if (ret < 0)
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	link_extmap(map, *answer);
	return restart ? link_restart(u->pub, f) : 0;
}

static int take_transport(struct user *u, const struct sdp *offer, struct fail *f)
{
	struct room *r = u->room;

	if (!u->pub) {
		struct link_opts lo = {.thread = r->thread,
				       .room = r->number,
				       .controlling = offer->ice_lite,
				       .owner = &u->owner};
		return link_new(&u->pub, r->sfu->opts.links, &lo, f);
	}
	return link_check(u->pub, sdp_transport_media(offer), f);
}

/* Whether a section that was alive in our last answer still is. */
static bool goes_on(const struct user *u, const struct sdp *offer)
{
	for (unsigned i = 0; i < offer->n_media; i++) {
		const struct sdp_media *m = &offer->media[i];
		for (unsigned k = 0; !sdp_is_rejected(m) && k < u->pub_answer->n_media; k++) {
			const struct sdp_media *old = &u->pub_answer->media[k];
			if (!sdp_is_rejected(old) && !strcmp(mid_of(old), mid_of(m)))
				return true;
		}
	}
	return false;
}

/*
 * A transport ends with the last of its sections (RFC 9143, section 7.5.3). Where a client has
 * stopped all of them, those that it adds may begin another: with other ICE credentials, and a DTLS
 * handshake from the start, which the connection of before would take for a forgery. Firefox keeps
 * its transport, and its credentials with it; so it is these that tell.
 */
static bool leaves_transport(const struct user *u, const struct sdp *offer,
			     const struct sdp_media *m)
{
	return m && u->pub && u->pub_answer && link_is_restart(u->pub, m->transport.ufrag) &&
	       !goes_on(u, offer);
}

/* The answer to an offer whose transport is that of `m`, NULL where nothing in it is alive. */
static int answer_offer(struct user *u, const struct sdp *offer, const struct sdp_media *m,
			struct sdp **answer, struct buf *out, struct fail *f)
{
	struct rtp_extmap map;

	if (m && take_transport(u, offer, f) < 0)
		return -1;
	if (make_answer(u, offer, answer, &map, f) < 0)
		return -1;
	if (m && (link_remote(u->pub, m, f) < 0 || link_extensions(u->pub, &map, f) < 0))
		return -1;
	return sdp_write(*answer, out) < 0 ? fail_set(f, FAIL_NO_MEMORY, NULL) : 0;
}

static int produce(struct user *u, const struct sdp *offer, const struct source_hint *hints,
		   size_t n_hints, struct buf *out, struct fail *f)
{
	const struct sdp_media *m = sdp_transport_media(offer);
	struct sdp *answer = NULL, *old;
	struct link *left = NULL;
	int ret;

	if (leaves_transport(u, offer, m)) {
		if (link_check(u->pub, m, f) < 0)
			return -1;
		left = u->pub;
		u->pub = NULL;
	}
	if (answer_offer(u, offer, m, &answer, out, f) < 0) {
		sdp_free(answer);
		if (left) {
			link_free(u->pub);
			u->pub = left;
		}
		return -1;
	}
	if (left) {
		tracks_free(u);
		link_free(left);
	}
	ret = update_tracks(u, offer, answer, hints, n_hints, f);
	drop_unmentioned(u, offer);
	old = u->pub_answer;
	u->pub_answer = answer;
	sdp_free(old);
	notify_tracks(u);
	/* What changed before it failed; the caller only does this where nothing did. */
	if (ret < 0)
		offer_refresh_room(u->room, u, NULL, NULL);
	return ret;
}

/* A hint for a section that is not there would be lost in silence. */
static int check_hints(const struct sdp *offer, const struct source_hint *hints, size_t n,
		       struct fail *f)
{
	for (size_t i = 0; i < n; i++) {
		unsigned k = 0;
		while (k < offer->n_media && strcmp(mid_of(&offer->media[k]), hints[i].mid) != 0)
			k++;
		if (k == offer->n_media)
			return fail_set(f, FAIL_BAD_REQUEST,
					"'sources' has '%.64s', which is no mid of the offer",
					hints[i].mid);
	}
	return 0;
}

int user_produce(struct user *u, const char *text, size_t len, const struct source_hint *hints,
		 size_t n_hints, struct buf *out, struct fail *f)
{
	struct sdp *offer;

	/* Who has published may stop everything. */
	if (link_read_offer(&offer, text, len, u->pub_answer && !u->session, f) < 0)
		return -1;
	int ret = check_hints(offer, hints, n_hints, f);
	if (!ret)
		ret = produce(u, offer, hints, n_hints, out, f);
	sdp_free(offer);
	return ret;
}

/* A user that publishes by WHIP from now on, with its session and transport. */
static int add_publisher(struct room *r, const char *id, struct user *old, const struct sdp *offer,
			 struct user **up, struct fail *f)
{
	struct user *u;

	if (user_make(r, id, &u, f) < 0)
		return -1;
	if (session_new(r->sfu, offer, &u->session, f) < 0 || take_transport(u, offer, f) < 0 ||
	    user_enter(u, old, f) < 0) {
		user_free(u, "failed");
		return -1;
	}
	u->session->user = u;
	notify_user_event(r, "joined", u, NULL);
	*up = u;
	return 0;
}

/* A WHIP client has one offer: what it is for must be in it. */
static int check_brings(const struct sdp *offer, struct fail *f)
{
	bool sends = false;

	for (unsigned i = 0; i < offer->n_media; i++) {
		struct sdp_wish w;
		sdp_wish_receive(&w, &offer->media[i]);
		if (sdp_flows(offer, &offer->media[i], &w))
			return 0;
		sends |= !w.reject && offer->media[i].direction & SDP_SENDONLY;
	}
	return fail_set(f, FAIL_BAD_SDP, "%s",
			sends ? "none of the codecs is passed on; offer Opus, VP8, VP9, H.264 "
				"or AV1, under a payload type that is not 64 to 95 (RTCP's)"
			      : "the offer sends neither sound nor pictures (a=sendonly)");
}

int user_publish(struct room *r, const char *id, const char *text, size_t len, struct user **up,
		 struct buf *out, struct fail *f)
{
	struct user *old = user_get(r, id), *u;
	struct sdp *offer;

	if (old && user_connected(old))
		return fail_set(f, FAIL_USER_EXISTS, "the user is connected");
	/* Nobody loses their place to an offer that comes to nothing. */
	if (link_read_offer(&offer, text, len, false, f) < 0)
		return -1;
	int ret = check_brings(offer, f);
	if (!ret)
		ret = add_publisher(r, id, old, offer, &u, f);
	if (!ret && produce(u, offer, NULL, 0, out, f) < 0) {
		user_free(u, "failed");
		ret = -1;
	}
	sdp_free(offer);
	if (!ret)
		*up = u;
	return ret;
}
