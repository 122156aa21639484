/* The list of missing packets, ascending and short; and the ring of kept ones. */
#include "nack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_MAX   8192 /* packets */
#define HISTORY_FIRST 16   /* packets, until more are needed */
#define SLOT_SHORT    256  /* bytes: Opus with its extensions, unless it is music */
#define RESET_JUMP    3000 /* numbers: a larger jump restarts the stream (RFC 3550 A.1) */
#define ANSWER_DOWN   4	   /* a shorter answer weighs one part in this many, */
#define ANSWER_UP     16   /* a longer one, which may be one to a later request, in so many */
#define LOSS_PACKETS  128  /* over which loss is smoothed */
#define LOSSY	      0.08 /* more is much */
#define LOSSY_ASKS    3	   /* requests, then, in the time that an answer takes */

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
 * long path it is that one. Where requests are lost it is a later one; such answers must not count
 * as much, or the next request waits longer for each that is lost. A packet that was only late
 * tells nothing.
 */
static void learn(struct nack_rx *n, const struct nack_entry *e, int64_t now_us)
{
	int64_t more_us = now_us - e->since_us - n->answer_us;

	if (e->asked)
		n->answer_us +=
		    !n->answer_us ? more_us : more_us / (more_us < 0 ? ANSWER_DOWN : ANSWER_UP);
}

static void note_loss(struct nack_rx *n, bool lost)
{
	n->loss += ((lost ? 1 : 0) - n->loss) / LOSS_PACKETS;
}

/* What an answer takes when it is somewhat late. */
static int64_t late_us(const struct nack_rx *n)
{
	return n->answer_us + n->answer_us / 4;
}

/* How long after a request the next one for the same packet is due. */
static int64_t retry_us(const struct nack_rx *n)
{
	int64_t us = n->loss > LOSSY ? n->answer_us / LOSSY_ASKS : late_us(n);

	return us > NACK_RETRY_US ? us : NACK_RETRY_US;
}

static int64_t age_us(const struct nack_rx *n)
{
	int64_t us = NACK_ANSWERS * late_us(n);

	return us < NACK_AGE_US ? NACK_AGE_US : us > NACK_LONG_US ? NACK_LONG_US : us;
}

_Static_assert(NACK_EARLY == 32, "bits of `early`");

/* The stream begins with `seq`; all up to `last` is not of it. */
static void begin(struct nack_rx *n, int64_t seq, int64_t last, int64_t now_us)
{
	int64_t room = seq - 1 - last;

	n->highest = n->first = seq;
	n->first_us = now_us;
	n->early = room < NACK_EARLY ? ~0u << room : 0;
}

/* What the first packet has overtaken is not missing, but may be what a key frame begins with. */
static bool is_early(struct nack_rx *n, int64_t seq, int64_t now_us)
{
	int64_t before = n->first - 1 - seq;

	if (before < 0 || before >= NACK_EARLY || now_us - n->first_us > NACK_EARLY_US ||
	    n->early >> before & 1)
		return false;
	n->early |= 1u << before;
	return true;
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
	return is_early(n, seq, now_us) ? NACK_REPAIRED : NACK_DUPLICATE;
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
		begin(n, seq, -1, now_us); /* numbers are never negative */
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
		begin(n, seq, n->highest, now_us);
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
	note_loss(n, false);
	return NACK_NEW;
}

enum nack_verdict nack_rx_again(struct nack_rx *n, uint16_t seq, int64_t now_us, int64_t *seq64)
{
	int16_t ahead = (int16_t)(uint16_t)(seq - (uint16_t)n->highest);

	if (!n->unwrap.started || n->renewed || ahead < -RESET_JUMP ||
	    n->highest + ahead < n->first || ahead > (int)(NACK_MISSING_MAX - n->n))
		return NACK_DUPLICATE;
	return nack_rx_packet(n, seq, now_us, seq64);
}

void nack_rx_renew(struct nack_rx *n)
{
	n->renewed = n->unwrap.started;
}

unsigned nack_rx_due(struct nack_rx *n, int64_t now_us, uint16_t *out, unsigned max, bool *gave_up)
{
	int64_t oldest_us = now_us - age_us(n), asked_us = now_us - retry_us(n);
	unsigned count = 0;

	for (unsigned i = n->n; i-- > 0;)
		if (n->missing[i].since_us < oldest_us)
			give_up(n, i, 1);
	for (unsigned i = 0; i < n->n && count < max; i++) {
		struct nack_entry *e = &n->missing[i];
		if (e->asked && e->asked_us > asked_us)
			continue;
		if (!e->asked)
			note_loss(n, true);
		e->asked = true;
		e->asked_us = now_us;
		out[count++] = (uint16_t)e->seq;
	}
	if (gave_up)
		*gave_up = n->given_up != n->told;
	n->told = n->given_up;
	return count;
}

/* ---- sender side ---- */

static size_t stride_for(size_t len)
{
	size_t stride = sizeof(struct rtp_kept) + (len <= SLOT_SHORT ? SLOT_SHORT : RTP_PACKET_MAX);

	return (stride + 7) & ~(size_t)7;
}

static struct rtp_kept *slot_at(const struct rtp_history *h, size_t i)
{
	return (void *)(h->slots + i * h->stride);
}

static struct rtp_kept *slot_of(const struct rtp_history *h, int64_t seq)
{
	return slot_at(h, (uint64_t)seq & (h->n - 1));
}

/* Lays the kept packets out anew. False without memory: then all is as it was. */
static bool lay_out(struct rtp_history *h, unsigned n, size_t stride)
{
	struct rtp_history to = {calloc(n, stride), n, h->most, stride};

	if (!to.slots)
		return false;
	for (unsigned i = 0; i < h->n; i++) {
		const struct rtp_kept *k = slot_at(h, i);
		if (k->len)
			memcpy(slot_of(&to, k->seq), k, sizeof(*k) + k->len);
	}
	free(h->slots);
	*h = to;
	return true;
}

int rtp_history_init(struct rtp_history *h, unsigned packets)
{
	*h = (struct rtp_history){.most = HISTORY_FIRST};
	while (h->most < packets && h->most < HISTORY_MAX)
		h->most *= 2;
	return lay_out(h, HISTORY_FIRST, stride_for(0)) ? 0 : -ENOMEM;
}

void rtp_history_done(struct rtp_history *h)
{
	free(h->slots);
	*h = (struct rtp_history){0};
}

void rtp_history_put(struct rtp_history *h, int64_t seq, const uint8_t *data, size_t len,
		     int64_t now_us)
{
	struct rtp_kept *k = slot_of(h, seq);

	if (len > RTP_PACKET_MAX)
		return;
	while (k->len && now_us - k->time_us < RTP_HISTORY_US && h->n < h->most &&
	       lay_out(h, 2 * h->n, h->stride))
		k = slot_of(h, seq);
	if (stride_for(len) > h->stride) {
		if (!lay_out(h, h->n, stride_for(len)))
			return;
		k = slot_of(h, seq);
	}
	k->seq = seq;
	k->time_us = now_us;
	k->len = (uint16_t)len;
	memcpy(k->data, data, len);
}

const struct rtp_kept *rtp_history_get(const struct rtp_history *h, int64_t seq)
{
	const struct rtp_kept *k = slot_of(h, seq);

	return k->len && k->seq == seq ? k : NULL;
}
