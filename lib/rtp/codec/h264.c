/* NAL units: | F 1 | NRI 2 | type 5 |, in packets alone, in STAP-A, or cut up by FU-A. */
#include "rtp/codec/h264.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/buf.h"

#define SPS_MAX 1024 /* bytes; longer ones are refused */

static void note(struct h264_info *info, uint8_t type)
{
	info->sps |= type == H264_SPS;
	info->pps |= type == H264_PPS;
	info->idr |= type == H264_IDR;
}

int h264_look(struct h264_info *info, const uint8_t *payload, size_t len)
{
	struct rd r = rd_of(payload, len);
	uint8_t head = rd_u8(&r);

	*info = (struct h264_info){.start = true, .discardable = !(head & 0x60)};
	switch (head & 31) {
	case H264_STAP_A:
		while (rd_ok(&r) && rd_left(&r)) {
			size_t n = rd_be16(&r);
			const uint8_t *nal = rd_bytes(&r, n);
			if (nal && n)
				note(info, nal[0] & 31);
		}
		break;
	case H264_FU_A: {
		uint8_t fu = rd_u8(&r);
		info->start = fu & 0x80;
		if (info->start)
			note(info, fu & 31);
		break;
	}
	case 0:
	case 25 ... 27: /* STAP-B, MTAPs: interleaved mode, which nobody negotiates */
	case 29 ... 31:
		return -EBADMSG;
	default:
		note(info, head & 31);
	}
	info->key = info->sps || info->idr;
	return rd_ok(&r) ? 0 : -EBADMSG;
}

/* ---- sequence parameter set, ITU-T H.264 section 7.3.2.1.1 ---- */

/* Takes out the emulation prevention bytes: 0 0 3 stands for 0 0. */
static size_t unescape(uint8_t *out, const uint8_t *in, size_t len)
{
	size_t n = 0;

	for (size_t i = 0, zeros = 0; i < len; i++) {
		if (zeros >= 2 && in[i] == 3) {
			zeros = 0;
			continue;
		}
		zeros = in[i] ? 0 : zeros + 1;
		out[n++] = in[i];
	}
	return n;
}

static void skip_scaling_list(struct bits *b, unsigned size)
{
	int last = 8, next = 8;

	for (unsigned i = 0; i < size && !b->failed; i++) {
		if (next) /* the delta may be any number */
			next = (int)(((unsigned)last + (unsigned)bits_se(b)) & 255);
		if (next)
			last = next;
	}
}

/* What only the high profiles have. Returns chroma_format_idc. */
static uint32_t read_high(struct bits *b)
{
	uint32_t chroma = bits_ue(b);

	if (chroma == 3)
		bits_get(b, 1);
	bits_ue(b);
	bits_ue(b);
	bits_get(b, 1);
	if (bits_flag(b))
		for (unsigned i = 0; i < (chroma == 3 ? 12u : 8u); i++)
			if (bits_flag(b))
				skip_scaling_list(b, i < 6 ? 16 : 64);
	return chroma;
}

static void skip_picture_order(struct bits *b)
{
	uint32_t type = bits_ue(b);

	if (type == 0) {
		bits_ue(b);
	} else if (type == 1) {
		bits_get(b, 1);
		bits_se(b);
		bits_se(b);
		uint32_t n = bits_ue(b);
		while (n-- && !b->failed)
			bits_se(b);
	}
}

static bool is_high(uint8_t profile)
{
	return memchr("\x64\x6e\x7a\xf4\x2c\x53\x56\x76\x80\x8a\x8b\x86\x87", profile, 13);
}

int h264_parse_sps(struct h264_sps *s, const uint8_t *nal, size_t len)
{
	uint8_t raw[SPS_MAX];

	if (len < 5 || len > sizeof(raw) || (nal[0] & 31) != H264_SPS)
		return -EBADMSG;
	struct bits b = bits_of(raw, unescape(raw, nal + 1, len - 1));

	uint8_t profile = (uint8_t)bits_get(&b, 8);
	uint8_t constraints = (uint8_t)bits_get(&b, 8);
	uint8_t level = (uint8_t)bits_get(&b, 8);
	bits_ue(&b); /* id */
	uint32_t chroma = is_high(profile) ? read_high(&b) : 1;
	bits_ue(&b); /* log2_max_frame_num */
	skip_picture_order(&b);
	bits_ue(&b); /* reference frames */
	bits_get(&b, 1);
	uint64_t width = (bits_ue(&b) + 1ull) * 16;
	uint64_t map_units = bits_ue(&b) + 1ull;
	unsigned field = !bits_flag(&b); /* frame_mbs_only_flag 0: a map unit is two macroblocks */
	uint64_t height = map_units * 16 * (1 + field);
	if (field)
		bits_get(&b, 1);
	bits_get(&b, 1);
	if (bits_flag(&b)) {
		uint64_t unit_x = chroma == 1 || chroma == 2 ? 2 : 1;
		uint64_t unit_y = (chroma == 1 ? 2 : 1) * (1 + field);
		uint64_t x = (bits_ue(&b) + (uint64_t)bits_ue(&b)) * unit_x;
		uint64_t y = (bits_ue(&b) + (uint64_t)bits_ue(&b)) * unit_y;
		if (x >= width || y >= height)
			return -EBADMSG;
		width -= x;
		height -= y;
	}
	if (b.failed || width > 16384 || height > 16384)
		return -EBADMSG;
	*s = (struct h264_sps){profile, constraints, level, (uint16_t)width, (uint16_t)height};
	return 0;
}

static bool take_size(const uint8_t *nal, size_t len, uint16_t *width, uint16_t *height)
{
	struct h264_sps s;

	if (h264_parse_sps(&s, nal, len) < 0)
		return false;
	*width = s.width;
	*height = s.height;
	return true;
}

void h264_size(const uint8_t *payload, size_t len, uint16_t *width, uint16_t *height)
{
	struct rd r = rd_of(payload, len);

	if ((rd_u8(&r) & 31) != H264_STAP_A) {
		take_size(payload, len, width, height);
		return;
	}
	while (rd_ok(&r) && rd_left(&r)) {
		size_t n = rd_be16(&r);
		const uint8_t *nal = rd_bytes(&r, n);
		if (nal && n && take_size(nal, n, width, height))
			return;
	}
}

int h264_avcc(uint8_t out[static H264_AVCC_MAX], const uint8_t *sps, size_t sps_len,
	      const uint8_t *pps, size_t pps_len)
{
	if (sps_len < 4 || !pps_len || sps_len > H264_PARAM_MAX || pps_len > H264_PARAM_MAX)
		return -EINVAL;
	uint8_t *p = out;
	*p++ = 1;
	memcpy(p, sps + 1, 3); /* profile, constraints, level */
	p += 3;
	*p++ = 0xff; /* four bytes of length before a NAL unit */
	*p++ = 0xe1; /* one SPS */
	put_be16(p, (uint16_t)sps_len);
	memcpy(p + 2, sps, sps_len);
	p += 2 + sps_len;
	*p++ = 1;
	put_be16(p, (uint16_t)pps_len);
	memcpy(p + 2, pps, pps_len);
	p += 2 + pps_len;
	return (int)(p - out);
}
