/* Opus, VP8 and VP9: payloads are appended behind their descriptors; layers of VP9 become one. */
#include <errno.h>

#include "rtp/codec/depack_codec.h"
#include "rtp/codec/opus.h"
#include "rtp/codec/vp8.h"
#include "rtp/codec/vp9.h"
#include "rtp/packet.h"

/* ---- Opus ---- */

static bool opus_starts(const struct rtp_packet *p)
{
	(void)p;
	return true;
}

static int opus_add(struct depack_work *w, struct depack_params *ps, const struct rtp_packet *p)
{
	int samples = opus_samples(rtp_payload(p), p->payload_len);

	(void)ps;
	if (samples < 0)
		return samples;
	w->samples = (uint32_t)samples;
	w->key = true;
	return buf_append(&w->data, rtp_payload(p), p->payload_len);
}

const struct depack_codec depack_opus = {
    .every_packet = true,
    .starts = opus_starts,
    .add = opus_add,
};

/* ---- VP8 ---- */

static bool vp8_starts(const struct rtp_packet *p)
{
	struct vp8_desc d;

	return vp8_parse(&d, rtp_payload(p), p->payload_len) == 0 && d.start;
}

static int vp8_add(struct depack_work *w, struct depack_params *ps, const struct rtp_packet *p)
{
	struct vp8_desc d;
	int r = vp8_parse(&d, rtp_payload(p), p->payload_len);

	(void)ps;
	if (r < 0)
		return r;
	if (d.key) {
		w->key = true;
		w->width = d.width;
		w->height = d.height;
	}
	return buf_append(&w->data, rtp_payload(p) + d.len, p->payload_len - (size_t)d.len);
}

const struct depack_codec depack_vp8 = {.starts = vp8_starts, .add = vp8_add};

/* ---- VP9 ---- */

static bool vp9_starts(const struct rtp_packet *p)
{
	struct vp9_desc d;

	return vp9_parse(&d, rtp_payload(p), p->payload_len) == 0 && d.start && d.sid == 0;
}

static int vp9_add(struct depack_work *w, struct depack_params *ps, const struct rtp_packet *p)
{
	struct vp9_desc d;
	uint16_t width, height;
	int r = vp9_parse(&d, rtp_payload(p), p->payload_len);

	(void)ps;
	if (r < 0)
		return r;
	const uint8_t *data = rtp_payload(p) + d.len;
	size_t len = p->payload_len - (size_t)d.len;
	/* Some senders, FFmpeg among them, call every frame independent in its descriptor. */
	if (d.key && vp9_frame_size(data, len, &width, &height)) {
		w->key = true;
		w->width = d.width ? d.width : width;
		w->height = d.width ? d.height : height;
	}
	r = buf_append(&w->data, data, len);
	if (r == 0 && d.end && w->n_layers < DEPACK_LAYERS)
		w->layer[w->n_layers++] = buf_len(&w->data);
	return r;
}

static bool same_size(const struct vp9_header *a, const struct vp9_header *b)
{
	return a->width == b->width && a->height == b->height;
}

/*
 * The layers of a picture as they come all say that they are shown. Decoders that know of layers
 * show the highest; others show one after the other, in changing sizes. So all below it are hidden,
 * but those of the same size as the one above: the motion in that may follow a frame that was
 * shown.
 */
static int add_layer(struct depack_work *w, const struct vp9_header *h, bool hide,
		     const uint8_t *frame, size_t len)
{
	if (!hide)
		return buf_append(&w->part, frame, len);
	uint8_t *out = buf_reserve(&w->part, len + 1);
	if (!out)
		return -ENOMEM;
	buf_commit(&w->part, vp9_hide(h, frame, len, out));
	return 0;
}

/*
 * The layers of a picture are one superframe in a container (VP9 bitstream, annex B): behind them
 * stands an index, | 110 bytes-1 2 frames-1 3 | sizes ... | the first byte again |.
 */
static int vp9_end(struct depack_work *w, struct depack_params *ps)
{
	struct vp9_header h[DEPACK_LAYERS];
	unsigned n = w->n_layers;
	const uint8_t *data = buf_data(&w->data);
	bool known = n && w->layer[n - 1] == buf_len(&w->data), whole = known;
	uint8_t index[2 + 4 * DEPACK_LAYERS], *at = index;
	size_t begin = 0;

	for (unsigned i = 0; known && i < n; begin = w->layer[i++])
		known = vp9_header_read(&h[i], &ps->slots, data + begin, w->layer[i] - begin) == 0;
	if (!known)
		ps->slots = (struct vp9_slots){0};
	if (!whole || n < 2)
		return 0;

	*at++ = (uint8_t)(0xc0 | 3 << 3 | (n - 1));
	begin = 0;
	for (unsigned i = 0; i < n; begin = w->layer[i++], at += 4) {
		size_t before = buf_len(&w->part);
		bool hide = known && i + 1 < n && !same_size(&h[i], &h[i + 1]);
		int r = add_layer(w, &h[i], hide, data + begin, w->layer[i] - begin);
		if (r < 0)
			return r;
		put_le32(at, (uint32_t)(buf_len(&w->part) - before));
	}
	*at++ = index[0];
	struct buf picture = w->part;
	w->part = w->data;
	w->data = picture;
	return buf_append(&w->data, index, (size_t)(at - index));
}

const struct depack_codec depack_vp9 = {.starts = vp9_starts, .add = vp9_add, .end = vp9_end};
