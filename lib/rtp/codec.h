/*
 * The codecs that msr carries, and what a forwarder has to know about a payload of any of them.
 * The details of each stand in codec/NAME.h.
 */
#ifndef MSR_RTP_CODEC_H
#define MSR_RTP_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rtp_packet;

enum rtp_codec {
	RTP_CODEC_NONE,
	RTP_CODEC_OPUS,
	RTP_CODEC_VP8,
	RTP_CODEC_VP9,
	RTP_CODEC_H264,
	RTP_CODEC_AV1,
	RTP_CODECS
};

/* "opus", "vp8", "vp9", "h264", "av1"; also the codec names of msr-frame(5). */
const char *rtp_codec_name(enum rtp_codec codec);
/* By an encoding name of SDP, in either case; RTP_CODEC_NONE when unknown. */
enum rtp_codec rtp_codec_of(const char *name);
static inline bool rtp_codec_is_video(enum rtp_codec codec)
{
	return codec >= RTP_CODEC_VP8;
}
/* Hz of the RTP clock. */
uint32_t rtp_codec_clock(enum rtp_codec codec);

/* What a packet is in its stream. All false for audio. */
struct rtp_payload_info {
	bool frame_start; /* the first packet of a frame */
	bool key;	  /* that frame can be decoded without any other; set on its first packet */
	uint8_t tid;	  /* temporal layer, 0 when unknown */
	uint8_t sid;	  /* spatial layer, 0 when unknown */
	bool discardable; /* no other frame refers to it */
	/* pixels, on key frames of VP8, VP9 and H.264 that tell; otherwise 0 */
	uint16_t width, height;
	uint16_t picture_id; /* VP8 */
	uint8_t tl0picidx;
};

/* Never fails: a payload that makes no sense is not a key frame. */
void rtp_payload_look(enum rtp_codec codec, const struct rtp_packet *p,
		      struct rtp_payload_info *info);

#endif
