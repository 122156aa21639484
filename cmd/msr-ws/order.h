/*
 * Parts of one kind (audio or video) of a session, put in order. Pure but for memory: it neither
 * reads the clock nor writes anything.
 *
 *   arrives → order_check ─┬─ NOW: to the sink, then order_passed
 *                          ├─ HOLD: order_hold; it waits for a missing part, or for the sink
 *                          ├─ REPEATED: leave it out
 *                          └─ LATE: leave it out too, and it is in no recording
 *   then, until NULL: order_ready → to the sink → order_pop
 *   missing for too long: order_give_up, and order_ready again
 */
#ifndef MSR_WS_ORDER_H
#define MSR_WS_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame/frame.h"

#define ORDER_PLACES  64		 /* parts ahead of the first missing one */
#define ORDER_BYTES   ((size_t)32 << 20) /* of a session's parts that wait, see order_cost */
#define ORDER_WAIT_US 2000000
#define ORDER_GAPS    16 /* remembered, to tell late parts from repeated ones */

struct part {
	struct part *next;  /* with a higher number */
	struct frame frame; /* storage and body lie behind; room and session are not set */
	uint8_t mem[];
};

/* Parts that were given up: from `first` up to the one before `end`. */
struct gap {
	uint64_t first, end;
};

struct lane {
	uint64_t next; /* the part that the sink gets next, once started */
	bool started;
	bool gap;	    /* parts right before `next` were given up */
	struct part *first; /* owned, by number */
	struct part *last;
	size_t n, bytes;		 /* of those, see order_cost */
	uint64_t passed, lost, repeated; /* repeated: late ones too */
	uint64_t known;			 /* parts before it may have been passed on, or not */
	struct gap gaps[ORDER_GAPS];	 /* the last ones, by number; all are behind `known` */
	size_t n_gaps;
};

enum order_verdict { ORDER_NOW, ORDER_HOLD, ORDER_REPEATED, ORDER_LATE };

/* The lane begins with part `number`. For a lane that has not started. */
void order_start(struct lane *l, uint64_t number);

/*
 * Whether part `number` is next. Gives up missing parts that lie too far behind it, and lower ones
 * that a lane may begin with once all places are taken.
 */
enum order_verdict order_check(struct lane *l, uint64_t number);

/* What keeping a copy costs: parts may be empty, and many. */
size_t order_cost(const struct frame *f);

/* Keeps a copy. 0, -EEXIST (a repetition, counted) or -ENOMEM. */
int order_hold(struct lane *l, const struct frame *f);

/* The part `next` was passed on. */
void order_passed(struct lane *l);
/* After order_passed or order_pop: the sink would not have that part after all. */
void order_lost(struct lane *l);

/* The part that can be passed on now, or NULL. Its flags have FRAME_GAP where one is before it. */
struct part *order_ready(struct lane *l);
/* It was passed on: frees it. */
void order_pop(struct lane *l);

/* Whether parts wait for a missing one. */
bool order_waits(const struct lane *l);
/* Does not wait any longer for what is missing before the first part that is here. */
void order_give_up(struct lane *l);

void order_free(struct lane *l);

#endif
