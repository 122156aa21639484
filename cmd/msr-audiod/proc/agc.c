/*
 * agc: brings speech to a level, RMS. Follows the level of what is speech only (gated: not below
 * -60 dBFS, not 20 dB below the running level), so that pauses do not pull the gain up.
 *
 * speexdsp has a gain control too, but steers by a loudness of its own with no level that could be
 * named in dBFS.
 */
#include "all.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW_S     0.02
#define GATE_DBFS    -60.0
#define GATE_BELOW   20.0 /* dB under the running level */
#define AVERAGE_S    1.0  /* of the level, once it is known */
#define GAIN_MAX     40.0 /* dB */
#define SLEW_DB_S    20.0 /* how fast the gain moves */
#define FLOOR_FALL_S 3.0  /* after this long under the gate the level is measured afresh */

struct agc {
	double target; /* dBFS */
	unsigned channels, window;
	double rate;
	double sum; /* of squares in the window */
	unsigned n;
	double power; /* running, of speech; 0: not known yet */
	double heard; /* seconds of speech, up to AVERAGE_S: the average is short at first */
	double quiet; /* seconds under the gate */
	double gain_db, want_db;
};

static int open_agc(void **state, const struct proc_context *c)
{
	struct agc *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->target = c->param[0];
	a->channels = c->format.channels;
	a->rate = c->format.rate;
	a->window = (unsigned)(a->rate * WINDOW_S);
	*state = a;
	return 0;
}

static void end_window(struct agc *a)
{
	double power = a->sum / ((double)a->window * a->channels);
	double db = 10 * log10(power + 1e-12);
	double running = a->power > 0 ? 10 * log10(a->power) : db;

	a->sum = 0;
	a->n = 0;
	if (db < GATE_DBFS || db < running - GATE_BELOW) {
		a->quiet += WINDOW_S;
		if (a->quiet > FLOOR_FALL_S && db >= GATE_DBFS)
			a->power = a->heard = 0;
		return;
	}
	a->quiet = 0;
	a->heard = fmin(a->heard + WINDOW_S, AVERAGE_S);
	a->power += (power - a->power) * (WINDOW_S / a->heard);
	a->want_db = fmin(a->target - 10 * log10(a->power), GAIN_MAX);
}

static int process(void *state, float *samples, size_t frames)
{
	struct agc *a = state;
	double step = SLEW_DB_S / a->rate;
	double gain = from_db(a->gain_db);

	for (size_t i = 0; i < frames; i++) {
		float *s = &samples[i * a->channels];
		for (unsigned ch = 0; ch < a->channels; ch++)
			a->sum += (double)s[ch] * s[ch];
		if (++a->n == a->window)
			end_window(a);
		double gap = a->want_db - a->gain_db;
		if (gap != 0) {
			a->gain_db += fmax(-step, fmin(step, gap));
			/* The factor follows once a millisecond: pow(3) a sample is too dear. */
			if (i % 16 == 0 || fabs(gap) < step)
				gain = from_db(a->gain_db);
		}
		for (unsigned ch = 0; ch < a->channels; ch++)
			s[ch] *= (float)gain;
	}
	return 0;
}

const struct processor proc_agc = {
    .name = "agc",
    .params = {{"dbfs", "dBFS", -20, -60, 0}},
    .open = open_agc,
    .process = process,
    .close = free,
};
