/* The table of codecs, and one look into any payload. */
#include "codec.h"

#include <strings.h>

#include "rtp/codec/av1.h"
#include "rtp/codec/h264.h"
#include "rtp/codec/vp8.h"
#include "rtp/codec/vp9.h"
#include "rtp/codec/vp9_header.h"
#include "rtp/packet.h"

static const struct {
	const char *name;
	uint32_t clock; /* Hz */
} codecs[] = {
    [RTP_CODEC_NONE] = {"none", 0},	[RTP_CODEC_OPUS] = {"opus", 48000},
    [RTP_CODEC_VP8] = {"vp8", 90000},	[RTP_CODEC_VP9] = {"vp9", 90000},
    [RTP_CODEC_H264] = {"h264", 90000}, [RTP_CODEC_AV1] = {"av1", 90000},
};
_Static_assert(sizeof(codecs) / sizeof(codecs[0]) == RTP_CODECS, "one line a codec");

const char *rtp_codec_name(enum rtp_codec codec)
{
	return codecs[codec].name;
}

enum rtp_codec rtp_codec_of(const char *name)
{
	for (int i = RTP_CODEC_NONE + 1; i < RTP_CODECS; i++)
		if (!strcasecmp(codecs[i].name, name))
			return (enum rtp_codec)i;
	return RTP_CODEC_NONE;
}

uint32_t rtp_codec_clock(enum rtp_codec codec)
{
	return codecs[codec].clock;
}

static void look_vp8(const uint8_t *payload, size_t len, struct rtp_payload_info *info)
{
	struct vp8_desc d;

	if (vp8_parse(&d, payload, len) < 0)
		return;
	info->frame_start = d.start;
	info->key = d.key;
	info->tid = d.tid;
	info->discardable = d.non_reference;
	info->width = d.width;
	info->height = d.height;
	info->picture_id = d.picture_id;
	info->tl0picidx = d.tl0picidx;
}

static void look_vp9(const uint8_t *payload, size_t len, struct rtp_payload_info *info)
{
	struct vp9_desc d;

	if (vp9_parse(&d, payload, len) < 0)
		return;
	info->frame_start = d.start && d.sid == 0;
	info->key = d.key;
	info->tid = d.tid;
	info->sid = d.sid;
	if (!d.key || !d.start)
		return;
	info->width = d.width;
	info->height = d.height;
	if (!d.width && !vp9_frame_size(payload + d.len, len - d.len, &info->width, &info->height))
		info->width = info->height = 0;
}

static void look_h264(const uint8_t *payload, size_t len, struct rtp_payload_info *info)
{
	struct h264_info h;

	if (h264_look(&h, payload, len) < 0)
		return;
	info->frame_start = h.start;
	info->key = h.key;
	info->discardable = h.discardable;
	if (h.sps)
		h264_size(payload, len, &info->width, &info->height);
}

static void look_av1(const struct rtp_packet *p, struct rtp_payload_info *info)
{
	struct av1_aggregation a;
	struct av1_dependency d;
	const struct rtp_ext *e = &p->ext[RTP_EXT_DEPENDENCY];

	if (av1_parse(&a, rtp_payload(p), p->payload_len) < 0)
		return;
	info->key = a.new_sequence;
	info->frame_start = !a.continues;
	if (e->off && av1_parse_dependency(&d, p->data + e->off, e->len) == 0)
		info->frame_start = d.start;
}

void rtp_payload_look(enum rtp_codec codec, const struct rtp_packet *p,
		      struct rtp_payload_info *info)
{
	const uint8_t *payload = rtp_payload(p);
	size_t len = p->payload_len;

	*info = (struct rtp_payload_info){0};
	switch (codec) {
	case RTP_CODEC_VP8:
		look_vp8(payload, len, info);
		break;
	case RTP_CODEC_VP9:
		look_vp9(payload, len, info);
		break;
	case RTP_CODEC_H264:
		look_h264(payload, len, info);
		break;
	case RTP_CODEC_AV1:
		look_av1(p, info);
		break;
	default:
		break;
	}
}
