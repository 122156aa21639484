/*
 * Which stream a publisher's packet is of.
 *
 * A packet names its m-section (mid) and layer (rid) only until the publisher sees that its SSRC is
 * known (RFC 8843 section 9.2, RFC 8852): from then on the SSRC stands for both. So a bound SSRC is
 * remembered also after its track has ended: a camera that is switched off and on continues where
 * it was, without telling again what it is.
 */
#ifndef MSR_SFU_FWD_BINDING_H
#define MSR_SFU_FWD_BINDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "rtp/packet.h"

#define BINDING_MAX 192 /* SSRCs bound to streams at a time; see SRTP_SSRC_MAX too */

struct binding_past;
struct stream;
struct track;

/* An SSRC of theirs, and what it is. */
struct binding {
	uint32_t ssrc;
	bool rtx;
	struct track *track;
	struct stream *stream;
};

/* Zeroed is an empty one. */
struct bindings {
	struct binding *b; /* NULL until the first: most endpoints only receive */
	unsigned room, n, last;
	struct binding_past *past; /* of tracks that have ended; NULL: none has */
};

void bindings_done(struct bindings *b);

/* The binding of a packet to one of `tracks`, made when it can be; NULL when it is not known. */
struct binding *bindings_find(struct bindings *b, const struct list *tracks,
			      const struct rtp_packet *p, int64_t now_us);
/* The binding of a stream's own SSRC, as sender reports name it; NULL when there is none. */
struct binding *bindings_of(struct bindings *b, uint32_t ssrc);
/* The track ends, or its config may mean other SSRCs: they are to be found again. */
void bindings_forget(struct bindings *b, const struct track *t);

#endif
