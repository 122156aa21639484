/*
 * Answers. For each section of the offer, in order:
 *
 *	refuse? ── no ──> choose a codec ──> feedback, RTX, extensions, layers ──> section
 *	  └─ yes, or no codec ──> the same section with port 0
 */
#include "negotiate.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "fmtp.h"
#include "rtp/ext_uri.h"

const char *const sdp_feedback_video[] = {"nack",	  "nack pli",  "ccm fir",
					  "transport-cc", "goog-remb", NULL};
const char *const sdp_feedback_audio[] = {"nack", "transport-cc", NULL};

const struct sdp_cap sdp_caps_audio[] = {
    {.name = "opus", .clock = 48000, .channels = 2, .feedback = sdp_feedback_audio, .red = true},
    {0},
};

const struct sdp_cap sdp_caps_video[] = {
    {.name = "VP8", .clock = 90000, .channels = 1, .feedback = sdp_feedback_video, .rtx = true},
    {.name = "VP9",
     .clock = 90000,
     .channels = 1,
     .fmtp = "profile-id=0",
     .feedback = sdp_feedback_video,
     .rtx = true},
    /* What every browser decodes comes before the other profiles. */
    {.name = "H264",
     .clock = 90000,
     .channels = 1,
     .fmtp = "profile-level-id=42e01f;packetization-mode=1",
     .feedback = sdp_feedback_video,
     .rtx = true},
    {.name = "H264", .clock = 90000, .channels = 1, .feedback = sdp_feedback_video, .rtx = true},
    {.name = "AV1",
     .clock = 90000,
     .channels = 1,
     .fmtp = "profile=0",
     .feedback = sdp_feedback_video,
     .rtx = true},
    {0},
};

const char *const sdp_exts_audio[] = {RTP_URI_MID, RTP_URI_AUDIO_LEVEL, RTP_URI_TWCC,
				      RTP_URI_ABS_SEND_TIME, NULL};
const char *const sdp_exts_video[] = {
    RTP_URI_MID,	RTP_URI_RID,	       RTP_URI_RRID,
    RTP_URI_TWCC,	RTP_URI_ABS_SEND_TIME, RTP_URI_ORIENTATION,
    RTP_URI_DEPENDENCY, RTP_URI_PLAYOUT_DELAY, NULL};

#define RIDS_MAX 4  /* layers that sdp_agreed has room for */
#define RID_MAX	 16 /* characters: what a one-byte header extension holds (RFC 8285) */

void sdp_wish_receive(struct sdp_wish *w, const struct sdp_media *offered)
{
	bool video = offered->kind == SDP_VIDEO;

	*w = (struct sdp_wish){
	    .direction = SDP_RECVONLY,
	    .reject = !video && offered->kind != SDP_AUDIO,
	    .caps = video ? sdp_caps_video : sdp_caps_audio,
	    .exts = video ? sdp_exts_video : sdp_exts_audio,
	};
}

/* ---- what can be served at all ---- */

static bool in_bundle(const struct sdp *s, const struct sdp_media *m)
{
	for (unsigned i = 0; m->mid && i < s->n_bundle; i++)
		if (!strcmp(s->bundle[i], m->mid))
			return true;
	return false;
}

static int check_offer(const struct sdp *offer, const struct sdp_wish *wish, struct sdp_error *err)
{
	const struct sdp_media *t = sdp_transport_media(offer);
	unsigned wanted = 0;

	if (!offer->n_media)
		return sdp_refuse(err, "the offer has no m= section");
	for (unsigned i = 0; i < offer->n_media; i++) {
		const struct sdp_media *m = &offer->media[i];
		if (wish[i].reject || sdp_is_rejected(m))
			continue;
		wanted++;
		if (!m->rtcp_mux)
			return sdp_refuse(err,
					  "a section does not offer a=rtcp-mux, which is needed");
	}
	if (sdp_is_over(offer))
		return 0; /* so is the answer, and it has no transport */
	if (wanted > 1 && !offer->n_bundle)
		return sdp_refuse(err, "several sections need a=group:BUNDLE");
	if (!t || !t->transport.ufrag || !t->transport.pwd)
		return sdp_refuse(err, "a=ice-ufrag or a=ice-pwd is missing");
	if (!t->transport.fingerprint.len)
		return sdp_refuse(err, "a=fingerprint is missing");
	return 0;
}

/* ---- codecs ---- */

/* Every variant that is taken costs each receiver payload types, so there may be few of them. */
static const struct sdp_cap *cap_of(const struct sdp_cap *caps, const struct sdp_codec *c)
{
	if (!strcasecmp(c->name, "H264") && !h264_is_usual(c->fmtp))
		return NULL;
	for (; caps && caps->name; caps++) {
		struct sdp_codec ours = {.name = caps->name,
					 .clock = caps->clock,
					 .channels = caps->channels,
					 .fmtp = caps->fmtp ? caps->fmtp : c->fmtp};
		if (sdp_codec_match(&ours, c))
			return caps;
	}
	return NULL;
}

