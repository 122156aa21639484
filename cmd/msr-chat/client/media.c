/* Magic numbers and libsndfile. */
#include "media.h"

#include <errno.h>
#include <sndfile.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

static bool begins(const uint8_t *p, size_t n, const char *magic, size_t len)
{
	return n >= len && !memcmp(p, magic, len);
}

bool media_picture(const uint8_t *p, size_t n, struct picture *out)
{
	*out = (struct picture){0};
	if (begins(p, n, "\x89PNG\r\n\x1a\n", 8)) {
		out->kind = "png";
		if (n >= 24) {
			out->width = get_be32(p + 16);
			out->height = get_be32(p + 20);
		}
	} else if (begins(p, n, "GIF8", 4)) {
		out->kind = "gif";
		if (n >= 10) {
			out->width = get_le16(p + 6);
			out->height = get_le16(p + 8);
		}
	} else if (begins(p, n, "\xff\xd8\xff", 3)) {
		out->kind = "jpg";
	} else if (begins(p, n, "BM", 2) && n >= 26) {
		out->kind = "bmp";
		out->width = get_le32(p + 18);
		out->height = get_le32(p + 22);
	} else if (begins(p, n, "RIFF", 4) && n >= 12 && !memcmp(p + 8, "WEBP", 4)) {
		out->kind = "webp";
	} else if (begins(p, n, "<svg", 4) || begins(p, n, "<?xml", 5)) {
		out->kind = "svg";
	}
	return out->kind != NULL;
}

int media_sound(const char *path, struct sound *out)
{
	SF_INFO info = {0};
	SNDFILE *f = sf_open(path, SFM_READ, &info);

	if (!f)
		return -EINVAL;
	SF_FORMAT_INFO format = {0};
	format.format = info.format & SF_FORMAT_TYPEMASK;
	sf_command(NULL, SFC_GET_FORMAT_INFO, &format, sizeof(format));
	snprintf(out->kind, sizeof(out->kind), "%s", format.extension ? format.extension : "snd");
	out->rate = info.samplerate;
	out->channels = info.channels;
	out->seconds = info.samplerate > 0 ? (double)info.frames / info.samplerate : 0;
	sf_close(f);
	return 0;
}
