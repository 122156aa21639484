/*
 * Layers of simulcast: which of a track's streams live, in what order they lie, and which one a
 * receiver is sent. Pure: no I/O, no clock.
 *
 *	streams ── layers_update ──> alive, order        (publisher's tick, once a track)
 *	wanted, granted ── layer_aim ──> target        (when one of them or the above changes)
 *	packet ── layer_take ──> of the current stream, or begins the target: then to rewrite
 *
 * A layer is an index from the lowest (0) upwards; a stream is its place in track.stream, which
 * never changes. A receiver moves to its target only where that stream has a key frame, which is
 * asked for; until then the old one continues. Its numbers, VP8 pictures and times continue as if
 * there were one stream (RFC 3550 section 6.4.1 for the times, RFC 7741 section 4.2 for VP8).
 */
#ifndef MSR_SFU_FWD_LAYER_H
#define MSR_SFU_FWD_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "media.h"
#include "rewrite.h"

#define LAYER_NONE (-1)
/* A stream that is silent for this long while others of its track are not has been stopped. Enough
 * for a layer of four pictures a second; with a key frame of another one viewers stand still for
 * less than a second. */
#define LAYER_SILENT_US 500000
/* Without a key frame that we understand sending starts anyway. */
#define LAYER_KEY_WAIT_US 3000000
/* Times by reports that are further from times by arrival are not believed. */
#define LAYER_CLOCK_US 2000000

struct burst_packet;
struct stream;
struct track;
struct vp8_desc;

/* The streams of a track. */
struct layers {
	uint8_t n;
	uint8_t alive;			 /* bits, by stream */
	uint8_t order[MEDIA_LAYERS_MAX]; /* streams, the lowest layer first */
};

/* In the order that the publisher lists them, until more is known. */
void layers_init(struct layers *l, unsigned n);
/* Which streams live, and their order: by size of the picture, else by rate. True when changed. */
bool layers_update(struct layers *l, const struct stream *s, int64_t now_us);
/* The highest layer that a viewer asks for, or LAYER_NONE. */
int layers_wanted(const struct layers *l, enum media_level level);
/* The best living stream up to a layer, else the lowest above it; LAYER_NONE: nothing lives. */
int layers_best(const struct layers *l, int layer);
/* The layer that a stream is. */
int layers_of(const struct layers *l, int stream);

/* Where a receiver's stream stood when its track ended. */
struct layer_past {
	int64_t highest; /* number that was sent, or kept for what was late; 0: none */
	int64_t last_us;
	uint32_t last_ts;
	uint16_t picture;
	uint8_t tl0;
	bool pictured;
};

/* What one receiver gets of a track. */
struct layer {
	int8_t current; /* stream that is sent; LAYER_NONE: waits for a key frame, or is paused */
	int8_t target;	/* stream that is to be; LAYER_NONE: paused */
	int8_t granted; /* highest layer that the network carries; LAYER_NONE: nothing */
	bool changed;	/* `current` is another: for whoever tells, and clears it */
	enum media_level level;
	enum media_reason reason; /* of the target */
	uint16_t first;		  /* the receiver's first number */
	int64_t waiting_since_us; /* for a key frame; 0: not yet */
	int64_t last_us;	  /* of the last packet that was taken */
	uint32_t shift;		  /* of timestamps, so that they never go back */
	uint16_t picture;	  /* VP8: the receiver's last PictureID and TL0PICIDX */
	uint8_t tl0;
	bool pictured; /* there was one */
	struct rewrite rewrite;
};

/* `first` is 1 to 32767. Granted everything; nothing is sent before layer_aim. */
void layer_init(struct layer *l, enum media_level level, uint16_t first);
/* Notes where it stands, and continues from there with another track. */
void layer_leave(const struct layer *l, struct layer_past *p);
void layer_resume(struct layer *l, const struct layer_past *p);
/* Finds the target again, for that reason; pauses at once. True when it is another. */
bool layer_aim(struct layer *l, struct track *t, enum media_reason reason);
/* Sends nothing more until the target begins: the network does not carry what is sent now. */
void layer_stop(struct layer *l);
/* Its receiver needs a key frame of what it gets, or is to get. */
void layer_want_key(const struct layer *l, struct track *t);
/* Asks for the key frame that it waits for, if it does. */
void layer_ask(const struct layer *l, struct track *t);

/* Notes the picture of a packet that was sent, of VP8: the next stream's follow it. */
void layer_note(struct layer *l, const struct burst_packet *b, const struct rewrite_cut *c);

/* Counts the pictures of VP8 on, in the copy of a payload that goes out; KEYIDX stays. */
void layer_rewrite_vp8(uint8_t *payload, const struct vp8_desc *d, const struct rewrite_cut *c);

/* layer_take (track.h) for all but the usual case. */
bool layer_consider(struct layer *l, struct track *t, const struct burst_packet *b, int64_t now_us);

/* ---- times ---- */

/* A stream's clock: its last sender report; ntp 0: none. */
struct layer_clock {
	uint64_t ntp;
	uint32_t ts;
};

/*
 * By how much timestamps of a stream `to` are moved so that they follow those of `from`, which are
 * moved by `distance`. `ts` is the first that goes out, at `expected` by its arrival; all in units
 * of `clock` (Hz). Never further than LAYER_CLOCK_US from what is expected.
 */
uint32_t layer_ts_distance(const struct layer_clock *from, uint32_t distance,
			   const struct layer_clock *to, uint32_t ts, uint32_t expected,
			   uint32_t clock);

#endif
