/*
 * What differs from receiver to receiver: numbers, timestamps and the header in front of a payload.
 * Pure: no I/O, no clock.
 *
 * Numbers. A receiver's sequence numbers follow its stream's at a distance that changes where
 * packets are left out, so that there is no hole, and where the stream changes. The last changes
 * are remembered, each with its stream, so that a late packet gets the number that was kept for
 * it, and so that a NACK finds the packet that it means.
 *
 *	source:   10 11 12(padding) 13 14      rewrite_skip(12)
 *	receiver: 70 71             72 73      distance 60, from 13 on 59
 *	layer 0:  10 11 12 | layer 1: 90 91    rewrite_begin(layer 1, 90)
 *	receiver: 70 71 72 |          73 74    distance 60, from layer 1's 90 on -17
 */
#ifndef MSR_SFU_FWD_REWRITE_H
#define MSR_SFU_FWD_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rtp/packet.h"

#define REWRITE_CUTS	   16  /* changes remembered */
#define REWRITE_HEADER_MAX 340 /* bytes that we write, with long dependency descriptors */
#define REWRITE_PLAIN_MAX  48  /* bytes without: a mid, our values and an audio level */

/* How the numbers of a stream are moved, from one of them on. */
struct rewrite_cut {
	int64_t from; /* first source number */
	int64_t distance;
	uint32_t ts_distance;
	uint16_t picture; /* VP8: distances of PictureID and TL0PICIDX (RFC 7741), modulo theirs */
	uint8_t tl0;
	uint8_t stream; /* of the track */
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
 * Begins at source number `cut.from` of `cut.stream`: the receiver's next number belongs to it;
 * cut.distance is filled in. For the start of all things `first` is the receiver's first number, 1
 * to 32767; later it continues where it was.
 */
void rewrite_begin(struct rewrite *w, struct rewrite_cut cut, uint16_t first);
/* The receiver's next number that no packet has or may still get, once rewrite_begin was called. */
int64_t rewrite_next(const struct rewrite *w);
/*
 * The receiver's number of packet `seq` of a stream, and how the rest of it is moved; counts it as
 * sent. NULL for packets from before what is remembered, and for those of a stream that had been
 * left when they came. Lent until the next change.
 */
const struct rewrite_cut *rewrite_map(struct rewrite *w, uint8_t stream, int64_t seq, int64_t *out);
/*
 * Leaves out packet `seq` of the present stream. False when that is too late: something behind it
 * has gone out, so it must be sent like any other.
 */
bool rewrite_skip(struct rewrite *w, int64_t seq);
/* Which packet a receiver means by its 16-bit number; NULL when it is not known any more. */
const struct rewrite_cut *rewrite_source(const struct rewrite *w, uint16_t number, int64_t *seq,
					 int64_t *out);

/* ---- headers ---- */

/* What a receiver's headers have in common. */
struct rewrite_shape {
	uint32_t ssrc;
	uint8_t pt;
	struct rtp_extmap ext; /* the receiver's ids; 0 for those that it shall not get */
	char mid[RTP_MID_MAX + 1];

	/* made by rewrite_shape_done: the header of a packet without extensions of its own, and of
	 * one that has an audio level, as all sound of browsers does */
	uint8_t plain[REWRITE_PLAIN_MAX], sound[REWRITE_PLAIN_MAX];
	uint8_t plain_len, sound_len;	 /* sound_len 0: there is none */
	uint16_t twcc_off, abs_time_off; /* in both; 0: none */
	uint16_t level_off;		 /* in `sound`; 0: the receiver does not get it */
};

void rewrite_shape_done(struct rewrite_shape *s);

/* Values of the extensions that are new for each receiver. */
struct rewrite_values {
	uint16_t seq;
	uint32_t ts;
	uint16_t twcc;
	int64_t now_us;
};

/* Extensions that travel with a packet. */
enum rewrite_own {
	REWRITE_NONE,
	REWRITE_LEVEL, /* an audio level and nothing else */
	REWRITE_MORE,  /* orientation, dependencies, ... */
};
enum rewrite_own rewrite_own(const struct rtp_packet *p);
/*
 * Writes the header for `p` to `out`, which has room for REWRITE_HEADER_MAX bytes. `own` is what
 * rewrite_own said, once for all receivers. The length.
 */
size_t rewrite_header(const struct rewrite_shape *s, uint8_t *out, const struct rtp_packet *p,
		      enum rewrite_own own, const struct rewrite_values *v);

#endif