/* The offer's first codec, in that variant of it that we like best; or what we like best. */
static const struct sdp_codec *choose(const struct sdp_media *offered, const struct sdp_wish *w,
				      const struct sdp_cap **cap)
{
	const struct sdp_codec *best = NULL;

	*cap = NULL;
	for (unsigned i = 0; i < offered->n_codecs; i++) {
		const struct sdp_codec *c = &offered->codecs[i];
		const struct sdp_cap *match = cap_of(w->caps, c);
		bool comparable = !best || w->prefer_ours || !strcasecmp(c->name, best->name);
		if (match && comparable && (!best || match < *cap)) {
			best = c;
			*cap = match;
		}
	}
	return best;
}

static int copy_codec(struct sdp *s, struct sdp_media *m, const struct sdp_codec *from)
{
	struct sdp_codec *c = sdp_add_codec(s, m);

	if (!c)
		return -ENOMEM;
	*c = (struct sdp_codec){
	    .pt = from->pt,
	    .channels = from->channels,
	    .clock = from->clock,
	    .name = sdp_str(s, from->name),
	    .fmtp = sdp_str(s, from->fmtp),
	};
	return c->name && (c->fmtp || !from->fmtp) ? 0 : -ENOMEM;
}

/* Of two ways to report congestion only the better one is taken: both together confuse senders. */
static bool wants_feedback(const struct sdp_codec *offered, const char *value)
{
	if (!strcmp(value, "goog-remb") && sdp_has_feedback(offered, "transport-cc"))
		return false;
	return sdp_has_feedback(offered, value);
}

static int answer_codec(struct sdp *s, struct sdp_media *m, const struct sdp_media *offered,
			const struct sdp_codec *chosen, const struct sdp_cap *cap)
{
	const struct sdp_codec *red = cap->red ? sdp_red_of(offered, chosen->pt) : NULL;
	int r = red ? copy_codec(s, m, red) : 0; /* before it, as it was offered */

	if (r == 0)
		r = copy_codec(s, m, chosen);
	for (const char *const *f = cap->feedback; r == 0 && f && *f; f++)
		if (wants_feedback(chosen, *f))
			r = sdp_add_feedback(s, &m->codecs[m->n_codecs - 1], *f);
	const struct sdp_codec *rtx = cap->rtx ? sdp_rtx_of(offered, chosen->pt) : NULL;
	if (r == 0 && rtx)
		r = copy_codec(s, m, rtx);
	return r;
}

/* The codec of a section of ours, which has only one besides what protects it. */
static const struct sdp_codec *our_codec(const struct sdp_media *ours)
{
	for (unsigned i = 0; i < ours->n_codecs; i++)
		if (sdp_codec_match(&ours->codecs[i], &ours->codecs[i]))
			return &ours->codecs[i];
	return NULL;
}

/* ---- sections ---- */

static enum sdp_direction flip(enum sdp_direction d)
{
	return (enum sdp_direction)((d & 1) << 1 | d >> 1);
}

static int answer_exts(struct sdp *s, struct sdp_media *m, const struct sdp_media *offered,
		       const struct sdp_wish *w)
{
	for (unsigned i = 0; w->exts && i < offered->n_exts; i++) {
		const struct sdp_ext *e = &offered->exts[i];
		const char *const *uri = w->exts;
		while (*uri && strcmp(*uri, e->uri) != 0)
			uri++;
		if (!*uri || sdp_ext_by_uri(m, e->uri))
			continue;
		struct sdp_ext *ours = sdp_add_ext(s, m);
		if (!ours)
			return -ENOMEM;
		*ours = (struct sdp_ext){e->id, flip(e->direction), *uri};
	}
	return 0;
}

/* Takes every layer that the publisher offers to send. */
static int answer_simulcast(struct sdp *s, struct sdp_media *m, const struct sdp_media *offered)
{
	if (!offered->simulcast_send || !sdp_ext_by_uri(m, RTP_URI_RID))
		return 0;
	for (unsigned i = 0; i < offered->n_rids && m->n_rids < RIDS_MAX; i++) {
		const struct sdp_rid *theirs = &offered->rids[i];
		if (!theirs->send || !theirs->simulcast || strlen(theirs->id) > RID_MAX)
			continue;
		struct sdp_rid *ours = sdp_add_rid(s, m);
		if (!ours)
			return -ENOMEM;
		ours->id = sdp_str(s, theirs->id);
		ours->simulcast = true;
		if (!ours->id)
			return -ENOMEM;
		m->simulcast_recv = true;
	}
	return 0;
}

