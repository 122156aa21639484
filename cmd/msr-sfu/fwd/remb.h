/*
 * How much a publisher may send, for those that do not do transport-wide congestion control: a
 * ceiling well above what comes, lowered on loss (the loss-based half of draft-ietf-rmcat-gcc-02),
 * told to them as REMB. Pure.
 */
#ifndef MSR_SFU_FWD_REMB_H
#define MSR_SFU_FWD_REMB_H

#include <stdint.h>

#define REMB_MIN   300000   /* bit/s */
#define REMB_START 2500000  /* bit/s */
#define REMB_MAX   20000000 /* bit/s */

/* Zeroed is ready. */
struct remb_rx {
	uint64_t bytes;	 /* since the last step */
	int64_t step_us; /* when that was */
	uint64_t bps;	 /* the ceiling; 0 before the first step */
};

void remb_rx_packet(struct remb_rx *b, unsigned bytes);
/* Once a second or so, with the loss since then in 1/256. Returns the ceiling. */
uint64_t remb_rx_step(struct remb_rx *b, uint8_t fraction_lost, int64_t now_us);

#endif
