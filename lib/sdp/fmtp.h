/* Format parameters (a=fmtp) and the rules by which two sides' codecs are the same. */
#ifndef MSR_SDP_FMTP_H
#define MSR_SDP_FMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sdp_codec;

/*
 * The value of parameter `key` (any case) in "k=v;k=v", copied into `out`. False when it is absent
 * or does not fit.
 */
bool fmtp_get(const char *fmtp, const char *key, char *out, size_t size);
/* The same as a number; `missing` when it is absent or none. */
long fmtp_num(const char *fmtp, const char *key, long missing);

/* Profiles of H.264 that differ (RFC 6184 section 8.1, table 5). */
enum h264_profile {
	H264_CONSTRAINED_BASELINE,
	H264_BASELINE,
	H264_MAIN,
	H264_CONSTRAINED_HIGH,
	H264_HIGH,
	H264_HIGH444,
	H264_OTHER,
};

/* Of "42e01f"; a missing one means 420010. False if it is not a profile-level-id. */
bool h264_profile_level(const char *id, enum h264_profile *profile, uint8_t *level_idc);

/*
 * Whether these are parameters of H.264 that browsers may decode: baseline, main or high, in
 * packetization mode 0 or 1. There are ten of them; the others are unbounded in number.
 */
bool h264_is_usual(const char *fmtp);

/*
 * Whether a stream of the one may be sent to the other: the same name, clock and channels, and for
 * H.264 the same profile and packetization mode (the level may differ), for VP9 the same
 * profile-id, for AV1 the same profile. RTX and other formats that protect a codec never match
 * here; they go with the codec that they belong to. Nor does what could not be told from RTCP.
 */
bool sdp_codec_match(const struct sdp_codec *a, const struct sdp_codec *b);

/*
 * The parameters that may stand in an offer for the streams of several senders: those that
 * sdp_codec_match compares, each once, and for Opus what any decoder takes. A sender may have said
 * more, which a receiver would hold against all: a parameter twice, or another tier. In `out`, or a
 * constant; NULL: none.
 */
#define FMTP_COMMON_SIZE 128
const char *fmtp_common(const struct sdp_codec *c, char out[static FMTP_COMMON_SIZE]);

#endif
