/*
 * How long an MP3 file is, from its first frame: encoders put the number of frames there, and how
 * many samples at both ends are not sound (the Xing header, with LAME's tag after it). Pure.
 */
#ifndef MSR_MEDIA_MP3_H
#define MSR_MEDIA_MP3_H

#include <stddef.h>
#include <stdint.h>

struct mp3_head {
	uint32_t rate; /* Hz */
	uint8_t channels;
	uint64_t samples; /* at `rate`, without what the encoder added */
};

/* 0, or -EBADMSG where the first bytes do not say it. */
int mp3_read_head(struct mp3_head *out, const uint8_t *data, size_t len);

#endif
