/* Redundant sound: see redundant.h. */
#include "redundant.h"

#include <errno.h>
#include <string.h>

int redundant_blocks(struct red_block block[static RED_BLOCKS], const struct rtp_packet *p,
		     uint8_t pt)
{
	int n = red_read(block, rtp_payload(p), p->payload_len);

	for (int i = 0; i < n; i++)
		if (block[i].pt != pt)
			return -EBADMSG;
	return n;
}

bool redundant_older(struct rtp_packet *older, uint8_t out[static RTP_PACKET_MAX],
		     const struct rtp_packet *p, const struct red_block *block, uint16_t behind,
		     const struct rtp_extmap *map)
{
	memcpy(out, p->data, p->payload_off);
	rtp_set_pt(out, block->pt);
	rtp_set_padding(out, false);
	rtp_set_marker(out, false);
	rtp_set_seq(out, (uint16_t)(p->seq - behind));
	rtp_set_ts(out, p->ts - block->before);
	memcpy(out + p->payload_off, rtp_payload(p) + block->off, block->len);
	return block->len && !rtp_parse(older, out, (size_t)p->payload_off + block->len, map);
}

bool redundant_own(struct rtp_packet *p, uint8_t *bytes, const struct red_block *own,
		   const struct rtp_extmap *map)
{
	memmove(bytes + own->off, bytes, p->payload_off);
	bytes += own->off;
	rtp_set_pt(bytes, own->pt);
	return !rtp_parse(p, bytes, (size_t)p->len - own->off, map);
}

size_t redundant_wrap(uint8_t out[static RTP_PACKET_MAX], const struct rtp_packet *p,
		      const struct rtp_history *history, int64_t seq, uint8_t pt)
{
	const struct rtp_kept *kept = rtp_history_get(history, seq - 1);
	struct rtp_packet older;

	if (!kept || rtp_parse(&older, kept->data, kept->len, NULL) < 0)
		return 0;
	uint32_t before = p->ts - older.ts;
	size_t n = RED_HEAD + (size_t)older.payload_len + p->payload_len;
	if (!p->payload_len || !older.payload_len || before > RED_BEFORE_MAX ||
	    older.payload_len > RED_LEN_MAX || n > REDUNDANT_MAX)
		return 0;
	red_head(out, pt, before, older.payload_len);
	memcpy(out + RED_HEAD, rtp_payload(&older), older.payload_len);
	memcpy(out + RED_HEAD + older.payload_len, rtp_payload(p), p->payload_len);
	return n;
}
