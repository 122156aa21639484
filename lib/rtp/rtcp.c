/*
 * RTCP, read and written. All messages begin with
 *
 *	| V 2 | P 1 | count 5 | type 8 | length in words - 1, 16 |
 */
#include "rtcp.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"

#define HEADER	     4		   /* bytes */
#define REPORT	     24		   /* bytes of a report block */
#define NTP_EPOCH_S  2208988800ULL /* seconds from 1900 to 1970 */
#define REMB_ID	     0x52454d42	   /* "REMB" */
#define FEEDBACK_MIN 8		   /* bytes of body: sender and media source */

/* ---- walking ---- */

/* The message at `p`, of which `n` bytes are there: its bytes, or 0. */
static size_t look(const uint8_t *p, size_t n, struct rtcp_msg *m)
{
	if (n < HEADER || p[0] >> 6 != 2)
		return 0;
	size_t len = HEADER + 4u * get_be16(p + 2);
	if (len > n)
		return 0;
	size_t pad = 0;
	if (p[0] & 0x20) {
		pad = p[len - 1];
		/*
		 * Padding only in the last one, in whole words (RFC 3550 section 6.4.1). But
		 * browsers fill up the deltas of transport-wide feedback with one to three bytes of
		 * it.
		 */
		bool odd = p[1] == RTCP_RTPFB && (p[0] & 31) == RTCP_TWCC;
		if (pad == 0 || pad > len - HEADER || (!odd && (len != n || pad % 4)))
			return 0;
	}
	*m = (struct rtcp_msg){p[1], p[0] & 31, p + HEADER, len - HEADER - pad};
	return len;
}

int rtcp_check(const uint8_t *p, size_t n)
{
	struct rtcp_msg m;

	if (n < 8) /* a header and a source */
		return -EBADMSG;
	while (n) {
		size_t len = look(p, n, &m);
		if (!len || m.type < 192 || m.type > 223)
			return -EBADMSG;
		p += len;
		n -= len;
	}
	return 0;
}

struct rtcp_iter rtcp_begin(const uint8_t *p, size_t n)
{
	return (struct rtcp_iter){p, p + n};
}

bool rtcp_next(struct rtcp_iter *it, struct rtcp_msg *m)
{
	size_t len = look(it->p, (size_t)(it->end - it->p), m);

	it->p += len;
	return len != 0;
}

/* ---- reports ---- */

int rtcp_get_sr(const struct rtcp_msg *m, struct rtcp_sr *sr)
{
	if (m->type != RTCP_SR || m->len < 24 + (size_t)m->count * REPORT)
		return -EBADMSG;
	*sr = (struct rtcp_sr){
	    .ssrc = get_be32(m->body),
	    .ntp = get_be64(m->body + 4),
	    .ts = get_be32(m->body + 12),
	    .packets = get_be32(m->body + 16),
	    .bytes = get_be32(m->body + 20),
	};
	return 0;
}

int rtcp_get_report(const struct rtcp_msg *m, unsigned i, struct rtcp_report *r)
{
	size_t at = m->type == RTCP_SR ? 24 : 4;

	if ((m->type != RTCP_SR && m->type != RTCP_RR) || i >= m->count)
		return -ENOENT;
	at += (size_t)i * REPORT;
	if (m->len < at + REPORT)
		return -ENOENT;
	const uint8_t *p = m->body + at;
	*r = (struct rtcp_report){
	    .ssrc = get_be32(p),
	    .fraction_lost = p[4],
	    .lost = (int32_t)(get_be24(p + 5) << 8) >> 8,
	    .highest = get_be32(p + 8),
	    .jitter = get_be32(p + 12),
	    .lsr = get_be32(p + 16),
	    .dlsr = get_be32(p + 20),
	};
	return 0;
}

int64_t rtcp_ntp_us(uint64_t ntp)
{
	/* Half a unit is added, so that a time there and back is the same time. */
	uint64_t us = ((ntp & 0xffffffff) * 1000000 + (1u << 31)) >> 32;

	return (int64_t)(((ntp >> 32) - NTP_EPOCH_S) * 1000000 + us);
}

/* ---- feedback ---- */

static bool is_feedback(const struct rtcp_msg *m, uint8_t type, uint8_t format)
{
	return m->type == type && m->count == format && m->len >= FEEDBACK_MIN;
}

