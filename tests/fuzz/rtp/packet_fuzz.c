/* RTP packets: the view stays inside the packet, and what is written from it parses again. */
#include <assert.h>
#include <string.h>

#include "rtp/codec.h"
#include "rtp/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rewrite(const struct rtp_packet *p, const struct rtp_extmap *map)
{
	struct rtp_ext_item items[RTP_EXT_KINDS];
	struct rtp_header h = {p->pt, p->marker, p->seq, p->ts, p->ssrc};
	struct rtp_packet again;
	uint8_t out[RTP_PACKET_MAX];

	for (int i = 0; i < RTP_EXT_KINDS; i++)
		items[i] = (struct rtp_ext_item){.id = p->ext[i].off ? map->id[i] : 0,
						 .len = p->ext[i].len,
						 .value = p->data + p->ext[i].off};
	int n = rtp_header_write(out, sizeof(out), &h, items, RTP_EXT_KINDS);
	if (n < 0 || (size_t)n + p->payload_len > sizeof(out))
		return;
	memcpy(out + n, rtp_payload(p), p->payload_len);
	assert(rtp_parse(&again, out, (size_t)n + p->payload_len, map) == 0);
	assert(again.payload_len == p->payload_len && again.seq == p->seq);
	for (int i = 0; i < RTP_EXT_KINDS; i++) {
		assert(again.ext[i].len == p->ext[i].len);
		assert(!memcmp(out + again.ext[i].off, p->data + p->ext[i].off, p->ext[i].len) ||
		       !p->ext[i].off);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rtp_extmap map = {0};
	struct rtp_payload_info info;
	struct rtp_packet p;
	char text[RTP_MID_MAX + 1];
	uint8_t level;
	uint16_t seq;
	bool voice;

	for (int i = 0; i < RTP_EXT_KINDS; i++)
		rtp_extmap_set(&map, (enum rtp_ext_kind)i, (uint8_t)(i < 7 ? i + 1 : i * 10));
	if (rtp_parse(&p, data, size, &map) < 0)
		return 0;
	assert(p.payload_off + p.payload_len + p.padding == p.len && p.len == size);
	for (int i = 0; i < RTP_EXT_KINDS; i++)
		assert(p.ext[i].off + p.ext[i].len <= p.payload_off);
	rtp_audio_level(&p, &level, &voice);
	rtp_twcc_seq(&p, &seq);
	if (rtp_ext_text(&p, RTP_EXT_MID, text, sizeof(text)))
		assert(strlen(text) < sizeof(text));
	for (int c = 0; c < RTP_CODECS; c++)
		rtp_payload_look((enum rtp_codec)c, &p, &info);
	rewrite(&p, &map);
	return 0;
}
