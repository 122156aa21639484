/*
 * A mix: the recordings of a room become one, everybody side by side and all sound together. Here
 * is decided who is where and when; no files are read and nothing is run.
 *
 *   <name>.json of each ── mix_add ──▶ inputs ── mix_arrange ──▶ cells ── mix_command ──▶ ffmpeg
 *
 * Each recording lies on the room's time axis where its metadata says that it began; where nobody
 * is to be seen is a dark cell, where nothing is to be heard silence. A person has one cell,
 * however often they came and went. Screens are in a larger one beside the people.
 */
#ifndef MSR_RECORD_MIX_H
#define MSR_RECORD_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store.h"

struct args;
struct settings;

#define MIX_INPUTS_MAX	64 /* recordings; later ones are left out */
#define MIX_PEOPLE_MAX	16 /* cells; those who come later are only heard */
#define MIX_SCREENS_MAX 4
#define MIX_CELLS_MAX	(MIX_PEOPLE_MAX + MIX_SCREENS_MAX)
#define MIX_WIDTH	1280 /* pixels */
#define MIX_HEIGHT	720
#define MIX_S_MAX	86400 /* seconds of a mix */

/* A recording. */
struct mix_input {
	char file[STORE_PATH_MAX]; /* in the storage */
	char name[ID_SIZE];	   /* the session's: whose it is */
	bool screen;
	bool video, audio;
	int64_t start_us; /* since 1970 */
	double seconds;
	int cell; /* -1: only heard */
};

struct mix_cell {
	char name[ID_SIZE];
	bool screen;
	int x, y, w, h; /* pixels, all even */
};

struct mix {
	struct mix_input in[MIX_INPUTS_MAX];
	int n;
	struct mix_cell cells[MIX_CELLS_MAX];
	int n_cells;
	bool video;	  /* somebody is to be seen */
	int64_t start_us; /* of the first, since 1970 */
	double seconds;	  /* from there to the end of the last */
	int left_out;	  /* recordings, by the limits above */
};

/*
 * Adds the recording whose metadata is `text`, in this folder of the storage ("" for none). 0 also
 * when it is in the mix already or there is no room; -EBADMSG when it is not metadata.
 */
int mix_add(struct mix *m, const char *folder, const char *text, size_t n);
/* When all are there: order, times and cells. */
void mix_arrange(struct mix *m);

/* The extension of the result: set->video, or set->audio when there is nothing to see. */
const char *mix_ext(const struct mix *m, const struct settings *set);
/*
 * The command line. `storage` is the absolute path that the files of the inputs are in. `plain`:
 * without names, which need a font.
 */
void mix_command(struct args *a, const struct mix *m, const char *storage, const char *ext,
		 bool plain, const char *out);

#endif
