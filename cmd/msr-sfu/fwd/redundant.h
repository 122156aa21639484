/*
 * Redundant sound (rtp/red.h) at the edges of the forwarder. Inside a track's packets are plain,
 * whoever sends and receives them: in the history, in recordings, in numbers.
 *
 *	packet that comes ── redundant_older, redundant_own ──> what it repeats, itself
 *	packet that leaves ── redundant_wrap ──> behind the one before it
 */
#ifndef MSR_SFU_FWD_REDUNDANT_H
#define MSR_SFU_FWD_REDUNDANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rtp/nack.h"
#include "rtp/packet.h"
#include "rtp/red.h"

#define REDUNDANT_MAX 1100 /* bytes of a payload that is wrapped: it stays one datagram */

/* The blocks of a packet, all of the payload type `pt`: how many, or -EBADMSG. */
int redundant_blocks(struct red_block block[static RED_BLOCKS], const struct rtp_packet *p,
		     uint8_t pt);
/*
 * Makes the packet that came `behind` numbers before *p, of its block, in `out`. Its extensions are
 * those of *p.
 */
bool redundant_older(struct rtp_packet *older, uint8_t out[static RTP_PACKET_MAX],
		     const struct rtp_packet *p, const struct red_block *block, uint16_t behind,
		     const struct rtp_extmap *map);
/* Makes *p its own block alone, in place: its header, at `bytes`, moves behind the older ones. */
bool redundant_own(struct rtp_packet *p, uint8_t *bytes, const struct red_block *own,
		   const struct rtp_extmap *map);

/*
 * The payload of *p, whose number is `seq`, behind that of the packet before it, both as type `pt`.
 * Returns its bytes; 0 where that one is not kept or they do not fit.
 */
size_t redundant_wrap(uint8_t out[static RTP_PACKET_MAX], const struct rtp_packet *p,
		      const struct rtp_history *history, int64_t seq, uint8_t pt);

#endif
