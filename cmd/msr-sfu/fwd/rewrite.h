/*
 * What differs from receiver to receiver: numbers, timestamps and the header in front of a payload.
 * Pure: no I/O, no clock.
 *
 * Numbers. A receiver's sequence numbers follow its stream's at a distance that changes where
 * packets are left out, so that there is no hole, and where the stream changes. The last changes
 * are remembered, so that a late packet gets the number that was kept for it, and so that a NACK
 * finds the packet that it means.
 *
 *	source:   10 11 12(padding) 13 14      rewrite_skip(12)
 *	receiver: 70 71             72 73      distance 60, from 13 on 59
 */
#ifndef MSR_SFU_FWD_REWRITE_H
#define MSR_SFU_FWD_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rtp/packet.h"

#define REWRITE_CUTS 16 /* changes remembered */
#define REWRITE_HEADER_MAX \
	340 /* bytes of a header that we write, with long dependency descriptors */

struct rewrite_cut {
	int64_t from; /* first source number */
	int64_t distance;
	uint32_t ts_distance;
};

/* Zeroed is ready. */
struct rewrite {
	struct rewrite_cut cut[REWRITE_CUTS]; /* the latest first */
	unsigned n_cuts;
	int64_t highest; /* the receiver's highest number, 64 bits; 0 before the first */
	int64_t highest_source;
	uint32_t last_ts; /* of the highest, as the receiver has it */
	bool started;
};

/*
 * Begins at source number `seq`: the receiver's next number belongs to it, and its timestamps are
 * moved by `ts_distance`. For the start of all things `first` is the receiver's first number,
 * 1 to 32767; later it goes on where it was.
 */
void rewrite_begin(struct rewrite *w, int64_t seq, uint32_t ts_distance, uint16_t first);
/*
 * The receiver's number of source packet `seq` and its timestamp distance; counts it as sent.
 * False for packets from before what is remembered.
 */
bool rewrite_map(struct rewrite *w, int64_t seq, int64_t *out, uint32_t *ts_distance);
/*
 * Leaves out source packet `seq`. False when that is too late: something behind it has gone out,
 * so it must be sent like any other.
 */
bool rewrite_skip(struct rewrite *w, int64_t seq);
/* Which source packet a receiver means by its 16-bit number; false when it is not known any more.
 */
bool rewrite_source(const struct rewrite *w, uint16_t number, int64_t *seq, int64_t *out,
		    uint32_t *ts_distance);

/* ---- headers ---- */

/* What a receiver's headers have in common. */
struct rewrite_shape {
	uint32_t ssrc;
	uint8_t pt;
	struct rtp_extmap ext; /* the receiver's ids; 0 for those that it shall not get */
	char mid[RTP_MID_MAX + 1];

	/* made by rewrite_shape_done: the header of a packet without extensions of its own */
	uint8_t plain[REWRITE_HEADER_MAX];
	uint16_t plain_len;
	uint16_t twcc_off, abs_time_off; /* in it; 0: none */
};

void rewrite_shape_done(struct rewrite_shape *s);

/* Values of the extensions that are new for each receiver. */
struct rewrite_values {
	uint16_t seq;
	uint32_t ts;
	uint16_t twcc;
	int64_t now_us;
};

/* Whether a packet has extensions that travel with it (audio level, orientation, ...). */
bool rewrite_has_own(const struct rtp_packet *p);
/*
 * Writes the header for `p` to `out`, which has room for REWRITE_HEADER_MAX bytes. `own` is what
 * rewrite_has_own said, once for all receivers. The length.
 */
size_t rewrite_header(const struct rewrite_shape *s, uint8_t *out, const struct rtp_packet *p,
		      bool own, const struct rewrite_values *v);

#endif
