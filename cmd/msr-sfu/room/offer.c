/*
 * Offers to a user's receiving connection: at most one is unanswered; what changes meanwhile waits
 * for the answer and goes into the next one. An offer that stays unanswered is replaced by the
 * next change after ten seconds, so that a client that lost it is not stuck.
 *
 *	track comes or goes ──> sections changed ──> offer (unanswered) ──> answer ──> media flows
 *	                              └─ meanwhile: stays changed ─────────────┘ next offer
 */
#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "link.h"
#include "rtp/packet.h"

#define SLOTS_FIRST 2 /* sound and pictures of one other */

/* Sees to it that there is a slot for section `i`: most users have a handful. */
static int have_slot(struct user *u, unsigned i)
{
	unsigned n = u->n_slots ? u->n_slots : SLOTS_FIRST;

	if (i < u->n_slots)
		return 0;
	while (n <= i)
		n *= 2;
	struct slot *grown = reallocarray(u->slots, n, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + u->n_slots, 0, (n - u->n_slots) * sizeof(*grown));
	u->slots = grown;
	u->n_slots = n;
	return 0;
}

static int add_section(struct user *u, const struct section_track *st)
{
	int i = sections_add(u->sections, st);

	if (i < 0 || !have_slot(u, (unsigned)i))
		return i;
	sections_remove(u->sections, (unsigned)i);
	return -ENOMEM;
}

void offer_track(struct user *u, struct track *t)
{
	struct section_track st = {
	    .kind = t->kind,
	    .codec = t->agreed.codec,
	    .rtx = t->rtx_ssrc != 0,
	    .track = t->id,
	    .cname = t->user->cname,
	    .ssrc = t->ssrc,
	    .rtx_ssrc = t->rtx_ssrc,
	};
	char stream[ID_SIZE + 8];

	if (!u->sections)
		return;
	snprintf(stream, sizeof(stream), "%s%s", t->user->id,
		 t->source == SOURCE_SCREEN ? "~screen" : "");
	st.stream = stream;
	int i = add_section(u, &st);
	if (i < 0) {
		if (!u->lacks)
			log_warn("room %s: %s gets no %s: %s", u->room->id, u->id, t->id,
				 strerror(-i));
		u->lacks = true;
		return;
	}
	u->slots[i] = (struct slot){.track = t};
}

void offer_untrack(struct user *u, struct track *t)
{
	for (unsigned i = 0; i < u->n_slots; i++) {
		struct slot *s = &u->slots[i];
		if (s->track != t)
			continue;
		link_out_free(s->out);
		*s = (struct slot){0};
		sections_remove(u->sections, i);
	}
}

static bool has_slot(const struct user *u, const struct track *t)
{
	for (unsigned i = 0; i < u->n_slots; i++)
		if (u->slots[i].track == t)
			return true;
	return false;
}

void offer_room(struct user *u)
{
	bool still = false;

	map_each (n, &u->room->users) {
		struct user *other = container_of(n, struct user, node);
		if (other == u)
			continue;
		list_each (i, &other->tracks) {
			struct track *t = container_of(i, struct track, link);
			if (has_slot(u, t))
				continue;
			offer_track(u, t);
			still |= !has_slot(u, t);
		}
	}
	u->lacks = still;
}

const struct offer *offer_pending(const struct user *u)
{
	return u->offer.unanswered ? &u->offer : NULL;
}

/* Where it fails, the last offer stays the one that is answered, and what changed is kept. */
static int write_offer(struct user *u)
{
	struct sfu *s = u->room->sfu;
	struct sdp_local local;
	struct sdp *sdp;
	struct buf b;
	int ret;

	link_local(u->sub, &local);
	local.session_id = (uint64_t)u->room->created_us;
	local.version = ++s->session_seq;
	ret = sections_offer(u->sections, &sdp, &local);
	if (ret < 0)
		return ret;
	buf_init(&b, 0);
	ret = sdp_write(sdp, &b);
	sdp_free(sdp);
	char *text = ret < 0 ? NULL : malloc(buf_len(&b) + 1);
	if (text) {
		memcpy(text, buf_data(&b), buf_len(&b));
		text[buf_len(&b)] = '\0';
		free(u->offer.sdp);
		u->offer.sdp = text;
		u->offer.len = buf_len(&b);
		sections_offered(u->sections);
	}
	buf_done(&b);
	return text ? 0 : -ENOMEM;
}

/* Makes the offer of what there is, and tells of it. */
static bool make_offer(struct user *u)
{
	if (write_offer(u) < 0)
		return false;
	loop_timer_stop(&u->offer_timer);
	u->offer.id++;
	u->offer.made = mono_now();
	u->offer.unanswered = true;
	metric_add(&u->room->sfu->n_offers, 1);
	notify_offer(u);
	return true;
}

bool offer_refresh(struct user *u)
{
	if (!u->sections || (u->offer.id && !sections_changed(u->sections)))
		return false;
	if (u->offer.unanswered) {
		struct mono due = mono_add_us(u->offer.made, OFFER_KEEP_US);
		if (mono_diff_us(due, mono_now()) > 0) {
			loop_timer_at(&u->offer_timer, due);
			return false;
		}
	}
	return make_offer(u);
}

