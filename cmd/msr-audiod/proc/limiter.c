/*
 * limiter: no sample ever exceeds the ceiling. Looks 5 ms ahead:
 *
 *	r(t) = min(1, ceiling / loudest channel)      what the sample itself needs
 *	m(t) = min of r over the last N + 1 samples   sliding minimum by a queue of candidates
 *	e(t) = m(t) if lower, else released towards it
 *	gain for sample t - N = mean of e over the last N samples
 *
 * Every e in that mean is at most r(t - N), so the mean is, too: the gain moves without a step and
 * is never too high.
 */
#include "all.h"

#include <errno.h>
#include <stdlib.h>

#define AHEAD_S	  0.005
#define RELEASE_S 0.1

struct limiter {
	float ceiling, release;
	unsigned channels, n; /* n: samples ahead */
	float *delayed;	      /* n frames */
	float *env;	      /* n values of e */
	double env_sum;
	float e;
	/* Candidates for the minimum: rising values of r with their times, at most n + 1. */
	float *cand;
	uint64_t *cand_t;
	unsigned cand_head, cand_n;
	uint64_t t;
};

static unsigned ahead(const struct proc_context *c)
{
	return (unsigned)(c->format.rate * AHEAD_S);
}

static void close_limiter(void *state)
{
	struct limiter *l = state;

	if (!l)
		return;
	free(l->delayed);
	free(l->env);
	free(l->cand);
	free(l->cand_t);
	free(l);
}

static int open_limiter(void **state, const struct proc_context *c)
{
	struct limiter *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->n = ahead(c);
	l->channels = c->format.channels;
	l->ceiling = sample_floor((float)from_db(c->param[0]), c->samples);
	l->release = (float)(1 - exp(-1 / (RELEASE_S * c->format.rate)));
	l->delayed = calloc((size_t)l->n * l->channels, sizeof(float));
	l->env = malloc(l->n * sizeof(float));
	l->cand = malloc((l->n + 1) * sizeof(float));
	l->cand_t = malloc((l->n + 1) * sizeof(uint64_t));
	if (!l->delayed || !l->env || !l->cand || !l->cand_t) {
		close_limiter(l);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < l->n; i++)
		l->env[i] = 1;
	l->env_sum = l->n;
	l->e = 1;
	*state = l;
	return 0;
}

static float sliding_min(struct limiter *l, float r)
{
	unsigned size = l->n + 1;

	while (l->cand_n && l->cand[(l->cand_head + l->cand_n - 1) % size] >= r)
		l->cand_n--;
	if (l->cand_n && l->cand_t[l->cand_head] + l->n < l->t) {
		l->cand_head = (l->cand_head + 1) % size;
		l->cand_n--;
	}
	unsigned at = (l->cand_head + l->cand_n++) % size;
	l->cand[at] = r;
	l->cand_t[at] = l->t;
	return l->cand[l->cand_head];
}

static float clamp(float v, float ceiling)
{
	return v > ceiling ? ceiling : v < -ceiling ? -ceiling : v;
}

static int process(void *state, float *samples, size_t frames)
{
	struct limiter *l = state;

	for (size_t i = 0; i < frames; i++, l->t++) {
		float *s = &samples[i * l->channels], peak = 0;
		for (unsigned ch = 0; ch < l->channels; ch++)
			peak = fmaxf(peak, fabsf(s[ch]));
		float m = sliding_min(l, peak > l->ceiling ? l->ceiling / peak : 1);
		l->e = m < l->e ? m : l->e + (m - l->e) * l->release;
		unsigned at = (unsigned)(l->t % l->n);
		l->env_sum += l->e - l->env[at];
		l->env[at] = l->e;
		float gain = (float)(l->env_sum / l->n);
		float *old = &l->delayed[(size_t)at * l->channels];
		for (unsigned ch = 0; ch < l->channels; ch++) {
			float out = old[ch] * gain;
			old[ch] = s[ch];
			s[ch] = clamp(out, l->ceiling); /* the sum's rounding */
		}
	}
	return 0;
}

const struct processor proc_limiter = {
    .name = "limiter",
    .params = {{"dbfs", "dBFS", -1, -60, 0}},
    .delay = ahead,
    .open = open_limiter,
    .process = process,
    .close = close_limiter,
};
