/*
 * denoise: steady noise is taken away by speexdsp's preprocessor. It works on blocks of 20 ms that
 * overlap by as much, so the sound comes out two blocks later.
 */
#include "all.h"

#include <errno.h>
#include <speex/speex_preprocess.h>
#include <stdlib.h>

#include "blocks.h"

struct denoise {
	struct blocks blocks;
	SpeexPreprocessState *speex[PROC_CHANNELS_MAX];
};

static unsigned delay(const struct proc_context *c)
{
	return 2 * (unsigned)(c->format.rate * BLOCK_S);
}

static void close_denoise(void *state)
{
	struct denoise *d = state;

	if (!d)
		return;
	for (int ch = 0; ch < PROC_CHANNELS_MAX; ch++)
		if (d->speex[ch])
			speex_preprocess_state_destroy(d->speex[ch]);
	free(d);
}

static int open_denoise(void **state, const struct proc_context *c)
{
	struct denoise *d = calloc(1, sizeof(*d));
	spx_int32_t on = 1, db = -(spx_int32_t)c->param[0];

	if (!d)
		return -ENOMEM;
	blocks_init(&d->blocks, &c->format);
	for (unsigned ch = 0; ch < c->format.channels; ch++) {
		d->speex[ch] =
		    speex_preprocess_state_init((int)d->blocks.size, (int)c->format.rate);
		if (!d->speex[ch]) {
			close_denoise(d);
			return -ENOMEM;
		}
		speex_preprocess_ctl(d->speex[ch], SPEEX_PREPROCESS_SET_DENOISE, &on);
		speex_preprocess_ctl(d->speex[ch], SPEEX_PREPROCESS_SET_NOISE_SUPPRESS, &db);
	}
	*state = d;
	return 0;
}

static void on_block(void *arg, unsigned channel, int16_t *samples)
{
	struct denoise *d = arg;

	speex_preprocess_run(d->speex[channel], samples);
}

static int process(void *state, float *samples, size_t frames)
{
	struct denoise *d = state;

	blocks_run(&d->blocks, samples, frames, on_block, d);
	return 0;
}

const struct processor proc_denoise = {
    .name = "denoise",
    .params = {{"db", "dB", 30, 1, 60}},
    .rate_min = 8000,
    .rate_max = 48000,
    .delay = delay,
    .open = open_denoise,
    .process = process,
    .close = close_denoise,
};
