/*
 * The server's offers to one receiver, over the life of its connection. Sections come, go and are
 * reused; an m-section keeps its place and mid for ever, and a payload type or extension id never
 * changes its meaning (RFC 8829 section 5.2.2, RFC 8843 section 9).
 *
 *	sections_add(track) ──┐
 *	sections_remove(i) ───┼─> changed ── sections_offer, _offered ──> answer ── sections_answer
 *	                                             _answered <── each accepted or rejected <─┘
 */
#ifndef MSR_SDP_SECTIONS_H
#define MSR_SDP_SECTIONS_H

#include "negotiate.h"
#include "rtp/feedback.h"

#define SECTIONS_MAX 256 /* at once, alive or not */

struct sections;

enum section_state {
	SECTION_FREE,	  /* inactive, waits to be reused */
	SECTION_NEW,	  /* in no answered offer yet */
	SECTION_ACCEPTED, /* media may flow */
	SECTION_REJECTED, /* the receiver cannot take it; stays until it is removed */
};

/* A track to offer. Strings are copied; of the codec's parameters only what concerns all tracks
 * under its payload type (fmtp_common). */
struct section_track {
	enum sdp_kind kind;
	const struct sdp_codec *codec; /* as the publisher sends it: name, clock, channels, fmtp */
	bool rtx;
	const char *stream, *track, *cname;
	uint32_t ssrc, rtx_ssrc;
};

/* How an accepted section is sent. */
struct section_view {
	enum section_state state;
	const char *mid; /* lent until sections_free */
	uint8_t pt, rtx_pt, red_pt;
	struct rtp_feedback feedback; /* the receiver's answer named it */
	uint32_t ssrc, rtx_ssrc;
};

/* 0 or -ENOMEM. Accepts NULL. */
int sections_new(struct sections **out);
void sections_free(struct sections *s);

/*
 * Puts a track into a free section of its kind or a new one; returns its index (the m-line's), or
 * -ENOSPC at SECTIONS_MAX or without payload types left, -ENOMEM, -EINVAL for an unknown codec.
 */
int sections_add(struct sections *s, const struct section_track *t);
/* Makes a section inactive and free to be reused, once the receiver has answered. */
void sections_remove(struct sections *s, unsigned index);
/* Whether something changed since the last sections_offered. */
bool sections_changed(const struct sections *s);

/* -ENOENT if no section has it. */
int sections_get(const struct sections *s, unsigned index, struct section_view *v);

/*
 * The offer for the present state (with one inactive audio section when there is none at all).
 * Returns owned; local->version is set by the caller and must grow. 0 or -ENOMEM. Nothing is
 * changed by it: whoever has it as text and is about to send it says so with sections_offered,
 * before anything else changes; from then on answers are held against it.
 */
int sections_offer(struct sections *s, struct sdp **out, const struct sdp_local *local);
void sections_offered(struct sections *s);

/*
 * Takes the answer to the last offer that was sent. 0; -EPROTO with *err filled when it does not
 * belong to it (number, kinds or mids of sections, no transport); then nothing has changed. Until
 * sections_answered says that all which follows from the answer is done, it may come again.
 */
int sections_answer(struct sections *s, const struct sdp *answer, struct sdp_error *err);
void sections_answered(struct sections *s);

/* Ids of header extensions in all our offers, fixed: by URI, 0 when we do not offer it. */
uint8_t sections_ext_id(const char *uri);
/* Whether the receiver's answers took the extension for sections of that kind. */
bool sections_ext_agreed(const struct sections *s, enum sdp_kind kind, const char *uri);

#endif
