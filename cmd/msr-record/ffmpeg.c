/* Command lines for FFmpeg 5 and later. Codec names are those of ffprobe. */
#include "ffmpeg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame/frame.h"

#define WAVE_SIZE     "1200x160"
#define WAVE_COLOUR   "0x3b82f6"
#define POSTER_WIDTH  "1280"
#define POSTER_AT     1.0	  /* seconds: the first picture is often black */
#define OFFSET_MAX_US 86400000000 /* between streams; more is a wrong clock */
/* A result is no longer than its parts took to come, and than sound of so few bytes a second plays.
 */
#define SPAN_MAX_US (30 * OFFSET_MAX_US)
#define BYTES_A_S   50
#define SPARE_S	    3600
#define PIXELS_MAX  "67108864" /* larger pictures are not decoded */

/* Demuxers that data of unknown type may be given to: no playlists, no scripts, no devices. */
#define UNKNOWN_FORMATS "matroska,webm,ogg,wav,mp3,aac,flac,mov,mp4,amr,w64,aiff,au,ivf,mpegts"

void args_start(struct args *a, const char *program)
{
	a->n = 0;
	a->used = 0;
	a->full = false;
	args_add(a, "%s", program);
}

void args_add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(a->text + a->used, ARGS_TEXT - a->used, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= ARGS_TEXT - a->used || a->n == ARGS_MAX) {
		a->full = true;
		return;
	}
	a->v[a->n++] = a->text + a->used;
	a->v[a->n] = NULL;
	a->used += (size_t)n + 1;
}

static void add_words(struct args *a, const char *const *words)
{
	for (; *words; words++)
		args_add(a, "%s", *words);
}
#define ADD(a, ...) add_words(a, (const char *const[]){__VA_ARGS__, NULL})

/* ---- the plan ---- */

static bool is_one_of(const char *codec, const char *list)
{
	size_t len = strlen(codec);

	for (const char *p = list; len && (p = strstr(p, codec)); p += len)
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return true;
	return false;
}

struct container {
	const char *ext;
	const char *video; /* codecs that are copied */
	const char *audio; /* codecs that are copied; NULL: all */
	const char *const *encode_audio;
};

static const char *const mp3_args[] = {"-c:a", "libmp3lame", "-q:a", "3", NULL};
static const char *const opus_args[] = {"-c:a", "libopus", "-b:a", "96k", NULL};
static const char *const flac_args[] = {"-c:a", "flac", NULL};
static const char *const wav_args[] = {"-c:a", "pcm_s16le", NULL};
static const char *const aac_args[] = {"-c:a", "aac", "-b:a", "160k", NULL};

static const struct container containers[] = {
    {"mp3", "", "mp3", mp3_args},
    {"opus", "", "opus", opus_args},
    {"flac", "", "flac", flac_args},
    {"wav", "", "pcm_u8 pcm_s16le pcm_s24le pcm_s32le pcm_f32le", wav_args},
    {"m4a", "", "aac", aac_args},
    {"webm", "vp8 vp9 av1", "opus vorbis", opus_args},
    {"mkv", NULL, "opus vorbis aac mp3 flac ac3", opus_args},
    {"mp4", "h264 hevc av1 vp9", "aac mp3", aac_args},
};

static const struct container *container_of_ext(const char *ext)
{
	for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++)
		if (!strcmp(containers[i].ext, ext))
			return &containers[i];
	return &containers[0];
}

static bool can_copy(const struct input *in, bool video, const char *codecs)
{
	for (int i = 0; i < STREAMS; i++)
		for (int k = 0; in[i].path && k < in[i].probe.n; k++)
			if (in[i].probe.streams[k].video == video && codecs &&
			    !is_one_of(in[i].probe.streams[k].codec, codecs))
				return false;
	return true;
}

static int count(const struct input *in, bool video)
{
	int n = 0;

	for (int i = 0; i < STREAMS; i++)
		n += in[i].path ? probe_count(&in[i].probe, video) : 0;
	return n;
}

bool ffmpeg_plan(const struct input in[STREAMS], const struct settings *set, bool lost,
		 struct plan *plan)
{
	struct plan p = {.video = count(in, true) > 0};
	int n_audio = count(in, false);

