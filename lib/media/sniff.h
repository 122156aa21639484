/*
 * What a chunk of media is, by its own first bytes, and how containers are called. Pure: needs
 * nothing but the numbers of msr-frame(5).
 */
#ifndef MSR_MEDIA_SNIFF_H
#define MSR_MEDIA_SNIFF_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The container of a chunk (CODEC_WEBM, CODEC_OGG, CODEC_WAV or CODEC_MP4), or CODEC_NONE when it
 * carries no mark: the middle of a WebM stream looks like anything. Matroska counts as WebM.
 * *begins, if not NULL, tells a stream's first chunk from a later one that happens to start on a
 * page (Ogg) or a fragment (MP4).
 */
int sniff_container(const void *data, size_t n, bool *begins);

/*
 * Whether the container's tracks may include video, as far as the first bytes tell: false for WAV
 * and for Ogg whose first page is an audio codec's, otherwise true.
 */
bool sniff_may_have_video(const void *data, size_t n);

/* Whether `name` ends in an extension that recordings or their side files have (".mp3" ...). */
bool sniff_reserved_name(const char *name, size_t len);

/* Extensions of finished media files, without the dot; NULL ends the list. */
extern const char *const media_extensions[];

#endif
