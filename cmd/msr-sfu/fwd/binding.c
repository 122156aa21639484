/* SSRCs and streams: see binding.h. */
#include "binding.h"

#include <stdlib.h>
#include <string.h>

#include "track.h"

#define BINDING_FIRST 6	 /* sound and pictures with retransmissions; doubled up to BINDING_MAX */
#define PAST_MAX      32 /* SSRCs of ended tracks remembered; the oldest is forgotten first */

/* What an SSRC was. */
struct past {
	uint32_t ssrc;
	bool known, rtx;
	char mid[RTP_MID_MAX + 1], rid[RTP_MID_MAX + 1];
};

struct binding_past {
	struct past p[PAST_MAX];
	unsigned next;
};

void bindings_done(struct bindings *b)
{
	free(b->past);
	free(b->b);
	*b = (struct bindings){0};
}

/* ---- what was ---- */

static struct past *past_of(const struct bindings *b, uint32_t ssrc)
{
	for (unsigned i = 0; b->past && i < PAST_MAX; i++)
		if (b->past->p[i].known && b->past->p[i].ssrc == ssrc)
			return &b->past->p[i];
	return NULL;
}

static void remember(struct bindings *b, const struct binding *one)
{
	const struct media_track_config *c = &one->track->config;
	size_t i = (size_t)(one->stream - one->track->stream);
	struct past *p = past_of(b, one->ssrc);

	/* Without a memory for it, the publisher has to name it again. */
	if (!b->past && !(b->past = calloc(1, sizeof(*b->past))))
		return;
	if (!p)
		p = &b->past->p[b->past->next++ % PAST_MAX];
	*p = (struct past){.ssrc = one->ssrc, .known = true, .rtx = one->rtx};
	memcpy(p->mid, c->mid, sizeof(p->mid));
	if (i < c->n_rids)
		memcpy(p->rid, c->rid[i], sizeof(p->rid));
}

void bindings_forget(struct bindings *b, const struct track *t)
{
	for (unsigned i = 0; i < b->n;) {
		if (b->b[i].track != t) {
			i++;
			continue;
		}
		remember(b, &b->b[i]);
		b->b[i] = b->b[--b->n];
	}
	b->last = 0;
}

/* ---- what a packet says ---- */

static bool carries(const struct track *t, const struct rtp_packet *p, bool *rtx)
{
	*rtx = t->config.rtx_pt && p->pt == t->config.rtx_pt;
	return *rtx || p->pt == t->config.pt || (t->config.red_pt && p->pt == t->config.red_pt);
}

static struct stream *by_rid(struct track *t, const char *rid)
{
	if (!t->config.n_rids)
		return &t->stream[0];
	for (unsigned i = 0; i < t->config.n_rids && i < t->n_streams; i++)
		if (!strcmp(t->config.rid[i], rid))
			return &t->stream[i];
	return NULL;
}

/* The one of this m-section. */
static struct track *by_mid(const struct list *tracks, const char *mid, const struct rtp_packet *p,
			    bool *rtx)
{
	list_each (i, tracks) {
		struct track *t = container_of(i, struct track, link);
		if (carries(t, p, rtx) && !strcmp(t->config.mid, mid))
			return t;
	}
	return NULL;
}

/*
 * The SSRC was signalled, or the payload type is of one track only (RFC 9143 section 9.2): of those
 * that signalled no other one, or else of all. So an SSRC that changes is followed, as after a
 * collision, where nothing else could be meant.
 */
static struct track *by_numbers(const struct list *tracks, const struct rtp_packet *p, bool *rtx)
{
	struct track *found[2] = {NULL, NULL}; /* the last, by whether it signalled another */
	unsigned n[2] = {0, 0};

	list_each (i, tracks) {
		struct track *t = container_of(i, struct track, link);
		if (!carries(t, p, rtx))
			continue;
		uint32_t signalled = *rtx ? t->config.rtx_ssrc : t->config.ssrc;
		if (signalled && p->ssrc == signalled)
			return t;
		found[signalled != 0] = t;
		n[signalled != 0]++;
	}
	bool other = !n[0];
	return n[other] == 1 && carries(found[other], p, rtx) ? found[other] : NULL;
}

