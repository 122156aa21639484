/*
 * | I P L F B E V Z |
 * | M PictureID 7 | (8 more) |        with I
 * | TID 3 U SID 3 D |                 with L
 * | TL0PICIDX 8 |                     with L, not with F
 * | P_DIFF 7 N | up to three          with F and P
 * | scalability structure |           with V
 */
#include "rtp/codec/vp9.h"

#include <errno.h>

#include "base/buf.h"

/* | N_S 3 Y G RSV | width height (with Y, each layer) | N_G | per picture TID U R, R times P_DIFF
 */
static void read_structure(struct vp9_desc *d, struct rd *r)
{
	uint8_t head = rd_u8(r);

	if (head & 0x10) {
		for (unsigned i = 0; i <= head >> 5; i++) {
			d->width = rd_be16(r);
			d->height = rd_be16(r);
		}
	}
	if (head & 0x08) {
		unsigned pictures = rd_u8(r);
		while (pictures-- && rd_ok(r))
			rd_bytes(r, rd_u8(r) >> 2 & 3);
	}
}

int vp9_parse(struct vp9_desc *d, const uint8_t *payload, size_t len)
{
	struct rd r = rd_of(payload, len);
	uint8_t first = rd_u8(&r);

	*d = (struct vp9_desc){
	    .has_picture_id = first & 0x80,
	    .inter_predicted = first & 0x40,
	    .has_layers = first & 0x20,
	    .flexible = first & 0x10,
	    .start = first & 0x08,
	    .end = first & 0x04,
	    .not_reference = first & 0x01,
	};
	if (d->has_picture_id) {
		d->picture_id = rd_u8(&r);
		if (d->picture_id & 0x80)
			d->picture_id = (uint16_t)((d->picture_id & 0x7f) << 8 | rd_u8(&r));
	}
	if (d->has_layers) {
		uint8_t byte = rd_u8(&r);
		d->tid = byte >> 5;
		d->switching_point = byte & 0x10;
		d->sid = byte >> 1 & 7;
		d->inter_layer = byte & 1;
		if (!d->flexible)
			rd_u8(&r);
	}
	if (d->flexible && d->inter_predicted) {
		unsigned n = 1; /* at most three references */
		while (rd_u8(&r) & 1 && rd_ok(&r))
			if (++n > 3)
				return -EBADMSG;
	}
	if (first & 0x02)
		read_structure(d, &r);
	/* A descriptor with all of a structure's pictures stays below 256 bytes only when sane. */
	if (!rd_ok(&r) || !rd_left(&r) || r.p - payload > UINT8_MAX)
		return -EBADMSG;
	d->len = (uint8_t)(r.p - payload);
	d->key = d->start && !d->inter_predicted && !d->inter_layer && d->sid == 0;
	return 0;
}