	if (!p.video && !n_audio)
		return false;
	const struct container *c = container_of_ext(p.video ? set->video : set->audio);
	/* WebM is for the codecs that it holds; pictures are not transcoded for its sake. */
	if (!strcmp(c->ext, "webm") && !can_copy(in, true, c->video))
		c = container_of_ext("mkv");
	p.ext = c->ext;
	p.copy_video = can_copy(in, true, c->video);
	/* With a picture the container keeps the times; sound alone has only its length. */
	p.copy_audio = can_copy(in, false, c->audio) && (p.video || (!lost && n_audio == 1));
	for (int i = 0; i < STREAMS; i++)
		if (in[i].path && in[i].probe.duration > p.seconds)
			p.seconds = in[i].probe.duration;
	*plan = p;
	return true;
}

/* ---- inputs ---- */

static void add_input(struct args *a, const char *path, int codec)
{
	static const char *const demuxers[] = {[CODEC_WEBM] = "matroska",
					       [CODEC_OGG] = "ogg",
					       [CODEC_WAV] = "wav",
					       [CODEC_MP4] = "mov"};

	ADD(a, "-protocol_whitelist", "file");
	if (frame_pcm_bytes(codec))
		codec = CODEC_WAV; /* that is how it is written */
	if (codec >= CODEC_WEBM && codec <= CODEC_MP4)
		ADD(a, "-f", demuxers[codec]);
	else
		ADD(a, "-format_whitelist", UNKNOWN_FORMATS);
	ADD(a, "-i");
	args_add(a, "file:%s", path);
}

void ffmpeg_probe(struct args *a, const char *path, int codec)
{
	args_start(a, "ffprobe");
	ADD(a, "-v", "error", "-show_format", "-show_streams", "-of", "json");
	add_input(a, path, codec);
}

/* ---- conversion ---- */

static void add_audio(struct args *a, const struct input in[STREAMS], const struct plan *plan)
{
	const struct container *c = container_of_ext(plan->ext);
	int channels = 0, n = 0;

	if (plan->copy_audio) {
		ADD(a, "-c:a", "copy");
		return;
	}
	for (int i = 0; i < STREAMS; i++)
		for (int k = 0; in[i].path && k < in[i].probe.n; k++)
			if (!in[i].probe.streams[k].video) {
				n++;
				if (in[i].probe.streams[k].channels > channels)
					channels = in[i].probe.streams[k].channels;
			}
	add_words(a, c->encode_audio);
	if (!strcmp(c->ext, "mp3") && channels > 2)
		ADD(a, "-ac", "2");
	/* Silence where parts are missing, and before the first sound when that comes late. */
	if (plan->video || n == 1)
		ADD(a, "-af", "aresample=async=1:first_pts=0");
}

/* Sound alone in several streams is mixed: the formats for sound hold one. */
static void add_mix(struct args *a, const struct input in[STREAMS])
{
	char graph[1024] = "";
	size_t used = 0;
	int n = 0, file = 0;

	for (int i = 0; i < STREAMS; i++) {
		if (!in[i].path || !in[i].probe.n)
			continue;
		for (int k = 0; k < probe_count(&in[i].probe, false) && n < PROBE_STREAMS; k++, n++)
			used += (size_t)snprintf(graph + used, sizeof(graph) - used,
						 "[%d:a:%d]aresample=async=1:first_pts=0[a%d];",
						 file, k, n);
		file++;
	}
	for (int k = 0; k < n; k++)
		used += (size_t)snprintf(graph + used, sizeof(graph) - used, "[a%d]", k);
	snprintf(graph + used, sizeof(graph) - used,
		 "amix=inputs=%d:duration=longest:normalize=0[mix]", n);
	ADD(a, "-filter_complex", graph, "-map", "[mix]");
}

static void add_maps(struct args *a, const struct input in[STREAMS], bool video)
{
	int file = 0;

	for (int i = 0; i < STREAMS; i++) {
		if (!in[i].path || !in[i].probe.n)
			continue;
		if (video)
			args_add(a, "-map"), args_add(a, "%d:V?", file);
		args_add(a, "-map"), args_add(a, "%d:a?", file);
		file++;
	}
}

static void add_container(struct args *a, const char *ext, const char *out)
{
	/* Readable from the first byte on, over HTTP too. */
	if (!strcmp(ext, "webm") || !strcmp(ext, "mkv"))
		ADD(a, "-cues_to_front", "1", "-f", strcmp(ext, "mkv") ? "webm" : "matroska");
	else if (!strcmp(ext, "mp4") || !strcmp(ext, "m4a"))
		ADD(a, "-movflags", "+faststart");
	else if (!strcmp(ext, "wav"))
		ADD(a, "-rf64", "auto");
	args_add(a, "file:%s", out);
}

