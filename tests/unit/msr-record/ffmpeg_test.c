/* Plans and command lines: what is copied, what is transcoded, and what FFmpeg may open. */
#include "../../../cmd/msr-record/ffmpeg.h"

#include <stdio.h>
#include <stdlib.h>

#include "frame/frame.h"

#include "../../support/test.h"

static struct input one(const char *video, const char *audio)
{
	struct input in = {.path = "/x/.s.video.part", .codec = CODEC_WEBM};

	if (video) {
		in.probe.streams[in.probe.n].video = true;
		snprintf(in.probe.streams[in.probe.n++].codec, 32, "%s", video);
	}
	if (audio)
		snprintf(in.probe.streams[in.probe.n++].codec, 32, "%s", audio);
	return in;
}

/* "ext copy-or-code-of-video copy-or-code-of-audio" */
static const char *plan_of(const char *video, const char *audio, const char *set_video,
			   const char *set_audio, bool lost)
{
	static char text[64];
	struct input in[STREAMS] = {[STREAM_VIDEO] = one(video, audio)};
	struct settings set = {.video = set_video, .audio = set_audio};
	struct plan p;

	if (!ffmpeg_plan(in, &set, lost, &p))
		return "none";
	snprintf(text, sizeof(text), "%s %s %s", p.ext,
		 !p.video	? "-"
		 : p.copy_video ? "copy"
				: "code",
		 p.copy_audio ? "copy" : "code");
	return text;
}

TEST(video_is_copied_wherever_the_container_can_hold_it)
{
	CHECK_STR(plan_of("vp8", "opus", "webm", "mp3", false), "webm copy copy");
	CHECK_STR(plan_of("h264", "opus", "webm", "mp3", false), "mkv copy copy");
	CHECK_STR(plan_of("h264", "aac", "webm", "mp3", false), "mkv copy copy");
	CHECK_STR(plan_of("vp9", "pcm_s16le", "webm", "mp3", false), "webm copy code");
	CHECK_STR(plan_of("h264", "opus", "mp4", "mp3", false), "mp4 copy code");
	CHECK_STR(plan_of("vp8", "opus", "mp4", "mp3", false), "mp4 code code");
	CHECK_STR(plan_of("vp8", "opus", "mkv", "mp3", true), "mkv copy copy");
	CHECK_STR(plan_of("av1", NULL, "webm", "mp3", false), "webm copy copy");
}

TEST(sound_alone_is_copied_only_when_nothing_is_missing)
{
	CHECK_STR(plan_of(NULL, "opus", "webm", "mp3", false), "mp3 - code");
	CHECK_STR(plan_of(NULL, "opus", "webm", "opus", false), "opus - copy");
	CHECK_STR(plan_of(NULL, "opus", "webm", "opus", true), "opus - code");
	CHECK_STR(plan_of(NULL, "pcm_f32le", "webm", "wav", false), "wav - copy");
	CHECK_STR(plan_of(NULL, "opus", "webm", "wav", false), "wav - code");
	CHECK_STR(plan_of(NULL, NULL, "webm", "mp3", false), "none");
}

static bool has(const struct args *a, const char *word)
{
	for (int i = 0; i < a->n; i++)
		if (!strcmp(a->v[i], word))
			return true;
	return false;
}

TEST(parts_are_opened_with_their_demuxer_or_a_short_list_and_never_from_elsewhere)
{
	struct args *a = malloc(sizeof(*a));

	ffmpeg_probe(a, "/x/-y:z", CODEC_WEBM);
	CHECK(has(a, "-protocol_whitelist") && has(a, "file") && has(a, "matroska"));
	CHECK(has(a, "file:/x/-y:z"));
	CHECK(a->v[a->n] == NULL);
	ffmpeg_probe(a, "/x/y", CODEC_S16LE);
	CHECK(has(a, "wav"));
	ffmpeg_probe(a, "/x/y", CODEC_NONE);
	CHECK(has(a, "-format_whitelist"));
	for (int i = 0; i < a->n; i++)
		CHECK(!strstr(a->v[i], "hls") && !strstr(a->v[i], "concat"));
	free(a);
}

TEST(separate_streams_are_shifted_by_the_times_of_their_first_parts)
{
	struct input in[STREAMS] = {
	    [STREAM_AUDIO] = one(NULL, "opus"), [STREAM_VIDEO] = one("vp8", NULL)};
	struct settings set = {.video = "webm", .audio = "mp3"};
	struct args *a = malloc(sizeof(*a));
	struct plan p;

	in[STREAM_AUDIO].first_us = 5250000;
	in[STREAM_VIDEO].first_us = 5000000;
	CHECK(ffmpeg_plan(in, &set, false, &p));
	ffmpeg_convert(a, in, &p, "/x/out", NULL);
	CHECK(has(a, "-itsoffset") && has(a, "0.250000"));
	CHECK(has(a, "0:a?") && has(a, "1:V?"));
	free(a);
}

