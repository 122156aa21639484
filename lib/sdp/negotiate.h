/*
 * Answers: pure functions from an offer, what this side can do, and its transport.
 *
 *	publisher's offer (sendonly) + wish per m-section (recvonly) ── sdp_answer ──> our answer
 *	WHEP player's offer (recvonly) + wish (sendonly, one codec, its SSRC) ── sdp_answer ──>
 *
 * The offer's payload types, extension ids, mids and order of sections are kept.
 */
#ifndef MSR_SDP_NEGOTIATE_H
#define MSR_SDP_NEGOTIATE_H

#include "rtp/feedback.h"
#include "sdp.h"

/* A codec that this side can take or give. */
struct sdp_cap {
	const char *name;
	uint32_t clock;
	uint8_t channels;
	const char *fmtp;	     /* what we insist on or say in offers; NULL: anything */
	const char *const *feedback; /* those we support, NULL-terminated */
	bool rtx, red;		     /* takes these, too, where they are offered */
};

/*
 * What msr-sfu passes on, in order of preference: Opus; VP8, VP9 profile 0, H.264 (constrained
 * baseline in packetization mode 1 before baseline, main and high in mode 0 or 1), AV1 profile 0.
 * NULL name ends them.
 */
extern const struct sdp_cap sdp_caps_audio[];
extern const struct sdp_cap sdp_caps_video[];
/* The values of a=rtcp-fb that msr-sfu understands; NULL-terminated. */
extern const char *const sdp_feedback_audio[];
extern const char *const sdp_feedback_video[];
/* URIs of header extensions that msr-sfu uses; NULL-terminated. */
extern const char *const sdp_exts_audio[];
extern const char *const sdp_exts_video[];

/* This side of a transport. */
struct sdp_local {
	uint64_t session_id, version; /* version grows with every description */
	const char *ufrag, *pwd;
	struct sdp_fingerprint fingerprint;
	const struct sdp_candidate *candidates; /* lent; all known ones */
	unsigned n_candidates;
	bool end_of_candidates; /* no more will follow */
};

/* What this side wants of one m-section of an offer. */
struct sdp_wish {
	enum sdp_direction direction; /* ours; SDP_INACTIVE keeps the section without media */
	bool reject;		      /* answer with port 0 */
	/* Ended by a NULL name. The offer's order decides between codecs, ours between variants of
	 * one; with prefer_ours ours decides all. */
	const struct sdp_cap *caps;
	bool prefer_ours;
	const char *const *exts; /* NULL-terminated */
	/* where we send: */
	const char *stream, *track; /* a=msid */
	const char *cname;
	uint32_t ssrc, rtx_ssrc; /* 0: none */
};

/* Whether media flows in a section of an offer, as it would be answered by such a wish. */
bool sdp_flows(const struct sdp *offer, const struct sdp_media *offered, const struct sdp_wish *w);

/* Fills *w for a publisher's section: receive Opus or video with all that we know. */
void sdp_wish_receive(struct sdp_wish *w, const struct sdp_media *offered);

/*
 * Makes the answer; returns owned. `wish` has offer->n_media elements. Sections without a codec in
 * common are rejected; one codec each is taken, with its RTX. The answer is ICE-full, bundled, with
 * rtcp-mux; setup is passive unless the offer insists on it. To an offer whose sections are all
 * rejected the answer is the same, without a transport.
 * 0, -ENOMEM, or -EPROTO with *err filled when the offer cannot be served at all: no BUNDLE over
 * several sections, no rtcp-mux, no fingerprint or ICE credentials, no mid twice.
 */
int sdp_answer(struct sdp **out, const struct sdp *offer, const struct sdp_wish *wish,
	       const struct sdp_local *local, struct sdp_error *err);

/*
 * Puts this side's transport into every living section of a description under construction, the
 * candidates into the first, and bundles them. 0 or -ENOMEM.
 */
int sdp_fill_local(struct sdp *s, const struct sdp_local *local, enum sdp_setup setup);

/* What came out of a section, for whoever sets up the media path. */
struct sdp_agreed {
	bool alive;		       /* not rejected */
	enum sdp_direction direction;  /* of `ours` */
	const struct sdp_codec *codec; /* lent by `ours`; NULL without media */
	uint8_t pt, rtx_pt;	       /* rtx_pt 0: none */
	uint8_t red_pt;		       /* redundant sound, which they want; 0: none */
	struct rtp_feedback feedback;  /* feedback both sides named */
	unsigned n_rids;	       /* simulcast layers, as the sender lists them */
	const char *rid[4];
};

/* `ours` is our section of an answer that sdp_answer made, or of an offer that was answered. */
void sdp_agree(struct sdp_agreed *a, const struct sdp_media *ours, const struct sdp_media *theirs);

#endif
