/* Opus, VP8 and VP9: payloads are appended behind their descriptors. */
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
	int r = vp9_parse(&d, rtp_payload(p), p->payload_len);

	(void)ps;
	if (r < 0)
		return r;
	const uint8_t *data = rtp_payload(p) + d.len;
	size_t len = p->payload_len - (size_t)d.len;
	if (d.key) {
		w->key = true;
		w->width = d.width;
		w->height = d.height;
		if (!w->width)
			vp9_frame_size(data, len, &w->width, &w->height);
	}
	r = buf_append(&w->data, data, len);
	if (r == 0 && d.end && w->n_layers < DEPACK_LAYERS)
		w->layer[w->n_layers++] = buf_len(&w->data);
	return r;
}

/*
 * The layers of a picture are one superframe in a container (VP9 bitstream, annex B): behind them
 * stands an index, | 110 bytes-1 2 frames-1 3 | sizes ... | the first byte again |.
 */
static int vp9_end(struct depack_work *w, struct depack_params *ps)
{
	uint8_t index[2 + 4 * DEPACK_LAYERS], *at = index;
	size_t begin = 0;

	(void)ps;
	if (w->n_layers < 2 || w->layer[w->n_layers - 1] != buf_len(&w->data))
		return 0;
	*at++ = (uint8_t)(0xc0 | 3 << 3 | (w->n_layers - 1));
	for (unsigned i = 0; i < w->n_layers; i++, at += 4) {
		put_le32(at, (uint32_t)(w->layer[i] - begin));
		begin = w->layer[i];
	}
	*at++ = index[0];
	return buf_append(&w->data, index, (size_t)(at - index));
}

const struct depack_codec depack_vp9 = {.starts = vp9_starts, .add = vp9_add, .end = vp9_end};
