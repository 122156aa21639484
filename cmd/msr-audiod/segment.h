/*
 * What the front process and one worker share: the sessions' buffers, and two rings of
 * descriptors.
 *
 *	front ── struct job ───> ring NAME-in ───> worker
 *	front <── struct result ─ ring NAME-out <── worker
 *	          both: segment NAME: a slot a session with its input and output buffer
 *
 * A slot has at most one job under way. The worker says in the slot what it is at before it takes
 * the job from the ring, so that the front knows exactly which message died with a worker: jobs
 * are done at most once, and every one gets an answer. Neither side trusts what it reads here:
 * each checks lengths and numbers at every use.
 */
#ifndef MSR_AUDIOD_SEGMENT_H
#define MSR_AUDIOD_SEGMENT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "chain.h"

struct ring;

/* Shared; followed by the input and the output buffer. */
struct slot {
	_Atomic uint64_t session;  /* number of the session, never used twice; 0: free */
	_Atomic uint64_t at;	   /* worker: number of the job it is in, or was in last */
	_Atomic uint64_t done;	   /* worker: number of the last job whose output is whole */
	_Atomic uint64_t given_up; /* front: number of the last job it answered itself */
	struct chain_spec chain;   /* front: before `session` is set */
};

#define JOB_LEAVE UINT32_MAX /* instead of a length: the session is over, close its chain */

struct job {
	uint64_t session, number; /* numbers count up from 1 within a session */
	uint32_t slot;
	uint32_t len; /* bytes in the input buffer, or JOB_LEAVE */
};

enum result_kind {
	RESULT_DATA = 1, /* `len` bytes are in the output buffer; status is 0 or -errno */
	RESULT_EVENT,	 /* `len` bytes of JSON follow, padded to a multiple of 8 */
};

struct result {
	uint64_t session, number;
	uint32_t slot;
	uint32_t kind; /* enum result_kind */
	uint32_t len;
	int32_t status;
};

#define EVENT_TEXT_MAX 512 /* bytes of a RESULT_EVENT */

struct segment {
	uint8_t *mem; /* mapped */
	size_t size;
	uint32_t n_slots;
	uint32_t buffer; /* bytes of each buffer */
	struct ring *in, *out;
};

/*
 * A name is taken once its rings are locked, at the end of segment_make: meanwhile others must
 * neither make nor sweep. Waits for that; returns a descriptor to be closed afterwards, or -errno.
 */
int segment_guard(void);

/*
 * Makes segment and rings, empty, and takes the front's side; guarded. 0, -EBUSY where a front that
 * lives has this name, or -errno.
 */
int segment_make(struct segment *s, const char *name, uint32_t n_slots, uint32_t buffer);
/* Opens what segment_make made, on the worker's side. 0 or -errno. */
int segment_join(struct segment *s, const char *name);
void segment_done(struct segment *s);
/* The front's: writes the head again, which a worker may have written over. */
void segment_restore(struct segment *s);
/* The front's: new rings, empty; whoever has the old ones open keeps those. 0 or -errno. */
int segment_renew_rings(struct segment *s, const char *name);
/* Removes all of it from the system. */
void segment_unlink(const char *name);
/* Removes what fronts that are gone have left behind: names "audiod-PID-N"; guarded. */
void segment_sweep(void);

struct slot *segment_slot(const struct segment *s, uint32_t i);
uint8_t *slot_in(const struct segment *s, uint32_t i);
uint8_t *slot_out(const struct segment *s, uint32_t i);

#endif
