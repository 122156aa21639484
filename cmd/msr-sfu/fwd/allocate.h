/*
 * Which layer of each track a receiver is sent, when not everything fits. Pure: no clock, no I/O.
 *
 *	what the path carries, what the layers weigh, what is wanted ── allocate ──> a layer each
 *
 * Sound comes first and is always sent. What is left goes to pictures: the lowest layers of all
 * before higher ones of any, within a level to the active speaker and to larger wishes first.
 * Where not even the lowest fits, a picture pauses. A layer is left at once when it does not fit,
 * and taken only after it has fitted for a while with a margin (at once when just asked for); a
 * picture pauses only when it clearly has not fitted for a while. So nothing flaps.
 *
 * A layer that its source stops stays granted: whoever had it gets it again as soon as it comes.
 */
#ifndef MSR_SFU_FWD_ALLOCATE_H
#define MSR_SFU_FWD_ALLOCATE_H

#include <stdbool.h>
#include <stdint.h>

#include "media.h"

#define ALLOCATE_RAISE_US  1000000  /* a higher layer must fit for this long */
#define ALLOCATE_RESUME_US 300000   /* a paused picture must fit for this long */
#define ALLOCATE_RAISE_MAX 6000000  /* at most, after failed attempts: each doubles the time */
#define ALLOCATE_FAILED_US 10000000 /* an attempt failed if its layer is left this soon */
#define ALLOCATE_PAUSE_US  1500000  /* a lowest layer that does not fit is kept for this long */
#define ALLOCATE_SUDDEN_US 800000   /* the same if it fitted, and all says that now it does not */

/* What was decided before, of a track on its way to a receiver. Zeroed is a new one. */
struct allocate_grant {
	bool decided;	   /* layer means something */
	bool fitted;	   /* at its lowest layer, once */
	int layer;	   /* that it is sent when it comes; -1: paused */
	int wanted;	   /* what was asked for then */
	int64_t fits_us;   /* since when a higher one would fit; 0 if it would not */
	int64_t over_us;   /* since when the lowest does not; 0 if it does */
	int64_t raised_us; /* when a higher one was last taken */
	int64_t hold_us;   /* how long it must fit next time; 0: ALLOCATE_RAISE_US */
};

struct allocate_item {
	bool audio;
	bool speaks;			/* shown by the active speaker */
	int wanted;			/* highest layer asked for; -1: none */
	unsigned n_layers;		/* 1 without simulcast */
	uint64_t bps[MEDIA_LAYERS_MAX]; /* what layers weigh, lowest first; 0 if absent */
	struct allocate_grant *grant;	/* lent; updated */
};

struct allocate_limits {
	uint64_t estimate_bps; /* what the path carries; 0: not known, and everything is sent */
	uint64_t max_bps;      /* what the receiver takes at most; 0: everything */
	uint64_t other_bps;    /* of the estimate, for what is not in the items: retransmissions */
	bool overloaded;       /* the path, and not only the estimate says so */
};

/* At most MEDIA_SUBS_MAX items. */
void allocate(const struct allocate_item *item, unsigned n, const struct allocate_limits *limits,
	      int64_t now_us);

/* Bit/s of all that is wanted, at the highest layers that come. */
uint64_t allocate_wanted_bps(const struct allocate_item *item, unsigned n);
/* The same of the lowest layers. */
uint64_t allocate_lowest_bps(const struct allocate_item *item, unsigned n);
/* Bit/s of what is granted. */
uint64_t allocate_granted_bps(const struct allocate_item *item, unsigned n);

#endif
