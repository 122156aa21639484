/* Blocks: what comes in fills `in` while what went through leaves from `out`. */
#include "blocks.h"

#include <math.h>
#include <string.h>

void blocks_init(struct blocks *b, const struct proc_format *f)
{
	memset(b, 0, sizeof(*b));
	b->channels = f->channels;
	b->size = (unsigned)(f->rate * BLOCK_S);
}

static int16_t to_s16(float v)
{
	float s = v * 32768;

	return s >= 32767 ? 32767 : s <= -32768 ? -32768 : (int16_t)lrintf(s);
}

void blocks_run(struct blocks *b, float *samples, size_t frames,
		void (*block)(void *arg, unsigned channel, int16_t *samples), void *arg)
{
	for (size_t i = 0; i < frames; i++) {
		for (unsigned ch = 0; ch < b->channels; ch++) {
			float *s = &samples[i * b->channels + ch];
			b->in[ch][b->n] = to_s16(*s);
			*s = (float)b->out[ch][b->n] / 32768;
		}
		if (++b->n < b->size)
			continue;
		b->n = 0;
		for (unsigned ch = 0; ch < b->channels; ch++) {
			memcpy(b->out[ch], b->in[ch], b->size * sizeof(int16_t));
			block(arg, ch, b->out[ch]);
		}
	}
}
