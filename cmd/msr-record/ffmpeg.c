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
#define POSTER_AT     1.0 /* seconds: the first picture is often black */
#define POSTER_FILTER "scale='min(" POSTER_WIDTH ",iw)':-2"
#define WAVE_S	      3600	  /* of sound that the filter keeps in memory: 115 MB */
#define OFFSET_MAX_US 86400000000 /* between streams; more is a wrong clock */
/* A result is no longer than its parts took to come, and than sound of this few bytes a second
 * plays.
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

void args_words(struct args *a, const char *const *words)
{
	for (; *words; words++)
		args_add(a, "%s", *words);
}
#define ADD(a, ...) args_words(a, (const char *const[]){__VA_ARGS__, NULL})

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

#define N_CONTAINERS (sizeof(containers) / sizeof(containers[0]))

static const struct container *container_of_ext(const char *ext)
{
	for (size_t i = 0; i < N_CONTAINERS; i++)
		if (!strcmp(containers[i].ext, ext))
			return &containers[i];
	return &containers[0];
}

static bool is_for(const struct container *c, bool video)
{
	return video == (!c->video || *c->video);
}

bool ffmpeg_has_format(const char *ext, bool video)
{
	for (size_t i = 0; i < N_CONTAINERS; i++)
		if (is_for(&containers[i], video) && !strcmp(containers[i].ext, ext))
			return true;
	return false;
}

void ffmpeg_list_formats(bool video, char *out, size_t size)
{
	size_t used = 0, left = 0;

	for (size_t i = 0; i < N_CONTAINERS; i++)
		left += is_for(&containers[i], video);
	for (size_t i = 0; i < N_CONTAINERS && used < size; i++) {
		if (!is_for(&containers[i], video))
			continue;
		left--;
		used += (size_t)snprintf(out + used, size - used, "%s%s", containers[i].ext,
					 left > 1    ? ", "
					 : left == 1 ? " or "
						     : "");
	}
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

void ffmpeg_input(struct args *a, const char *path, int codec)
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
	ffmpeg_input(a, path, codec);
}

/* ---- conversion ---- */

static void add_audio_codec(struct args *a, const struct input in[STREAMS], const struct plan *plan)
{
	const struct container *c = container_of_ext(plan->ext);
	int channels = 0;

	if (plan->copy_audio) {
		ADD(a, "-c:a", "copy");
		return;
	}
	for (int i = 0; i < STREAMS; i++)
		for (int k = 0; in[i].path && k < in[i].probe.n; k++)
			if (!in[i].probe.streams[k].video &&
			    in[i].probe.streams[k].channels > channels)
				channels = in[i].probe.streams[k].channels;
	args_words(a, c->encode_audio);
	if (!strcmp(c->ext, "mp3") && channels > 2)
		ADD(a, "-ac", "2");
}

/* Silence where parts are missing, and before the first sound when that comes late. */
#define FILL "aresample=async=1:first_pts=0"

/*
 * Filters from sound to its picture. The last of them keeps all it gets until the end, so it gets
 * little: mono, 8 kHz, and of more than an hour a second in each few. aresample comes first, or
 * what is wanted of the waveform would be wanted of the recording as well.
 */
static void wave_filters(char *out, size_t size, double seconds)
{
	int step = seconds > WAVE_S ? (int)(seconds / WAVE_S) + 1 : 1;

	snprintf(out, size,
		 "aresample=8000,aformat=channel_layouts=mono,asetnsamples=8000,"
		 "aselect='lt(mod(n\\,%d)\\,1)',showwavespic=s=" WAVE_SIZE ":colors=" WAVE_COLOUR,
		 step);
}

/*
 * Sound alone: one graph. Several streams are mixed, as the formats for sound hold one; `wave` is
 * another output.
 */
static void add_sound_graph(struct args *a, const struct input in[STREAMS], const struct plan *plan,
			    bool wave)
{
	char graph[2048] = "", filters[256];
	size_t used = 0;
	int n = 0, file = 0;

	for (int i = 0; i < STREAMS; i++) {
		if (!in[i].path || !in[i].probe.n)
			continue;
		for (int k = 0; k < probe_count(&in[i].probe, false) && n < PROBE_STREAMS; k++, n++)
			used += (size_t)snprintf(graph + used, sizeof(graph) - used,
						 "[%d:a:%d]" FILL "[a%d];", file, k, n);
		file++;
	}
	for (int k = 0; k < n; k++)
		used += (size_t)snprintf(graph + used, sizeof(graph) - used, "[a%d]", k);
	if (n > 1)
		used += (size_t)snprintf(graph + used, sizeof(graph) - used,
					 "amix=inputs=%d:duration=longest:normalize=0", n);
	wave_filters(filters, sizeof(filters), plan->seconds);
	if (!wave)
		snprintf(graph + used, sizeof(graph) - used, "%s[sound]", n > 1 ? "" : "anull");
	else if (plan->copy_audio)
		snprintf(graph + used, sizeof(graph) - used, "%s[wave]", filters);
	else
		snprintf(graph + used, sizeof(graph) - used, "%sasplit[sound][w];[w]%s[wave]",
			 n > 1 ? "," : "", filters);
	ADD(a, "-filter_complex", graph);
}