static bool make_room(struct bindings *b)
{
	if (b->n < b->room)
		return true;
	unsigned room = b->room ? 2 * b->room : BINDING_FIRST;
	struct binding *grown = b->n < BINDING_MAX ? reallocarray(b->b, room, sizeof(*b->b)) : NULL;
	if (!grown)
		return false; /* its packets are not known, till there is */
	b->b = grown;
	b->room = room;
	return true;
}

/* Its retransmissions, or all of it. */
static void unbind(struct bindings *b, const struct stream *s, bool only_rtx)
{
	for (unsigned i = 0; i < b->n;)
		if (b->b[i].stream == s && (b->b[i].rtx || !only_rtx))
			b->b[i] = b->b[--b->n];
		else
			i++;
}

static struct binding *bind(struct bindings *b, uint32_t ssrc, struct track *t, struct stream *s,
			    bool rtx)
{
	if (!s)
		return NULL;
	if (rtx) /* under another SSRC from now on */
		unbind(b, s, true);
	if (!make_room(b))
		return NULL;
	struct binding *one = &b->b[b->n];
	*one = (struct binding){.ssrc = ssrc, .rtx = rtx, .track = t, .stream = s};
	b->last = b->n++;
	if (rtx)
		s->rtx_ssrc = ssrc;
	else
		s->ssrc = ssrc;
	return one;
}

/*
 * Whether a stream may have another SSRC from now on, as after a collision (RFC 3550 section 8.2)
 * or an encoder's new start: its numbers restart then. While the old one lives the other is
 * something that was not agreed; both together would be a muddle.
 */
static bool take_over(struct bindings *b, struct stream *s, uint32_t ssrc, int64_t now_us)
{
	if (!s || !s->started || s->ssrc == ssrc)
		return true;
	if (now_us - s->media_us < STREAM_SILENT_US)
		return false;
	unbind(b, s, false);
	stream_renew(s);
	return true;
}

static struct binding *resolve(struct bindings *b, const struct list *tracks,
			       const struct rtp_packet *p, int64_t now_us)
{
	char mid[RTP_MID_MAX + 1], rid[RTP_MID_MAX + 1] = "";
	const struct past *past = past_of(b, p->ssrc);
	bool named = rtp_ext_text(p, RTP_EXT_MID, mid, sizeof(mid)), rtx = false;
	if (named && past && strcmp(past->mid, mid) != 0)
		past = NULL; /* it is something else now */
	struct track *t = named	 ? by_mid(tracks, mid, p, &rtx)
			  : past ? by_mid(tracks, past->mid, p, &rtx)
				 : by_numbers(tracks, p, &rtx);

	if (!t)
		return NULL;
	if (!rtp_ext_text(p, rtx ? RTP_EXT_RRID : RTP_EXT_RID, rid, sizeof(rid)) && past &&
	    past->rtx == rtx)
		memcpy(rid, past->rid, sizeof(rid));
	struct stream *s = by_rid(t, rid);
	if (!rtx && !take_over(b, s, p->ssrc, now_us))
		return NULL;
	return bind(b, p->ssrc, t, s, rtx);
}

struct binding *bindings_of(struct bindings *b, uint32_t ssrc)
{
	if (b->last < b->n && b->b[b->last].ssrc == ssrc)
		return &b->b[b->last];
	for (unsigned i = 0; i < b->n; i++)
		if (b->b[i].ssrc == ssrc)
			return &b->b[i];
	return NULL;
}

struct binding *bindings_find(struct bindings *b, const struct list *tracks,
			      const struct rtp_packet *p, int64_t now_us)
{
	struct binding *one = bindings_of(b, p->ssrc);

	if (!one)
		return resolve(b, tracks, p, now_us);
	b->last = (unsigned)(one - b->b);
	return one;
}
