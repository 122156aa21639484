/*
 * How much a publisher may send, for those that do not do transport-wide congestion control: a
 * ceiling well above what comes, lowered on loss (the loss-based half of draft-ietf-rmcat-gcc-02),
 * told to them as REMB. Pure.
 */
#ifndef MSR_SFU_FWD_BWE_H
#define MSR_SFU_FWD_BWE_H

#include <stdint.h>

#define BWE_MIN	  300000   /* bit/s */
#define BWE_START 2500000  /* bit/s */
#define BWE_MAX	  20000000 /* bit/s */

/* Zeroed is ready. */
struct bwe_rx {
	uint64_t bytes;	 /* since the last step */
	int64_t step_us; /* when that was */
	uint64_t bps;	 /* the ceiling; 0 before the first step */
};

void bwe_rx_packet(struct bwe_rx *b, unsigned bytes);
/* Once a second or so, with the loss since then in 1/256. Returns the ceiling. */
uint64_t bwe_rx_step(struct bwe_rx *b, uint8_t fraction_lost, int64_t now_us);

#endif
