/*
 * A subscription: one track on its way to one receiver.
 *
 *	burst ── layer (which stream, from where) ── rewrite (numbers, header) ── wire (seal, send)
 *	RTCP of the receiver ── sub_nack ...
 */
#ifndef MSR_SFU_FWD_SUB_H
#define MSR_SFU_FWD_SUB_H

#include "base/list.h"
#include "base/map.h"
#include "allocate.h"
#include "layer.h"
#include "media.h"
#include "rewrite.h"
#include "rtp/rtcp.h"

#define SUB_RESEND_RATE 1000	/* numbers a second, kept or not, that one receiver may ask for */
#define SUB_RESEND_MAX	256	/* of them at once */
#define SUB_AGAIN	128	/* packets sent again that are kept in mind */
#define SUB_PAD_PACKETS 8	/* that padding repeats in turn */
#define SUB_PAD_OVER	400	/* bytes that padding may be more than it was asked for */
#define SUB_SR_US	1000000 /* between sender reports: on a grid, so that they go together */
#define SUB_REPORT_MAX	80	/* bytes of one and whose it is */

#define SUB_TOLD_NOTHING (-2)

struct burst_packet;
struct endpoint;
struct stream;
struct track;

/* When a number was last sent again. */
struct sub_again {
	uint16_t number, ms; /* modulo 2^16 */
};

/* A key frame that is sent again: see sub_repeat. */
struct sub_repeat {
	int64_t at_us;	  /* when it begins again, or goes on; 0: never */
	int64_t until_us; /* not later than this, but once in any case */
	int64_t end;	  /* number behind what is still to be sent this time; 0: has not begun */
	size_t bytes;	  /* of what has been */
};

/* What a lasting sub leaves to the next one with its SSRC. */
struct sub_past {
	uint32_t ssrc;
	struct layer_past layer;
	int64_t rtx_next;
	uint32_t packets, bytes;
};

struct sub {
	struct endpoint *to;
	struct list link;     /* in to->subs */
	struct map_node node; /* in to->sub_map, by id */
	struct track *track;
	media_id id;
	struct media_sub_config config;

	struct layer layer;
	struct allocate_grant grant; /* what congestion control decided */
	bool asked;		     /* the viewer did, since then */
	int8_t told;		     /* the layer that the receiver was told of; SUB_TOLD_NOTHING */
	struct rewrite_shape shape, rtx_shape;
	int64_t rtx_next; /* next number of the RTX stream, 64 bits */
	unsigned padded;  /* packets of padding, to tell which is next */
	int64_t key;	  /* number that its last key frame begins with; 0: none yet */
	uint32_t key_ts;  /* of that, as the receiver has it */
	struct sub_repeat repeat;

	uint32_t packets, bytes; /* as sender reports count them */
	int64_t sr_us;		 /* of the last one; 0: none */

	struct sub_again again[SUB_AGAIN]; /* by number, modulo that */
	double resend_tokens;
	int64_t resend_us;
};

/* Starts sending from the next key frame on. 0, -EEXIST (the number is taken) or -ENOMEM. */
int sub_new(struct sub **out, struct track *t, struct endpoint *to, media_id id,
	    const struct media_sub_config *c);
/* Takes its config and its receiver's header extensions anew. */
void sub_change(struct sub *s, const struct media_sub_config *c);
/* Accepts NULL. */
void sub_free(struct sub *s);

/* What the viewer wants of it. */
void sub_want(struct sub *s, enum media_level level, int64_t now_us);
/* The highest layer that the viewer asks for, from 0, the lowest; -1: nothing. */
int sub_wanted(const struct sub *s);
/* The highest layer that its network carries; -1 pauses. Everything, until this is called. */
void sub_target(struct sub *s, int layer, int64_t now_us);
/* What is sent now is far too much: it ends at once, and not with the key frame of the target. */
void sub_stop(struct sub *s);
/* The track's layers changed: one stopped, or came back. */
void sub_update(struct sub *s, int64_t now_us);

void sub_burst(struct sub *s, const struct burst_packet *b, unsigned n, int64_t now_us);

/* The receiver's transport works now: it wants a picture. */
void sub_wake(struct sub *s, int64_t now_us);
/*
 * Sends a packet of about `bytes` that the receiver can do without, on the RTX stream: a recent
 * one again, else padding. Returns its bytes. Only where rtx_shape has transport-wide numbers, and
 * after the first packet.
 */
size_t sub_pad(struct sub *s, size_t bytes, int64_t now_us);
/*
 * A picture that has just begun stands until its key frame is there, and each lost packet of that
 * would cost a response time: on a path that loses anything it is sent twice, once the next picture
 * has come; where much is lost on a long path, as often as fits into a response time. Every
 * FWD_TICK_US, while it is true.
 */
bool sub_repeat(struct sub *s, int64_t now_us);
/* Whether sound goes out with that before it once more: where packets are lost, and it wants it. */
bool sub_repeats_sound(const struct sub *s, int64_t now_us);
/* Puts a sender report, when one is due, where there is room for SUB_REPORT_MAX. */
void sub_report(struct sub *s, struct rtcp_writer *w, int64_t now_us);

/* RTCP of the receiver about this subscription. */
void sub_nack(struct sub *s, const struct rtcp_msg *m, int64_t now_us);
void sub_want_key(struct sub *s);

#endif
