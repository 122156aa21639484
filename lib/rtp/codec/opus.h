/* Opus packets (RFC 6716, RFC 7587): how long they last, and whether they are silence. */
#ifndef MSR_RTP_CODEC_OPUS_H
#define MSR_RTP_CODEC_OPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPUS_CLOCK	 48000 /* Hz, whatever was coded */
#define OPUS_SAMPLES_MAX 5760  /* 120 ms at OPUS_CLOCK */

/* Samples at OPUS_CLOCK, or -EBADMSG: no packet has none, or more than 120 ms (RFC 6716 section
 * 3.4, R1, R5). The frames are not looked at. */
int opus_samples(const uint8_t *packet, size_t len);
/* 1 or 2: channels coded in this packet. */
static inline unsigned opus_channels(uint8_t toc)
{
	return toc & 4 ? 2 : 1;
}
/* One or two bytes: discontinuous transmission, nothing but a sign of life. */
static inline bool opus_is_dtx(size_t len)
{
	return len <= 2;
}

#endif
