/* What a file is: pictures by their first bytes, sound through libsndfile. */
#ifndef MSR_CHAT_MEDIA_H
#define MSR_CHAT_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MEDIA_HEAD = 64 }; /* bytes that tell what a picture is */

struct picture {
	const char *kind;	/* "png" ..., also the extension */
	uint32_t width, height; /* 0: not known from the first bytes */
};
bool media_picture(const uint8_t *head, size_t n, struct picture *out);

struct sound {
	char kind[64]; /* "wav" ..., also the extension */
	double seconds;
	int rate, channels;
};
/* 0, or -EINVAL when libsndfile cannot read it. */
int media_sound(const char *path, struct sound *out);

#endif
