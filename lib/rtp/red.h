/*
 * Redundant audio, RFC 2198: each packet carries its own sound and that of the packet before it
 * once more, so that one that gets lost comes with the next.
 *
 *	block headers, older ones first ── own header ── older blocks ── own block
 *
 *	payload ── red_read ──> its blocks
 *	red_head ──> headers, behind which go the block before and the own one
 */
#ifndef MSR_RTP_RED_H
#define MSR_RTP_RED_H

#include <stddef.h>
#include <stdint.h>

#define RED_BLOCKS     8      /* a packet with more is refused */
#define RED_HEAD       5      /* bytes of the headers of two blocks */
#define RED_BEFORE_MAX 0x3fff /* by which a block may be older: 14 bits */
#define RED_LEN_MAX    0x3ff  /* bytes of an older block: 10 bits */

struct red_block {
	uint8_t pt;
	uint16_t before;   /* by how much its time is earlier, in units of the clock */
	uint16_t off, len; /* where it stands in the payload; it may be empty */
};

/*
 * The blocks of a payload, the packet's own as the last. Returns how many, or -EBADMSG when it is
 * not a whole one.
 */
int red_read(struct red_block block[static RED_BLOCKS], const uint8_t *payload, size_t n);

/*
 * The headers of a payload of two blocks of type `pt`: one of `len` bytes, older by `before`, and
 * the packet's own. Both must be in their limits.
 */
void red_head(uint8_t out[static RED_HEAD], uint8_t pt, uint32_t before, size_t len);

#endif
