/*
 * RTCP (RFC 3550, 4585, 5104, 5506): strict reading of compound packets and writing of what msr
 * sends.
 *
 *	rtcp_check(p, n)                       whole datagram: versions, lengths, padding
 *	for (it = rtcp_begin(p, n); rtcp_next(&it, &m);)
 *		switch (m.type) { case RTCP_SR: rtcp_get_sr(&m, &sr); ... }
 *
 *	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
 *	rtcp_put_rr(&w, ssrc, reports, n); rtcp_put_pli(&w, ssrc, media); -> w.len
 */
#ifndef MSR_RTP_RTCP_H
#define MSR_RTP_RTCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rtcp_type {
	RTCP_SR = 200,
	RTCP_RR = 201,
	RTCP_SDES = 202,
	RTCP_BYE = 203,
	RTCP_APP = 204,
	RTCP_RTPFB = 205, /* count is the format: enum rtcp_rtpfb */
	RTCP_PSFB = 206,  /* count is the format: enum rtcp_psfb */
	RTCP_XR = 207,
};
enum rtcp_rtpfb { RTCP_NACK = 1, RTCP_TWCC = 15 };
enum rtcp_psfb { RTCP_PLI = 1, RTCP_FIR = 4, RTCP_AFB = 15 };

#define RTCP_REPORTS_MAX 31
#define RTCP_CNAME_MAX	 255
#define RTCP_REMB_SSRCS	 16 /* media sources that we read of a REMB */

/* One packet of a compound; `body` is what follows the four bytes of header, without padding. */
struct rtcp_msg {
	uint8_t type;	     /* enum rtcp_type, or others to be skipped */
	uint8_t count;	     /* reports, sources or format */
	const uint8_t *body; /* lent by the datagram */
	size_t len;	     /* bytes of body */
};

struct rtcp_iter {
	const uint8_t *p, *end;
};

/*
 * 0 when the datagram is a well-formed compound, reduced-size included: every length fits exactly,
 * version 2 throughout, padding only in the last. Otherwise -EBADMSG.
 */
int rtcp_check(const uint8_t *p, size_t n);
struct rtcp_iter rtcp_begin(const uint8_t *p, size_t n);
/* False at the end, also where rtcp_check would have failed. */
bool rtcp_next(struct rtcp_iter *it, struct rtcp_msg *m);

/* ---- reports ---- */

struct rtcp_report {
	uint32_t ssrc;
	uint8_t fraction_lost; /* of 256, since the last report */
	int32_t lost;	       /* packets in all, 24 bits signed */
	uint32_t highest;      /* extended highest sequence number */
	uint32_t jitter;       /* timestamp units */
	uint32_t lsr, dlsr;    /* last SR (middle 32 bits of NTP), delay since, 1/65536 s */
};

struct rtcp_sr {
	uint32_t ssrc;
	uint64_t ntp; /* 32.32 fixed point seconds since 1900 */
	uint32_t ts;  /* the same instant in RTP time */
	uint32_t packets, bytes;
};

/* 0 or -EBADMSG. */
int rtcp_get_sr(const struct rtcp_msg *m, struct rtcp_sr *sr);
/* The i-th report of an SR or RR; -ENOENT behind the last. */
int rtcp_get_report(const struct rtcp_msg *m, unsigned i, struct rtcp_report *r);

/* Wall clock in µs since 1970 of an NTP time; the 32 bits in the middle of one. */
int64_t rtcp_ntp_us(uint64_t ntp);
static inline uint32_t rtcp_ntp_middle(uint64_t ntp)
{
	return (uint32_t)(ntp >> 16);
}

/* ---- feedback ---- */

/* NACK, PLI: the media source; 0 or -EBADMSG. */
int rtcp_get_media(const struct rtcp_msg *m, uint32_t *media);
/* The i-th pair of a NACK: packet `pid` and those of the bits set in `blp` behind it; -ENOENT. */
int rtcp_get_nack(const struct rtcp_msg *m, unsigned i, uint16_t *pid, uint16_t *blp);
/* The i-th entry of a FIR; -ENOENT. */
int rtcp_get_fir(const struct rtcp_msg *m, unsigned i, uint32_t *ssrc, uint8_t *seq);

struct rtcp_remb {
	uint64_t bps;
	unsigned n_ssrc; /* at most RTCP_REMB_SSRCS */
	uint32_t ssrc[RTCP_REMB_SSRCS];
};

/* An AFB that is a REMB; -ENOENT when it is another AFB, -EBADMSG. */
int rtcp_get_remb(const struct rtcp_msg *m, struct rtcp_remb *r);

/* ---- writing: each puts one whole packet, or nothing and returns -ENOBUFS ---- */

struct rtcp_writer {
	uint8_t *p; /* lent */
	size_t cap, len;
};

static inline struct rtcp_writer rtcp_writer(uint8_t *p, size_t cap)
{
	return (struct rtcp_writer){p, cap, 0};
}

int rtcp_put_sr(struct rtcp_writer *w, const struct rtcp_sr *sr, const struct rtcp_report *r,
		unsigned n);
int rtcp_put_rr(struct rtcp_writer *w, uint32_t ssrc, const struct rtcp_report *r, unsigned n);
int rtcp_put_sdes(struct rtcp_writer *w, uint32_t ssrc, const char *cname);
/* `seq` ascending (modulo 2^16); packs them into pairs. */
int rtcp_put_nack(struct rtcp_writer *w, uint32_t ssrc, uint32_t media, const uint16_t *seq,
		  unsigned n);
int rtcp_put_pli(struct rtcp_writer *w, uint32_t ssrc, uint32_t media);
int rtcp_put_fir(struct rtcp_writer *w, uint32_t ssrc, uint32_t media, uint8_t seq);
int rtcp_put_remb(struct rtcp_writer *w, uint32_t ssrc, const struct rtcp_remb *r);

#endif
