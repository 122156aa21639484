/*
 * Parsing and writing of RTP headers. The extension block (RFC 8285):
 *
 *	one-byte form, profile 0xBEDE:    | id 4 | len-1 4 | value ... |   id 0: a byte of padding,
 *	                                                                  id 15: stop
 *	two-byte form, profile 0x100x:    | id 8 | len 8 | value ... |     id 0: a byte of padding
 */
#include "packet.h"

#include <errno.h>
#include <string.h>

#include "ext_uri.h"

#define PROFILE_ONE_BYTE 0xbede
#define PROFILE_TWO_BYTE 0x1000 /* the lower four bits are the application's */

static const char *const uris[RTP_EXT_KINDS] = {
    [RTP_EXT_MID] = RTP_URI_MID,
    [RTP_EXT_RID] = RTP_URI_RID,
    [RTP_EXT_RRID] = RTP_URI_RRID,
    [RTP_EXT_AUDIO_LEVEL] = RTP_URI_AUDIO_LEVEL,
    [RTP_EXT_TWCC] = RTP_URI_TWCC,
    [RTP_EXT_ABS_SEND_TIME] = RTP_URI_ABS_SEND_TIME,
    [RTP_EXT_ORIENTATION] = RTP_URI_ORIENTATION,
    [RTP_EXT_DEPENDENCY] = RTP_URI_DEPENDENCY,
    [RTP_EXT_PLAYOUT_DELAY] = RTP_URI_PLAYOUT_DELAY,
    [RTP_EXT_TOFFSET] = RTP_URI_TOFFSET,
};

const char *rtp_ext_uri(enum rtp_ext_kind kind)
{
	return uris[kind];
}

int rtp_ext_of(const char *uri)
{
	for (int i = 0; i < RTP_EXT_KINDS; i++)
		if (!strcmp(uris[i], uri))
			return i;
	return -1;
}

void rtp_extmap_set(struct rtp_extmap *m, enum rtp_ext_kind kind, uint8_t id)
{
	m->kind[m->id[kind]] = 0;
	m->id[kind] = id;
	if (id)
		m->kind[id] = (uint8_t)(1 + kind);
}

/* ---- parsing ---- */

static void note_ext(struct rtp_packet *out, const struct rtp_extmap *map, uint8_t id, size_t off,
		     size_t len)
{
	unsigned kind = map->kind[id];

	if (kind && len && !out->ext[kind - 1].off)
		out->ext[kind - 1] = (struct rtp_ext){(uint16_t)off, (uint8_t)len};
}

static void parse_one_byte(struct rtp_packet *out, const struct rtp_extmap *map, size_t at,
			   size_t end)
{
	const uint8_t *p = out->data;

	while (at < end) {
		uint8_t id = p[at] >> 4;
		size_t len = (size_t)(p[at] & 15) + 1;

		at++;
		if (id == 0 && len == 1)
			continue;
		if (id == 15 || len > end - at)
			return;
		note_ext(out, map, id, at, len);
		at += len;
	}
}

static void parse_two_byte(struct rtp_packet *out, const struct rtp_extmap *map, size_t at,
			   size_t end)
{
	const uint8_t *p = out->data;

	while (at < end) {
		uint8_t id = p[at++];

		if (id == 0)
			continue;
		if (at == end || p[at] > end - at - 1)
			return;
		note_ext(out, map, id, at + 1, p[at]);
		at += 1u + p[at];
	}
}

