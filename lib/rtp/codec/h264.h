/*
 * H.264 payloads (RFC 6184, packetization modes 0 and 1): key frames, parameter sets, and the avcC
 * record (ISO/IEC 14496-15) that containers need.
 */
#ifndef MSR_RTP_CODEC_H264_H
#define MSR_RTP_CODEC_H264_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum h264_nal {
	H264_SLICE = 1,
	H264_IDR = 5,
	H264_SEI = 6,
	H264_SPS = 7,
	H264_PPS = 8,
	H264_AUD = 9,
	H264_STAP_A = 24,
	H264_FU_A = 28,
};

#define H264_PARAM_MAX 512			 /* bytes of an SPS or PPS that we keep */
#define H264_AVCC_MAX  (11 + 2 * H264_PARAM_MAX) /* bytes of an avcC with one of each */

struct h264_info {
	bool start; /* an access unit may begin here: first NAL unit or first fragment */
	bool key;   /* holds an SPS or the begin of an IDR slice */
	bool sps, pps, idr;
	bool discardable; /* nal_ref_idc 0 */
};

/* 0 or -EBADMSG. */
int h264_look(struct h264_info *info, const uint8_t *payload, size_t len);

/* What a sequence parameter set says. */
struct h264_sps {
	uint8_t profile, constraints, level;
	uint16_t width, height; /* pixels, after cropping */
};

/* `nal` with its header byte. 0 or -EBADMSG. */
int h264_parse_sps(struct h264_sps *s, const uint8_t *nal, size_t len);

/* The size in a payload that holds a whole SPS, alone or in a STAP-A; untouched without one. */
void h264_size(const uint8_t *payload, size_t len, uint16_t *width, uint16_t *height);

/*
 * The avcC record of one SPS and one PPS, each with its header byte. Returns its bytes; -EINVAL
 * when a set is empty or longer than H264_PARAM_MAX.
 */
int h264_avcc(uint8_t out[static H264_AVCC_MAX], const uint8_t *sps, size_t sps_len,
	      const uint8_t *pps, size_t pps_len);

#endif