static int add_source(struct sdp *s, struct sdp_media *m, const struct sdp_wish *w, uint32_t ssrc)
{
	struct sdp_ssrc *source = sdp_add_ssrc(s, m);

	if (!source)
		return -ENOMEM;
	source->ssrc = ssrc;
	source->cname = sdp_str(s, w->cname);
	return source->cname || !w->cname ? 0 : -ENOMEM;
}

static int answer_sources(struct sdp *s, struct sdp_media *m, const struct sdp_wish *w)
{
	m->stream = sdp_str(s, w->stream);
	m->track = sdp_str(s, w->track);
	if ((w->stream && !m->stream) || (w->track && !m->track))
		return -ENOMEM;
	if (!w->ssrc)
		return 0;
	int r = add_source(s, m, w, w->ssrc);
	const struct sdp_codec *c = our_codec(m);
	if (r < 0 || !w->rtx_ssrc || !c || !sdp_rtx_of(m, c->pt))
		return r;
	struct sdp_ssrc_group *g = sdp_add_ssrc_group(s, m);
	if (!g)
		return -ENOMEM;
	*g = (struct sdp_ssrc_group){.semantics = "FID", .n = 2, .ssrc = {w->ssrc, w->rtx_ssrc}};
	return add_source(s, m, w, w->rtx_ssrc);
}

static int fill_transport(struct sdp *s, struct sdp_media *m, const struct sdp_local *local,
			  enum sdp_setup setup)
{
	m->transport = (struct sdp_transport){
	    .ufrag = sdp_str(s, local->ufrag),
	    .pwd = sdp_str(s, local->pwd),
	    .fingerprint = local->fingerprint,
	    .setup = setup,
	};
	m->rtcp_mux = true;
	m->port = 9; /* "discard": the candidates say where (RFC 8840 section 4.1.1) */
	return m->transport.ufrag && m->transport.pwd ? 0 : -ENOMEM;
}

static int fill_candidates(struct sdp *s, struct sdp_media *m, const struct sdp_local *local)
{
	for (unsigned i = 0; i < local->n_candidates; i++) {
		const struct sdp_candidate *from = &local->candidates[i];
		struct sdp_candidate *c = sdp_add_candidate(s, m);
		if (!c)
			return i == SDP_CANDIDATES_MAX ? 0 : -ENOMEM;
		*c = *from;
		c->foundation = sdp_str(s, from->foundation);
		c->address = sdp_str(s, from->address);
		c->raddr = sdp_str(s, from->raddr);
		c->ufrag = NULL;
		if (!c->foundation || !c->address || (from->raddr && !c->raddr))
			return -ENOMEM;
	}
	m->end_of_candidates = local->end_of_candidates;
	return 0;
}

int sdp_fill_local(struct sdp *s, const struct sdp_local *local, enum sdp_setup setup)
{
	bool first = true;
	int r = 0;

	s->session_id = local->session_id;
	s->version = local->version;
	s->ice_trickle = true;
	s->extmap_allow_mixed = true;
	for (unsigned i = 0; r == 0 && i < s->n_media; i++) {
		struct sdp_media *m = &s->media[i];
		if (sdp_is_rejected(m))
			continue;
		r = fill_transport(s, m, local, setup);
		if (r == 0 && first)
			r = fill_candidates(s, m, local);
		if (r == 0 && m->mid)
			r = sdp_add_bundle(s, m->mid);
		first = false;
	}
	return r;
}

/* A section in which nothing happens: the offer's first format stands for all. */
static int answer_rejected(struct sdp *s, struct sdp_media *m, const struct sdp_media *offered)
{
	m->port = 0;
	m->direction = SDP_INACTIVE;
	m->n_codecs = m->n_exts = m->n_rids = 0;
	m->formats = sdp_str(s, offered->formats);
	return offered->n_codecs ? copy_codec(s, m, &offered->codecs[0]) : 0;
}

/* The codec of a section that is not refused, or NULL. */
static const struct sdp_codec *taken(const struct sdp *offer, const struct sdp_media *offered,
				     const struct sdp_wish *w, const struct sdp_cap **cap)
{
	if (w->reject || sdp_is_rejected(offered) ||
	    (offer->n_bundle && !in_bundle(offer, offered)))
		return NULL;
	return choose(offered, w, cap);
}

bool sdp_flows(const struct sdp *offer, const struct sdp_media *offered, const struct sdp_wish *w)
{
	const struct sdp_cap *cap;

	return (w->direction & flip(offered->direction)) && taken(offer, offered, w, &cap);
}

