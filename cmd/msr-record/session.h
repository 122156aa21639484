/*
 * Sessions: which recording a frame belongs to. A session (room and session id) has a target for
 * each storage id that its frames name, and a target has a current recording for each stream.
 *
 * Usually that is one and the same. When one stream restarts, only that one moves on to a new
 * recording; a recording ends when no stream refers to it any more.
 */
#ifndef MSR_RECORD_SESSION_H
#define MSR_RECORD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

struct frame;
struct recorder;
struct recording;

/* Where a frame was read. */
struct origin {
	uint64_t ring_id; /* 0: a pipe or file, without positions */
	uint64_t pos;	  /* behind the frame */
	uint32_t source;  /* number of the source, for sessions_end_of */
	bool left;	  /* perhaps by a producer before the present one */
};

/*
 * Handles one frame: stores it, begins or ends recordings. 0, or -errno of a write: everything is
 * to stand still, and the same frame to be given again when there is space.
 */
int session_frame(struct recorder *r, const struct origin *from, const struct frame *f);

/*
 * Takes over a recording of an earlier run, which may continue. One for which that cannot be done,
 * or that has to end for it and cannot, is left for the next start.
 */
void session_adopt(struct recorder *r, struct recording *rec);

/*
 * The positions of a recording that has ended but whose frames may come again from the ring, which
 * has not been told yet: they are left out.
 */
int session_remember(struct recorder *r, const struct recording *rec);

/* The producer of this source was restarted: its sessions must show that they live on. */
void sessions_orphan(struct recorder *r, uint32_t source);

/* Once a second: ends what is silent for too long, lets the others rest. 0 or -errno of a write. */
int sessions_sweep(struct recorder *r);
/*
 * Ends the recordings of a source that is at its end. 0 or -errno of a write, to be called again.
 */
int sessions_end_of(struct recorder *r, uint32_t source, const char *reason);
/* Ends all. */
int sessions_end_all(struct recorder *r, const char *reason);
/* Frees all, leaving the recordings' files for the next start. */
void sessions_free(struct recorder *r);

#endif
