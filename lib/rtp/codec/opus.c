/* The TOC byte: | configuration 5 | stereo 1 | frame count code 2 |, RFC 6716 section 3.1. */
#include "rtp/codec/opus.h"

#include <errno.h>

/* Samples of a frame at 48 kHz for each configuration: SILK, hybrid, CELT. */
static const uint16_t frame_samples[32] = {
    480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 1920, 2880, 480, 960, 480, 960,
    120, 240, 480,  960,  120, 240, 480,  960,	120, 240, 480,	960,  120, 240, 480, 960,
};

int opus_samples(const uint8_t *packet, size_t len)
{
	if (!len)
		return -EBADMSG;
	unsigned frames = 1;
	switch (packet[0] & 3) {
	case 0:
		break;
	case 1:
	case 2:
		frames = 2;
		break;
	default:
		if (len < 2)
			return -EBADMSG;
		frames = packet[1] & 63;
	}
	unsigned samples = frames * frame_samples[packet[0] >> 3];
	return frames && samples <= OPUS_SAMPLES_MAX ? (int)samples : -EBADMSG;
}
