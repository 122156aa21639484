/*
 * One connection's m-sections. A section's life:
 *
 *	        add              answer: taken
 *	FREE ─────────> NEW ───────────────────> ACCEPTED
 *	  ^              │ └── answer: not ──> REJECTED │
 *	  │ never shown  │ remove        remove │       │ remove
 *	  ├──────────────┘                      v       v
 *	  └────────── answer to an offer ──── DRAINING (inactive, not yet answered)
 *
 * A receiver must see a section inactive before it holds another track, or it would not notice
 * that the track is another one. A section that the receiver refused with port 0 is dead on its
 * side; it may come back only under a new mid (RFC 8829 section 5.2.2).
 */
#include "sections.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fmtp.h"
#include "rtp/ext_uri.h"

#define PTS_MAX	 60 /* 96 to 127 and 35 to 62: the dynamic ones that RFC 5761 leaves, but one */
#define RED_PT	 63 /* redundant sound: there is only one Opus that it belongs to */
#define EXTS	 7
#define MID_SIZE 12
/* Sound and pictures of one other; doubled up to the bound. */
#define SECTIONS_FIRST 2

_Static_assert(!(SECTIONS_MAX & (SECTIONS_MAX - 1)), "doubling reaches it");

/* Ids never change between offers, nor between connections. */
static const struct {
	uint8_t id;
	bool audio, video;
	const char *uri;
} exts[EXTS] = {
    {1, true, true, RTP_URI_MID},	   {2, true, true, RTP_URI_ABS_SEND_TIME},
    {3, true, true, RTP_URI_TWCC},	   {4, true, false, RTP_URI_AUDIO_LEVEL},
    {5, false, true, RTP_URI_ORIENTATION}, {6, false, true, RTP_URI_PLAYOUT_DELAY},
    {7, false, true, RTP_URI_DEPENDENCY},
};

/* Owned by the store of `struct sections`, with its strings. */
struct payload {
	struct payload *next;
	struct sdp_codec codec;
	uint8_t rtx_pt, red_pt; /* 0: none */
};

struct section {
	unsigned at; /* its place in all offers */
	char mid[MID_SIZE];
	enum sdp_kind kind;
	enum section_state state;
	bool shown;    /* the present track stands in some offer */
	bool draining; /* FREE, but the receiver has not yet answered an offer with it inactive */
	bool dead;     /* refused with port 0 */
	bool renewed;  /* dead before; has a new mid that no answer knows yet */
	const struct payload *payload;
	char *stream, *track, *cname; /* owned */
	uint32_t ssrc, rtx_ssrc;
	struct section_view view; /* what the last answer said */
};

struct sections {
	struct sdp *store;	  /* owns the payloads */
	struct section **section; /* owned, as each of them; most receivers have a handful */
	unsigned n, room, next_mid;
	struct payload *payloads, **last_payload;
	unsigned n_pts;
	bool changed;
	struct sdp *made;	  /* owned: the last offer made, until it is sent */
	struct sdp *pending;	  /* owned: the last offer sent, until it is answered */
	bool ext_agreed[2][EXTS]; /* by enum sdp_kind */
};

int sections_new(struct sections **out)
{
	struct sections *s = calloc(1, sizeof(*s));

	if (s)
		s->store = sdp_new();
	if (!s || !s->store) {
		free(s);
		return -ENOMEM;
	}
	s->last_payload = &s->payloads;
	s->changed = true;
	*out = s;
	return 0;
}

static void forget_track(struct section *c)
{
	free(c->stream);
	free(c->track);
	free(c->cname);
	c->stream = c->track = c->cname = NULL;
	c->ssrc = c->rtx_ssrc = 0;
}

void sections_free(struct sections *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n; i++) {
		forget_track(s->section[i]);
		free(s->section[i]);
	}
	free(s->section);
	sdp_free(s->made);
	sdp_free(s->pending);
	sdp_free(s->store);
	free(s);
}

/* ---- payload types ---- */

static uint8_t take_pt(struct sections *s)
{
	unsigned i = s->n_pts++;

	return (uint8_t)(i < 32 ? 96 + i : 35 + i - 32);
}

