/*
 * Session descriptions (RFC 8866) as WebRTC uses them (RFC 8829): a typed model, its parser and
 * its writer.
 *
 *	text ── sdp_parse ──> struct sdp ── negotiate.h ──> struct sdp ── sdp_write ──> text
 *
 * A description owns all that hangs on it (one arena); strings end with a NUL and are NULL when
 * absent. The parser refuses what it cannot trust (lines that are no SDP, numbers out of range,
 * more than the limits), skips attributes and candidates that it does not know, and copies what
 * stands at session level and means every m-section (ICE, fingerprint, setup, direction, extmap)
 * into each of them.
 */
#ifndef MSR_SDP_SDP_H
#define MSR_SDP_SDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

#define SDP_MAX		   (256u << 10) /* bytes of text */
#define SDP_LINES_MAX	   8192
#define SDP_LINE_MAX	   4096 /* bytes of one line */
#define SDP_MEDIA_MAX	   512	/* m-sections */
#define SDP_CODECS_MAX	   128	/* payload types of an m-section: there are no more */
#define SDP_EXTS_MAX	   64	/* of an m-section, like the following */
#define SDP_SSRCS_MAX	   64
#define SDP_RIDS_MAX	   16
#define SDP_CANDIDATES_MAX 64	      /* more are passed over */
#define SDP_FEEDBACK_MAX   16	      /* of a codec */
#define SDP_FMTP_MAX	   1024	      /* characters of a codec's parameters */
#define SDP_MID_MAX	   32	      /* characters */
#define SDP_HASH_MAX	   64	      /* bytes of a fingerprint: SHA-512 */
#define SDP_ARENA_MAX	   (8u << 20) /* bytes of a whole model */

/* As bits: what this side does. */
enum sdp_direction {
	SDP_INACTIVE = 0,
	SDP_SENDONLY = 1,
	SDP_RECVONLY = 2,
	SDP_SENDRECV = 3,
};

enum sdp_setup { SDP_SETUP_NONE, SDP_ACTPASS, SDP_ACTIVE, SDP_PASSIVE };

enum sdp_kind { SDP_AUDIO, SDP_VIDEO, SDP_APPLICATION, SDP_OTHER };

enum sdp_candidate_type { SDP_HOST, SDP_SRFLX, SDP_PRFLX, SDP_RELAY };
enum sdp_tcp_type { SDP_TCP_NONE, SDP_TCP_ACTIVE, SDP_TCP_PASSIVE, SDP_TCP_SO };

/* a=candidate, RFC 8839 and RFC 6544. */
struct sdp_candidate {
	const char *foundation;
	const char *address; /* IPv4, IPv6 or a name such as x.local */
	const char *raddr;   /* related address, or NULL */
	const char *ufrag;   /* of its generation, or NULL */
	uint32_t priority;
	uint16_t port, rport;
	uint16_t component; /* 1 is RTP */
	bool tcp;
	enum sdp_tcp_type tcp_type;
	enum sdp_candidate_type type;
};

struct sdp_fingerprint {
	char hash[16]; /* "sha-256", lower case */
	uint8_t value[SDP_HASH_MAX];
	uint8_t len;
};

/* Keys of a transport: what a=ice-*, a=fingerprint and a=setup say. */
struct sdp_transport {
	const char *ufrag, *pwd;
	struct sdp_fingerprint fingerprint; /* len 0: none */
	enum sdp_setup setup;
};

/* One payload type of an m-section. */
struct sdp_codec {
	uint8_t pt;
	uint8_t channels; /* 1 where the rtpmap says nothing */
	uint8_t n_feedback;
	uint32_t clock;	  /* Hz */
	const char *name; /* of rtpmap, as written; "" when there was none and pt is not static */
	const char *fmtp; /* parameters as written, or NULL */
	const char **feedback; /* values of rtcp-fb: "nack", "nack pli", "transport-cc" */
};

/* a=extmap, RFC 8285. */
struct sdp_ext {
	uint8_t id;		      /* 1 to 255; 15 is never used */
	enum sdp_direction direction; /* SDP_SENDRECV where not given */
	const char *uri;
};

/* a=ssrc lines of one source, RFC 5576. */
struct sdp_ssrc {
	uint32_t ssrc;
	const char *cname;
	const char *msid; /* "stream track", or NULL */
};

struct sdp_ssrc_group {
	const char *semantics; /* "FID", "SIM", "FEC-FR" */
	uint8_t n;
	uint32_t ssrc[8];
};

/* a=rid, RFC 8851. */
struct sdp_rid {
	const char *id;
	bool send;
	bool paused;	    /* '~' in a=simulcast */
	bool simulcast;	    /* named in a=simulcast */
	const char *params; /* restrictions as written, or NULL */
};

struct sdp_media {
	enum sdp_kind kind;
	const char *type;    /* "audio", "video", "application" ... as written */
	const char *proto;   /* "UDP/TLS/RTP/SAVPF" */
	uint16_t port;	     /* 0: rejected, or with bundle_only set to be bundled */
	const char *address; /* of c=, or NULL */
	const char *mid;     /* visible ASCII, at most SDP_MID_MAX; NULL: has none */
	enum sdp_direction direction;
	struct sdp_transport transport;
	bool rtcp_mux, rtcp_mux_only, rtcp_rsize, bundle_only, end_of_candidates;
	bool extmap_allow_mixed;
	const char *stream, *track; /* of the first a=msid; the stream "-" means none */
	const char *formats;	    /* the m-line's formats of non-RTP sections, as written */
	uint16_t max_packet_ms;	    /* a=maxptime, 0: none */