static int answer_media(struct sdp *s, const struct sdp *offer, const struct sdp_media *offered,
			const struct sdp_wish *w)
{
	struct sdp_media *m = sdp_add_media(s, offered->kind);
	const struct sdp_cap *cap;

	if (!m)
		return -ENOMEM;
	m->type = sdp_str(s, offered->type);
	m->proto = sdp_str(s, offered->proto);
	m->mid = sdp_str(s, offered->mid);
	if (!m->type || !m->proto || (offered->mid && !m->mid))
		return -ENOMEM;
	const struct sdp_codec *codec = taken(offer, offered, w, &cap);
	if (!codec)
		return answer_rejected(s, m, offered);

	m->port = 9; /* alive */
	m->direction = w->direction & flip(offered->direction);
	m->extmap_allow_mixed = offered->extmap_allow_mixed;
	m->rtcp_rsize = offered->rtcp_rsize;
	int r = answer_codec(s, m, offered, codec, cap);
	if (r == 0)
		r = answer_exts(s, m, offered, w);
	if (r == 0 && m->direction & SDP_RECVONLY)
		r = answer_simulcast(s, m, offered);
	if (r == 0 && m->direction & SDP_SENDONLY)
		r = answer_sources(s, m, w);
	return r;
}

int sdp_answer(struct sdp **out, const struct sdp *offer, const struct sdp_wish *wish,
	       const struct sdp_local *local, struct sdp_error *err)
{
	int r = check_offer(offer, wish, err);

	if (r < 0)
		return r;
	struct sdp *s = sdp_new();
	if (!s)
		return -ENOMEM;
	for (unsigned i = 0; r == 0 && i < offer->n_media; i++)
		r = answer_media(s, offer, &offer->media[i], &wish[i]);
	const struct sdp_media *t = sdp_transport_media(offer);
	bool active = t && t->transport.setup == SDP_PASSIVE;
	if (r == 0)
		r = sdp_fill_local(s, local, active ? SDP_ACTIVE : SDP_PASSIVE);
	if (r == 0 && !offer->n_bundle)
		s->n_bundle = 0;
	if (r < 0) {
		sdp_free(s);
		return r;
	}
	*out = s;
	return 0;
}

/* ---- what came out ---- */

/* The codec of theirs that takes ours: the same payload type where it still means the same. */
static const struct sdp_codec *counterpart(const struct sdp_media *theirs,
					   const struct sdp_codec *ours)
{
	const struct sdp_codec *same = sdp_codec_by_pt(theirs, ours->pt);

	if (same && sdp_codec_match(same, ours))
		return same;
	for (unsigned i = 0; i < theirs->n_codecs; i++)
		if (sdp_codec_match(&theirs->codecs[i], ours))
			return &theirs->codecs[i];
	return NULL;
}

static bool has_red(const struct sdp_media *ours)
{
	for (unsigned i = 0; i < ours->n_codecs; i++)
		if (!strcasecmp(ours->codecs[i].name, "red"))
			return true;
	return false;
}

static bool both_name(const struct sdp_codec *a, const struct sdp_codec *b, const char *feedback)
{
	return sdp_has_feedback(a, feedback) && sdp_has_feedback(b, feedback);
}

void sdp_agree(struct sdp_agreed *a, const struct sdp_media *ours, const struct sdp_media *theirs)
{
	*a = (struct sdp_agreed){
	    .alive = !sdp_is_rejected(ours) && !sdp_is_rejected(theirs),
	    .direction = ours->direction & flip(theirs->direction),
	};
	const struct sdp_codec *mine = our_codec(ours);
	const struct sdp_codec *other = mine && a->alive ? counterpart(theirs, mine) : NULL;
	if (!other)
		return;
	const struct sdp_codec *rtx = sdp_rtx_of(theirs, other->pt);
	a->codec = mine;
	a->pt = other->pt;
	a->rtx_pt = rtx && sdp_rtx_of(ours, mine->pt) ? rtx->pt : 0;
	const struct sdp_codec *red = has_red(ours) ? sdp_red_of(theirs, other->pt) : NULL;
	a->red_pt = red ? red->pt : 0;
	a->feedback = (struct rtp_feedback){
	    .nack = both_name(mine, other, "nack"),
	    .pli = both_name(mine, other, "nack pli"),
	    .fir = both_name(mine, other, "ccm fir"),
	    .twcc = both_name(mine, other, "transport-cc"),
	    .remb = both_name(mine, other, "goog-remb"),
	    .rsize = ours->rtcp_rsize && theirs->rtcp_rsize,
	};
	for (unsigned i = 0; i < ours->n_rids && a->n_rids < RIDS_MAX; i++)
		if (ours->rids[i].simulcast)
			a->rid[a->n_rids++] = ours->rids[i].id;
}