/* The entry for a codec: the one that means the same, or a new one. */
static int find_payload(struct sections *s, const struct sdp_codec *c, bool rtx,
			const struct payload **out)
{
	char common[FMTP_COMMON_SIZE];

	for (const struct payload *p = s->payloads; p; p = p->next)
		if (sdp_codec_match(&p->codec, c) && (p->rtx_pt || !rtx)) {
			*out = p;
			return 0;
		}
	/* A codec that does not match itself carries no media. */
	if (!c->name || !*c->name || !sdp_codec_match(c, c))
		return -EINVAL;
	if (s->n_pts + 1 + rtx > PTS_MAX)
		return -ENOSPC;
	const char *text = fmtp_common(c, common);
	const char *name = sdp_str(s->store, c->name), *fmtp = sdp_str(s->store, text);
	struct payload *p = arena_alloc(&s->store->arena, sizeof(*p));
	if (!p || !name || (text && !fmtp))
		return -ENOMEM;
	*s->last_payload = p;
	s->last_payload = &p->next;
	p->codec = (struct sdp_codec){
	    .pt = take_pt(s),
	    .channels = c->channels,
	    .clock = c->clock,
	    .name = name,
	    .fmtp = fmtp,
	};
	p->rtx_pt = rtx ? take_pt(s) : 0;
	p->red_pt = !strcasecmp(name, "opus") ? RED_PT : 0;
	*out = p;
	return 0;
}

/* ---- tracks ---- */

/* A section that can take a track of that kind, or NULL. */
static struct section *find_free(struct sections *s, enum sdp_kind kind)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct section *c = s->section[i];
		if (c->state == SECTION_FREE && !c->draining && c->kind == kind)
			return c;
	}
	return NULL;
}

static void new_mid(struct sections *s, struct section *c)
{
	snprintf(c->mid, sizeof(c->mid), "%u", s->next_mid++);
}

static bool have_room(struct sections *s)
{
	unsigned room = s->room ? 2 * s->room : SECTIONS_FIRST;

	if (s->n < s->room)
		return true;
	struct section **grown =
	    room <= SECTIONS_MAX ? reallocarray(s->section, room, sizeof(*grown)) : NULL;
	if (!grown)
		return false;
	s->section = grown;
	s->room = room;
	return true;
}

static struct section *add_section(struct sections *s, enum sdp_kind kind)
{
	struct section *c = have_room(s) ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return NULL;
	c->at = s->n;
	s->section[s->n++] = c;
	c->kind = kind;
	new_mid(s, c);
	return c;
}

static char *copy(const char *text, bool *failed)
{
	char *p = text ? strdup(text) : NULL;

	*failed |= text && !p;
	return p;
}

int sections_add(struct sections *s, const struct section_track *t)
{
	const struct payload *payload;
	bool failed = false;

	if (t->kind != SDP_AUDIO && t->kind != SDP_VIDEO)
		return -EINVAL;
	int r = find_payload(s, t->codec, t->rtx, &payload);
	if (r < 0)
		return r;
	struct section *c = find_free(s, t->kind);
	if (!c)
		c = add_section(s, t->kind);
	if (!c)
		return s->n == SECTIONS_MAX ? -ENOSPC : -ENOMEM;
	c->stream = copy(t->stream, &failed);
	c->track = copy(t->track, &failed);
	c->cname = copy(t->cname, &failed);
	if (failed) {
		forget_track(c);
		return -ENOMEM;
	}
	if (c->dead) {
		new_mid(s, c);
		c->renewed = true;
	}
	c->dead = false;
	c->state = SECTION_NEW;
	c->shown = false;
	c->payload = payload;
	c->ssrc = t->ssrc;
	c->rtx_ssrc = t->rtx ? t->rtx_ssrc : 0;
	c->view = (struct section_view){0};
	s->changed = true;
	return (int)c->at;
}

void sections_remove(struct sections *s, unsigned index)
{
	if (index >= s->n || s->section[index]->state == SECTION_FREE)
		return;
	struct section *c = s->section[index];
	forget_track(c);
	c->draining = c->shown && !c->dead;
	c->state = SECTION_FREE;
	c->view = (struct section_view){0};
	s->changed = true;
}

bool sections_changed(const struct sections *s)
{
	return s->changed;
}

int sections_get(const struct sections *s, unsigned index, struct section_view *v)
{
	if (index >= s->n)
		return -ENOENT;
	const struct section *c = s->section[index];
	*v = c->view;
	v->state = c->state;
	v->mid = c->mid;
	v->ssrc = c->ssrc;
	v->rtx_ssrc = c->rtx_ssrc;
	return 0;
}

uint8_t sections_ext_id(const char *uri)
{
	for (unsigned i = 0; i < EXTS; i++)
		if (!strcmp(exts[i].uri, uri))
			return exts[i].id;
	return 0;
}

bool sections_ext_agreed(const struct sections *s, enum sdp_kind kind, const char *uri)
{
	for (unsigned i = 0; kind <= SDP_VIDEO && i < EXTS; i++)
		if (!strcmp(exts[i].uri, uri))
			return s->ext_agreed[kind][i];
	return false;
}

