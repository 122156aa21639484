/*
 * The command line of a mix. One graph: a dark picture of the whole length, over which each input
 * is laid in its cell while it lasts; and sound, each input behind as much silence as it came late.
 *
 * Pictures change their size within a recording as a network gets better or worse. That must not
 * restart the graph (-reinit_filter 0): its filters look at each frame.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "ffmpeg.h"
#include "frame/frame.h"
#include "mix.h"

#define RATE	   20 /* pictures a second */
#define BACKGROUND "0x101418"
#define LABEL_SIZE 18	       /* pixels */
#define GRAPH_MAX  (96u << 10) /* bytes: an argument has 128 KiB */

/* The text of the graph; `failed` when something did not fit. */
struct graph {
	struct buf text;
	bool failed;
};

static void put(struct graph *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct graph *g, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	g->failed |= n < 0 || n >= (int)sizeof(text) || buf_append(&g->text, text, (size_t)n) < 0;
}

static double offset(const struct mix *m, const struct mix_input *in)
{
	return (double)(in->start_us - m->start_us) / 1e6;
}

static void put_picture(struct graph *g, const struct mix *m, int i, int layer)
{
	const struct mix_input *in = &m->in[i];
	const struct mix_cell *c = &m->cells[in->cell];

	put(g, "[%d:V:0]fps=%d,scale=%d:%d:force_original_aspect_ratio=decrease:eval=frame,", i,
	    RATE, c->w, c->h);
	put(g, "pad=%d:%d:-1:-1:color=" BACKGROUND ":eval=frame,setsar=1,setpts=PTS+%.6f/TB[v%d];",
	    c->w, c->h, offset(m, in), i);
	put(g, "[p%d][v%d]overlay=%d:%d:eof_action=pass[p%d];", layer, i, c->x, c->y, layer + 1);
}

/* Names are ids: nothing in them means anything to a filter. */
static void put_label(struct graph *g, const struct mix *m, int cell)
{
	const struct mix_cell *c = &m->cells[cell];
	double from = m->seconds, to = 0;

	for (int i = 0; i < m->n; i++) {
		double at = offset(m, &m->in[i]), end = at + m->in[i].seconds;
		if (m->in[i].cell != cell)
			continue;
		from = at < from ? at : from;
		to = end > to ? end : to;
	}
	put(g,
	    "drawtext=text='%s':x=%d:y=%d-th:font=sans:fontsize=%d:fontcolor=white:box=1:"
	    "boxcolor=black@0.5:boxborderw=4:enable='between(t,%.3f,%.3f)',",
	    c->name, c->x + 10, c->y + c->h - 10, LABEL_SIZE, from, to);
}

static void put_pictures(struct graph *g, const struct mix *m, bool plain)
{
	int layers = 0;

	put(g, "color=c=" BACKGROUND ":s=%dx%d:r=%d:d=%.3f,format=yuv420p[p0];", MIX_WIDTH,
	    MIX_HEIGHT, RATE, m->seconds);
	for (int i = 0; i < m->n; i++)
		if (m->in[i].video && m->in[i].cell >= 0)
			put_picture(g, m, i, layers++);
	put(g, "[p%d]", layers);
	for (int i = 0; i < m->n_cells && !plain; i++)
		put_label(g, m, i);
	put(g, "format=yuv420p[picture]");
}

/* False when nobody is to be heard. */
static bool put_sound(struct graph *g, const struct mix *m)
{
	int n = 0;

	for (int i = 0; i < m->n; i++) {
		if (!m->in[i].audio)
			continue;
		put(g,
		    "[%d:a:0]aresample=48000:async=1:first_pts=0,"
		    "aformat=sample_fmts=fltp:channel_layouts=stereo,adelay=%.0f:all=1[a%d];",
		    i, offset(m, &m->in[i]) * 1000, i);
		n++;
	}
	for (int i = 0; i < m->n; i++)
		if (m->in[i].audio)
			put(g, "[a%d]", i);
	if (n)
		put(g,
		    "amix=inputs=%d:duration=longest:normalize=0,alimiter=level=false:limit=0.95["
		    "sound]",
		    n);
	return n;
}

static void add_inputs(struct args *a, const struct mix *m, const char *storage)
{
	for (int i = 0; i < m->n; i++) {
		const char *dot = strrchr(m->in[i].file, '.'), *ext = dot ? dot + 1 : "";
		bool mkv = !strcmp(ext, "webm") || !strcmp(ext, "mkv"), mp4 = !strcmp(ext, "mp4");
		char path[PATH_MAX + STORE_PATH_MAX];
		snprintf(path, sizeof(path), "%s/%s", storage, m->in[i].file);
		args_add(a, "-reinit_filter"), args_add(a, "0");
		args_add(a, "-threads"), args_add(a, "1");
		ffmpeg_input(a, path, mkv ? CODEC_WEBM : mp4 ? CODEC_MP4 : CODEC_NONE);
	}
}

static void add_picture_codec(struct args *a, const char *ext)
{
	static const char *const vp8[] = {
	    "-c:v",  "libvpx", "-deadline", "realtime", "-cpu-used", "12", "-b:v",
	    "1500k", "-g",     "100",	    "-threads", "1",	     NULL};
	static const char *const h264[] = {"-c:v", "libx264", "-preset",  "veryfast", "-crf", "26",
					   "-g",   "100",     "-threads", "1",	      NULL};

	args_words(a, strcmp(ext, "webm") ? h264 : vp8);
}

void mix_command(struct args *a, const struct mix *m, const char *storage, const char *ext,
		 bool plain, const char *out)
{
	struct graph graph = {0};

	buf_init(&graph.text, GRAPH_MAX);
	ffmpeg_start(a);
	args_add(a, "-progress"), args_add(a, "pipe:1");
	args_add(a, "-stats_period"), args_add(a, "1");
	add_inputs(a, m, storage);
	bool sound = put_sound(&graph, m);
	if (m->video) {
		if (sound)
			put(&graph, ";");
		put_pictures(&graph, m, plain);
	}
	a->full |= graph.failed;
	args_add(a, "-filter_complex");
	args_add(a, "%.*s", (int)buf_len(&graph.text), (const char *)buf_data(&graph.text));
	if (m->video) {
		args_add(a, "-map"), args_add(a, "[picture]");
		add_picture_codec(a, ext);
	}
	if (sound) {
		args_add(a, "-map"), args_add(a, "[sound]");
		ffmpeg_sound_codec(a, ext);
	}
	args_add(a, "-t"), args_add(a, "%.3f", m->seconds);
	ffmpeg_container(a, ext, out);
	buf_done(&graph.text);
}