	struct sdp_codec *codecs; /* in order of preference */
	struct sdp_ext *exts;
	struct sdp_ssrc *ssrcs;
	struct sdp_ssrc_group *ssrc_groups;
	struct sdp_rid *rids;
	struct sdp_candidate *candidates;
	unsigned n_codecs, n_exts, n_ssrcs, n_ssrc_groups, n_rids, n_candidates;
	bool simulcast_send, simulcast_recv; /* a=simulcast has such a list */
};

struct sdp {
	struct arena arena;			      /* owns everything below */
	uint64_t session_id, version;		      /* of o= */
	bool ice_lite, ice_trickle, ice_renomination; /* a=ice-lite, a=ice-options */
	bool extmap_allow_mixed;
	const char **bundle; /* mids of the first a=group:BUNDLE */
	unsigned n_bundle;
	struct sdp_media *media;
	unsigned n_media;
};

/* An empty description, or NULL without memory. */
struct sdp *sdp_new(void);
/* Accepts NULL. */
void sdp_free(struct sdp *s);

/* What was wrong with a text, for the error that its sender gets. */
struct sdp_error {
	unsigned line;	 /* from 1; 0 when no line is to blame */
	char reason[96]; /* e.g. "a=candidate: port 70000 is out of range" */
};
/* Fills *err, unless it is NULL, with what is wrong with a text as a whole. -EPROTO. */
int sdp_refuse(struct sdp_error *err, const char *reason);

/*
 * Parses `len` bytes of text with CRLF or LF. Returns owned in *out. 0, -EBADMSG, -E2BIG when a
 * limit is passed, -ENOMEM. *err, if not NULL, is filled on failure.
 */
int sdp_parse(struct sdp **out, const char *text, size_t len, struct sdp_error *err);

/* Appends the text to `b`, with CRLF. 0 or what buf_append returns. */
int sdp_write(const struct sdp *s, struct buf *b);

/* ---- building ---- */

/* A new last m-section, zeroed; NULL at SDP_MEDIA_MAX. Earlier pointers to sections become invalid.
 */
struct sdp_media *sdp_add_media(struct sdp *s, enum sdp_kind kind);
/* One more element each, zeroed; NULL at the limit or without memory. */
struct sdp_codec *sdp_add_codec(struct sdp *s, struct sdp_media *m);
struct sdp_ext *sdp_add_ext(struct sdp *s, struct sdp_media *m);
struct sdp_ssrc *sdp_add_ssrc(struct sdp *s, struct sdp_media *m);
struct sdp_ssrc_group *sdp_add_ssrc_group(struct sdp *s, struct sdp_media *m);
struct sdp_rid *sdp_add_rid(struct sdp *s, struct sdp_media *m);
struct sdp_candidate *sdp_add_candidate(struct sdp *s, struct sdp_media *m);
int sdp_add_feedback(struct sdp *s, struct sdp_codec *c, const char *value);
int sdp_add_bundle(struct sdp *s, const char *mid);
/* A copy that lives as long as `s`; NULL stays NULL. */
const char *sdp_str(struct sdp *s, const char *text);

/* ---- looking ---- */

const struct sdp_media *sdp_by_mid(const struct sdp *s, const char *mid);
const struct sdp_codec *sdp_codec_by_pt(const struct sdp_media *m, uint8_t pt);
/*
 * Whether packets of that payload type can be told from RTCP in the same stream (RFC 5761 section
 * 4): with the marker, 64 to 95 look like it. RTCP is always muxed here.
 */
static inline bool sdp_pt_muxes(uint8_t pt)
{
	return pt < 64 || pt > 95;
}
/* The RTX payload type that belongs to `pt` (a=fmtp apt=) and muxes, or NULL. */
const struct sdp_codec *sdp_rtx_of(const struct sdp_media *m, uint8_t pt);
/*
 * The payload type of RFC 2198 that protects `pt` alone (a=fmtp with nothing but that) and muxes,
 * or NULL. Only where it stands before what it protects: so somebody says that they want it, while
 * browsers list it in any case.
 */
const struct sdp_codec *sdp_red_of(const struct sdp_media *m, uint8_t pt);
bool sdp_has_feedback(const struct sdp_codec *c, const char *value);
const struct sdp_ext *sdp_ext_by_uri(const struct sdp_media *m, const char *uri);
/* Whether the section is refused or switched off: port 0 without bundle-only. */
static inline bool sdp_is_rejected(const struct sdp_media *m)
{
	return m->port == 0 && !m->bundle_only;
}
/* Whether it has sections, and all of them are rejected. */
bool sdp_is_over(const struct sdp *s);
/* The section whose transport all bundled ones use; NULL when no section is alive. */
const struct sdp_media *sdp_transport_media(const struct sdp *s);

/*
 * One candidate line, "candidate:..." with or without "a=" before it, as trickled by clients; its
 * strings go to the arena of `s`. 0, -EBADMSG, -ENOMEM.
 */
int sdp_parse_candidate(struct sdp *s, const char *text, size_t len, struct sdp_candidate *out);
/* Writes it without "a=" and line end. 0 or what buf_append returns. */
int sdp_write_candidate(const struct sdp_candidate *c, struct buf *b);

#endif