/* ---- offers ---- */

/* What protects a codec. */
static int offer_helper(struct sdp *o, struct sdp_media *m, const struct payload *p,
			const char *name, uint8_t pt, uint8_t channels, const char *fmtp)
{
	struct sdp_codec *c = sdp_add_codec(o, m);

	if (!c)
		return -ENOMEM;
	*c = (struct sdp_codec){
	    .pt = pt, .channels = channels, .clock = p->codec.clock, .name = name};
	c->fmtp = sdp_str(o, fmtp);
	return c->fmtp ? 0 : -ENOMEM;
}

static int offer_codecs(struct sdp *o, struct sdp_media *m, const struct payload *p)
{
	const char *const *feedback =
	    m->kind == SDP_VIDEO ? sdp_feedback_video : sdp_feedback_audio;
	struct sdp_codec *c = sdp_add_codec(o, m);
	char of[16];

	if (!c)
		return -ENOMEM;
	*c = p->codec;
	c->name = sdp_str(o, p->codec.name);
	c->fmtp = sdp_str(o, p->codec.fmtp);
	if (!c->name || (p->codec.fmtp && !c->fmtp))
		return -ENOMEM;
	for (; *feedback; feedback++)
		if (sdp_add_feedback(o, c, *feedback) < 0)
			return -ENOMEM;
	snprintf(of, sizeof(of), "apt=%u", p->codec.pt);
	if (p->rtx_pt && offer_helper(o, m, p, "rtx", p->rtx_pt, 1, of) < 0)
		return -ENOMEM;
	/* Behind what it protects: receivers that want it answer the other way round. */
	snprintf(of, sizeof(of), "%u/%u", p->codec.pt, p->codec.pt);
	return p->red_pt ? offer_helper(o, m, p, "red", p->red_pt, p->codec.channels, of) : 0;
}

static int offer_exts(struct sdp *o, struct sdp_media *m)
{
	for (unsigned i = 0; i < EXTS; i++) {
		if (m->kind == SDP_VIDEO ? !exts[i].video : !exts[i].audio)
			continue;
		struct sdp_ext *e = sdp_add_ext(o, m);
		if (!e)
			return -ENOMEM;
		*e = (struct sdp_ext){exts[i].id, SDP_SENDRECV, exts[i].uri};
	}
	return 0;
}

static int offer_source(struct sdp *o, struct sdp_media *m, const struct section *c, uint32_t ssrc)
{
	char msid[600];
	struct sdp_ssrc *source = sdp_add_ssrc(o, m);

	if (!source)
		return -ENOMEM;
	snprintf(msid, sizeof(msid), "%.290s %.290s", c->stream ? c->stream : "-",
		 c->track ? c->track : c->mid);
	source->ssrc = ssrc;
	source->cname = sdp_str(o, c->cname);
	source->msid = sdp_str(o, msid);
	return source->msid && (source->cname || !c->cname) ? 0 : -ENOMEM;
}

static int offer_track(struct sdp *o, struct sdp_media *m, const struct section *c)
{
	bool rtx = c->payload->rtx_pt && c->rtx_ssrc;

	m->direction = SDP_SENDONLY;
	m->stream = sdp_str(o, c->stream);
	m->track = sdp_str(o, c->track);
	if ((c->stream && !m->stream) || (c->track && !m->track))
		return -ENOMEM;
	int r = offer_source(o, m, c, c->ssrc);
	if (r < 0 || !rtx)
		return r;
	struct sdp_ssrc_group *g = sdp_add_ssrc_group(o, m);
	if (!g)
		return -ENOMEM;
	*g = (struct sdp_ssrc_group){.semantics = "FID", .n = 2, .ssrc = {c->ssrc, c->rtx_ssrc}};
	return offer_source(o, m, c, c->rtx_ssrc);
}

static int offer_section(struct sdp *o, struct section *c)
{
	struct sdp_media *m = sdp_add_media(o, c->kind);

	if (!m)
		return -ENOMEM;
	m->mid = sdp_str(o, c->mid);
	m->direction = SDP_INACTIVE;
	m->port = c->dead ? 0 : 9;
	m->extmap_allow_mixed = true;
	m->rtcp_rsize = !c->dead;
	if (!m->mid)
		return -ENOMEM;
	int r = offer_codecs(o, m, c->payload);
	if (r == 0 && !c->dead)
		r = offer_exts(o, m);
	if (r == 0 && !c->dead && c->state != SECTION_FREE)
		r = offer_track(o, m, c);
	return r;
}

