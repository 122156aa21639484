/* Who is in a mix, when, and where in the picture. */
#include "mix.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/id.h"
#include "ffmpeg.h"
#include "recorder.h"

#define SCREEN_STORAGE "screen" /* storage id of screens of calls, see msr-sfu(8) */
#define SCREEN_WIDTH   960	/* pixels of the part with screens, where there are some */
#define MIX_S_MIN      0.1	/* seconds: a recording of one picture has none */

/* ---- inputs ---- */

/* RFC 3339 as we write it, with fractions, in UTC. */
static bool parse_time(const char *text, int64_t *us)
{
	struct tm tm = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	double fraction = 0;
	char *end;

	if (!rest)
		return false;
	if (*rest == '.') {
		fraction = strtod(rest, &end);
		rest = end;
	}
	if (strcmp(rest, "Z") != 0 || !(fraction >= 0 && fraction < 1))
		return false;
	*us = (int64_t)timegm(&tm) * 1000000 + (int64_t)(fraction * 1e6 + 0.5);
	return true;
}

static bool is_picture(const char *codec)
{
	static const char *const codecs[] = {"vp8", "vp9", "av1", "h264", "hevc"};

	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		if (!strcmp(codec, codecs[i]))
			return true;
	return false;
}

static int read_input(struct mix_input *in, const char *folder, const json_t *root)
{
	const char *session = json_string_value(json_object_get(root, "session"));
	const char *file = json_string_value(json_object_get(root, "file"));
	const char *start = json_string_value(json_object_get(root, "start"));
	const char *storage = json_string_value(json_object_get(root, "storage"));
	const json_t *codecs = json_object_get(root, "codecs"), *codec;
	size_t i;

	*in = (struct mix_input){
	    .seconds = json_number_value(json_object_get(root, "duration")),
	    .screen = storage && !strcmp(storage, SCREEN_STORAGE),
	    .cell = -1,
	};
	if (!session || !id_valid(session, strlen(session)) || !file || strchr(file, '/') ||
	    *file == '.' || strlen(file) >= STEM_SIZE + 8 || !parse_time(start, &in->start_us) ||
	    !(in->seconds >= 0 && in->seconds < 1e9))
		return -EBADMSG;
	snprintf(in->name, sizeof(in->name), "%s", session);
	snprintf(in->file, sizeof(in->file), "%s%s%s", folder, *folder ? "/" : "", file);
	json_array_foreach(codecs, i, codec)
	{
		bool picture = json_is_string(codec) && is_picture(json_string_value(codec));
		*(picture ? &in->video : &in->audio) = true;
	}
	return in->video || in->audio ? 0 : -EBADMSG;
}

int mix_add(struct mix *m, const char *folder, const char *text, size_t n)
{
	json_t *root = json_loadb(text, n, 0, NULL);
	struct mix_input in;
	int ret = root ? read_input(&in, folder, root) : -EBADMSG;

	json_decref(root);
	if (ret)
		return ret;
	for (int i = 0; i < m->n; i++)
		if (!strcmp(m->in[i].file, in.file))
			return 0;
	if (m->n == MIX_INPUTS_MAX)
		m->left_out++;
	else
		m->in[m->n++] = in;
	return 0;
}

/* ---- cells ---- */

static int by_start(const void *a, const void *b)
{
	const struct mix_input *x = a, *y = b;

	return (x->start_us > y->start_us) - (x->start_us < y->start_us);
}

/* The room's time axis; what lies beyond a day is a wrong clock, or too long. */
static void set_times(struct mix *m)
{
	int kept = 0;

	m->start_us = m->n ? m->in[0].start_us : 0;
	m->seconds = 0;
	for (int i = 0; i < m->n; i++) {
		double at = (double)(m->in[i].start_us - m->start_us) / 1e6;
		if (at >= MIX_S_MAX) {
			m->left_out++;
			continue;
		}
		m->in[kept] = m->in[i];
		double end = fmax(at + m->in[kept++].seconds, MIX_S_MIN);
		m->seconds = fmax(m->seconds, fmin(end, MIX_S_MAX));
	}
	m->n = kept;
}

static int count_cells(const struct mix *m, bool screen)
{
	int n = 0;

	for (int i = 0; i < m->n_cells; i++)
		n += m->cells[i].screen == screen;
	return n;
}

/* The cell of this input's person or screen, which may be new; -1 when there are too many. */
static int cell_of(struct mix *m, const struct mix_input *in)
{
	for (int i = 0; i < m->n_cells; i++)
		if (m->cells[i].screen == in->screen && !strcmp(m->cells[i].name, in->name))
			return i;
	if (count_cells(m, in->screen) == (in->screen ? MIX_SCREENS_MAX : MIX_PEOPLE_MAX))
		return -1;
	struct mix_cell *c = &m->cells[m->n_cells];
	*c = (struct mix_cell){.screen = in->screen};
	snprintf(c->name, sizeof(c->name), "%s", in->name);
	return m->n_cells++;
}

/* As many columns as make pictures of 16:9 as large as can be. */
static int best_columns(int w, int h, int n)
{
	double best = 0;
	int columns = 1;

	for (int c = 1; c <= n; c++) {
		int rows = (n + c - 1) / c;
		double width = fmin((double)w / c, (double)h / rows * 16 / 9);
		if (width >= best) { /* side by side rather than one above the other */
			best = width;
			columns = c;
		}
	}
	return columns;
}

/* Lays the cells of one sort out in this part of the picture; a last row is centred. */
static void fill(struct mix *m, bool screen, int x, int y, int w, int h)
{
	int n = count_cells(m, screen), at = 0;

	if (!n)
		return;
	int columns = best_columns(w, h, n), rows = (n + columns - 1) / columns;
	int cw = w / columns & ~1, ch = h / rows & ~1;
	for (int i = 0; i < m->n_cells; i++) {
		struct mix_cell *c = &m->cells[i];
		if (c->screen != screen)
			continue;
		int row = at / columns, in_row = row == rows - 1 ? n - row * columns : columns;
		c->x = x + (((w - in_row * cw) / 2 + at % columns * cw) & ~1);
		c->y = y + (((h - rows * ch) / 2 + row * ch) & ~1);
		c->w = cw;
		c->h = ch;
		at++;
	}
}

void mix_arrange(struct mix *m)
{
	qsort(m->in, (size_t)m->n, sizeof(m->in[0]), by_start);
	set_times(m);
	m->video = false;
	m->n_cells = 0;
	for (int i = 0; i < m->n; i++)
		m->video |= m->in[i].video;
	for (int i = 0; i < m->n && m->video; i++)
		m->in[i].cell = cell_of(m, &m->in[i]);
	bool people = count_cells(m, false), screens = count_cells(m, true);
	int screen_width = !screens ? 0 : people ? SCREEN_WIDTH : MIX_WIDTH;
	fill(m, true, 0, 0, screen_width, MIX_HEIGHT);
	fill(m, false, screen_width, 0, MIX_WIDTH - screen_width, MIX_HEIGHT);
}

const char *mix_ext(const struct mix *m, const struct settings *set)
{
	return m->video ? set->video : set->audio;
}
