/* The list of missing packets, ascending and short; and the ring of kept ones. */
#include "nack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_MAX 8192 /* packets */
#define RESET_JUMP  3000 /* numbers: a larger jump restarts the stream (RFC 3550 A.1) */
#define SMOOTHING   4	 /* a new response time weighs one part in this many */

/* ---- receiver side ---- */

static void give_up(struct nack_rx *n, unsigned first, unsigned count)
{
	n->given_up += count;
	n->n -= count;
	memmove(n->missing + first, n->missing + first + count,
		(n->n - first) * sizeof(n->missing[0]));
}

/*
 * Behind the first request, however many there were: which one was answered is not known, and on a
 * long path it is that one. A packet that was only late tells nothing.
 */
static void learn(struct nack_rx *n, const struct nack_entry *e, int64_t now_us)
{
	int64_t took_us = now_us - e->since_us;

	if (e->tries)
		n->answer_us =
		    n->answer_us ? n->answer_us + (took_us - n->answer_us) / SMOOTHING : took_us;
}

static enum nack_verdict behind(struct nack_rx *n, int64_t seq, int64_t now_us)
{
	for (unsigned i = n->n; i-- > 0 && n->missing[i].seq >= seq;) {
		if (n->missing[i].seq != seq)
			continue;
		learn(n, &n->missing[i], now_us);
		give_up(n, i, 1);
		n->given_up--;
		n->repaired++;
		return NACK_REPAIRED;
	}
	return NACK_DUPLICATE;
}

enum nack_verdict nack_rx_packet(struct nack_rx *n, uint16_t seq16, int64_t now_us, int64_t *seq64)
{
	bool first = !n->unwrap.started;
	/* Unwrapped against the highest, so that late packets do not move the reference back. */
	n->unwrap.last = n->highest;
	int64_t seq = rtp_unwrap16(&n->unwrap, seq16);

	if (seq64)
		*seq64 = seq;
	if (first) {
		n->highest = seq;
		return NACK_NEW;
	}
	if (n->renewed || seq > n->highest + RESET_JUMP || seq < n->highest - RESET_JUMP) {
		n->renewed = false;
		give_up(n, 0, n->n);
		/* Go on upwards: unwrapped numbers never come back. */
		if (seq <= n->highest)
			seq += 65536;
		if (seq64)
			*seq64 = seq;
		n->highest = seq;
		return NACK_RESET;
	}
	if (seq <= n->highest)
		return behind(n, seq, now_us);

	int64_t holes = seq - n->highest - 1;
	n->lost += (uint64_t)holes;
	if (holes + n->n > NACK_MISSING_MAX) {
		give_up(n, 0, n->n);
		if (holes > NACK_MISSING_MAX) {
			n->given_up += (uint64_t)holes;
			holes = 0;
		}
	}
	for (int64_t s = seq - holes; s < seq; s++)
		n->missing[n->n++] = (struct nack_entry){.seq = s, .since_us = now_us};
	n->highest = seq;
	return NACK_NEW;
}

void nack_rx_renew(struct nack_rx *n)
{
	n->renewed = n->unwrap.started;
}

unsigned nack_rx_due(struct nack_rx *n, int64_t now_us, uint16_t *out, unsigned max, bool *gave_up)
{
	/* With some time for an answer to be late. */
	int64_t answer_us = n->answer_us + n->answer_us / 4;
	int64_t retry_us = answer_us > NACK_RETRY_US ? answer_us : NACK_RETRY_US;
	unsigned count = 0;

	for (unsigned i = n->n; i-- > 0;)
		if (now_us - n->missing[i].since_us > NACK_AGE_US)
			give_up(n, i, 1);
	for (unsigned i = 0; i < n->n && count < max; i++) {
		struct nack_entry *e = &n->missing[i];
		if (e->tries >= NACK_TRIES || (e->tries && now_us - e->asked_us < retry_us))
			continue;
		e->tries++;
		e->asked_us = now_us;
		out[count++] = (uint16_t)e->seq;
	}
	if (gave_up)
		*gave_up = n->given_up != n->told;
	n->told = n->given_up;
	return count;
}

/* ---- sender side ---- */

int rtp_history_init(struct rtp_history *h, unsigned packets)
{
	unsigned n = 16;

	while (n < packets && n < HISTORY_MAX)
		n *= 2;
	/* calloc of this size maps pages that are not touched before they are used. */
	struct rtp_kept *slot = calloc(n, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*h = (struct rtp_history){slot, n};
	return 0;
}

void rtp_history_done(struct rtp_history *h)
{
	free(h->slot);
	*h = (struct rtp_history){0};
}

void rtp_history_put(struct rtp_history *h, int64_t seq, const uint8_t *data, size_t len,
		     int64_t now_us)
{
	struct rtp_kept *k = &h->slot[(uint64_t)seq & (h->n - 1)];

	if (len > sizeof(k->data))
		return;
	k->seq = seq;
	k->time_us = now_us;
	k->len = (uint16_t)len;
	memcpy(k->data, data, len);
}

const struct rtp_kept *rtp_history_get(const struct rtp_history *h, int64_t seq)
{
	const struct rtp_kept *k = &h->slot[(uint64_t)seq & (h->n - 1)];

	return k->len && k->seq == seq ? k : NULL;
}
