/* A ceiling for publishers: see remb.h. */
#include "remb.h"

#define LOSS_HIGH 26 /* of 256: 10 % */
#define LOSS_LOW  5  /* 2 % */

static uint64_t clamp(uint64_t bps)
{
	return bps < REMB_MIN ? REMB_MIN : bps > REMB_MAX ? REMB_MAX : bps;
}

void remb_rx_packet(struct remb_rx *b, unsigned bytes)
{
	b->bytes += bytes;
}

uint64_t remb_rx_step(struct remb_rx *b, uint8_t fraction_lost, int64_t now_us)
{
	int64_t since_us = now_us - b->step_us;

	if (!b->bps || since_us <= 0) {
		b->bps = REMB_START;
	} else if (fraction_lost > LOSS_HIGH) {
		b->bps = clamp(b->bps * (512u - fraction_lost) / 512);
	} else if (fraction_lost < LOSS_LOW) {
		uint64_t rate = b->bytes * 8 * 1000000 / (uint64_t)since_us;
		/* Nobody needs a ceiling far above what is sent. */
		if (b->bps < rate * 2 + REMB_START)
			b->bps = clamp(b->bps + b->bps * 8 / 100);
	}
	b->bytes = 0;
	b->step_us = now_us;
	return b->bps;
}
