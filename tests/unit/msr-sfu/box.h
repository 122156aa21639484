/*
 * An endpoint without a network: what it would send is kept in a box. Publishers are fed packets,
 * each of which carries its number at its end.
 *
 *	box_now = 1000000;
 *	struct box *from = box_new(), *to = box_new();
 *	box_subscribe(box_publish(from, &box_video), to, true);
 *	box_feed(from, 1, true);
 *	box_flush(from);
 *	CHECK_INT(box_mark(to, 0), 1);
 */
#ifndef MSR_TESTS_SFU_BOX_H
#define MSR_TESTS_SFU_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../../cmd/msr-sfu/fwd/endpoint.h"
#include "../../../cmd/msr-sfu/fwd/sub.h"
#include "../../../cmd/msr-sfu/fwd/track.h"

#define KEPT 4096

/* What one peer was sent. */
struct box {
	struct endpoint e;
	struct {
		uint8_t p[1600];
		size_t n;
		uint64_t index;
	} rtp[KEPT];
	unsigned n_rtp, flushes;
	uint8_t rtcp[KEPT][1300];
	size_t rtcp_len[KEPT];
	unsigned n_rtcp;
};

extern struct media_stats box_stats; /* of all of them */
extern int64_t box_now;		     /* us, of all that happens below */
extern uint8_t box_pt;		     /* payload type of the pictures that are fed */
/* VP8 on the SSRC 1000, RTX on 1001. */
extern const struct media_track_config box_video;

/* A connected peer. */
struct box *box_new(void);
void box_free(struct box *b);
struct track *box_publish(struct box *b, const struct media_track_config *c);
/* As the SSRC 5000, and by RTX, if wanted, as 5001. */
struct sub *box_subscribe(struct track *t, struct box *b, bool rtx);

/*
 * The publisher `b` sends a picture in one packet, with the number for transport feedback `seq`
 * where that was agreed.
 */
void box_feed(struct box *b, uint16_t seq, bool key);
void box_feed_from(struct box *b, uint32_t ssrc, uint16_t seq, bool key);
/* What was lost, by RTX. */
void box_feed_rtx(struct box *b, uint16_t seq);
/* Nothing but padding. */
void box_feed_padding(struct box *b, uint16_t seq);
/* And that is all of a burst. */
void box_flush(struct box *b);

/* Number and mark of the packet `i` that was sent to a peer. */
uint16_t box_number(const struct box *b, unsigned i);
uint16_t box_mark(const struct box *b, unsigned i);
/* How many messages of that kind went to it. */
unsigned box_count(const struct box *b, uint8_t type, uint8_t fmt);
/* It asks for one again. */
void box_nack(struct box *b, uint16_t seq);

#endif
