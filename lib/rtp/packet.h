/*
 * RTP packets (RFC 3550) and their header extensions (RFC 8285).
 *
 * A packet is parsed once into a view of offsets; the bytes stay where they are and are not
 * changed. A forwarder has a header of its own for each receiver, with the receiver's extension
 * ids, and puts a copy of it in front of a copy of the payload, with the few fields that differ
 * from packet to packet:
 *
 *	rtp_header_write ──> header + extensions               (once a receiver)
 *	bytes ── rtp_parse ──> struct rtp_packet (const view)  (once a packet)
 *	rtp_set_seq, rtp_ext_put_twcc, ... ──> in a copy       (once a packet and receiver)
 *
 * Only in front of what has more extensions of its own, such as a dependency descriptor, the header
 * is written for each packet and receiver.
 */
#ifndef MSR_RTP_PACKET_H
#define MSR_RTP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define RTP_HEADER	12   /* bytes of the fixed header */
#define RTP_PACKET_MAX	1500 /* bytes; larger packets are refused: no path of ours carries them */
#define RTP_MID_MAX	16   /* characters of a mid (RFC 8843); one-byte headers hold them */
#define RTP_EXT_ONE_MAX 14   /* the highest id of the one-byte form */

/* Header extensions that msr knows. Others are skipped. */
enum rtp_ext_kind {
	RTP_EXT_MID,
	RTP_EXT_RID,	     /* RtpStreamId, RFC 8852 */
	RTP_EXT_RRID,	     /* RepairedRtpStreamId */
	RTP_EXT_AUDIO_LEVEL, /* RFC 6464 */
	RTP_EXT_TWCC,	     /* transport-wide sequence number */
	RTP_EXT_ABS_SEND_TIME,
	RTP_EXT_ORIENTATION, /* video orientation, 3GPP TS 26.114 */
	RTP_EXT_DEPENDENCY,  /* AV1 dependency descriptor */
	RTP_EXT_PLAYOUT_DELAY,
	RTP_EXT_TOFFSET, /* RFC 5450 */
	RTP_EXT_KINDS
};

/* The URI of a kind as in a=extmap. */
const char *rtp_ext_uri(enum rtp_ext_kind kind);
/* The kind of a URI, or -1. */
int rtp_ext_of(const char *uri);

/* What one transport negotiated, both ways round. Zeroed is "nothing". */
struct rtp_extmap {
	uint8_t id[RTP_EXT_KINDS]; /* 0: not negotiated */
	uint8_t kind[256];	   /* by id: 1 + enum rtp_ext_kind, or 0 */
};

void rtp_extmap_set(struct rtp_extmap *m, enum rtp_ext_kind kind, uint8_t id);

/* Where an extension's value stands in its packet; off 0: it is absent. */
struct rtp_ext {
	uint16_t off;
	uint8_t len;
};

struct rtp_packet {
	const uint8_t *data; /* lent by the caller of rtp_parse */
	uint16_t len;
	uint16_t payload_off;
	uint16_t payload_len; /* without padding; 0: a padding-only packet */
	uint8_t padding;      /* bytes at the end */
	uint8_t pt;
	bool marker;
	uint16_t seq;
	uint32_t ts; /* in units of the codec's clock */
	uint32_t ssrc;
	struct rtp_ext ext[RTP_EXT_KINDS];
};

/*
 * Fills *out with a view of the `n` bytes at `p`. `map` may be NULL. 0, or -EBADMSG when it is
 * no whole RTP packet (version, lengths, extension block, padding) or is longer than
 * RTP_PACKET_MAX. An extension element that runs over its block ends the list; the packet stays
 * valid.
 */
int rtp_parse(struct rtp_packet *out, const uint8_t *p, size_t n, const struct rtp_extmap *map);

static inline const uint8_t *rtp_payload(const struct rtp_packet *p)
{
	return p->data + p->payload_off;
}
static inline bool rtp_has(const struct rtp_packet *p, enum rtp_ext_kind kind)
{
	return p->ext[kind].off != 0;
}

/* ---- reading extensions; false (0) when absent or of the wrong length ---- */

/* -dBov: 0 is loudest, 127 silence. */
bool rtp_audio_level(const struct rtp_packet *p, uint8_t *level, bool *voice);
bool rtp_twcc_seq(const struct rtp_packet *p, uint16_t *seq);
/* Copies a text extension (mid, rid, rrid), NUL-terminated. False when it does not fit. */
bool rtp_ext_text(const struct rtp_packet *p, enum rtp_ext_kind kind, char *out, size_t size);

/* ---- writing ---- */

/* One extension to write. */
struct rtp_ext_item {
	uint8_t id;	      /* the receiver's id, 1 to 255; 0: leave it out */
	uint8_t len;	      /* bytes of value */
	uint16_t off;	      /* out: where the value stands in the packet; 0 when left out */
	const uint8_t *value; /* NULL: zeros, to be patched later */
};

struct rtp_header {
	uint8_t pt;
	bool marker;
	uint16_t seq;
	uint32_t ts;
	uint32_t ssrc;
};

/*
 * Writes header and extensions; the payload goes behind them. CSRCs are not passed on. Takes the
 * one-byte form unless an id or a length needs the other one. Returns the header's bytes, or
 * -ENOBUFS when they do not fit into `cap`.
 */
int rtp_header_write(uint8_t *out, size_t cap, const struct rtp_header *h,
		     struct rtp_ext_item *items, size_t n_items);

/* ---- patching in place; `p` is a whole packet, `off` as above (0: does nothing) ---- */

static inline void rtp_set_marker(uint8_t *p, bool marker)
{
	p[1] = (uint8_t)((p[1] & 0x7f) | (marker ? 0x80 : 0));
}
/* Behind the payload then stands padding, whose last byte counts it (RFC 3550, section 5.1). */
#define RTP_PADDING_MAX 255
static inline void rtp_set_padding(uint8_t *p, bool padding)
{
	p[0] = (uint8_t)((p[0] & 0xdf) | (padding ? 0x20 : 0));
}
static inline void rtp_set_pt(uint8_t *p, uint8_t pt)
{
	p[1] = (uint8_t)((p[1] & 0x80) | (pt & 0x7f));
}
static inline void rtp_set_seq(uint8_t *p, uint16_t seq)
{
	put_be16(p + 2, seq);
}
static inline void rtp_set_ts(uint8_t *p, uint32_t ts)
{
	put_be32(p + 4, ts);
}
static inline void rtp_set_ssrc(uint8_t *p, uint32_t ssrc)
{
	put_be32(p + 8, ssrc);
}
static inline void rtp_ext_put_twcc(uint8_t *p, uint16_t off, uint16_t seq)
{
	if (off)
		put_be16(p + off, seq);
}
/* The 6.18 form of a time; any epoch will do, as long as it stays the same. */
static inline uint32_t rtp_abs_send_time_of(int64_t us)
{
	return (uint32_t)((((uint64_t)us << 18) / 1000000) & 0xffffff);
}
static inline void rtp_ext_put_abs_send_time(uint8_t *p, uint16_t off, int64_t us)
{
	if (off)
		put_be24(p + off, rtp_abs_send_time_of(us));
}

/* ---- retransmission payload format, RFC 4588: two bytes of original sequence number ---- */

#define RTP_RTX_OSN 2
/* False for padding-only (probing) RTX packets. */
static inline bool rtp_rtx_osn(const struct rtp_packet *p, uint16_t *osn)
{
	if (p->payload_len < RTP_RTX_OSN)
		return false;
	*osn = get_be16(rtp_payload(p));
	return true;
}

#endif
