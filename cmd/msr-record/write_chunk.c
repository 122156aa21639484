/* Chunks of a container, byte for byte: WebM, Ogg, WAV, MP4 fragments, or what nobody knows. */
#include "write.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "media/sniff.h"

/* ---- opening, for all types ---- */

const struct writer_type *writer_type_of(enum stream stream, int codec)
{
	if (stream == STREAM_RTP)
		return &write_rtp;
	return frame_pcm_bytes(codec) ? &write_pcm : &write_chunk;
}

int writer_open(struct writer **wp, struct journal_stream *state, enum stream stream,
		const struct frame *f, int dirfd, const char *path)
{
	int codec = f ? f->codec : state->codec;
	const struct writer_type *type = writer_type_of(stream, codec);
	struct writer *w = calloc(1, type->size);

	if (!w)
		return -ENOMEM;
	part_init(&w->part);
	w->type = type;
	w->state = state;
	if (f) {
		*state = (struct journal_stream){.codec = f->codec,
						 .channels = f->channels,
						 .rate = f->rate,
						 .first_part = f->part,
						 .next_part = f->part,
						 .first_us = f->time_us,
						 .last_us = f->time_us};
		/* What it is counts, not what it is called. */
		if (type == &write_chunk)
			state->codec = (uint8_t)sniff_container(f->body, f->body_len, NULL);
	}
	int ret = f ? part_create(&w->part, dirfd, path)
		    : part_resume(&w->part, dirfd, path, state->bytes);
	bool made = f && !ret;

	if (!ret && type->start)
		ret = type->start(w);
	if (ret) {
		if (made) /* or it would be in the way of the next try */
			unlinkat(dirfd, path, 0);
		writer_close(w);
		return ret;
	}
	state->present = true;
	*wp = w;
	return 0;
}

void writer_close(struct writer *w)
{
	if (!w)
		return;
	if (w->type->stop)
		w->type->stop(w);
	part_close(&w->part);
	free(w);
}

/* ---- chunks ---- */

static bool chunk_continues(const struct writer *w, const struct frame *f)
{
	bool begins;
	int codec = sniff_container(f->body, f->body_len, &begins);

	if (frame_pcm_bytes(f->codec))
		return false;
	/* A WAV header in the middle of a stream is as new a stream as an EBML header. */
	return codec == CODEC_NONE || !begins || !w->state->parts;
}

static int chunk_put(struct writer *w, const struct frame *f)
{
	return part_append(&w->part, f->body, f->body_len);
}

static int chunk_flush(struct writer *w)
{
	int ret = part_flush(&w->part);

	if (!ret)
		w->state->bytes = w->part.written;
	return ret;
}

static int chunk_rest(struct writer *w, bool ended)
{
	(void)ended;
	part_rest(&w->part);
	return 0;
}

const struct writer_type write_chunk = {
    .size = sizeof(struct writer),
    .numbered = true,
    .continues = chunk_continues,
    .put = chunk_put,
    .flush = chunk_flush,
    .rest = chunk_rest,
};