int rtp_parse(struct rtp_packet *out, const uint8_t *p, size_t n, const struct rtp_extmap *map)
{
	if (n < RTP_HEADER || n > RTP_PACKET_MAX || p[0] >> 6 != 2)
		return -EBADMSG;

	size_t at = RTP_HEADER + 4u * (p[0] & 15);
	size_t ext = 0, ext_end = 0;
	if (p[0] & 0x10) {
		if (n < at + 4)
			return -EBADMSG;
		ext = at;
		at += 4 + 4u * get_be16(p + at + 2);
		ext_end = at;
	}
	if (n < at)
		return -EBADMSG;
	uint8_t padding = 0;
	if (p[0] & 0x20) {
		padding = p[n - 1];
		if (padding == 0 || padding > n - at)
			return -EBADMSG;
	}

	*out = (struct rtp_packet){
	    .data = p,
	    .len = (uint16_t)n,
	    .payload_off = (uint16_t)at,
	    .payload_len = (uint16_t)(n - at - padding),
	    .padding = padding,
	    .pt = p[1] & 0x7f,
	    .marker = p[1] & 0x80,
	    .seq = get_be16(p + 2),
	    .ts = get_be32(p + 4),
	    .ssrc = get_be32(p + 8),
	};
	if (ext && map) {
		uint16_t profile = get_be16(p + ext);
		if (profile == PROFILE_ONE_BYTE)
			parse_one_byte(out, map, ext + 4, ext_end);
		else if ((profile & 0xfff0) == PROFILE_TWO_BYTE)
			parse_two_byte(out, map, ext + 4, ext_end);
	}
	return 0;
}

/* ---- reading extensions ---- */

bool rtp_audio_level(const struct rtp_packet *p, uint8_t *level, bool *voice)
{
	const struct rtp_ext *e = &p->ext[RTP_EXT_AUDIO_LEVEL];

	if (!e->off)
		return false;
	*level = p->data[e->off] & 0x7f;
	*voice = p->data[e->off] & 0x80;
	return true;
}

bool rtp_twcc_seq(const struct rtp_packet *p, uint16_t *seq)
{
	const struct rtp_ext *e = &p->ext[RTP_EXT_TWCC];

	if (e->len < 2)
		return false;
	*seq = get_be16(p->data + e->off);
	return true;
}

bool rtp_ext_text(const struct rtp_packet *p, enum rtp_ext_kind kind, char *out, size_t size)
{
	const struct rtp_ext *e = &p->ext[kind];

	if (!e->off || e->len >= size || memchr(p->data + e->off, 0, e->len))
		return false;
	memcpy(out, p->data + e->off, e->len);
	out[e->len] = 0;
	return true;
}

/* ---- writing ---- */

static bool needs_two_byte(const struct rtp_ext_item *items, size_t n, size_t *bytes)
{
	bool two = false;

	*bytes = 0;
	for (size_t i = 0; i < n; i++) {
		if (!items[i].id)
			continue;
		two |= items[i].id > RTP_EXT_ONE_MAX || items[i].len == 0 || items[i].len > 16;
		*bytes += 1u + items[i].len;
	}
	if (two)
		for (size_t i = 0; i < n; i++)
			*bytes += items[i].id != 0;
	return two;
}

int rtp_header_write(uint8_t *out, size_t cap, const struct rtp_header *h,
		     struct rtp_ext_item *items, size_t n_items)
{
	size_t bytes;
	bool two = needs_two_byte(items, n_items, &bytes);
	size_t words = (bytes + 3) / 4;
	size_t len = RTP_HEADER + (bytes ? 4 + words * 4 : 0);

	if (len > cap)
		return -ENOBUFS;
	out[0] = (uint8_t)(0x80 | (bytes ? 0x10 : 0));
	out[1] = (uint8_t)((h->marker ? 0x80 : 0) | (h->pt & 0x7f));
	rtp_set_seq(out, h->seq);
	rtp_set_ts(out, h->ts);
	rtp_set_ssrc(out, h->ssrc);

	size_t at = RTP_HEADER;
	if (bytes) {
		put_be16(out + at, two ? PROFILE_TWO_BYTE : PROFILE_ONE_BYTE);
		put_be16(out + at + 2, (uint16_t)words);
		at += 4;
	}
	for (size_t i = 0; i < n_items; i++) {
		struct rtp_ext_item *e = &items[i];
		e->off = 0;
		if (!e->id)
			continue;
		if (two) {
			out[at++] = e->id;
			out[at++] = e->len;
		} else {
			out[at++] = (uint8_t)(e->id << 4 | (e->len - 1));
		}
		e->off = (uint16_t)at;
		if (e->value)
			memcpy(out + at, e->value, e->len);
		else
			memset(out + at, 0, e->len);
		at += e->len;
	}
	memset(out + at, 0, len - at);
	return (int)len;
}
