/* VP9 payload descriptor (RFC 9628): key frames, layers, size. */
#ifndef MSR_RTP_CODEC_VP9_H
#define MSR_RTP_CODEC_VP9_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vp9_desc {
	uint8_t len;	      /* bytes of the descriptor */
	bool inter_predicted; /* P */
	bool flexible;	      /* F */
	bool start, end;      /* B, E: of a frame of one layer */
	bool switching_point; /* U */
	bool inter_layer;     /* D */
	bool has_layers, has_picture_id;
	bool not_reference; /* Z: not a reference for upper spatial layers */
	bool key;	    /* start of a picture that needs no other: P 0 on the lowest layer */
	uint16_t picture_id;
	uint8_t tid, sid;
	uint16_t width, height; /* pixels of the highest layer of a scalability structure, or 0 */
};

/* 0 or -EBADMSG. */
int vp9_parse(struct vp9_desc *d, const uint8_t *payload, size_t len);

#endif
