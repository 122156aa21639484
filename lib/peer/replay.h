/*
 * Which packets of a source have come (RFC 3711 section 3.3.2): none is taken twice, and none that
 * is so old that this is not known any more. Pure.
 */
#ifndef MSR_PEER_REPLAY_H
#define MSR_PEER_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_PACKETS 64 /* back from the highest: the least that the RFC allows */

/* Zeroed: none has come. */
struct replay {
	uint64_t came; /* bit i: the highest minus i */
	uint32_t next; /* one more than the highest index */
};

static inline bool replay_is_fresh(const struct replay *r, uint32_t index)
{
	if (index >= r->next)
		return true;
	uint32_t age = r->next - 1 - index;
	return age < REPLAY_PACKETS && !(r->came >> age & 1);
}

/* An authentic one that was fresh; `index` has 31 bits. */
static inline void replay_note(struct replay *r, uint32_t index)
{
	if (index < r->next) {
		r->came |= (uint64_t)1 << (r->next - 1 - index);
		return;
	}
	uint32_t step = index + 1 - r->next;
	r->came = step < REPLAY_PACKETS ? r->came << step | 1 : 1;
	r->next = index + 1;
}

#endif
