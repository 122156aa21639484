/*
 * Command lines: how the parts of a recording become one file, its picture, its checksum. Pure:
 * nothing is run here.
 *
 * What is in the parts comes from strangers. Each part is opened with the one demuxer its first
 * bytes call for (or one of a short list), and no other file or network address is ever opened
 * because of what stands in it.
 */
#ifndef MSR_RECORD_FFMPEG_H
#define MSR_RECORD_FFMPEG_H

#include <stdbool.h>
#include <stddef.h>

#include "journal.h"
#include "probe.h"
#include "recorder.h"

#define ARGS_MAX  1024
#define ARGS_TEXT (160u << 10) /* bytes; the graph of a mix and paths are the long ones */

/* A command line under construction. */
struct args {
	const char *v[ARGS_MAX + 1]; /* NULL-terminated */
	int n;
	char text[ARGS_TEXT];
	size_t used;
	bool full; /* something did not fit: not to be run */
};

/* One part file as an input. */
struct input {
	const char *path; /* absolute; NULL: there is none */
	int codec;	  /* enum frame_codec as sniffed */
	int64_t first_us; /* time of its first part */
	int64_t last_us;  /* and of its last */
	uint64_t bytes;
	struct media_probe probe;
};

/* What is to become of them. */
struct plan {
	const char *ext; /* of the result */
	bool video;
	bool copy_video, copy_audio;
	double seconds; /* expected, for progress */
};

/* Whether --audio or --video may name this format; all that they may: "webm, mkv or mp4". */
bool ffmpeg_has_format(const char *ext, bool video);
void ffmpeg_list_formats(bool video, char *out, size_t size);

void args_start(struct args *a, const char *program);
void args_add(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Each of a NULL-terminated list. */
void args_words(struct args *a, const char *const *words);

/* Parts of command lines: the beginning of all; an input; how sound is coded; the output. */
void ffmpeg_start(struct args *a);
/* With the one demuxer that belongs to `codec` (enum frame_codec), or one of a short list. */
void ffmpeg_input(struct args *a, const char *path, int codec);
void ffmpeg_sound_codec(struct args *a, const char *ext);
void ffmpeg_container(struct args *a, const char *ext, const char *out);

/*
 * `lost`: parts are missing, so copied sound would be too short. False: there is nothing to play.
 */
bool ffmpeg_plan(const struct input in[STREAMS], const struct settings *set, bool lost,
		 struct plan *plan);

void ffmpeg_probe(struct args *a, const char *path, int codec);
/* With `picture` the waveform or the poster is made in passing: starting FFmpeg is what costs. */
void ffmpeg_convert(struct args *a, const struct input in[STREAMS], const struct plan *plan,
		    const char *out, const char *picture);
/* `seconds`: the length of `media`, as far as it is known. */
void ffmpeg_wave(struct args *a, const char *media, double seconds, const char *out);
void ffmpeg_poster(struct args *a, const char *media, double duration, const char *out);

/* Seconds of media done so far as told by a chunk of -progress output, or -1. */
double ffmpeg_progress(const char *text, size_t n);

#endif
