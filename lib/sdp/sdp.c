/* The model: making, growing and searching descriptions. */
#include "sdp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fmtp.h"

struct sdp *sdp_new(void)
{
	struct sdp *s = calloc(1, sizeof(*s));

	if (s)
		arena_init(&s->arena, SDP_ARENA_MAX);
	return s;
}

void sdp_free(struct sdp *s)
{
	if (!s)
		return;
	arena_done(&s->arena);
	free(s);
}

/* ---- building ---- */

/* One more element of an array in the arena; the array and its count change only on success. */
static void *add(struct sdp *s, void **array, unsigned *n, unsigned max, size_t size)
{
	if (*n >= max)
		return NULL;
	void *grown = arena_grow(&s->arena, *array, *n, size);
	if (!grown)
		return NULL;
	*array = grown;
	return memset((char *)grown + (*n)++ * size, 0, size);
}

#define ADD(owner, field, max)                                                                   \
	({                                                                                       \
		void *array_ = (owner)->field;                                                   \
		void *new_ = add(s, &array_, &(owner)->n_##field, max, sizeof(*(owner)->field)); \
		(owner)->field = array_;                                                         \
		new_;                                                                            \
	})

struct sdp_media *sdp_add_media(struct sdp *s, enum sdp_kind kind)
{
	static const char *const types[] = {"audio", "video", "application", "other"};
	struct sdp_media *m = ADD(s, media, SDP_MEDIA_MAX);

	if (m) {
		m->kind = kind;
		m->type = types[kind];
		m->proto = "UDP/TLS/RTP/SAVPF";
		m->direction = SDP_SENDRECV;
	}
	return m;
}

struct sdp_codec *sdp_add_codec(struct sdp *s, struct sdp_media *m)
{
	return ADD(m, codecs, SDP_CODECS_MAX);
}

struct sdp_ext *sdp_add_ext(struct sdp *s, struct sdp_media *m)
{
	return ADD(m, exts, SDP_EXTS_MAX);
}

struct sdp_ssrc *sdp_add_ssrc(struct sdp *s, struct sdp_media *m)
{
	return ADD(m, ssrcs, SDP_SSRCS_MAX);
}

struct sdp_ssrc_group *sdp_add_ssrc_group(struct sdp *s, struct sdp_media *m)
{
	return ADD(m, ssrc_groups, SDP_SSRCS_MAX);
}

struct sdp_rid *sdp_add_rid(struct sdp *s, struct sdp_media *m)
{
	return ADD(m, rids, SDP_RIDS_MAX);
}

struct sdp_candidate *sdp_add_candidate(struct sdp *s, struct sdp_media *m)
{
	return ADD(m, candidates, SDP_CANDIDATES_MAX);
}

int sdp_add_feedback(struct sdp *s, struct sdp_codec *c, const char *value)
{
	unsigned n = c->n_feedback;
	void *array = c->feedback;
	const char *copy = sdp_str(s, value);

	if (!copy)
		return -ENOMEM;
	const char **slot = add(s, &array, &n, SDP_FEEDBACK_MAX, sizeof(*c->feedback));
	if (!slot)
		return c->n_feedback >= SDP_FEEDBACK_MAX ? -E2BIG : -ENOMEM;
	*slot = copy;
	c->feedback = array;
	c->n_feedback = (uint8_t)n;
	return 0;
}

int sdp_add_bundle(struct sdp *s, const char *mid)
{
	const char *copy = sdp_str(s, mid);
	const char **slot = copy ? ADD(s, bundle, SDP_MEDIA_MAX) : NULL;

	if (!slot)
		return s->n_bundle >= SDP_MEDIA_MAX ? -E2BIG : -ENOMEM;
	*slot = copy;
	return 0;
}

const char *sdp_str(struct sdp *s, const char *text)
{
	return text ? arena_strdup(&s->arena, text, strlen(text)) : NULL;
}

/* ---- looking ---- */

const struct sdp_media *sdp_by_mid(const struct sdp *s, const char *mid)
{
	for (unsigned i = 0; i < s->n_media; i++)
		if (s->media[i].mid && !strcmp(s->media[i].mid, mid))
			return &s->media[i];
	return NULL;
}

const struct sdp_codec *sdp_codec_by_pt(const struct sdp_media *m, uint8_t pt)
{
	for (unsigned i = 0; i < m->n_codecs; i++)
		if (m->codecs[i].pt == pt)
			return &m->codecs[i];
	return NULL;
}

const struct sdp_codec *sdp_rtx_of(const struct sdp_media *m, uint8_t pt)
{
	for (unsigned i = 0; i < m->n_codecs; i++) {
		const struct sdp_codec *c = &m->codecs[i];
		if (!strcasecmp(c->name, "rtx") && fmtp_num(c->fmtp, "apt", -1) == pt &&
		    sdp_pt_muxes(c->pt))
			return c;
	}
	return NULL;
}

/* "111/111". */
static bool lists_only(const char *fmtp, uint8_t pt)
{
	char *end;

	for (; fmtp && strtoul(fmtp, &end, 10) == pt && end != fmtp; fmtp = end + 1)
		if (*end != '/')
			return !*end;
	return false;
}

const struct sdp_codec *sdp_red_of(const struct sdp_media *m, uint8_t pt)
{
	for (unsigned i = 0; i < m->n_codecs && m->codecs[i].pt != pt; i++) {
		const struct sdp_codec *c = &m->codecs[i];
		if (!strcasecmp(c->name, "red") && lists_only(c->fmtp, pt) && sdp_pt_muxes(c->pt))
			return c;
	}
	return NULL;
}

int sdp_refuse(struct sdp_error *err, const char *reason)
{
	if (err) {
		err->line = 0;
		snprintf(err->reason, sizeof(err->reason), "%s", reason);
	}
	return -EPROTO;
}

bool sdp_has_feedback(const struct sdp_codec *c, const char *value)
{
	for (unsigned i = 0; i < c->n_feedback; i++)
		if (!strcasecmp(c->feedback[i], value))
			return true;
	return false;
}

const struct sdp_ext *sdp_ext_by_uri(const struct sdp_media *m, const char *uri)
{
	for (unsigned i = 0; i < m->n_exts; i++)
		if (!strcmp(m->exts[i].uri, uri))
			return &m->exts[i];
	return NULL;
}

bool sdp_is_over(const struct sdp *s)
{
	for (unsigned i = 0; i < s->n_media; i++)
		if (!sdp_is_rejected(&s->media[i]))
			return false;
	return s->n_media > 0;
}

const struct sdp_media *sdp_transport_media(const struct sdp *s)
{
	const struct sdp_media *tagged = NULL;

	/* The first mid of the group names it (RFC 9143 section 7.1). In an answer that section is
	 * not rejected; where a sender got that wrong, any living one has the same keys. */
	if (s->n_bundle)
		tagged = sdp_by_mid(s, s->bundle[0]);
	if (tagged && !sdp_is_rejected(tagged))
		return tagged;
	for (unsigned i = 0; i < s->n_media; i++)
		if (!sdp_is_rejected(&s->media[i]) && s->media[i].transport.ufrag)
			return &s->media[i];
	return NULL;
}
