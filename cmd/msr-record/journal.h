/*
 * The journal of a recording: a small file of fixed size that says whose recording it is, how much
 * of its part files counts, and up to where in which ring that was read.
 *
 *   0       512          1536         2560
 *   +-------+------------+------------+
 *   | head  |   slot 0   |   slot 1   |     each with a CRC-32C; all integers little-endian
 *   +-------+------------+------------+
 *
 * The head never changes. States are written to the slots in turn, each with one pwrite(2) and a
 * number one higher, so that whatever interrupts it leaves the state before. The file is locked
 * (OFD) by the process that has the recording, and the lock goes with the process.
 */
#ifndef MSR_RECORD_JOURNAL_H
#define MSR_RECORD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

#define JOURNAL_HEAD	512
#define JOURNAL_SLOT	1024
#define JOURNAL_SIZE	(JOURNAL_HEAD + 2 * JOURNAL_SLOT)
#define JOURNAL_SOURCES 4  /* rings that one recording may come from */
#define JOURNAL_GAPS	16 /* described one by one; the others are only counted */

/*
 * The streams of a recording, each with a part file. A list is what a mix of a room will be made
 * of (mixer.h), and never together with another one.
 */
enum stream { STREAM_AUDIO, STREAM_VIDEO, STREAM_RTP, STREAM_LIST, STREAMS };

enum phase {
	PHASE_OPEN = 1, /* more may come */
	PHASE_ENDED,	/* complete, to be finished */
};

struct journal_head {
	char room[ID_SIZE], session[ID_SIZE], storage[ID_SIZE]; /* storage may be empty */
};

/* A place in a ring: frames up to `pos` are in the recording. */
struct journal_source {
	uint64_t ring_id; /* 0: unused */
	uint64_t pos;
};

struct journal_stream {
	bool present;
	uint8_t codec;	     /* enum frame_codec as found; CODEC_NONE for unknown data */
	uint8_t channels;    /* of PCM */
	uint32_t rate;	     /* of PCM, Hz */
	uint64_t bytes;	     /* of the part file that count */
	uint64_t base;	     /* added to part numbers, where numbering restarted */
	uint64_t first_part; /* as received */
	uint64_t next_part;  /* one above the highest stored, `base` included; of a call: where
				what is in the file ends, µs */
	uint64_t parts, missing, duplicates;
	int64_t first_us, last_us;     /* times of the first and last part, since 1970 */
	uint32_t first_len, first_crc; /* of the first part */
	uint32_t chunk_bytes;	       /* of the last part */
};

struct journal_gap {
	uint8_t stream;	  /* enum stream */
	uint64_t part;	  /* the first that is missing */
	uint64_t missing; /* how many */
	int64_t at_us;	  /* since the start of the recording */
};

struct journal_state {
	uint64_t number; /* of this state; journal_write counts it up */
	enum phase phase;
	struct journal_source sources[JOURNAL_SOURCES];
	struct journal_stream streams[STREAMS];
	uint32_t n_gaps; /* in all */
	struct journal_gap gaps[JOURNAL_GAPS];
};

/*
 * Makes the file, which must not exist, locks it and writes head and state. Its descriptor in *fd,
 * owned by the caller. -EEXIST or -errno; on an error nothing is left.
 */
int journal_create(int *fd, int dirfd, const char *path, const struct journal_head *h,
		   struct journal_state *s);
/* Opens and locks it. -EBUSY when a live process has it, -EBADMSG when it is not a journal. */
int journal_open(int *fd, int dirfd, const char *path, struct journal_head *h,
		 struct journal_state *s);
/* Counts the state up and writes it. 0 or -errno; the state before stays. */
int journal_write(int fd, struct journal_state *s);

/* The newest whole state in the bytes of a journal. 0 or -EBADMSG; checks every bound. */
int journal_parse(const uint8_t *data, size_t n, struct journal_head *h, struct journal_state *s);
void journal_render_head(const struct journal_head *h, uint8_t out[static JOURNAL_HEAD]);
void journal_render_slot(const struct journal_state *s, uint8_t out[static JOURNAL_SLOT]);

/* The position in this ring up to which the recording has everything; 0 for none. */
uint64_t journal_position(const struct journal_state *s, uint64_t ring_id);
/* Notes it. False when the recording comes from too many rings already. */
bool journal_set_position(struct journal_state *s, uint64_t ring_id, uint64_t pos);

/* "audio", "video", "rtp", "list": in names of part files, events and metadata. */
extern const char *const stream_names[STREAMS];

#endif
