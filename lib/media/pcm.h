/* WAV headers for raw PCM, through libsndfile. The samples themselves are written by the caller. */
#ifndef MSR_MEDIA_PCM_H
#define MSR_MEDIA_PCM_H

#include <stdint.h>

#define PCM_HEADER_MAX	 128 /* bytes */
#define PCM_RATE_MAX	 768000
#define PCM_CHANNELS_MAX 32

/*
 * Writes the header of a WAV file with `data_bytes` of samples in `codec` (CODEC_U8, CODEC_S16LE
 * ...); beyond 4 GiB it is RF64 (EBU Tech 3306). Its length does not depend on `data_bytes`, so a
 * growing file keeps valid when only the header is written again. Returns the length, or -EINVAL
 * for a codec, rate or number of channels that cannot be.
 */
int pcm_header(uint8_t out[static PCM_HEADER_MAX], int codec, uint32_t rate, unsigned channels,
	       uint64_t data_bytes);

#endif
