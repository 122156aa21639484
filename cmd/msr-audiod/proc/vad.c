/*
 * vad: finds speech and tells the client when it starts and ends. The sound passes unchanged and
 * undelayed; a mix of the channels goes through speexdsp's preprocessor in blocks of 20 ms. A block
 * is speech when speexdsp's estimate says so and it stands out of the background: the estimate
 * alone needs seconds to learn the noise, and half a second to let go of a word. Two blocks in a
 * row start speech, eight without end it, so that it does not flutter between syllables.
 */
#include "all.h"

#include <errno.h>
#include <speex/speex_preprocess.h>
#include <stdlib.h>

#include "base/json.h"
#include "blocks.h"

#define START_BLOCKS 2
#define END_BLOCKS   8
#define SILENT_DBFS  -60.0 /* quieter blocks are never speech: the estimate needs some sound */
#define STANDS_OUT   8.0   /* dB over the background */
#define RISE_DB	     0.04  /* a block: how fast the background is believed to have become louder */
#define FALL	     0.3   /* share of the way a block: quieter is believed at once */

struct vad {
	const struct proc_context *context; /* lent */
	SpeexPreprocessState *speex;
	unsigned channels, size, n;
	int16_t block[BLOCK_MAX];
	double threshold; /* percent */
	double floor;	  /* background, dBFS */
	bool speaking;
	unsigned run;	 /* blocks that speak against the present state */
	uint64_t blocks; /* so far */
};

static void close_vad(void *state)
{
	struct vad *v = state;

	if (!v)
		return;
	if (v->speex)
		speex_preprocess_state_destroy(v->speex);
	free(v);
}

static int open_vad(void **state, const struct proc_context *c)
{
	struct vad *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->context = c;
	v->channels = c->format.channels;
	v->size = (unsigned)(c->format.rate * BLOCK_S);
	v->threshold = c->param[0];
	v->speex = speex_preprocess_state_init((int)v->size, (int)c->format.rate);
	if (!v->speex) {
		free(v);
		return -ENOMEM;
	}
	*state = v;
	return 0;
}

/* `at` is where the run that decided began. */
static void tell(struct vad *v)
{
	char text[128];
	struct json j;

	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "event", "voice");
	json_str(&j, "state", v->speaking ? "start" : "end");
	json_num(&j, "at", (double)((v->blocks - v->run) * v->size) / v->context->format.rate, 2);
	json_obj_end(&j);
	int len = json_end(&j);
	if (len > 0 && v->context->event)
		v->context->event(v->context->arg, text, (size_t)len);
}

static bool is_speech(struct vad *v)
{
	double sum = 0, db;
	spx_int32_t percent = 0;

	for (unsigned i = 0; i < v->size; i++)
		sum += (double)v->block[i] * v->block[i];
	db = to_db(sqrt(sum / v->size) / 32768);
	if (v->blocks == 0)
		v->floor = db;
	v->floor = db < v->floor ? v->floor + (db - v->floor) * FALL : v->floor + RISE_DB;
	speex_preprocess_run(v->speex, v->block);
	speex_preprocess_ctl(v->speex, SPEEX_PREPROCESS_GET_PROB, &percent);
	return db > SILENT_DBFS && db > v->floor + STANDS_OUT &&
	       percent >= (v->speaking ? v->threshold / 2 : v->threshold);
}

static void end_block(struct vad *v)
{
	bool speech = is_speech(v);

	v->n = 0;
	v->blocks++;
	v->run = speech != v->speaking ? v->run + 1 : 0;
	if (v->run < (v->speaking ? END_BLOCKS : START_BLOCKS))
		return;
	v->speaking = speech;
	tell(v);
	v->run = 0;
}

static int process(void *state, float *samples, size_t frames)
{
	struct vad *v = state;

	for (size_t i = 0; i < frames; i++) {
		float mix = 0;
		for (unsigned ch = 0; ch < v->channels; ch++)
			mix += samples[i * v->channels + ch];
		mix *= 32767 / (float)v->channels;
		v->block[v->n++] = (int16_t)fmaxf(-32768, fminf(32767, mix));
		if (v->n == v->size)
			end_block(v);
	}
	return 0;
}

const struct processor proc_vad = {
    .name = "vad",
    .params = {{"percent", "%", 50, 1, 99}},
    .rate_min = 8000,
    .rate_max = 48000,
    .open = open_vad,
    .process = process,
    .close = close_vad,
};