int user_restart(struct user *u, struct fail *f)
{
	if (!u->sub)
		return fail_set(f, FAIL_NO_OFFER, "the user only publishes (WHIP)");
	if (link_renew(u->sub, f) < 0)
		return -1;
	return make_offer(u) ? 0 : fail_set(f, FAIL_NO_MEMORY, NULL);
}

void offer_refresh_room(struct room *r, const struct user *except,
			void (*made)(void *arg, const struct user *u), void *arg)
{
	map_each (n, &r->users) {
		struct user *u = container_of(n, struct user, node);
		if (u != except && offer_refresh(u) && made)
			made(arg, u);
	}
}

/* Header extensions that the receiver took, in our fixed numbers. */
static int give_extensions(struct user *u, struct fail *f)
{
	struct rtp_extmap map = {0};

	for (int kind = 0; kind < RTP_EXT_KINDS; kind++) {
		const char *uri = rtp_ext_uri((enum rtp_ext_kind)kind);
		if (sections_ext_agreed(u->sections, SDP_AUDIO, uri) ||
		    sections_ext_agreed(u->sections, SDP_VIDEO, uri))
			rtp_extmap_set(&map, (enum rtp_ext_kind)kind, sections_ext_id(uri));
	}
	return link_extensions(u->sub, &map, f);
}

enum media_level offer_wants(const struct user *u, const struct slot *s)
{
	return s->refused ? MEDIA_OFF : want_of(u, s->track);
}

/*
 * Starts what the answer accepted and does not flow yet; again after a failure. What it refuses
 * after having accepted it only pauses: under its SSRC the numbers must go on when it is taken
 * again.
 */
static int follow_answer(struct user *u, struct fail *f)
{
	for (unsigned i = 0; i < u->n_slots; i++) {
		struct slot *s = &u->slots[i];
		struct section_view v;

		if (!s->track || sections_get(u->sections, i, &v) < 0)
			continue;
		bool refused = v.state == SECTION_REJECTED;
		if (s->out && refused != s->refused) {
			enum media_level want = refused ? MEDIA_OFF : want_of(u, s->track);
			if (link_out_want(s->out, want, f) < 0)
				return -1;
			s->refused = refused;
		}
		if (s->out || v.state != SECTION_ACCEPTED)
			continue;
		struct link_out_opts o = {
		    .mid = v.mid,
		    .cname = s->track->user->cname,
		    .pt = v.pt,
		    .rtx_pt = v.rtx_pt,
		    .red_pt = v.red_pt,
		    .ssrc = v.ssrc,
		    .rtx_ssrc = v.rtx_ssrc,
		    .feedback = v.feedback,
		    .want = want_of(u, s->track),
		};
		if (link_send(u->sub, s->track->in, &s->out, &o, f) < 0)
			return -1;
	}
	return 0;
}

int user_consume(struct user *u, const char *text, size_t len, uint64_t offer_id, struct fail *f)
{
	struct sfu *sfu = u->room->sfu;
	struct sdp_error err = {0};
	struct sdp *answer = NULL;
	int ret;

	if (!u->sections)
		return fail_set(f, FAIL_NO_OFFER, NULL);
	bool stale = offer_id && offer_id != u->offer.id;
	metric_add(&sfu->n_stale, stale);
	/* Stale is what another offer should be answered instead of. */
	if (!u->offer.unanswered)
		return fail_set(f, FAIL_NO_OFFER, NULL);
	if (stale)
		return fail_set(f, FAIL_STALE_OFFER, NULL);
	if (link_ended(u->sub)) /* nothing would come of the answer */
		return fail_set(f, FAIL_CONNECTION_ENDED, NULL);
	if (link_parse(&answer, text, len, f) < 0)
		return -1;
	const struct sdp_media *transport = sdp_transport_media(answer);
	ret = transport ? link_check(u->sub, transport, f) : 0;
	if (!ret && sections_answer(u->sections, answer, &err) < 0)
		ret = fail_set(f, FAIL_BAD_SDP, "%s", err.reason);
	if (!ret && transport)
		ret = link_remote(u->sub, transport, f);
	if (!ret)
		ret = give_extensions(u, f);
	if (!ret)
		ret = follow_answer(u, f);
	/* Where something failed the offer still waits, and the answer may come again. */
	if (!ret) {
		sections_answered(u->sections);
		u->offer.unanswered = false;
		loop_timer_stop(&u->offer_timer);
		metric_add(&sfu->n_answers, 1);
		if (u->lacks)
			offer_room(u); /* sections may have become free */
	}
	sdp_free(answer);
	return ret;
}

void offer_done(struct user *u)
{
	loop_timer_stop(&u->offer_timer);
	for (unsigned i = 0; i < u->n_slots; i++)
		link_out_free(u->slots[i].out);
	link_free(u->sub);
	sections_free(u->sections);
	free(u->slots);
	free(u->offer.sdp);
	u->sub = NULL;
	u->sections = NULL;
	u->slots = NULL;
	u->n_slots = 0;
	u->offer = (struct offer){0};
}
