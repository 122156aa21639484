/*
 * A track that somebody publishes, and the route from it: the array of those who receive it. The
 * packets that one system call brought are collected in its burst and then go to each receiver
 * together, so that one more call sends them all.
 *
 *	endpoint (parsed, numbered) ── track_put ──> burst ── track_route ──> sub_burst, each
 */
#ifndef MSR_SFU_FWD_TRACK_H
#define MSR_SFU_FWD_TRACK_H

#include "base/list.h"
#include "base/map.h"
#include "layer.h"
#include "media.h"
#include "stream.h"
#include "tap.h"

#define TRACK_BURST 64 /* packets; a full burst is routed at once */

struct endpoint;
struct sub;

/* A packet on its way through. */
struct burst_packet {
	struct rtp_packet p; /* its bytes live until the batch ends */
	int64_t seq;	     /* 64 bits, within the stream */
	struct stream *stream;
	bool key;      /* begins a key frame */
	bool reset;    /* its stream restarted with it */
	uint8_t index; /* of its stream in the track */
	uint8_t tl0;   /* VP8 */
	uint16_t picture;
	enum rewrite_own own;
};

struct track {
	struct endpoint *from;
	struct list link;     /* in from->tracks */
	struct map_node node; /* in from->track_map, by id */
	media_id id;
	struct media_track_config config;

	struct stream stream[MEDIA_LAYERS_MAX];
	unsigned n_streams; /* as many as layers, at least 1 */
	struct layers layers;

	struct sub **sub; /* the route: n_subs of cap_subs */
	unsigned n_subs, cap_subs;

	struct tap *tap; /* owned; NULL: not recorded */

	struct burst_packet *burst; /* TRACK_BURST */
	unsigned n_burst;

	/* audio */
	int level;	     /* smoothed, -dBov times 16; 127 * 16 is silence */
	int64_t level_at_us; /* of the last level */
};

/* 0, -EEXIST (the number is taken) or -ENOMEM. */
int track_new(struct track **out, struct endpoint *from, media_id id,
	      const struct media_track_config *c);
/* Its subs must be gone. Accepts NULL. */
void track_free(struct track *t);

/* Looks into a packet of pictures, for what the burst tells of it. */
void track_look(const struct track *t, struct burst_packet *b, struct rtp_payload_info *info);
/* Adds to the burst. */
void track_put(struct track *t, const struct burst_packet *b, int64_t now_us);
/* Sends the burst to everybody and empties it. */
void track_route(struct track *t, int64_t now_us);

/* Once a tick: which of its streams live, in what order. Receivers follow. */
void track_update(struct track *t, int64_t now_us);
/* Whether somebody gets the stream, or waits for it. */
bool track_needs(const struct track *t, const struct stream *s);
/* Layer `layer`, from 0, the lowest, to n_streams - 1. */
static inline struct stream *track_layer(struct track *t, unsigned layer)
{
	return &t->stream[t->layers.order[layer]];
}
/* Whether a packet is for that receiver; moves it over to the packet's stream where it may. */
static inline bool layer_take(struct layer *l, struct track *t, const struct burst_packet *b,
			      int64_t now_us)
{
	return (b->index == l->current && !b->reset) || layer_consider(l, t, b, now_us);
}
/* 0 or -ENOMEM. */
int track_add_sub(struct track *t, struct sub *s);
void track_remove_sub(struct track *t, struct sub *s);

#endif
