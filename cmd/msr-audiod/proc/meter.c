/* meter: tells the client peak, RMS and momentary loudness (EBU R128), some times a second. */
#include "all.h"

#include <ebur128.h>
#include <errno.h>
#include <stdlib.h>

#include "base/json.h"

struct meter {
	const struct proc_context *context; /* lent */
	ebur128_state *r128;
	unsigned channels;
	size_t window, n; /* samples of each channel */
	double sum;
	float peak;
};

static void close_meter(void *state)
{
	struct meter *m = state;

	if (!m)
		return;
	ebur128_destroy(&m->r128);
	free(m);
}

static int open_meter(void **state, const struct proc_context *c)
{
	struct meter *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->r128 = ebur128_init(c->format.channels, c->format.rate, EBUR128_MODE_M);
	if (!m->r128) {
		free(m);
		return -ENOMEM;
	}
	m->context = c;
	m->channels = c->format.channels;
	m->window = (size_t)(c->format.rate * c->param[0] / 1000);
	*state = m;
	return 0;
}

static void tell(struct meter *m)
{
	char text[160];
	struct json j;
	double lufs;

	if (ebur128_loudness_momentary(m->r128, &lufs) != EBUR128_SUCCESS)
		lufs = -INFINITY;
	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "event", "level");
	json_num(&j, "peak", to_db(m->peak), 1);
	json_num(&j, "rms", to_db(sqrt(m->sum / ((double)m->window * m->channels))), 1);
	json_num(&j, "lufs", fmax(lufs, -120), 1);
	json_obj_end(&j);
	int len = json_end(&j);
	if (len > 0 && m->context->event)
		m->context->event(m->context->arg, text, (size_t)len);
	m->n = 0;
	m->sum = 0;
	m->peak = 0;
}

static int process(void *state, float *samples, size_t frames)
{
	struct meter *m = state;

	while (frames) {
		size_t n = m->window - m->n < frames ? m->window - m->n : frames;
		if (ebur128_add_frames_float(m->r128, samples, n) != EBUR128_SUCCESS)
			return -ENOMEM;
		for (size_t i = 0; i < n * m->channels; i++) {
			float v = *samples++;
			m->peak = fmaxf(m->peak, fabsf(v));
			m->sum += (double)v * v;
		}
		m->n += n;
		frames -= n;
		if (m->n == m->window)
			tell(m);
	}
	return 0;
}

const struct processor proc_meter = {
    .name = "meter",
    .params = {{"ms", "ms", 100, 20, 10000}},
    .open = open_meter,
    .process = process,
    .close = close_meter,
};
