/*
 * The feedback message behind sender and media source:
 *
 *	| base number 16 | status count 16 | reference time 24 | feedback number 8 |
 *	| chunk 16 | ... | delta 8 or 16 | ... | zeros up to a word |
 *
 * A chunk is a run (0, symbol 2, length 13), 14 one-bit symbols (10) or 7 two-bit symbols (11).
 * Symbols: 0 not received, 1 small delta (one byte), 2 large or negative delta (two bytes).
 */
#include "twcc.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"

#define FIXED	  16   /* bytes of body before the chunks */
#define RUN_MAX	  8191 /* statuses of a run */
#define VECTOR	  7    /* statuses of a vector of two-bit symbols */
#define ROOM_MIN  128  /* bytes that a message needs at least: then every one tells of an arrival */
#define WRITE_MAX 512  /* statuses of a message that we write: at most 1,316 bytes */
#define HOLE_MAX  256  /* losses in front of the first arrival that a message tells of */
#define RESET	  (TWCC_RX_PACKETS * 4) /* a jump by more numbers restarts */

/* A symbol is also the bytes of its delta. */
enum symbol { NOT_RECEIVED, SMALL = TWCC_SMALL, LARGE = TWCC_LARGE };

/* ---- receiver side ---- */

static int64_t *slot(struct twcc_rx *t, int64_t seq)
{
	return &t->arrival_us[(uint64_t)seq % TWCC_RX_PACKETS];
}

static void start(struct twcc_rx *t, int64_t seq)
{
	memset(t->arrival_us, 0, sizeof(t->arrival_us));
	t->first = t->next = seq;
	t->highest = seq;
}

void twcc_rx_packet(struct twcc_rx *t, uint16_t seq16, int64_t now_us)
{
	bool first = !t->unwrap.started;
	int64_t before = t->unwrap.last;
	int64_t seq = rtp_unwrap16(&t->unwrap, seq16);

	if (first || seq > t->highest + RESET || seq < t->highest - RESET)
		start(t, seq);
	if (seq < t->next) { /* reported as lost */
		t->unwrap.last = before;
		if (seq <= t->highest - TWCC_RX_PACKETS || seq < t->first || *slot(t, seq)) {
			t->dropped++;
			return;
		}
		/* Taken back: the next message begins there, and repeats what follows. */
		t->next = seq;
	}
	for (; t->highest <= seq; t->highest++) {
		if (t->highest - t->next >= TWCC_RX_PACKETS) {
			t->dropped += *slot(t, t->next) != 0;
			t->next++;
		}
		*slot(t, t->highest) = 0;
	}
	if (!*slot(t, seq))
		*slot(t, seq) = now_us > 0 ? now_us : 1;
}

/* Symbol and delta of one status; `time` is that of the last arrival, in ticks. */
static enum symbol status_of(int64_t arrival_us, int64_t *ticks, int16_t *delta)
{
	if (!arrival_us)
		return NOT_RECEIVED;
	int64_t d = arrival_us / TWCC_TICK_US - *ticks;
	*ticks += d;
	*delta = (int16_t)d;
	return d >= 0 && d <= 255 ? SMALL : LARGE;
}

struct plan {
	unsigned n; /* statuses */
	uint8_t symbol[WRITE_MAX];
	unsigned n_deltas;
	int16_t delta[WRITE_MAX]; /* of those received */
};

/* What one message can say: ends before a delta that 16 bits cannot hold. */
static void make_plan(struct twcc_rx *t, struct plan *plan, int64_t *ref, size_t room)
{
	int64_t first = t->next, ticks;

	while (!*slot(t, first)) /* highest - 1 is there, so this ends */
		first++;
	/* An outage: what got lost in it is not worth messages without an arrival. */
	if (first - t->next > HOLE_MAX)
		t->next = first;
	*ref = *slot(t, first) / TWCC_REF_US;
	ticks = *ref * (TWCC_REF_US / TWCC_TICK_US);
	size_t bytes = 0;
	for (int64_t seq = t->next; seq < t->highest && plan->n < WRITE_MAX; seq++) {
		int64_t at = *slot(t, seq), d = at ? at / TWCC_TICK_US - ticks : 0;
		int16_t delta = 0;
		if (d > INT16_MAX || d < INT16_MIN)
			break;
		enum symbol s = status_of(at, &ticks, &delta);
		bytes += s;
		/* At worst every seven statuses take a chunk. */
		if (bytes + 2 * (plan->n / VECTOR + 1) + 3 > room)
			break;
		plan->symbol[plan->n++] = (uint8_t)s;
		if (s)
			plan->delta[plan->n_deltas++] = delta;
	}
	/* Losses at the end are reported by the next message, with what follows them. */
	while (plan->n && plan->symbol[plan->n - 1] == NOT_RECEIVED)
		plan->n--;
}

