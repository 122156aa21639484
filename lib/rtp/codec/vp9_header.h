/* Uncompressed headers of VP9 frames (VP9 bitstream specification, section 6.2). */
#ifndef MSR_RTP_CODEC_VP9_HEADER_H
#define MSR_RTP_CODEC_VP9_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VP9_SLOTS 8

/* Sizes of the frames that a decoder keeps for reference, in pixels; 0: not known. */
struct vp9_slots {
	uint16_t width[VP9_SLOTS], height[VP9_SLOTS];
};

struct vp9_header {
	bool key, shown;
	uint16_t width, height; /* pixels */
	uint8_t refresh;	/* slots that the frame goes into, one bit each */
	size_t shown_at;	/* bit of the header that says so */
	size_t bits;		/* of the header, without its padding */
};

/* Size in pixels of a key frame. False when it is none. */
bool vp9_frame_size(const uint8_t *frame, size_t len, uint16_t *width, uint16_t *height);

/* Reads a header, and brings `slots` to where they are after the frame. 0, or -EBADMSG: malformed,
 * a reference of unknown size, or no frame but the wish to show an earlier one. */
int vp9_header_read(struct vp9_header *h, struct vp9_slots *slots, const uint8_t *frame,
		    size_t len);

/*
 * Writes the frame with this header to `out`, which has room for a byte more, as one that is
 * decoded but not shown. Returns its length.
 */
size_t vp9_hide(const struct vp9_header *h, const uint8_t *frame, size_t len, uint8_t *out);

#endif
