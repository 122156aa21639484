/*
 * H.264: NAL units alone, in STAP-A or in FU-A become an access unit with four bytes of length in
 * front of each. Parameter sets stay in (they may change) and are remembered for the avcC.
 */
#include <errno.h>
#include <string.h>

#include "rtp/codec/depack_codec.h"
#include "rtp/packet.h"

#define LENGTH	      4	   /* bytes in front of a NAL unit */
#define FILLER	      12   /* NAL unit type that says nothing, like the access unit delimiter */
#define FIRST_MB_ZERO 0x80 /* of a slice header's first byte: it begins a picture */

static bool is_slice(uint8_t type)
{
	return type == H264_SLICE || type == H264_IDR;
}

static bool h264_starts(const struct rtp_packet *p)
{
	const uint8_t *payload = rtp_payload(p);
	uint8_t type = payload[0] & 31;

	if (p->payload_len < 3)
		return false;
	if (type == H264_FU_A)
		return payload[1] & 0x80 && is_slice(payload[1] & 31) && payload[2] & FIRST_MB_ZERO;
	if (is_slice(type))
		return payload[1] & FIRST_MB_ZERO;
	return true; /* parameter sets, SEI and delimiters stand in front of slices */
}

static void remember(struct depack_params *ps, const uint8_t *nal, size_t len)
{
	struct h264_sps s;

	if (len > H264_PARAM_MAX)
		return;
	if ((nal[0] & 31) == H264_SPS && h264_parse_sps(&s, nal, len) == 0) {
		memcpy(ps->sps, nal, len);
		ps->sps_len = len;
		ps->width = s.width;
		ps->height = s.height;
	} else if ((nal[0] & 31) == H264_PPS) {
		memcpy(ps->pps, nal, len);
		ps->pps_len = len;
	}
}

/* Begins a NAL unit; its length is filled in by close_nal. */
static int open_nal(struct depack_work *w, uint8_t header)
{
	const uint8_t start[LENGTH + 1] = {0, 0, 0, 0, header};

	w->nal = 1 + buf_len(&w->data);
	return buf_append(&w->data, start, sizeof(start));
}

static void close_nal(struct depack_work *w, struct depack_params *ps)
{
	uint8_t *at = buf_data(&w->data) + w->nal - 1;
	size_t len = buf_len(&w->data) - (w->nal - 1) - LENGTH;

	put_be32(at, (uint32_t)len);
	w->nal = 0;
	remember(ps, at + LENGTH, len);
	if ((at[LENGTH] & 31) == H264_IDR)
		w->key = true;
}

static int add_nal(struct depack_work *w, struct depack_params *ps, const uint8_t *nal, size_t len)
{
	uint8_t type = nal[0] & 31;

	if (type == 0 || type > 23)
		return -EBADMSG;
	if (type == H264_AUD || type == FILLER)
		return 0;
	int r = open_nal(w, nal[0]);
	if (r == 0)
		r = buf_append(&w->data, nal + 1, len - 1);
	if (r == 0)
		close_nal(w, ps);
	return r;
}

static int add_stap(struct depack_work *w, struct depack_params *ps, struct rd r)
{
	int result = 0;

	while (result == 0 && rd_left(&r)) {
		size_t len = rd_be16(&r);
		const uint8_t *nal = rd_bytes(&r, len);
		if (!nal || !len)
			return -EBADMSG;
		result = add_nal(w, ps, nal, len);
	}
	return result;
}

static int add_fragment(struct depack_work *w, struct depack_params *ps, uint8_t indicator,
			struct rd r)
{
	uint8_t fu = rd_u8(&r);
	bool start = fu & 0x80, end = fu & 0x40;
	int result = 0;

	if (!rd_ok(&r) || start == (w->nal != 0) || (fu & 31) == 0 || (fu & 31) > 23)
		return -EBADMSG;
	if (start)
		result = open_nal(w, (uint8_t)((indicator & 0xe0) | (fu & 31)));
	if (result == 0)
		result = buf_append(&w->data, r.p, rd_left(&r));
	if (result == 0 && end)
		close_nal(w, ps);
	return result;
}

static int h264_add(struct depack_work *w, struct depack_params *ps, const struct rtp_packet *p)
{
	struct rd r = rd_of(rtp_payload(p), p->payload_len);
	uint8_t head = rd_u8(&r), type = head & 31;

	if (type == H264_FU_A)
		return add_fragment(w, ps, head, r);
	if (w->nal) /* the last fragment did not come */
		return -EBADMSG;
	if (type == H264_STAP_A)
		return add_stap(w, ps, r);
	return add_nal(w, ps, rtp_payload(p), p->payload_len);
}

static int h264_end(struct depack_work *w, struct depack_params *ps)
{
	if (w->nal)
		return -EBADMSG;
	if (w->key) {
		w->width = ps->width;
		w->height = ps->height;
		/* Without parameter sets nobody can decode it. */
		w->key = ps->sps_len && ps->pps_len;
	}
	return 0;
}

static size_t h264_private(struct depack_params *ps)
{
	_Static_assert(H264_AVCC_MAX <= DEPACK_PRIVATE_MAX, "room for an avcC");
	int n = h264_avcc(ps->out, ps->sps, ps->sps_len, ps->pps, ps->pps_len);

	return n > 0 ? (size_t)n : 0;
}

const struct depack_codec depack_h264 = {
    .starts = h264_starts,
    .add = h264_add,
    .end = h264_end,
    .private = h264_private,
};
