/* Opus packets (RFC 6716, RFC 7587): how long they last. */
#ifndef MSR_RTP_CODEC_OPUS_H
#define MSR_RTP_CODEC_OPUS_H

#include <stddef.h>
#include <stdint.h>

#define OPUS_CLOCK	 48000 /* Hz, whatever was coded */
#define OPUS_SAMPLES_MAX 5760  /* 120 ms at OPUS_CLOCK */

/* Samples at OPUS_CLOCK, or -EBADMSG: no packet has none, or more than 120 ms (RFC 6716 section
 * 3.4, R1, R5). The frames are not looked at. */
int opus_samples(const uint8_t *packet, size_t len);

#endif
