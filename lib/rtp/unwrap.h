/*
 * Counters of 16 and 32 bits unwrapped to 64: the value nearest to the last one. A jump of more
 * than half the range goes the other way round, as RFC 3550 appendix A.1 has it.
 */
#ifndef MSR_RTP_UNWRAP_H
#define MSR_RTP_UNWRAP_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed is ready. */
struct rtp_unwrap {
	int64_t last;
	bool started;
};

static inline int64_t rtp_unwrap16(struct rtp_unwrap *u, uint16_t v)
{
	if (!u->started) {
		u->started = true;
		u->last = v;
	} else {
		u->last += (int16_t)(uint16_t)(v - (uint16_t)u->last);
	}
	return u->last;
}

static inline int64_t rtp_unwrap32(struct rtp_unwrap *u, uint32_t v)
{
	if (!u->started) {
		u->started = true;
		u->last = v;
	} else {
		u->last += (int32_t)(v - (uint32_t)u->last);
	}
	return u->last;
}

#endif
