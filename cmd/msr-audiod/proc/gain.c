/* gain: louder or softer by a fixed number of decibels. */
#include "all.h"

#include <errno.h>
#include <stdlib.h>

struct gain {
	float factor;
	unsigned channels;
};

static int open_gain(void **state, const struct proc_context *c)
{
	struct gain *g = malloc(sizeof(*g));

	if (!g)
		return -ENOMEM;
	*g = (struct gain){(float)from_db(c->param[0]), c->format.channels};
	*state = g;
	return 0;
}

static int process(void *state, float *samples, size_t frames)
{
	const struct gain *g = state;

	for (size_t i = 0; i < frames * g->channels; i++)
		samples[i] *= g->factor;
	return 0;
}

const struct processor proc_gain = {
    .name = "gain",
    .params = {{"db", "dB", 0, -60, 60}},
    .open = open_gain,
    .process = process,
    .close = free,
};
