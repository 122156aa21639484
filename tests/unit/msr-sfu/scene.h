/*
 * A camera in three layers of simulcast and one viewer of it, without a network.
 *
 *	struct scene x = scene_new(MEDIA_LOW);
 *	scene_play(&x, 1000000);
 *	CHECK_INT(scene_check_stream(x.to, 0), 1);
 *	scene_free(&x);
 */
#ifndef MSR_TESTS_SFU_SCENE_H
#define MSR_TESTS_SFU_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../../cmd/msr-sfu/fwd/endpoint.h"
#include "../../../cmd/msr-sfu/fwd/sub.h"
#include "../../../cmd/msr-sfu/fwd/track.h"
#include "rtp/codec/vp8.h"

#define KEPT  4096
#define START 10000000 /* us */
#define FRAME 40000    /* us */

/* What one side was sent. */
struct scene_side {
	struct endpoint e;
	struct {
		uint8_t p[1600];
		size_t n;
	} rtp[KEPT];
	unsigned n_rtp, told;
	struct layer last; /* when the receiver was told of a layer */
	unsigned n_key_requests;
	uint32_t key_ssrc;
	struct rtcp_sr sr; /* the last one */
};

/* What a publisher's encoder does. */
struct layer_source {
	const char *rid;
	uint16_t width, seq, picture;
	uint8_t tl0;
	uint32_t ssrc, ts;
	bool silent, key;
};

struct scene {
	struct scene_side *from, *to;
	struct track *t;
	struct sub *s;
	struct layer_source layer[3];
};

extern struct media_stats scene_stats; /* of all of them */
extern int64_t scene_now;	       /* us, of all that happens below */
extern const struct media_track_config scene_video;

struct scene_side *scene_side_new(void);
void scene_side_free(struct scene_side *b);
/* RTCP that comes to it. */
void scene_side_rtcp(void *side, const uint8_t *p, size_t n);

/* Begins at START with a key frame to come in each layer. */
struct scene scene_new(enum media_level want);
/* The same of another track than scene_video, which may have fewer layers. */
struct scene scene_new_of(const struct media_track_config *track, enum media_level want);
void scene_free(struct scene *x);
/* One picture, of two packets in each layer that is not silent. */
void scene_picture(struct scene *x);
/* Such pictures for a while, with an encoder that gives key frames when it is asked. */
void scene_play(struct scene *x, int64_t us);
/* The sender report of the layer `i`: its present timestamp was captured then. */
void scene_report(struct scene *x, unsigned i, int64_t captured_us);

struct scene_seen {
	struct vp8_desc d;
	uint16_t seq;
	uint32_t ts;
	bool marker;
};

/* The packet `i` of what a side was sent. */
struct scene_seen scene_seen(const struct scene_side *b, unsigned i);
/*
 * From that packet on numbers, pictures and times go on as those of one stream do. Returns how many
 * sizes there were.
 */
unsigned scene_check_stream(const struct scene_side *b, unsigned from);

#endif
