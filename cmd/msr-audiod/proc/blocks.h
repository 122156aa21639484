/*
 * Fixed blocks for processors that need them: samples come in any number, go through in blocks of
 * 20 ms of one channel as 16-bit integers (what speexdsp takes), and come out a block later.
 */
#ifndef MSR_AUDIOD_PROC_BLOCKS_H
#define MSR_AUDIOD_PROC_BLOCKS_H

#include "proc.h"

#define BLOCK_S	  0.02
#define BLOCK_MAX 960 /* samples of 20 ms at the highest rate of speexdsp, 48 kHz */

struct blocks {
	unsigned channels, size, n; /* n: samples in the open block */
	int16_t in[PROC_CHANNELS_MAX][BLOCK_MAX];
	int16_t out[PROC_CHANNELS_MAX][BLOCK_MAX];
};

void blocks_init(struct blocks *b, const struct proc_format *f);
/* `block` sees each full one, to be changed in place. */
void blocks_run(struct blocks *b, float *samples, size_t frames,
		void (*block)(void *arg, unsigned channel, int16_t *samples), void *arg);

#endif