/* The section that brings the transport up before anybody publishes. */
static int add_placeholder(struct sections *s)
{
	static const struct sdp_codec opus = {.name = "opus", .clock = 48000, .channels = 2};
	const struct payload *payload;
	int r = find_payload(s, &opus, false, &payload);
	struct section *c = r == 0 ? add_section(s, SDP_AUDIO) : NULL;

	if (r == 0 && !c)
		return -ENOMEM;
	if (c)
		c->payload = payload;
	return r;
}

int sections_offer(struct sections *s, struct sdp **out, const struct sdp_local *local)
{
	struct sdp *o = NULL, *kept = NULL;
	int r = s->n ? 0 : add_placeholder(s);

	/* Two of them: one for the caller, one to hold the answer against. */
	for (int i = 0; r == 0 && i < 2; i++) {
		kept = o;
		o = sdp_new();
		r = o ? 0 : -ENOMEM;
		for (unsigned k = 0; r == 0 && k < s->n; k++)
			r = offer_section(o, s->section[k]);
		if (r == 0)
			r = sdp_fill_local(o, local, SDP_ACTPASS);
	}
	if (r < 0) {
		sdp_free(o);
		sdp_free(kept);
		return r;
	}
	sdp_free(s->made);
	s->made = kept;
	*out = o;
	return 0;
}

void sections_offered(struct sections *s)
{
	if (!s->made)
		return;
	sdp_free(s->pending);
	s->pending = s->made;
	s->made = NULL;
	for (unsigned k = 0; k < s->n; k++)
		s->section[k]->shown = s->section[k]->state != SECTION_FREE;
	s->changed = false;
}

/* ---- answers ---- */

static int check_answer(const struct sections *s, const struct sdp *answer, struct sdp_error *err)
{
	const struct sdp_media *t = sdp_transport_media(answer);

	if (!s->pending)
		return sdp_refuse(err, "there is no unanswered offer");
	if (answer->n_media != s->pending->n_media)
		return sdp_refuse(err, "the answer has not as many m= sections as the offer");
	for (unsigned i = 0; i < answer->n_media; i++) {
		const struct sdp_media *a = &answer->media[i], *o = &s->pending->media[i];
		if (a->kind != o->kind || (a->mid && strcmp(a->mid, o->mid) != 0))
			return sdp_refuse(err,
					  "a section of the answer has another kind or mid than "
					  "the offer's");
		if (!sdp_is_rejected(a) && a->transport.setup == SDP_ACTPASS)
			return sdp_refuse(err, "a=setup:actpass is for offers");
	}
	if (sdp_is_over(answer)) /* it takes none of the codecs */
		return 0;
	if (!t || !t->transport.ufrag || !t->transport.pwd || !t->transport.fingerprint.len)
		return sdp_refuse(err, "a=ice-ufrag, a=ice-pwd or a=fingerprint is missing");
	return 0;
}

static void note_exts(struct sections *s, const struct sdp_media *theirs)
{
	for (unsigned i = 0; i < EXTS; i++) {
		const struct sdp_ext *e = sdp_ext_by_uri(theirs, exts[i].uri);
		if (e && e->id == exts[i].id)
			s->ext_agreed[theirs->kind][i] = true;
	}
}

static void apply(struct sections *s, struct section *c, const struct sdp_media *ours,
		  const struct sdp_media *theirs)
{
	struct sdp_agreed a;
	/* Whether the offer that is answered shows what the section holds now. */
	bool offered_free = ours->direction == SDP_INACTIVE;

	sdp_agree(&a, ours, theirs);
	if (c->renewed && strcmp(c->mid, ours->mid) == 0)
		c->renewed = false;
	if (sdp_is_rejected(ours) || c->renewed)
		return;
	if (sdp_is_rejected(theirs)) {
		c->dead = true;
		c->draining = false;
	}
	if (c->state == SECTION_FREE) {
		if (offered_free)
			c->draining = false;
		return;
	}
	if (offered_free || !c->shown)
		return;
	bool taken = a.alive && a.codec && a.direction & SDP_SENDONLY;
	c->state = taken ? SECTION_ACCEPTED : SECTION_REJECTED;
	c->view = (struct section_view){
	    .pt = a.pt,
	    .rtx_pt = c->rtx_ssrc ? a.rtx_pt : 0,
	    .red_pt = a.red_pt,
	    .feedback = a.feedback,
	};
	if (taken)
		note_exts(s, theirs);
}

int sections_answer(struct sections *s, const struct sdp *answer, struct sdp_error *err)
{
	int r = check_answer(s, answer, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < answer->n_media; i++)
		apply(s, s->section[i], &s->pending->media[i], &answer->media[i]);
	return 0;
}

void sections_answered(struct sections *s)
{
	sdp_free(s->pending);
	s->pending = NULL;
}
