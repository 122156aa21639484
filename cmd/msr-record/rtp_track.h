/*
 * One track of a call: packets in, whole frames with their time in the file out.
 *
 *	packet ── jitter ──> in order ── depack ──> frame ── timeline ──> (held) ──> sink
 *
 * Frames whose time is in doubt are held until it is clear whether the network was late or the
 * sender's clock stood still: at most half a second and some megabytes.
 */
#ifndef MSR_RECORD_RTP_TRACK_H
#define MSR_RECORD_RTP_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rtp/codec.h"
#include "timeline.h"

#define RTP_TRACK_PAST 8 /* streams remembered */

struct depack;
struct depack_frame;
struct frame;
struct jitter;
struct held;

/* Takes a frame that lies at `time_us`. 0 or -errno, which is passed on. */
typedef int (*rtp_track_sink)(void *arg, int64_t time_us, const struct depack_frame *f);

struct rtp_track {
	enum rtp_codec codec;
	bool started;		       /* `ssrc` is known */
	uint32_t ssrc;		       /* of the stream under way */
	uint64_t part;		       /* highest number of a frame of it */
	int64_t heard_us;	       /* arrival of its latest packet, since 1970 */
	int64_t taken_us;	       /* of the latest in order but padding, in file time */
	uint32_t past[RTP_TRACK_PAST]; /* streams whose place another one took */
	unsigned n_past;	       /* of all time */
	struct timeline time;
	struct jitter *jitter; /* owned */
	struct depack *depack; /* owned */
	struct held *held;     /* owned: frames in doubt, oldest first */
	struct held **held_end;
	size_t held_bytes;
	int64_t held_since_us; /* arrival of the first */
	int64_t origin_us;     /* time 0 of the file, since 1970 */
	int64_t now_us;	       /* the latest arrival, since 1970: never goes back */
	bool hole;	       /* packets before the next one were left out */
	bool decodable;	       /* a key frame has come, and nothing was lost since */
	uint64_t lost;	       /* packets that never came */
	int64_t lost_us;       /* where the latest of those would be, since 1970 */
};

/* 0 or -ENOMEM. `origin_us` is time 0 of the file, since 1970. */
int rtp_track_init(struct rtp_track *t, enum rtp_codec codec, int64_t origin_us);
void rtp_track_done(struct rtp_track *t);

/*
 * A stream with another SSRC takes the track over: a camera that was replaced. What still comes of
 * the one before is left out, or two that are sent at once would interrupt each other with every
 * packet; it may come back when the new one has fallen silent.
 *
 * Takes a FRAME_RTP, with the time when its packet arrived; frames that are ready go to `sink`.
 * With FRAME_GAP packets before it were left out by whoever sends them here: nobody waits for them,
 * and the packet's number may be any. 0, -EBADMSG for what is not RTP, -ENOMEM, or what the sink
 * returned.
 */
int rtp_track_put(struct rtp_track *t, const struct frame *f, rtp_track_sink sink, void *arg);
/* It is `now_us`, and nothing has come: what has waited long enough for something lost is given
 * out. */
int rtp_track_tick(struct rtp_track *t, int64_t now_us, rtp_track_sink sink, void *arg);
/*
 * Nothing more comes, for now or for good: gives out all that waits, but for a frame of which some
 * packets have not come: half of it is not a picture, and they may still come.
 */
int rtp_track_drain(struct rtp_track *t, rtp_track_sink sink, void *arg);

#endif