int rtcp_get_media(const struct rtcp_msg *m, uint32_t *media)
{
	if ((m->type != RTCP_RTPFB && m->type != RTCP_PSFB) || m->len < FEEDBACK_MIN)
		return -EBADMSG;
	*media = get_be32(m->body + 4);
	return 0;
}

int rtcp_get_nack(const struct rtcp_msg *m, unsigned i, uint16_t *pid, uint16_t *blp)
{
	if (!is_feedback(m, RTCP_RTPFB, RTCP_NACK) || (m->len - FEEDBACK_MIN) / 4 <= i)
		return -ENOENT;
	*pid = get_be16(m->body + FEEDBACK_MIN + 4 * (size_t)i);
	*blp = get_be16(m->body + FEEDBACK_MIN + 4 * (size_t)i + 2);
	return 0;
}

int rtcp_get_fir(const struct rtcp_msg *m, unsigned i, uint32_t *ssrc, uint8_t *seq)
{
	if (!is_feedback(m, RTCP_PSFB, RTCP_FIR) || (m->len - FEEDBACK_MIN) / 8 <= i)
		return -ENOENT;
	*ssrc = get_be32(m->body + FEEDBACK_MIN + 8 * (size_t)i);
	*seq = m->body[FEEDBACK_MIN + 8 * (size_t)i + 4];
	return 0;
}

/* | "REMB" | n SSRC 8 | exponent 6 | mantissa 18 | SSRC ... */
int rtcp_get_remb(const struct rtcp_msg *m, struct rtcp_remb *r)
{
	const uint8_t *p = m->body + FEEDBACK_MIN;

	if (!is_feedback(m, RTCP_PSFB, RTCP_AFB) || m->len < 12 || get_be32(p) != REMB_ID)
		return -ENOENT;
	if (m->len < 16 || m->len < 16 + 4u * p[4])
		return -EBADMSG;
	uint32_t mantissa = get_be24(p + 5) & 0x3ffff;
	unsigned exponent = p[5] >> 2;
	if (exponent > 45) /* more than 63 bits: no rate of this world */
		return -EBADMSG;
	r->bps = (uint64_t)mantissa << exponent;
	r->n_ssrc = p[4] < RTCP_REMB_SSRCS ? p[4] : RTCP_REMB_SSRCS;
	for (unsigned i = 0; i < r->n_ssrc; i++)
		r->ssrc[i] = get_be32(p + 8 + 4 * i);
	return 0;
}

/* ---- writing ---- */

/* Begins a message with `len` bytes of body, a multiple of 4; NULL when it does not fit. */
static uint8_t *begin(struct rtcp_writer *w, uint8_t type, unsigned count, size_t len)
{
	if (w->cap - w->len < HEADER + len)
		return NULL;
	uint8_t *p = w->p + w->len;
	p[0] = (uint8_t)(0x80 | count);
	p[1] = type;
	put_be16(p + 2, (uint16_t)(len / 4));
	w->len += HEADER + len;
	return p + HEADER;
}

static uint8_t *begin_feedback(struct rtcp_writer *w, uint8_t type, unsigned format, size_t len,
			       uint32_t ssrc, uint32_t media)
{
	uint8_t *p = begin(w, type, format, FEEDBACK_MIN + len);

	if (p) {
		put_be32(p, ssrc);
		put_be32(p + 4, media);
		p += FEEDBACK_MIN;
	}
	return p;
}

static void put_reports(uint8_t *p, const struct rtcp_report *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++, r++, p += REPORT) {
		int32_t lost = r->lost;
		if (lost > 0x7fffff)
			lost = 0x7fffff;
		if (lost < -0x800000)
			lost = -0x800000;
		put_be32(p, r->ssrc);
		p[4] = r->fraction_lost;
		put_be24(p + 5, (uint32_t)lost & 0xffffff);
		put_be32(p + 8, r->highest);
		put_be32(p + 12, r->jitter);
		put_be32(p + 16, r->lsr);
		put_be32(p + 20, r->dlsr);
	}
}

int rtcp_put_sr(struct rtcp_writer *w, const struct rtcp_sr *sr, const struct rtcp_report *r,
		unsigned n)
{
	if (n > RTCP_REPORTS_MAX)
		return -EINVAL;
	uint8_t *p = begin(w, RTCP_SR, n, 24 + (size_t)n * REPORT);
	if (!p)
		return -ENOBUFS;
	put_be32(p, sr->ssrc);
	put_be64(p + 4, sr->ntp);
	put_be32(p + 12, sr->ts);
	put_be32(p + 16, sr->packets);
	put_be32(p + 20, sr->bytes);
	put_reports(p + 24, r, n);
	return 0;
}

