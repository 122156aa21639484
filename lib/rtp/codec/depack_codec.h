/*
 * Inside lib/rtp only: what depack.c and the codecs' halves of it share. A codec appends payloads
 * to the frame under way and turns what was gathered into what a container holds.
 */
#ifndef MSR_RTP_CODEC_DEPACK_CODEC_H
#define MSR_RTP_CODEC_DEPACK_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "rtp/codec/h264.h"
#include "rtp/codec/vp9_header.h"

struct rtp_packet;

#define DEPACK_LAYERS	   8	/* spatial layers of a VP9 picture */
#define DEPACK_PRIVATE_MAX 2048 /* bytes of codec private data */
#define AV1_SEQUENCE_MAX   256	/* bytes of a sequence header that we keep */

/* A frame under way or finished. */
struct depack_work {
	struct buf data; /* what was gathered, already as the container wants it */
	struct buf part; /* AV1: the OBU under way; VP9: the picture as it will be */
	bool active;	 /* packets have come */
	bool marked;	 /* the latest of them with a marker */
	bool many;	 /* one of them without it */
	bool broken;	 /* something is missing */
	bool key;
	uint32_t ts;
	uint32_t samples;
	uint16_t width, height;
	size_t nal; /* H.264: 1 + where the open NAL unit's length stands; 0: none */
	size_t layer[DEPACK_LAYERS]; /* VP9: where each layer's frame ends */
	unsigned n_layers;
};

/* Parameter sets and what else is kept from frame to frame. */
struct depack_params {
	uint8_t sps[H264_PARAM_MAX], pps[H264_PARAM_MAX];
	size_t sps_len, pps_len;
	uint8_t sequence[AV1_SEQUENCE_MAX]; /* AV1: the OBU with its header and size */
	size_t sequence_len;
	struct vp9_slots slots;
	uint8_t out[DEPACK_PRIVATE_MAX]; /* what depack_private lends */
	uint16_t width, height;
};

struct depack_codec {
	bool every_packet; /* a frame is a packet, whatever the marker says */
	/* Whether a frame may begin with this packet, when packets before it are missing. */
	bool (*starts)(const struct rtp_packet *p);
	/* 0, -EBADMSG, -ENOBUFS when the frame gets too large, -ENOMEM. */
	int (*add)(struct depack_work *w, struct depack_params *ps, const struct rtp_packet *p);
	/* NULL, or the same errors; the frame is dropped then. */
	int (*end)(struct depack_work *w, struct depack_params *ps);
	/* NULL, or the bytes written to ps->out; 0 while there is nothing. */
	size_t (*private)(struct depack_params *ps);
};

extern const struct depack_codec depack_opus, depack_vp8, depack_vp9, depack_h264, depack_av1;

#endif
