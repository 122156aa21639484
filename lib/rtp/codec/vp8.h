/*
 * VP8 payload descriptor (RFC 7741) with rewriting of its counters in place, so that a receiver
 * that is moved from one simulcast layer to another sees them continue.
 */
#ifndef MSR_RTP_CODEC_VP8_H
#define MSR_RTP_CODEC_VP8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vp8_desc {
	uint8_t len; /* bytes of the descriptor */
	bool non_reference;
	bool start; /* S bit and partition 0: the first packet of a frame */
	bool key;   /* start of a key frame */
	bool has_tl0, has_tid, has_keyidx;
	uint8_t picture_bits; /* 0 absent, 7 or 15 */
	uint8_t picture_off;  /* offsets from the payload's begin */
	uint8_t tl0_off;
	uint8_t tid_off; /* the byte with TID, Y and KEYIDX */
	uint16_t picture_id;
	uint8_t tl0picidx;
	uint8_t tid;
	bool layer_sync; /* Y */
	uint8_t keyidx;
	uint16_t width, height; /* pixels; key frames only, otherwise 0 */
};

/* 0, or -EBADMSG for a payload that is too short for what it announces. */
int vp8_parse(struct vp8_desc *d, const uint8_t *payload, size_t len);

/*
 * Overwrites the counters that are there, in their present width. `payload` is the copy that goes
 * out, `d` the view of the original.
 */
void vp8_rewrite(uint8_t *payload, const struct vp8_desc *d, uint16_t picture_id, uint8_t tl0picidx,
		 uint8_t keyidx);

#endif
