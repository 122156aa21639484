/*
 * Writers: how the frames of one stream become a part file. One for containers, one for raw PCM,
 * one for RTP; a recording does not know which it has.
 *
 * A call that fails with -errno of a write has taken nothing and is made again when there is space.
 */
#ifndef MSR_RECORD_WRITE_H
#define MSR_RECORD_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "frame/frame.h"
#include "journal.h"
#include "part.h"

struct writer;

struct writer_type {
	size_t size; /* of the structure that begins with struct writer */
	/*
	 * Frames carry part numbers: repeated ones are left out, and gaps noted, before put.
	 * Otherwise the writer puts them in order itself, and `lost` tells what never came.
	 */
	bool numbered;
	/* Once, when part file and stream state are in place; with an empty file or a continued
	 * one. */
	int (*start)(struct writer *w);
	/* Whether the frame continues this stream; otherwise it begins a new recording. */
	bool (*continues)(const struct writer *w, const struct frame *f);
	/* `missing` parts before `next` will never come. NULL: nothing to do about that. */
	int (*gap)(struct writer *w, uint64_t missing, const struct frame *next);
	/*
	 * How much of `kind` was given up since it was last asked, and where in time it would be.
	 * NULL: parts are numbered.
	 */
	uint64_t (*lost)(struct writer *w, enum stream kind, int64_t *time_us);
	int (*put)(struct writer *w, const struct frame *f);
	/* Everything put is in the file, and journal_stream.bytes says how much that is. */
	int (*flush)(struct writer *w);
	/*
	 * Nothing came for a while, or (`ended`) nothing will: make the file right as it stands.
	 */
	int (*rest)(struct writer *w, bool ended);
	/* Gives up what is not in the file: it takes no more. NULL: nothing but the part's. */
	void (*cut)(struct writer *w);
	/* Frees what start made; the part file is closed by the caller. NULL: nothing. */
	void (*stop)(struct writer *w);
};

struct writer {
	const struct writer_type *type;
	struct part part;	      /* the file */
	struct journal_stream *state; /* lent by the recording */
};

extern const struct writer_type write_chunk, write_pcm, write_rtp;

/* The type for a stream of this codec. */
const struct writer_type *writer_type_of(enum stream stream, int codec);

/*
 * Makes the writer of a stream that begins with `f`, or (f NULL) continues after an interruption
 * with the file as the state says. Fills the format into *state. 0 or -errno.
 */
int writer_open(struct writer **wp, struct journal_stream *state, enum stream stream,
		const struct frame *f, int dirfd, const char *path);
/* Accepts NULL. Flushes nothing. */
void writer_close(struct writer *w);

#endif
