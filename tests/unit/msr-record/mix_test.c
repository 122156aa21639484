/* Who is where and when in a mix, and what FFmpeg is told. */
#include "../../../cmd/msr-record/mix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../cmd/msr-record/ffmpeg.h"
#include "../../support/test.h"

/* Adds what msr-record would have written; `at` and `seconds` on the room's time axis. */
static int add(struct mix *m, const char *storage, const char *name, int at, double seconds,
	       const char *codecs)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "{\"session\":\"%s\",\"storage\":\"%s\",\"file\":\"%s.webm\",\"start\":"
			 "\"2026-01-02T03:%02d:%02d.250000Z\",\"duration\":%.3f,\"codecs\":[%s]}",
			 name, storage, name, at / 60, at % 60, seconds, codecs);

	return mix_add(m, strcmp(storage, name) ? storage : "", text, (size_t)n);
}

#define AV "\"vp8\",\"opus\""

TEST(inputs_lie_where_they_began_and_the_mix_is_as_long_as_all_of_them)
{
	struct mix *m = calloc(1, sizeof(*m));

	CHECK_INT(add(m, "", "bob", 70, 20, AV), 0);
	CHECK_INT(add(m, "", "ann", 10, 30, AV), 0);
	CHECK_INT(add(m, "", "ann", 10, 30, AV), 0); /* noted twice */
	mix_arrange(m);
	CHECK_INT(m->n, 2);
	CHECK_STR(m->in[0].name, "ann");
	CHECK_INT(m->in[1].start_us - m->start_us, 60000000);
	CHECK_INT((long)m->seconds, 80);
	CHECK(m->start_us % 1000000 == 250000);
	free(m);
}

TEST(the_screen_of_somebody_called_screen_is_one)
{
	struct mix *m = calloc(1, sizeof(*m));

	CHECK_INT(add(m, "camera", "screen", 0, 10, AV), 0);
	CHECK_INT(add(m, "screen", "screen", 1, 10, AV), 0);
	mix_arrange(m);
	CHECK_INT(m->n_cells, 2);
	CHECK(!m->cells[0].screen && m->cells[1].screen);
	free(m);
}

static bool apart(const struct mix_cell *a, const struct mix_cell *b)
{
	return a->x + a->w <= b->x || b->x + b->w <= a->x || a->y + a->h <= b->y ||
	       b->y + b->h <= a->y;
}

TEST(cells_are_in_the_picture_and_apart_for_any_number_of_people)
{
	struct mix *m = calloc(1, sizeof(*m));
	char name[8];

	for (int people = 0; people <= 20; people++) {
		for (int screens = people ? 0 : 1; screens <= 6; screens++) {
			memset(m, 0, sizeof(*m));
			for (int i = 0; i < people + screens; i++) {
				snprintf(name, sizeof(name), "p%d", i);
				add(m, i < people ? "" : "screen", name, i, 60, AV);
			}
			mix_arrange(m);
			CHECK_INT(m->n_cells,
				  (people < 16 ? people : 16) + (screens < 4 ? screens : 4));
			for (int i = 0; i < m->n_cells; i++) {
				const struct mix_cell *c = &m->cells[i];
				CHECK(c->w > 0 && c->h > 0 && c->w % 2 == 0 && c->h % 2 == 0);
				CHECK(c->x >= 0 && c->y >= 0 && c->x + c->w <= MIX_WIDTH &&
				      c->y + c->h <= MIX_HEIGHT);
				for (int k = 0; k < i; k++)
					CHECK(apart(c, &m->cells[k]));
			}
		}
	}
	free(m);
}

TEST(two_are_side_by_side_and_who_comes_back_has_the_same_cell)
{
	struct mix *m = calloc(1, sizeof(*m));

	add(m, "", "ann", 0, 10, AV);
	add(m, "", "bob", 1, 10, AV);
	add(m, "", "bob", 1, 10, AV);
	mix_arrange(m);
	CHECK(m->cells[0].x == 0 && m->cells[1].x == 640 && m->cells[0].w == 640);
	CHECK_INT(
	    mix_add(m, "",
		    "{\"session\":\"ann\",\"file\":\"ann~2.webm\",\"start\":"
		    "\"2026-01-02T03:01:00.0Z\",\"duration\":3,\"codecs\":[\"vp8\"]}",
		    strlen("{\"session\":\"ann\",\"file\":\"ann~2.webm\",\"start\":"
			   "\"2026-01-02T03:01:00.0Z\",\"duration\":3,\"codecs\":[\"vp8\"]}")),
	    0);
	mix_arrange(m);
	CHECK_INT(m->n, 3);
	CHECK_INT(m->n_cells, 2);
	CHECK_INT(m->in[2].cell, m->in[0].cell);
	CHECK(!m->in[2].audio && m->in[2].video);
	free(m);
}

