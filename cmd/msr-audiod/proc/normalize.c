/*
 * normalize: brings the programme's loudness to a target (EBU R128, by libebur128): the gated
 * loudness of everything so far, so that the gain settles and quiet passages stay quiet.
 */
#include "all.h"

#include <ebur128.h>
#include <errno.h>
#include <stdlib.h>

#define STEP_S	  0.1  /* between two looks at the loudness */
#define GAIN_MAX  20.0 /* dB, as the manual says */
#define GAIN_MIN  -60.0
#define SLEW_DB_S 12.0

struct normalize {
	ebur128_state *r128;
	double target;
	unsigned channels, step, n;
	double slew; /* dB a sample */
	double gain_db, want_db;
};

static void close_normalize(void *state)
{
	struct normalize *z = state;

	if (!z)
		return;
	ebur128_destroy(&z->r128);
	free(z);
}

static int open_normalize(void **state, const struct proc_context *c)
{
	struct normalize *z = calloc(1, sizeof(*z));

	if (!z)
		return -ENOMEM;
	/* The histogram keeps the memory of a long programme constant. */
	z->r128 = ebur128_init(c->format.channels, c->format.rate,
			       EBUR128_MODE_I | EBUR128_MODE_HISTOGRAM);
	if (!z->r128) {
		free(z);
		return -ENOMEM;
	}
	z->target = c->param[0];
	z->channels = c->format.channels;
	z->step = (unsigned)(c->format.rate * STEP_S);
	z->slew = SLEW_DB_S / c->format.rate;
	*state = z;
	return 0;
}

static void look(struct normalize *z)
{
	double lufs;

	z->n = 0;
	if (ebur128_loudness_global(z->r128, &lufs) == EBUR128_SUCCESS && isfinite(lufs))
		z->want_db = fmax(GAIN_MIN, fmin(GAIN_MAX, z->target - lufs));
}

static int process(void *state, float *samples, size_t frames)
{
	struct normalize *z = state;

	while (frames) {
		size_t n = z->step - z->n < frames ? z->step - z->n : frames;
		if (ebur128_add_frames_float(z->r128, samples, n) != EBUR128_SUCCESS)
			return -ENOMEM;
		/* One factor for up to 100 ms would be heard as a step: a ramp instead. */
		double from = from_db(z->gain_db);
		double gap = z->want_db - z->gain_db, most = z->slew * (double)n;
		z->gain_db += fmax(-most, fmin(most, gap));
		double ramp = (from_db(z->gain_db) - from) / (double)n;
		for (size_t i = 0; i < n; i++)
			for (unsigned ch = 0; ch < z->channels; ch++)
				*samples++ *= (float)(from + ramp * (double)i);
		z->n += (unsigned)n;
		frames -= n;
		if (z->n == z->step)
			look(z);
	}
	return 0;
}

const struct processor proc_normalize = {
    .name = "normalize",
    .params = {{"lufs", "LUFS", -23, -60, 0}},
    .open = open_normalize,
    .process = process,
    .close = close_normalize,
};
