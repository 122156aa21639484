/*
 * AV1: OBU elements, perhaps continued over packets, become OBUs with a size field, as containers
 * want them ("low overhead" format). Temporal delimiters and padding are left out.
 */
#include <errno.h>
#include <string.h>

#include "rtp/codec.h"
#include "rtp/codec/av1.h"
#include "rtp/codec/depack_codec.h"
#include "rtp/packet.h"

#define HAS_EXTENSION 0x04
#define HAS_SIZE      0x02

static bool av1_starts(const struct rtp_packet *p)
{
	struct rtp_payload_info info;

	rtp_payload_look(RTP_CODEC_AV1, p, &info);
	return info.frame_start;
}

static void remember(struct depack_work *w, struct depack_params *ps, const uint8_t *obu,
		     size_t len, const uint8_t *payload, size_t payload_len)
{
	struct av1_sequence s;

	w->key = true; /* sequence headers come with key frames */
	if (len > sizeof(ps->sequence) || av1_parse_sequence(&s, payload, payload_len) < 0)
		return;
	memcpy(ps->sequence, obu, len);
	ps->sequence_len = len;
	ps->width = s.width;
	ps->height = s.height;
}

/* Appends the whole OBU in w->part to the frame. */
static int emit(struct depack_work *w, struct depack_params *ps)
{
	struct rd r = rd_of(buf_data(&w->part), buf_len(&w->part));
	uint8_t head[2 + 5], header = rd_u8(&r);
	uint8_t type = header >> 3 & 15;
	size_t n = 0;
	uint32_t size;

	if (!rd_ok(&r) || header & 0x80)
		return -EBADMSG;
	head[n++] = header | HAS_SIZE;
	if (header & HAS_EXTENSION)
		head[n++] = rd_u8(&r);
	if (header & HAS_SIZE) {
		size_t used = av1_leb128(r.p, rd_left(&r), &size);
		if (!used || !rd_bytes(&r, used) || size != rd_left(&r))
			return -EBADMSG;
	}
	if (!rd_ok(&r))
		return -EBADMSG;
	size_t len = rd_left(&r), at = buf_len(&w->data);
	n += av1_put_leb128(head + n, (uint32_t)len);
	const uint8_t *payload = r.p;
	if (type == AV1_TEMPORAL_DELIMITER || type == AV1_PADDING || type == AV1_TILE_LIST)
		return 0;
	int result = buf_append(&w->data, head, n);
	if (result == 0)
		result = buf_append(&w->data, payload, len);
	if (result == 0 && type == AV1_SEQUENCE_HEADER)
		remember(w, ps, buf_data(&w->data) + at, n + len, payload, len);
	return result;
}

static int av1_add(struct depack_work *w, struct depack_params *ps, const struct rtp_packet *p)
{
	struct av1_aggregation a;
	int result = av1_parse(&a, rtp_payload(p), p->payload_len);

	if (result < 0)
		return result;
	/* Something must be under way exactly when this packet says that it continues it. */
	if (a.continues != (buf_len(&w->part) != 0))
		return -EBADMSG;
	struct rd r = rd_of(rtp_payload(p) + 1, p->payload_len - 1u);
	for (unsigned i = 1; result == 0 && rd_left(&r); i++) {
		uint32_t len = (uint32_t)rd_left(&r);
		if (i != a.n_elements) {
			size_t used = av1_leb128(r.p, rd_left(&r), &len);
			if (!used || !rd_bytes(&r, used))
				return -EBADMSG;
		}
		const uint8_t *element = rd_bytes(&r, len);
		if (!element)
			return -EBADMSG;
		result = buf_append(&w->part, element, len);
		if (result == 0 && (rd_left(&r) || !a.continued)) {
			result = buf_len(&w->part) ? emit(w, ps) : 0;
			buf_consume(&w->part, buf_len(&w->part));
		}
	}
	return result;
}

static int av1_end(struct depack_work *w, struct depack_params *ps)
{
	if (buf_len(&w->part))
		return -EBADMSG;
	if (w->key) {
		w->width = ps->width;
		w->height = ps->height;
	}
	return 0;
}

/* av1C (AV1 codec ISO media file format binding, section 2.3): four bytes, then the sequence
 * header. */
static size_t av1_private(struct depack_params *ps)
{
	struct av1_sequence s;
	size_t used;
	uint32_t size;

	if (!ps->sequence_len)
		return 0;
	size_t head = ps->sequence[0] & HAS_EXTENSION ? 2 : 1;
	used = av1_leb128(ps->sequence + head, ps->sequence_len - head, &size);
	if (!used || av1_parse_sequence(&s, ps->sequence + head + used, size) < 0)
		return 0;
	ps->out[0] = 0x81;
	ps->out[1] = (uint8_t)(s.profile << 5 | s.level);
	ps->out[2] =
	    (uint8_t)(s.tier << 7 | s.high_bitdepth << 6 | s.twelve_bit << 5 | s.monochrome << 4 |
		      s.subsampling_x << 3 | s.subsampling_y << 2 | s.chroma_sample_position);
	ps->out[3] = 0;
	memcpy(ps->out + 4, ps->sequence, ps->sequence_len);
	return 4 + ps->sequence_len;
}

const struct depack_codec depack_av1 = {
    .starts = av1_starts,
    .add = av1_add,
    .end = av1_end,
    .private = av1_private,
};