static const char *graph_of(const struct args *a)
{
	for (int i = 0; i + 1 < a->n; i++)
		if (!strcmp(a->v[i], "-filter_complex"))
			return a->v[i + 1];
	return "";
}

TEST(the_picture_is_made_in_passing)
{
	struct input in[STREAMS] = {[STREAM_AUDIO] = one(NULL, "opus")};
	struct settings set = {.video = "webm", .audio = "mp3"};
	struct args *a = malloc(sizeof(*a));
	struct plan p;

	CHECK(ffmpeg_plan(in, &set, false, &p));
	ffmpeg_convert(a, in, &p, "/x/out", "/x/wave");
	CHECK(strstr(graph_of(a), "asplit[sound]") && strstr(graph_of(a), "[wave]"));
	CHECK(has(a, "[sound]") && has(a, "file:/x/wave"));
	p.seconds = 3 * 3600; /* a second in each four is kept */
	ffmpeg_convert(a, in, &p, "/x/out", "/x/wave");
	CHECK(strstr(graph_of(a), "mod(n\\,4)") != NULL);
	p.copy_audio = true;
	ffmpeg_convert(a, in, &p, "/x/out", "/x/wave");
	CHECK(!strstr(graph_of(a), "[sound]") && has(a, "0:a?") && has(a, "copy"));
	in[STREAM_VIDEO] = one("vp8", NULL);
	CHECK(ffmpeg_plan(in, &set, false, &p));
	p.seconds = 1;
	ffmpeg_convert(a, in, &p, "/x/out", "/x/poster");
	CHECK(has(a, "2:V:0") && has(a, "0.500") && has(a, "file:/x/poster"));
	CHECK(!*graph_of(a));
	free(a);
}

TEST(too_long_a_command_line_is_noticed)
{
	struct args *a = malloc(sizeof(*a));

	args_start(a, "ffmpeg");
	for (int i = 0; i < ARGS_MAX; i++)
		args_add(a, "%d", i);
	CHECK(a->full);
	args_start(a, "ffmpeg");
	args_add(a, "%*d", ARGS_TEXT, 1);
	CHECK(a->full);
	free(a);
}

TEST(progress_is_read_from_its_last_line)
{
	static const char text[] =
	    "out_time_us=500000\nspeed=1\nout_time_us=1500000\nprogress=continue";

	CHECK_INT((long)(ffmpeg_progress(text, sizeof(text) - 1) * 10), 15);
	CHECK(ffmpeg_progress("out_time_us=N/A\n", 16) < 0);
	CHECK(ffmpeg_progress("", 0) < 0);
}

TEST(probes_are_read_and_anything_else_refused)
{
	static const char text[] = "{\"streams\":[{\"codec_type\":\"video\",\"codec_name\":\"vp8\","
				   "\"width\":320,\"height\":240},"
				   "{\"codec_type\":\"video\",\"codec_name\":\"png\","
				   "\"disposition\":{\"attached_pic\":1}},"
				   "{\"codec_type\":\"audio\",\"codec_name\":\"opus\",\"sample_"
				   "rate\":\"48000\",\"channels\":2},"
				   "{\"codec_type\":\"data\",\"codec_name\":\"bin\"}],\"format\":{"
				   "\"duration\":\"5.021\"}}";
	struct media_probe p;

	CHECK_INT(probe_parse(text, sizeof(text) - 1, &p), 0);
	CHECK_INT(p.n, 2);
	CHECK_INT(probe_first(&p, true)->width, 320);
	CHECK_INT(probe_first(&p, false)->rate, 48000);
	CHECK(p.duration > 5.02 && p.duration < 5.03);
	CHECK(probe_parse("[]", 2, &p) == 0 && p.n == 0);
	CHECK(probe_parse("{", 1, &p) < 0);
}

TEST(the_table_of_containers_says_which_formats_there_are)
{
	char list[64];

	CHECK(ffmpeg_has_format("m4a", false) && ffmpeg_has_format("mkv", true));
	CHECK(!ffmpeg_has_format("m4a", true) && !ffmpeg_has_format("mkv", false));
	CHECK(!ffmpeg_has_format("", false) && !ffmpeg_has_format("avi", true));
	ffmpeg_list_formats(false, list, sizeof(list));
	CHECK_STR(list, "mp3, opus, flac, wav or m4a");
	ffmpeg_list_formats(true, list, sizeof(list));
	CHECK_STR(list, "webm, mkv or mp4");
}
