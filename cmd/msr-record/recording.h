/*
 * A recording: a reserved name, a journal and up to three streams, each with its writer.
 *
 * Life: recording_open (or recording_resume) → recording_put ... recording_flush → recording_end,
 * which hands it to the list `ended` of the recorder → the finisher, which frees it. It holds its
 * journal open, and by that its name locked, until then.
 */
#ifndef MSR_RECORD_RECORDING_H
#define MSR_RECORD_RECORDING_H

#include "base/list.h"
#include "journal.h"
#include "store.h"
#include "write.h"

struct frame;
struct mix_room;
struct recorder;

/* Packets of a call that were given up one soon after the other are one gap. */
struct recording_loss {
	int64_t last_us; /* when the last was; 0: none yet */
	uint32_t gap;	 /* its place in journal_state.gaps, if it is below JOURNAL_GAPS */
};

struct recording {
	struct recorder *recorder;
	struct list dirty; /* in recorder.dirty */
	struct list link;  /* in recorder.ended, then in the finisher's queue */
	struct store_name name;
	struct journal_head head;
	struct journal_state state;
	struct writer *writers[STREAMS];	/* owned; NULL where there is no such stream */
	int journal;				/* owned descriptor */
	uint64_t begins_at;			/* parts before this one are elsewhere */
	struct recording_loss loss[STREAM_RTP]; /* in the stream of that kind of a call */
	bool at_limit;				/* its file takes no more */
	bool receives;				/* counted as one of --max-sessions */
	bool torn; /* a part lacks its end: what is sent again belongs into another recording */
	struct mix_room *mix; /* joined; NULL: its room is not mixed */
	bool rested;	      /* no need to call recording_rest again */
};

/* Reserves a name. 0 or -errno. */
int recording_open(struct recording **rp, struct recorder *r, const struct journal_head *h);

/*
 * Takes over a recording that an interrupted run left: -EBUSY when a live process has it,
 * -EBADMSG when its journal is damaged, -ENODATA when there is nothing in it (it is removed), or
 * -errno, and then all of it is as it was. Its phase tells whether it continues or is to be
 * finished.
 */
int recording_resume(struct recording **rp, struct recorder *r, const struct store_name *name);

/* It counts as one of --max-sessions until it ends. */
void recording_receives(struct recording *rec);

enum put_result {
	PUT_STORED, /* or left out as a repetition */
	PUT_NEW,    /* begins a new stream: not for this recording */
	PUT_FULL,   /* --max-bytes: end it */
	PUT_LIMIT,  /* the file takes no more: it continues in another one, if it can */
};

/*
 * Stores a media frame in `stream`, noting a gap before it. An enum put_result, or -errno of a
 * write, after which the same frame is to be put again.
 */
int recording_put(struct recording *rec, enum stream stream, const struct frame *f);

/*
 * Everything put is in the files and in the journal. 0 or -errno, to be called again. Of a file
 * that turns out to have reached a limit that nobody told us, what is not in it is given up, with
 * an error in the log.
 */
int recording_flush(struct recording *rec);
/* Nothing came for a while: headers right, memory given back. */
void recording_rest(struct recording *rec);
/* Ends it; `reason` is for the event. 0, or -errno, to be called again. */
int recording_end(struct recording *rec, const char *reason);
/* Closes and frees, leaving the files. Accepts NULL. */
void recording_free(struct recording *rec);
/*
 * The same with one that was taken over and cannot go on now for `err` (-errno), which is said, and
 * counts as failed.
 */
void recording_leave(struct recording *rec, int err);

/* Start and end in microseconds since 1970: times of the first and last part of all streams. */
int64_t recording_start_us(const struct recording *rec);
int64_t recording_end_us(const struct recording *rec);
/* Bytes received. */
uint64_t recording_bytes(const struct recording *rec);

#endif
