/*
 * Raw PCM as a growing WAV file. Samples are appended as they come; the header is written again at
 * most once a second and when the stream rests, so that a player sees all but the last second.
 * Missing parts become silence.
 */
#include "write.h"

#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "media/pcm.h"

#define HEADER_EVERY_US 1000000
/* How far silence may bring the recording ahead of the clock: peers invent part numbers. */
#define AHEAD_US 10000000
/* And how much there is in all, because they invent times as well: files would become too large. */
#define SILENCE_MAX_US 3600000000

struct pcm {
	struct writer w;
	uint8_t header[PCM_HEADER_MAX];
	int header_len;
	unsigned frame_bytes; /* one sample of each channel */
	int64_t silence_us;   /* filled in since it was opened */
	uint64_t said;	      /* bytes of samples that the header in the file tells */
	struct mono said_at;
};

static struct pcm *pcm_of(struct writer *w)
{
	return container_of(w, struct pcm, w);
}

static int render(struct pcm *p, uint64_t samples)
{
	const struct journal_stream *s = p->w.state;

	return pcm_header(p->header, s->codec, s->rate, s->channels, samples);
}

static int pcm_start(struct writer *w)
{
	struct pcm *p = pcm_of(w);

	p->frame_bytes = frame_pcm_bytes(w->state->codec) * w->state->channels;
	p->header_len = render(p, 0);
	if (p->header_len < 0)
		return p->header_len;
	p->said_at = mono_now();
	if (part_length(&w->part) >= (uint64_t)p->header_len)
		return 0;
	/* New, or cut before its header was safe. */
	uint64_t had = part_length(&w->part);
	return part_append(&w->part, p->header + had, (size_t)p->header_len - had);
}

static bool pcm_continues(const struct writer *w, const struct frame *f)
{
	const struct journal_stream *s = w->state;

	return f->codec == s->codec && f->rate == s->rate && f->channels == s->channels;
}

static uint64_t samples_of(const struct pcm *p)
{
	return part_length(&p->w.part) - (uint64_t)p->header_len;
}

/* Microseconds that this many bytes play. */
static int64_t play_us(const struct pcm *p, uint64_t bytes)
{
	return (int64_t)((double)bytes / p->frame_bytes / p->w.state->rate * 1e6);
}

/* How long a silence before `next` may be. */
static int64_t silence_room_us(const struct pcm *p, const struct frame *next)
{
	int64_t left_us = SILENCE_MAX_US - p->silence_us;
	int64_t room_us;

	if (__builtin_sub_overflow(next->time_us, p->w.state->first_us, &room_us) ||
	    __builtin_add_overflow(room_us, AHEAD_US - play_us(p, samples_of(p)), &room_us))
		return 0;
	return room_us < left_us ? room_us : left_us;
}

static int pcm_gap(struct writer *w, uint64_t missing, const struct frame *next)
{
	struct pcm *p = pcm_of(w);
	uint64_t each = w->state->chunk_bytes ? w->state->chunk_bytes : next->body_len;
	uint64_t bytes;
	int64_t room_us = silence_room_us(p, next);

	if (room_us <= 0)
		return 0;
	uint64_t room = (uint64_t)((double)room_us / 1e6 * w->state->rate) * p->frame_bytes;
	if (__builtin_mul_overflow(missing, each, &bytes) || bytes > room)
		bytes = room;
	bytes -= bytes % p->frame_bytes;
	int ret = part_fill(&w->part, w->state->codec == CODEC_U8 ? 0x80 : 0, bytes);
	if (!ret)
		p->silence_us += play_us(p, bytes);
	return ret;
}

static int pcm_put(struct writer *w, const struct frame *f)
{
	return part_append(&w->part, f->body, f->body_len);
}

/* Whole samples only: what a chunk cut in half has begun does not count in the header. */
static int say_length(struct pcm *p)
{
	uint64_t samples = p->w.part.written - (uint64_t)p->header_len;

	p->said_at = mono_now();
	if (samples == p->said)
		return 0;
	render(p, samples - samples % p->frame_bytes);
	int ret = part_patch(&p->w.part, p->header, (size_t)p->header_len);
	if (!ret)
		p->said = samples;
	return ret;
}

static int pcm_flush(struct writer *w)
{
	struct pcm *p = pcm_of(w);
	int ret = part_flush(&w->part);

	if (!ret)
		w->state->bytes = w->part.written;
	if (!ret && mono_diff_us(mono_now(), p->said_at) >= HEADER_EVERY_US)
		ret = say_length(p);
	return ret;
}

static int pcm_rest(struct writer *w, bool ended)
{
	(void)ended;
	part_rest(&w->part);
	return say_length(pcm_of(w));
}

const struct writer_type write_pcm = {
    .size = sizeof(struct pcm),
    .start = pcm_start,
    .numbered = true,
    .continues = pcm_continues,
    .gap = pcm_gap,
    .put = pcm_put,
    .flush = pcm_flush,
    .rest = pcm_rest,
};
