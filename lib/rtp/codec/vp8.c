/*
 * | X R N S R PID |             required
 * | I L T K  RSV  |             with X
 * | M PictureID 7 | (8 more) |  with I, 15 bits with M
 * | TL0PICIDX 8   |             with L
 * | TID 2 Y KEYIDX 5 |          with T or K
 */
#include "rtp/codec/vp8.h"

#include <errno.h>

#include "base/buf.h"

static void read_extension(struct vp8_desc *d, struct rd *r, const uint8_t *payload)
{
	uint8_t bits = rd_u8(r);

	if (bits & 0x80) {
		d->picture_off = (uint8_t)(r->p - payload);
		d->picture_id = rd_u8(r);
		d->picture_bits = 7;
		if (d->picture_id & 0x80) {
			d->picture_id = (uint16_t)((d->picture_id & 0x7f) << 8 | rd_u8(r));
			d->picture_bits = 15;
		}
	}
	if (bits & 0x40) {
		d->has_tl0 = true;
		d->tl0_off = (uint8_t)(r->p - payload);
		d->tl0picidx = rd_u8(r);
	}
	d->has_tid = bits & 0x20;
	d->has_keyidx = bits & 0x10;
	if (d->has_tid || d->has_keyidx) {
		d->tid_off = (uint8_t)(r->p - payload);
		uint8_t byte = rd_u8(r);
		d->tid = d->has_tid ? byte >> 6 : 0;
		d->layer_sync = d->has_tid && byte & 0x20;
		d->keyidx = byte & 31;
	}
}

int vp8_parse(struct vp8_desc *d, const uint8_t *payload, size_t len)
{
	struct rd r = rd_of(payload, len);
	uint8_t first = rd_u8(&r);

	*d = (struct vp8_desc){
	    .non_reference = first & 0x20,
	    .start = (first & 0x17) == 0x10,
	};
	if (first & 0x80)
		read_extension(d, &r, payload);
	if (!rd_ok(&r) || !rd_left(&r))
		return -EBADMSG;
	d->len = (uint8_t)(r.p - payload);
	/* The frame tag's lowest bit is 0 on key frames, then come a start code and the size. */
	if (d->start && !(r.p[0] & 1)) {
		d->key = true;
		if (rd_left(&r) >= 10) {
			d->width = get_le16(r.p + 6) & 0x3fff;
			d->height = get_le16(r.p + 8) & 0x3fff;
		}
	}
	return 0;
}

void vp8_rewrite(uint8_t *payload, const struct vp8_desc *d, uint16_t picture_id, uint8_t tl0picidx,
		 uint8_t keyidx)
{
	if (d->picture_bits == 15)
		put_be16(payload + d->picture_off, picture_id | 0x8000);
	else if (d->picture_bits == 7)
		payload[d->picture_off] = picture_id & 0x7f;
	if (d->has_tl0)
		payload[d->tl0_off] = tl0picidx;
	if (d->has_keyidx)
		payload[d->tid_off] = (uint8_t)((payload[d->tid_off] & 0xe0) | (keyidx & 31));
}