/*
 * Bounds the silence between times that peers invent: hours of it for each few bytes would fill the
 * disk. Streams that are copied grow by none.
 */
static void add_bound(struct args *a, const struct input in[STREAMS])
{
	int64_t first_us = INT64_MAX, last_us = INT64_MIN, span_us;
	uint64_t seconds = SPARE_S;

	for (int i = 0; i < STREAMS; i++) {
		if (!in[i].path)
			continue;
		seconds += in[i].bytes / BYTES_A_S;
		first_us = in[i].first_us < first_us ? in[i].first_us : first_us;
		last_us = in[i].last_us > last_us ? in[i].last_us : last_us;
	}
	if (__builtin_sub_overflow(last_us, first_us, &span_us) || span_us > SPAN_MAX_US)
		span_us = SPAN_MAX_US;
	if (span_us > 0)
		seconds += (uint64_t)span_us / 1000000;
	ADD(a, "-t");
	args_add(a, "%llu", (unsigned long long)seconds);
}

void ffmpeg_convert(struct args *a, const struct input in[STREAMS], const struct plan *plan,
		    const char *out)
{
	int64_t first_us = INT64_MAX;

	args_start(a, "ffmpeg");
	ADD(a, "-hide_banner", "-nostdin", "-v", "error", "-y", "-progress", "pipe:1",
	    "-stats_period", "1");
	for (int i = 0; i < STREAMS; i++)
		if (in[i].path && in[i].probe.n && in[i].first_us < first_us)
			first_us = in[i].first_us;
	for (int i = 0; i < STREAMS; i++) {
		if (!in[i].path || !in[i].probe.n)
			continue;
		int64_t late_us = in[i].first_us - first_us;
		if (late_us > 0 && late_us < OFFSET_MAX_US)
			args_add(a, "-itsoffset"), args_add(a, "%.6f", (double)late_us / 1e6);
		add_input(a, in[i].path, in[i].codec);
	}
	if (!plan->video && count(in, false) > 1)
		add_mix(a, in);
	else
		add_maps(a, in, plan->video);
	if (plan->video && plan->copy_video)
		ADD(a, "-c:v", "copy");
	else if (plan->video)
		ADD(a, "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt",
		    "yuv420p", "-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2");
	add_audio(a, in, plan);
	if (!plan->copy_audio && count(in, false))
		add_bound(a, in);
	ADD(a, "-map_metadata", "-1");
	add_container(a, plan->ext, out);
}

/* ---- pictures ---- */

void ffmpeg_wave(struct args *a, const char *media, const char *out)
{
	args_start(a, "ffmpeg");
	ADD(a, "-hide_banner", "-nostdin", "-v", "error", "-y", "-i");
	args_add(a, "file:%s", media);
	ADD(a, "-filter_complex",
	    "[0:a:0]aformat=channel_layouts=mono,showwavespic=s=" WAVE_SIZE ":colors=" WAVE_COLOUR,
	    "-frames:v", "1", "-c:v", "png", "-f", "image2pipe");
	args_add(a, "file:%s", out);
}

void ffmpeg_poster(struct args *a, const char *media, double duration, const char *out)
{
	args_start(a, "ffmpeg");
	ADD(a, "-hide_banner", "-nostdin", "-v", "error", "-y", "-max_pixels", PIXELS_MAX);
	if (duration > 0)
		args_add(a, "-ss"),
		    args_add(a, "%.3f", duration / 2 < POSTER_AT ? duration / 2 : POSTER_AT);
	ADD(a, "-i");
	args_add(a, "file:%s", media);
	ADD(a, "-map", "0:V:0", "-frames:v", "1", "-vf", "scale='min(" POSTER_WIDTH ",iw)':-2",
	    "-q:v", "4", "-c:v", "mjpeg", "-f", "image2pipe");
	args_add(a, "file:%s", out);
}

double ffmpeg_progress(const char *text, size_t n)
{
	static const char key[] = "out_time_us=";
	const char *last = NULL;
	char number[32];

	if (!n)
		return -1; /* `text` may be NULL */
	for (const char *p = text; (p = memmem(p, n - (size_t)(p - text), key, sizeof(key) - 1));
	     p++)
		last = p + sizeof(key) - 1;
	if (!last)
		return -1;
	size_t left = n - (size_t)(last - text);
	snprintf(number, sizeof(number), "%.*s", (int)(left < 20 ? left : 20), last);
	double us = strtod(number, NULL);
	return us > 0 ? us / 1e6 : -1;
}
