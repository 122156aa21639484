/* First bytes, and ffprobe's JSON, of which little is taken and everything may be missing. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "frame/frame.h"
#include "media/mkv.h"
#include "media/mp3.h"

#define HEAD_BYTES (32u << 10) /* header, seek head and tags of Matroska; ID3 of MP3 */

static int number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v)) {
		json_int_t n = json_integer_value(v);
		return n > 0 && n < 1 << 30 ? (int)n : 0;
	}
	return json_is_string(v) ? atoi(json_string_value(v)) : 0; /* "sample_rate": "48000" */
}

static void add_stream(struct media_probe *p, const json_t *o)
{
	const char *type = json_string_value(json_object_get(o, "codec_type"));
	const char *codec = json_string_value(json_object_get(o, "codec_name"));
	struct probe_stream *s = &p->streams[p->n];

	if (!type || !codec || p->n == PROBE_STREAMS)
		return;
	if (number(json_object_get(o, "disposition"), "attached_pic"))
		return;
	*s = (struct probe_stream){
	    .video = !strcmp(type, "video"),
	    .width = number(o, "width"),
	    .height = number(o, "height"),
	    .rate = number(o, "sample_rate"),
	    .channels = number(o, "channels"),
	};
	snprintf(s->codec, sizeof(s->codec), "%s", codec);
	if (s->video || !strcmp(type, "audio"))
		p->n++;
}

int probe_parse(const char *text, size_t n, struct media_probe *out)
{
	json_t *root = json_loadb(text, n, 0, NULL);
	const json_t *streams = json_object_get(root, "streams");
	struct media_probe p = {0};

	if (!root)
		return -EBADMSG;
	const char *duration =
	    json_string_value(json_object_get(json_object_get(root, "format"), "duration"));
	if (duration)
		p.duration = strtod(duration, NULL);
	if (!isfinite(p.duration) || p.duration < 0)
		p.duration = 0;
	for (size_t i = 0; i < json_array_size(streams); i++)
		add_stream(&p, json_array_get(streams, i));
	json_decref(root);
	*out = p;
	return 0;
}

/* ---- first bytes ---- */

static bool probe_mkv(const uint8_t *data, size_t n, struct media_probe *out)
{
	static const char *const names[MKV_CODECS] = {[MKV_OPUS] = "opus",
						      [MKV_VP8] = "vp8",
						      [MKV_VP9] = "vp9",
						      [MKV_AV1] = "av1",
						      [MKV_H264] = "h264"};
	struct mkv m;

	if (mkv_read_head(&m, data, n) < 0)
		return false;
	*out = (struct media_probe){.duration = (double)m.duration_us / 1e6};
	for (unsigned i = 0; i < m.n_tracks; i++) {
		const struct mkv_track *t = &m.tracks[i];
		struct probe_stream *s = &out->streams[out->n++];
		s->video = t->codec != MKV_OPUS;
		snprintf(s->codec, sizeof(s->codec), "%s", names[t->codec]);
		if (s->video) {
			s->width = t->width;
			s->height = t->height;
		} else {
			s->rate = 48000; /* whatever was recorded, RFC 7845 */
			s->channels = t->channels ? t->channels : 1;
		}
	}
	return true;
}

static bool probe_mp3(const uint8_t *data, size_t n, struct media_probe *out)
{
	struct mp3_head h;

	if (mp3_read_head(&h, data, n) < 0)
		return false;
	*out = (struct media_probe){.duration = (double)h.samples / h.rate, .n = 1};
	out->streams[0] =
	    (struct probe_stream){.codec = "mp3", .rate = (int)h.rate, .channels = h.channels};
	return true;
}

bool probe_file(const char *path, int codec, struct media_probe *out)
{
	uint8_t *data = malloc(HEAD_BYTES);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = data && fd >= 0 ? pread(fd, data, HEAD_BYTES, 0) : -1;
	bool known = n > 0 && (probe_mkv(data, (size_t)n, out) ||
			       (codec == CODEC_NONE && probe_mp3(data, (size_t)n, out)));

	if (fd >= 0)
		close(fd);
	free(data);
	return known;
}

bool probe_pcm(int codec, unsigned rate, unsigned channels, uint64_t bytes, struct media_probe *out)
{
	static const char *const names[] = {[CODEC_U8] = "pcm_u8",
					    [CODEC_S16LE] = "pcm_s16le",
					    [CODEC_S24LE] = "pcm_s24le",
					    [CODEC_S32LE] = "pcm_s32le",
					    [CODEC_F32LE] = "pcm_f32le"};
	unsigned each = frame_pcm_bytes(codec) * channels;

	if (!each || !rate)
		return false;
	*out = (struct media_probe){.n = 1, .duration = (double)bytes / each / rate};
	out->streams[0] = (struct probe_stream){.rate = (int)rate, .channels = (int)channels};
	snprintf(out->streams[0].codec, sizeof(out->streams[0].codec), "%s", names[codec]);
	return true;
}

const struct probe_stream *probe_first(const struct media_probe *p, bool video)
{
	for (int i = 0; i < p->n; i++)
		if (p->streams[i].video == video)
			return &p->streams[i];
	return NULL;
}

int probe_count(const struct media_probe *p, bool video)
{
	int n = 0;

	for (int i = 0; i < p->n; i++)
		n += p->streams[i].video == video;
	return n;
}