TEST(what_is_no_metadata_or_leads_elsewhere_is_refused)
{
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{",
	    "{\"session\":\"a\"}",
#define META(session, file, start, rest) \
	"{\"session\":\"" session "\",\"file\":\"" file "\",\"start\":\"" start "\"," rest "}"
#define GOOD "\"duration\":1,\"codecs\":[\"opus\"]"
	    META("a'b", "a.mp3", "2026-01-02T03:04:05.0Z", GOOD),
	    META("a", "../a.mp3", "2026-01-02T03:04:05.0Z", GOOD),
	    META("a", ".a.mp3", "2026-01-02T03:04:05.0Z", GOOD),
	    META("a", "a.mp3", "yesterday", GOOD),
	    META("a", "a.mp3", "2026-01-02T03:04:05.0", GOOD),
	    META("a", "a.mp3", "2026-01-02T03:04:05.0Z", "\"duration\":-1,\"codecs\":[\"opus\"]"),
	    META("a", "a.mp3", "2026-01-02T03:04:05.0Z",
		 "\"duration\":1e300,\"codecs\":[\"opus\"]"),
	    META("a", "a.mp3", "2026-01-02T03:04:05.0Z", "\"duration\":1,\"codecs\":[]"),
	};
	struct mix *m = calloc(1, sizeof(*m));

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(mix_add(m, "", bad[i], strlen(bad[i])), -EBADMSG);
	CHECK_INT(m->n, 0);
	free(m);
}

TEST(a_clock_that_is_wrong_makes_no_years_of_darkness)
{
	static const char late[] = META("a", "a.mp3", "2031-01-02T03:04:05.0Z", GOOD);
	static const char long_one[] =
	    META("b", "b.mp3", "2026-01-02T03:00:00.0Z", "\"duration\":9e8,\"codecs\":[\"opus\"]");
	struct mix *m = calloc(1, sizeof(*m));

	add(m, "", "ann", 0, 10, AV);
	mix_add(m, "", late, sizeof(late) - 1);
	mix_add(m, "", long_one, sizeof(long_one) - 1);
	mix_arrange(m);
	CHECK_INT(m->n, 2);
	CHECK_INT(m->left_out, 1);
	CHECK(m->seconds <= MIX_S_MAX);
	free(m);
}

TEST(a_room_of_which_there_is_one_picture_lasts_for_a_moment)
{
	struct mix *m = calloc(1, sizeof(*m));

	add(m, "", "ann", 0, 0, AV);
	mix_arrange(m);
	CHECK(m->seconds > 0.05 && m->seconds < 0.5);
	free(m);
}

TEST(the_largest_mix_fits_a_command_line)
{
	struct mix *m = calloc(1, sizeof(*m));
	struct args *a = malloc(sizeof(*a));
	char name[ID_SIZE], storage[1000];

	memset(storage, 'd', sizeof(storage));
	storage[sizeof(storage) - 1] = '\0';
	for (int i = 0; i < MIX_INPUTS_MAX + 3; i++) {
		memset(name, 'n', ID_MAX);
		name[ID_MAX] = '\0';
		name[0] = (char)('A' + i % 26);
		name[1] = (char)('A' + i / 26);
		add(m, "", name, i, 3000.125, AV);
	}
	mix_arrange(m);
	CHECK_INT(m->n, MIX_INPUTS_MAX);
	CHECK_INT(m->left_out, 3);
	mix_command(a, m, storage, "webm", false, "/x/out");
	CHECK(!a->full);
	mix_command(a, m, storage, "webm", true, "/x/out");
	for (int i = 0; i < a->n; i++)
		CHECK(!strstr(a->v[i], "drawtext"));
	free(a);
	free(m);
}
