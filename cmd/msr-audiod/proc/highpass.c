/*
 * highpass: second-order Butterworth, as the "Cookbook formulae for audio EQ biquad filter
 * coefficients" of R. Bristow-Johnson give it, in transposed direct form II.
 */
#include "all.h"

#include <errno.h>
#include <stdlib.h>

struct highpass {
	double b0, b1, b2, a1, a2;
	double z[PROC_CHANNELS_MAX][2];
	unsigned channels;
};

static int open_highpass(void **state, const struct proc_context *c)
{
	struct highpass *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	double w = 2 * M_PI * c->param[0] / c->format.rate;
	double alpha = sin(w) / M_SQRT2, a0 = 1 + alpha;
	h->b0 = h->b2 = (1 + cos(w)) / 2 / a0;
	h->b1 = -(1 + cos(w)) / a0;
	h->a1 = -2 * cos(w) / a0;
	h->a2 = (1 - alpha) / a0;
	h->channels = c->format.channels;
	*state = h;
	return 0;
}

static int process(void *state, float *samples, size_t frames)
{
	struct highpass *h = state;

	for (unsigned ch = 0; ch < h->channels; ch++) {
		double *z = h->z[ch];
		for (size_t i = 0; i < frames; i++) {
			float *s = &samples[i * h->channels + ch];
			double x = *s, y = h->b0 * x + z[0];
			z[0] = h->b1 * x - h->a1 * y + z[1];
			z[1] = h->b2 * x - h->a2 * y;
			*s = (float)y;
		}
	}
	return 0;
}

const struct processor proc_highpass = {
    .name = "highpass",
    .params = {{"hz", "Hz", 80, 10, 3900}},
    .open = open_highpass,
    .process = process,
    .close = free,
};
