/*
 * Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
 *
 * Receiving: note when each numbered packet came in and write feedback about them to the sender.
 * Sending: walk a receiver's feedback, one call a packet.
 *
 *	RTP from a publisher ── twcc_rx_packet ──> arrival ring ── twcc_rx_write ──> RTCP to it
 *	RTCP from a subscriber ── twcc_read ──> per packet: number, arrival (or lost) ──> bwe
 */
#ifndef MSR_RTP_TWCC_H
#define MSR_RTP_TWCC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "rtp/rtcp.h"
#include "rtp/unwrap.h"

#define TWCC_RX_PACKETS 1024  /* arrivals kept; when more wait, the oldest are not reported */
#define TWCC_TICK_US	250   /* unit of arrival deltas */
#define TWCC_REF_US	64000 /* unit of reference times */

/* ---- receiver side ---- */

/* Zeroed is ready. */
struct twcc_rx {
	struct rtp_unwrap unwrap;
	int64_t first;	  /* the first number of all */
	int64_t next;	  /* first number that has not been reported */
	int64_t highest;  /* one behind the highest number seen */
	uint8_t fb_count; /* number of the next feedback packet */
	uint64_t dropped; /* arrivals that fell out of the ring unreported, or came too late */
	int64_t arrival_us[TWCC_RX_PACKETS]; /* by number; 0: not there */
};

/* Notes a packet that arrived at `now_us` (any clock that only goes forward, > 0). */
void twcc_rx_packet(struct twcc_rx *t, uint16_t seq, int64_t now_us);

/* Whether something waits to be reported. */
static inline bool twcc_rx_pending(const struct twcc_rx *t)
{
	return t->unwrap.started && t->next < t->highest;
}

/*
 * Writes one feedback packet about what has come since the last one; as much as fits. 0 when one
 * was written (call again while twcc_rx_pending), -ENOENT when nothing waits, -ENOBUFS
 * with less than 150 bytes of room.
 */
int twcc_rx_write(struct twcc_rx *t, struct rtcp_writer *w, uint32_t ssrc, uint32_t media);

/* ---- sender side ---- */

/* A place in a feedback message. */
struct twcc_reader {
	const uint8_t *chunk, *delta, *end;
	uint16_t seq, left; /* next number, statuses still to come */
	uint16_t symbols;   /* of the present chunk, still to come */
	uint16_t word;	    /* the present chunk */
	int64_t time_us;    /* of the last arrival, in the receiver's clock */
};

struct twcc_status {
	uint16_t seq;
	bool received;
	int64_t arrival_us; /* where received: the receiver's clock, wraps every 12.4 days */
};

/* 0, or -EBADMSG when the message's lengths do not agree; then nothing of it may be used. */
int twcc_read_begin(struct twcc_reader *r, const struct rtcp_msg *m);

#define TWCC_SMALL 1 /* symbol: received, the delta is one byte */
#define TWCC_LARGE 2 /* the same, two bytes with a sign; others say nothing of an arrival */

static inline void twcc_read_chunk(struct twcc_reader *r)
{
	r->word = get_be16(r->chunk);
	r->chunk += 2;
	r->symbols = !(r->word & 0x8000) ? r->word & 0x1fff : r->word & 0x4000 ? 7 : 14;
}

static inline unsigned twcc_read_symbol(struct twcc_reader *r)
{
	if (!r->symbols)
		twcc_read_chunk(r);
	r->symbols--;
	if (!(r->word & 0x8000))
		return r->word >> 13 & 3;
	if (r->word & 0x4000)
		return r->word >> (2 * r->symbols) & 3;
	return r->word >> r->symbols & 1;
}

/*
 * Passes over at most `n` statuses of a run of losses, in one step: a message of few bytes may tell
 * of 65,535 of them. How many; 0 where something else comes next.
 */
unsigned twcc_skip_lost(struct twcc_reader *r, unsigned n);

/* The next status; false behind the last. Here, for it is read of every packet that is sent. */
static inline bool twcc_read(struct twcc_reader *r, struct twcc_status *s)
{
	if (!r->left)
		return false;
	r->left--;
	unsigned symbol = twcc_read_symbol(r);
	s->seq = r->seq++;
	s->received = symbol == TWCC_SMALL || symbol == TWCC_LARGE;
	if (symbol == TWCC_SMALL)
		r->time_us += (int64_t)*r->delta++ * TWCC_TICK_US;
	if (symbol == TWCC_LARGE) {
		r->time_us += (int64_t)(int16_t)get_be16(r->delta) * TWCC_TICK_US;
		r->delta += 2;
	}
	s->arrival_us = r->time_us;
	return true;
}

#endif