static size_t put_chunks(uint8_t *p, const struct plan *plan)
{
	size_t len = 0;

	for (unsigned i = 0; i < plan->n; len += 2) {
		unsigned run = 1;
		while (i + run < plan->n && run < RUN_MAX &&
		       plan->symbol[i + run] == plan->symbol[i])
			run++;
		if (run >= VECTOR || i + run == plan->n) {
			put_be16(p + len, (uint16_t)(plan->symbol[i] << 13 | run));
			i += run;
			continue;
		}
		uint16_t word = 0xc000;
		for (unsigned j = 0; j < VECTOR && i < plan->n; j++, i++)
			word |= (uint16_t)(plan->symbol[i] << (12 - 2 * j));
		put_be16(p + len, word);
	}
	return len;
}

static size_t put_deltas(uint8_t *p, const struct plan *plan)
{
	size_t len = 0;

	for (unsigned i = 0, d = 0; i < plan->n; i++) {
		if (plan->symbol[i] == SMALL) {
			p[len++] = (uint8_t)plan->delta[d++];
		} else if (plan->symbol[i] == LARGE) {
			put_be16(p + len, (uint16_t)plan->delta[d++]);
			len += 2;
		}
	}
	return len;
}

int twcc_rx_write(struct twcc_rx *t, struct rtcp_writer *w, uint32_t ssrc, uint32_t media)
{
	struct plan plan = {0};
	size_t room = w->cap - w->len;
	int64_t ref;

	if (!twcc_rx_pending(t))
		return -ENOENT;
	if (room < 4 + FIXED + ROOM_MIN)
		return -ENOBUFS;
	make_plan(t, &plan, &ref, room - 4 - FIXED);
	if (!plan.n)
		return -ENOBUFS;

	uint8_t *head = w->p + w->len, *p = head + 4;
	put_be32(p, ssrc);
	put_be32(p + 4, media);
	put_be16(p + 8, (uint16_t)t->next);
	put_be16(p + 10, (uint16_t)plan.n);
	put_be24(p + 12, (uint32_t)ref & 0xffffff);
	p[15] = t->fb_count++;
	size_t len = FIXED;
	len += put_chunks(p + len, &plan);
	len += put_deltas(p + len, &plan);
	while (len % 4)
		p[len++] = 0;
	head[0] = 0x80 | RTCP_TWCC;
	head[1] = RTCP_RTPFB;
	put_be16(head + 2, (uint16_t)(len / 4));
	w->len += 4 + len;
	t->next += plan.n;
	return 0;
}

/* ---- sender side ---- */

/* Statuses and delta bytes of one chunk; the last of a message may announce more than it has. */
static unsigned chunk_size(uint16_t word, unsigned left, size_t *delta_bytes)
{
	unsigned n = 0;

	if (!(word & 0x8000)) {
		unsigned symbol = word >> 13 & 3, run = word & 0x1fff;
		n = run < left ? run : left;
		*delta_bytes += (size_t)n * (symbol == SMALL ? 1 : symbol == LARGE ? 2 : 0);
		return n;
	}
	bool two = word & 0x4000;
	for (; n < (two ? 7u : 14u) && n < left; n++) {
		unsigned symbol = two ? word >> (12 - 2 * n) & 3 : word >> (13 - n) & 1;
		*delta_bytes += symbol == SMALL ? 1 : symbol == LARGE ? 2 : 0;
	}
	return n;
}

int twcc_read_begin(struct twcc_reader *r, const struct rtcp_msg *m)
{
	if (m->type != RTCP_RTPFB || m->count != RTCP_TWCC || m->len < FIXED + 2)
		return -EBADMSG;
	const uint8_t *p = m->body, *end = p + m->len, *at = p + FIXED;
	unsigned count = get_be16(p + 10), left = count;
	size_t delta_bytes = 0;

	if (!count)
		return -EBADMSG;
	while (left) {
		if (end - at < 2)
			return -EBADMSG;
		unsigned n = chunk_size(get_be16(at), left, &delta_bytes);
		if (!n) /* a run of nothing: would make a message of chunks endless */
			return -EBADMSG;
		left -= n;
		at += 2;
	}
	if ((size_t)(end - at) < delta_bytes)
		return -EBADMSG;
	*r = (struct twcc_reader){
	    .chunk = p + FIXED,
	    .delta = at,
	    .end = at + delta_bytes,
	    .seq = get_be16(p + 8),
	    .left = (uint16_t)count,
	    .time_us = ((int64_t)(int32_t)(get_be24(p + 12) << 8) >> 8) * TWCC_REF_US,
	};
	return 0;
}

unsigned twcc_skip_lost(struct twcc_reader *r, unsigned n)
{
	if (!r->left || !n)
		return 0;
	if (!r->symbols)
		twcc_read_chunk(r);
	unsigned symbol = r->word >> 13;
	if (symbol == TWCC_SMALL || symbol == TWCC_LARGE || r->word & 0x8000)
		return 0;
	if (n > r->symbols)
		n = r->symbols;
	if (n > r->left)
		n = r->left;
	r->symbols -= (uint16_t)n;
	r->left -= (uint16_t)n;
	r->seq += (uint16_t)n;
	return n;
}