void ffmpeg_sound_codec(struct args *a, const char *ext)
{
	args_words(a, container_of_ext(ext)->encode_audio);
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

void ffmpeg_container(struct args *a, const char *ext, const char *out)
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

/* Inputs in the order of their streams, each as late as its first part came. */
static void add_inputs(struct args *a, const struct input in[STREAMS])
{
	int64_t first_us = INT64_MAX;

	for (int i = 0; i < STREAMS; i++)
		if (in[i].path && in[i].probe.n && in[i].first_us < first_us)
			first_us = in[i].first_us;
	for (int i = 0; i < STREAMS; i++) {
		if (!in[i].path || !in[i].probe.n)
			continue;
		int64_t late_us = in[i].first_us - first_us;
		if (late_us > 0 && late_us < OFFSET_MAX_US)
			args_add(a, "-itsoffset"), args_add(a, "%.6f", (double)late_us / 1e6);
		ffmpeg_input(a, in[i].path, in[i].codec);
	}
}

void ffmpeg_start(struct args *a)
{
	args_start(a, "ffmpeg");
	ADD(a, "-hide_banner", "-nostdin", "-v", "error", "-y");
}

/* Options of an input of which only the poster is taken. */
static void add_poster_seek(struct args *a, double seconds)
{
	ADD(a, "-threads", "1", "-max_pixels", PIXELS_MAX, "-ss");
	args_add(a, "%.3f", seconds > 0 && seconds / 2 < POSTER_AT ? seconds / 2 : POSTER_AT);
}

static void add_poster(struct args *a, const char *out)
{
	ADD(a, "-frames:v", "1", "-vf", POSTER_FILTER, "-q:v", "4", "-c:v", "mjpeg", "-f",
	    "image2pipe");
	args_add(a, "file:%s", out);
}

static void add_wave(struct args *a, const char *out)
{
	ADD(a, "-map", "[wave]", "-frames:v", "1", "-c:v", "png", "-f", "image2pipe");
	args_add(a, "file:%s", out);
}

static void add_video_codec(struct args *a, const struct plan *plan)
{
	if (plan->copy_video)
		ADD(a, "-c:v", "copy");
	else
		ADD(a, "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt",
		    "yuv420p", "-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2");
}

void ffmpeg_convert(struct args *a, const struct input in[STREAMS], const struct plan *plan,
		    const char *out, const char *picture)
{
	int n_files = 0, pictured = -1;
	bool graph = !plan->video && (!plan->copy_audio || picture);

	ffmpeg_start(a);
	ADD(a, "-progress", "pipe:1", "-stats_period", "1");
	add_inputs(a, in);
	for (int i = 0; i < STREAMS; i++) {
		n_files += in[i].path && in[i].probe.n;
		if (pictured < 0 && in[i].path && probe_count(&in[i].probe, true))
			pictured = i;
	}
	if (plan->video && picture) { /* the same file once more, from where the poster is */
		add_poster_seek(a, plan->seconds);
		ffmpeg_input(a, in[pictured].path, in[pictured].codec);
	}
	if (graph)
		add_sound_graph(a, in, plan, picture);
	if (graph && !plan->copy_audio)
		ADD(a, "-map", "[sound]");
	else
		add_maps(a, in, plan->video);
	if (plan->video)
		add_video_codec(a, plan);
	add_audio_codec(a, in, plan);
	if (plan->video && !plan->copy_audio)
		ADD(a, "-af", FILL);
	if (!plan->copy_audio && count(in, false))
		add_bound(a, in);
	ADD(a, "-map_metadata", "-1");
	ffmpeg_container(a, plan->ext, out);
	if (plan->video && picture) {
		ADD(a, "-map");
		args_add(a, "%d:V:0", n_files);
		add_poster(a, picture);
	} else if (picture) {
		if (count(in, false))
			add_bound(a, in);
		add_wave(a, picture);
	}
}

/* ---- pictures ---- */

void ffmpeg_wave(struct args *a, const char *media, double seconds, const char *out)
{
	char filters[256];

	ffmpeg_start(a);
	ADD(a, "-i");
	args_add(a, "file:%s", media);
	wave_filters(filters, sizeof(filters), seconds);
	ADD(a, "-filter_complex");
	args_add(a, "[0:a:0]%s[wave]", filters);
	add_wave(a, out);
}

void ffmpeg_poster(struct args *a, const char *media, double duration, const char *out)
{
	ffmpeg_start(a);
	add_poster_seek(a, duration);
	ADD(a, "-i");
	args_add(a, "file:%s", media);
	ADD(a, "-map", "0:V:0");
	add_poster(a, out);
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