int rtcp_put_rr(struct rtcp_writer *w, uint32_t ssrc, const struct rtcp_report *r, unsigned n)
{
	if (n > RTCP_REPORTS_MAX)
		return -EINVAL;
	uint8_t *p = begin(w, RTCP_RR, n, 4 + (size_t)n * REPORT);
	if (!p)
		return -ENOBUFS;
	put_be32(p, ssrc);
	put_reports(p + 4, r, n);
	return 0;
}

int rtcp_put_sdes(struct rtcp_writer *w, uint32_t ssrc, const char *cname)
{
	size_t n = strlen(cname);

	if (n > RTCP_CNAME_MAX)
		return -EINVAL;
	size_t len = (4 + 2 + n + 1 + 3) & ~(size_t)3; /* source, item, text, at least one zero */
	uint8_t *p = begin(w, RTCP_SDES, 1, len);
	if (!p)
		return -ENOBUFS;
	memset(p, 0, len);
	put_be32(p, ssrc);
	p[4] = 1;
	p[5] = (uint8_t)n;
	memcpy(p + 6, cname, n);
	return 0;
}

/* Collects into one pair all that lies within 16 behind seq[i]; returns how many it took. */
static unsigned nack_pair(const uint16_t *seq, unsigned n, uint16_t *blp)
{
	unsigned i = 1;

	*blp = 0;
	for (; i < n; i++) {
		uint16_t ahead = (uint16_t)(seq[i] - seq[0]);
		if (ahead == 0 || ahead > 16)
			break;
		*blp |= (uint16_t)(1u << (ahead - 1));
	}
	return i;
}

int rtcp_put_nack(struct rtcp_writer *w, uint32_t ssrc, uint32_t media, const uint16_t *seq,
		  unsigned n)
{
	unsigned pairs = 0;
	uint16_t blp;

	for (unsigned i = 0; i < n; pairs++)
		i += nack_pair(seq + i, n - i, &blp);
	uint8_t *p = begin_feedback(w, RTCP_RTPFB, RTCP_NACK, 4 * (size_t)pairs, ssrc, media);
	if (!p)
		return -ENOBUFS;
	for (unsigned i = 0; i < n; p += 4) {
		put_be16(p, seq[i]);
		i += nack_pair(seq + i, n - i, &blp);
		put_be16(p + 2, blp);
	}
	return 0;
}

int rtcp_put_pli(struct rtcp_writer *w, uint32_t ssrc, uint32_t media)
{
	return begin_feedback(w, RTCP_PSFB, RTCP_PLI, 0, ssrc, media) ? 0 : -ENOBUFS;
}

int rtcp_put_fir(struct rtcp_writer *w, uint32_t ssrc, uint32_t media, uint8_t seq)
{
	/* RFC 5104 section 4.3.1.1: the media source is 0, the entry names it. */
	uint8_t *p = begin_feedback(w, RTCP_PSFB, RTCP_FIR, 8, ssrc, 0);

	if (!p)
		return -ENOBUFS;
	put_be32(p, media);
	put_be32(p + 4, (uint32_t)seq << 24);
	return 0;
}

int rtcp_put_remb(struct rtcp_writer *w, uint32_t ssrc, const struct rtcp_remb *r)
{
	unsigned exponent = 0;
	uint64_t mantissa = r->bps;

	if (r->n_ssrc > RTCP_REMB_SSRCS)
		return -EINVAL;
	uint8_t *p = begin_feedback(w, RTCP_PSFB, RTCP_AFB, 8 + 4 * (size_t)r->n_ssrc, ssrc, 0);
	if (!p)
		return -ENOBUFS;
	for (; mantissa > 0x3ffff; exponent++)
		mantissa >>= 1;
	put_be32(p, REMB_ID);
	put_be32(p + 4, r->n_ssrc << 24 | exponent << 18 | (uint32_t)mantissa);
	for (unsigned i = 0; i < r->n_ssrc; i++)
		put_be32(p + 8 + 4 * (size_t)i, r->ssrc[i]);
	return 0;
}
