/*
 * A ring of slots by sequence number, and a cursor: the number whose turn it is. All packets
 * in the ring lie in [next, next + n).
 */
#include "jitter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rtp/packet.h"
#include "rtp/unwrap.h"

#define PACKETS_MAX 4096
#define RESET_JUMP  3000 /* numbers: a larger jump restarts the stream (RFC 3550 A.1) */

struct slot {
	uint8_t *data; /* owned; NULL: empty */
	size_t len;
	int64_t arrival_us;
};

struct jitter {
	struct slot *slot; /* owned */
	unsigned n;	   /* slots, a power of two */
	unsigned held;	   /* slots in use */
	int64_t wait_us, start_us;
	bool begun;		  /* a packet has come out */
	struct rtp_unwrap unwrap; /* against `highest` */
	int64_t next;		  /* whose turn it is */
	int64_t highest;
	unsigned lost; /* passed over since the last packet out */
	bool reset;    /* the next packet out restarts the stream */
	uint8_t *lent; /* owned: what the last jitter_get returned */
	bool restart;  /* `again` waits for the ring to run empty */
	uint16_t again_seq;
	struct slot again; /* the packet that restarts the stream */
	uint64_t resets;
};

int jitter_new(struct jitter **out, const struct jitter_limits *limits)
{
	unsigned n = 16;

	if (!limits->packets || limits->packets > PACKETS_MAX || limits->wait_us < 0 ||
	    limits->start_us < 0)
		return -EINVAL;
	while (n < limits->packets)
		n *= 2;
	struct jitter *j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->slot = calloc(n, sizeof(*j->slot));
	if (!j->slot) {
		free(j);
		return -ENOMEM;
	}
	j->n = n;
	j->wait_us = limits->wait_us;
	j->start_us = limits->start_us;
	*out = j;
	return 0;
}

void jitter_free(struct jitter *j)
{
	if (!j)
		return;
	for (unsigned i = 0; i < j->n; i++)
		free(j->slot[i].data);
	free(j->again.data);
	free(j->lent);
	free(j->slot);
	free(j);
}

static struct slot *at(struct jitter *j, int64_t seq)
{
	return &j->slot[(uint64_t)seq & (j->n - 1)];
}

static int fill(struct slot *s, const uint8_t *data, size_t len, int64_t now_us)
{
	s->data = malloc(len ? len : 1);
	if (!s->data)
		return -ENOMEM;
	memcpy(s->data, data, len);
	s->len = len;
	s->arrival_us = now_us;
	return 0;
}

static int place(struct jitter *j, int64_t seq, const uint8_t *data, size_t len, int64_t now_us)
{
	struct slot *s = at(j, seq);

	if (s->data)
		return -EEXIST;
	int r = fill(s, data, len, now_us);
	if (r < 0)
		return r;
	j->held++;
	if (seq > j->highest)
		j->highest = seq;
	return 0;
}

static void begin_at(struct jitter *j, int64_t seq)
{
	j->next = seq;
	j->highest = seq;
	j->unwrap = (struct rtp_unwrap){seq, true};
}

/*
 * A jump: what is held is given out first, then the stream restarts with this packet. A second
 * packet before the ring is empty replaces the first.
 */
static int begin_anew(struct jitter *j, uint16_t seq, const uint8_t *data, size_t len,
		      int64_t now_us)
{
	struct slot s;
	int r = fill(&s, data, len, now_us);

	if (r < 0)
		return r;
	free(j->again.data);
	j->again = s;
	j->again_seq = seq;
	j->restart = true;
	j->resets++;
	return 0;
}

int jitter_put(struct jitter *j, uint16_t seq16, const uint8_t *data, size_t len, int64_t now_us)
{
	if (!j->unwrap.started) {
		begin_at(j, seq16);
		return place(j, seq16, data, len, now_us);
	}
	j->unwrap.last = j->highest;
	int64_t seq = rtp_unwrap16(&j->unwrap, seq16);

	if (seq > j->highest + RESET_JUMP || seq < j->next - RESET_JUMP)
		return begin_anew(j, seq16, data, len, now_us);
	if (seq < j->next && !j->begun && j->highest - seq < j->n)
		j->next = seq;
	if (seq < j->next)
		return -ESTALE;
	if (seq >= j->next + j->n && !j->held) { /* nothing waits: pass over the hole at once */
		j->lost += (unsigned)(seq - j->next);
		j->next = seq;
	}
	if (seq >= j->next + j->n)
		return begin_anew(j, seq16, data, len, now_us);
	return place(j, seq, data, len, now_us);
}

/* The oldest arrival among those held: they wait for the hole at `next`. */
static int64_t waiting_since(const struct jitter *j)
{
	int64_t since = INT64_MAX;

	if (!j->held)
		return INT64_MAX;
	for (int64_t seq = j->next; seq <= j->highest; seq++) {
		const struct slot *s = &j->slot[(uint64_t)seq & (j->n - 1)];
		if (s->data && s->arrival_us < since)
			since = s->arrival_us;
	}
	return since;
}

static int take(struct jitter *j, struct jitter_packet *out)
{
	j->begun = true;
	while (!at(j, j->next)->data) {
		j->next++;
		j->lost++;
	}
	struct slot *s = at(j, j->next);
	free(j->lent);
	j->lent = s->data;
	*out = (struct jitter_packet){
	    .data = s->data,
	    .len = s->len,
	    .seq = j->next,
	    .arrival_us = s->arrival_us,
	    .lost = j->lost,
	    .reset = j->reset,
	};
	*s = (struct slot){0};
	j->held--;
	j->next++;
	j->lost = 0;
	j->reset = false;
	return 1;
}

static void restart(struct jitter *j)
{
	/* Upwards, so that unwrapped numbers stay in order for the caller. */
	int64_t seq = (j->highest / 65536 + 1) * 65536 + j->again_seq;

	begin_at(j, seq);
	*at(j, seq) = j->again;
	j->again = (struct slot){0};
	j->held = 1;
	j->lost = 0;
	j->reset = true;
	j->restart = false;
}

int jitter_get(struct jitter *j, int64_t now_us, struct jitter_packet *out)
{
	if (j->restart && !j->held)
		restart(j);
	if (!j->held)
		return 0;
	bool ripe = (j->begun && at(j, j->next)->data) || j->restart || j->held >= j->n / 2;
	if (!ripe && now_us < jitter_deadline(j))
		return 0;
	return take(j, out);
}

int jitter_drain(struct jitter *j, struct jitter_packet *out)
{
	if (j->restart && !j->held)
		restart(j);
	return j->held ? take(j, out) : 0;
}

void jitter_begin(struct jitter *j)
{
	for (unsigned i = 0; i < j->n; i++)
		free(j->slot[i].data);
	memset(j->slot, 0, j->n * sizeof(*j->slot));
	free(j->again.data);
	j->again = (struct slot){0};
	j->unwrap = (struct rtp_unwrap){0};
	j->held = j->lost = 0;
	j->begun = j->reset = j->restart = false;
}

int64_t jitter_deadline(const struct jitter *j)
{
	if (j->restart)
		return INT64_MIN;
	int64_t since = waiting_since(j);

	if (!j->begun && since != INT64_MAX)
		return since + j->start_us;
	return since == INT64_MAX ? since : since + j->wait_us;
}

uint64_t jitter_resets(const struct jitter *j)
{
	return j->resets;
}
