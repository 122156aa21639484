/*
 * What is in a media file. What we know from its first bytes (Matroska with the codecs of browsers,
 * MP3 as FFmpeg writes it) is read here; about other files ffprobe is asked, which takes a fifth of
 * a second of processor time to start.
 */
#ifndef MSR_RECORD_PROBE_H
#define MSR_RECORD_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_STREAMS 16 /* of one file; more are ignored */

struct probe_stream {
	bool video; /* otherwise audio */
	char codec[32];
	int width, height;  /* pixels */
	int rate, channels; /* Hz */
};

struct media_probe {
	double duration; /* seconds, 0 when unknown */
	int n;
	struct probe_stream streams[PROBE_STREAMS]; /* audio and video only, no cover pictures */
};

/* Reads the JSON that `ffprobe -show_format -show_streams -of json` prints. 0 or -EBADMSG. */
int probe_parse(const char *text, size_t n, struct media_probe *out);

/*
 * Looks at the first bytes of the file itself. False where they do not tell: ask ffprobe. `codec`
 * (enum frame_codec) is what it should be: CODEC_WEBM, or CODEC_NONE for what is to be found out.
 */
bool probe_file(const char *path, int codec, struct media_probe *out);

/* The same for a part of raw PCM (enum frame_codec) that we wrote; false for other codecs. */
bool probe_pcm(int codec, unsigned rate, unsigned channels, uint64_t bytes,
	       struct media_probe *out);

/* The first video or audio stream, or NULL. */
const struct probe_stream *probe_first(const struct media_probe *p, bool video);
int probe_count(const struct media_probe *p, bool video);

#endif
