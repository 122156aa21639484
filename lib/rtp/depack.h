/*
 * Depacketiser: RTP payloads of one stream, in order, become whole frames as containers hold them.
 *
 *	jitter ── packet, lost? ──> depack_push ── depack_next ──> frame ──> Matroska
 *
 * Opus: packets. VP8, VP9: frames (all spatial layers of a VP9 picture as one). H.264: access units
 * of NAL units with four bytes of length in front, parameter sets left in. AV1: temporal units of
 * OBUs with sizes, without temporal delimiters. A frame that lost a packet is not returned; frames
 * that refer to lost ones are marked, and the caller waits for the next key frame. Nor is one that
 * a key frame follows before its marker came: the layer of simulcast was changed within it.
 *
 * A frame is given out with its marker where the sender has shown that it sets that on the last
 * packet of a frame alone; otherwise, and so at the beginning of a stream, with the packet behind
 * it or by depack_flush.
 */
#ifndef MSR_RTP_DEPACK_H
#define MSR_RTP_DEPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rtp/codec.h"

#define DEPACK_FRAME_MAX (4u << 20) /* bytes of a frame; larger ones are dropped */

struct depack;
struct rtp_packet;

struct depack_frame {
	const uint8_t *data; /* lent until the next depack_push */
	size_t len;
	uint32_t ts; /* RTP time */
	bool key;
	bool damaged;		/* frames before it were lost since the last key frame */
	uint16_t width, height; /* pixels; only where the frame says so, otherwise 0 */
	uint32_t samples;	/* Opus: how long it lasts, at 48 kHz */
};

/* 0, -EINVAL for an unknown codec, -ENOMEM. */
int depack_new(struct depack **out, enum rtp_codec codec);
void depack_free(struct depack *d);

/*
 * Takes the next packet in order; `lost` says that packets before it are missing. 0, -EBADMSG for
 * a malformed payload (skipped, its frame is dropped), -ENOMEM.
 */
int depack_push(struct depack *d, const struct rtp_packet *p, bool lost);
/* 1 and the next whole frame, 0 when there is none. Call until 0 after each push and flush. */
int depack_next(struct depack *d, struct depack_frame *f);
/*
 * Nothing has come for a while: a frame whose latest packet had the marker is taken to be complete.
 * Call depack_next until 0.
 */
void depack_flush(struct depack *d);
/* Another stream comes: the frame under way will not be completed, and is dropped. */
void depack_begin(struct depack *d);

/*
 * What a container wants to know beforehand, from the last parameter sets seen: avcC for H.264,
 * av1C for AV1. NULL and 0 when there is none (yet). Lent until the next depack_push.
 */
const uint8_t *depack_private(struct depack *d, size_t *len);

#endif
