/* Containers by their magic: EBML (RFC 8794), Ogg (RFC 3533), RIFF, ISO base media files. */
#include "sniff.h"

#include <string.h>
#include <strings.h>

#include "frame/frame.h"

#define OGG_FLAGS      5  /* place of a page's header type */
#define OGG_FIRST_PAGE 2  /* flag: beginning of a stream */
#define OGG_SEGMENTS   26 /* place of the number of segments */

const char *const media_extensions[] = {"mp3", "opus", "flac", "wav", "m4a",
					"ogg", "webm", "mkv",  "mp4", NULL};

/* Of the files beside the media. */
static const char *const side_extensions[] = {"json", "jpg", "png", "task", NULL};

static bool has(const uint8_t *p, size_t n, size_t at, const char *magic, size_t len)
{
	return n >= at + len && memcmp(p + at, magic, len) == 0;
}

static int sniff_mp4(const uint8_t *p, size_t n, bool *begins)
{
	/* Boxes that a file or a fragment starts with. */
	static const char boxes[][5] = {"styp", "moof", "sidx", "emsg", "prft", "moov"};

	*begins = has(p, n, 4, "ftyp", 4);
	if (*begins)
		return CODEC_MP4;
	for (size_t i = 0; i < sizeof(boxes) / sizeof(boxes[0]); i++)
		if (has(p, n, 4, boxes[i], 4))
			return CODEC_MP4;
	return CODEC_NONE;
}

int sniff_container(const void *data, size_t n, bool *begins)
{
	const uint8_t *p = data;
	bool ignored;

	if (!begins)
		begins = &ignored;
	*begins = true;
	if (has(p, n, 0, "\x1a\x45\xdf\xa3", 4))
		return CODEC_WEBM;
	if ((has(p, n, 0, "RIFF", 4) || has(p, n, 0, "RF64", 4)) && has(p, n, 8, "WAVE", 4))
		return CODEC_WAV;
	if (has(p, n, 0, "OggS", 4) && n > OGG_FLAGS) {
		*begins = p[OGG_FLAGS] & OGG_FIRST_PAGE;
		return CODEC_OGG;
	}
	return sniff_mp4(p, n, begins);
}

bool sniff_may_have_video(const void *data, size_t n)
{
	const uint8_t *p = data;
	int codec = sniff_container(data, n, NULL);

	if (codec == CODEC_WAV)
		return false;
	if (codec != CODEC_OGG || n <= OGG_SEGMENTS)
		return true;
	size_t body = OGG_SEGMENTS + 1 + p[OGG_SEGMENTS];
	return !has(p, n, body, "OpusHead", 8) && !has(p, n, body, "\x01vorbis", 7) &&
	       !has(p, n, body, "\177FLAC", 5) && !has(p, n, body, "Speex", 5);
}

static bool ends_in(const char *name, size_t len, const char *const *extensions)
{
	for (; *extensions; extensions++) {
		size_t ext = strlen(*extensions);
		if (len > ext && name[len - ext - 1] == '.' &&
		    strncasecmp(name + len - ext, *extensions, ext) == 0)
			return true;
	}
	return false;
}

bool sniff_reserved_name(const char *name, size_t len)
{
	return ends_in(name, len, media_extensions) || ends_in(name, len, side_extensions);
}
