/*
 * The estimate, and what moves it. Each feedback is walked packet by packet, and then there are
 * four questions:
 *
 *	arrivals ──┬── trend.c: does delay grow? ────────> down to what arrives, else slowly up
 *	           ├── rtt.c: does a queue stand? ───────> down, once
 *	           ├── loss.c: too much, will less help? > down; if it is the path's own, up again
 *	           └── probe.c: how did a burst arrive? ─> up to what it found
 *
 * Steady: the estimate rises by itself, and is no less than what arrives (keep_what_passes).
 * Trial (loss.trial): it does not rise, and only a starved sender probes; else the effect of the
 * lower rate would be hidden.
 * Probing (probe.running, then probe.waiting, and shortly after): growing delay is the probe's own
 * doing. It is noted for the probe's verdict and lowers nothing.
 * Silent (packets leave, and no feedback comes): bwe_padding lowers step by step, on time alone.
 */
#include "bwe.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "rtp/twcc.h"

/* what arrives */
#define RATE_GAP	   (4 * BWE_SLICES) /* slices without a packet, until the rate starts over */
#define RATE_NOW	   4		    /* complete slices that tell what arrives just now */
#define MISSING		   0.3 /* of what was sent: no path in use loses more by itself */
#define MISSING_DEVIATIONS 3   /* by which that may exceed MISSING by chance */
#define SUDDEN		   0.8 /* of the rate so far: less than that just now is another rate */
#define COLLAPSE	   0.5 /* of the rate so far, while as much is sent: no loss is waited for */
#define BACKS_UP_BPS	   500000 /* what arrives of less scatters too much for that */

/* down, by delay */
#define DECREASE	 0.85	 /* of what arrives: lower than that, so that the queue drains */
#define DECREASE_US	 50000	 /* besides a response time, until a decrease has had its effect */
#define DECREASE_RTT_US	 200000	 /* the longest response time that is waited for */
#define SILENCE_US	 1500000 /* without feedback while sending: the path is blocked */
#define SILENCE_STEP_US	 500000	 /* between decreases in silence */
#define SILENCE_DECREASE 0.7	 /* of the estimate, each time */

/* up, by delay */
#define GROWTH	     1.08    /* factor a second, far from known capacity */
#define STEP_MAX_US  1000000 /* of growth at once: feedback may have been late */
#define PACKET_BITS  9600    /* growth a response time near capacity: about a packet */
#define RESPONSE_US  100000  /* besides the round trip, until a receiver tells what it sees */
#define GROWTH_MIN   4000    /* bit/s a second near capacity, on a long path */
#define HEADROOM     1.5     /* multiple of what arrives that growth alone reaches */
#define HEADROOM_BPS 10000   /* bit/s above that, so that almost nothing can grow */
#define PROOF_US     400000  /* of steady delay: what arrives is not too much */

/* capacity: what arrived at over use */
#define CAPACITY_DEVS	   3	/* deviations around it are near; beyond, it is another */
#define CAPACITY_SMOOTHING 0.05 /* weight of a new value, and of its distance */
#define CAPACITY_DEV_FIRST 10	/* a tenth is the deviation of a first value */
#define CAPACITY_DEV_MIN   25	/* a 25th is the smallest */

/* probes */
#define PROBE_EVERY_US	 3000000 /* between probes */
#define PROBE_AGAIN_US	 1000000 /* after one of which too few packets arrived to tell */
#define PROBE_STARVED_US 500000	 /* for a starved sender; twice as long after each that failed */
#define PROBE_AFTER_US	 400000	 /* after a probe, until trend.c has seen the last of its queue */
#define DRAIN_US	 1000000 /* that a queue may take to drain, before which none is sent */
#define PROBE_FACTOR	 2	 /* multiple of the estimate */
#define PROBE_FIRST	 3	 /* multiple for the first one, which has everything to find out */
#define PROBE_FOUND	 0.9	 /* of what arrived of one that filled the path: it left a queue */
#define PROBE_BELOW	 0.9	 /* of the estimate: a probe that brings less contradicts it */
#define ENOUGH		 1.2	 /* multiple of what is wanted: probes go no higher */

/* The receiver's clock in feedback wraps after 12 days. */
#define ARRIVAL_WRAP_US ((int64_t)TWCC_REF_US << 24)

void bwe_init(struct bwe *b, uint64_t start_bps, uint64_t min_bps, uint64_t max_bps)
{
	memset(b, 0, sizeof(*b));
	b->bps = start_bps;
	b->min_bps = min_bps;
	b->max_bps = max_bps;
}

/* Where the caller has what it wants, with a margin. */
static double enough_bps(const struct bwe *b)
{
	return ENOUGH * (double)b->wanted_bps;
}

void bwe_want(struct bwe *b, uint64_t bps)
{
	b->wanted_bps = bps;
	if ((double)b->bps >= enough_bps(b))
		b->n_probes_failed = 0;
}

static void set_bps(struct bwe *b, double bps)
{
	bps = fmin(fmax(bps, (double)b->min_bps), (double)b->max_bps);
	b->bps = (uint64_t)bps;
}

static double seconds(int64_t us)
{
	return (double)us / 1e6;
}

/* ---- what arrives ---- */

_Static_assert(BWE_RING >= BWE_SLICES && !(BWE_RING & (BWE_RING - 1)), "each slice has a place");

static void rate_add(struct bwe_rate *r, int64_t at_us, unsigned bytes)
{
	int64_t slice = at_us / BWE_SLICE_US;

	if (!r->first || slice > r->slice + RATE_GAP) {
		*r = (struct bwe_rate){.slice = slice, .first = slice};
	}
	for (; r->slice < slice; r->slice++)
		r->bytes[(uint64_t)(r->slice + 1) % BWE_RING] = 0;
	if (r->slice - slice < BWE_SLICES)
		r->bytes[(uint64_t)slice % BWE_RING] += bytes;
}

/* Over the last `n` complete slices; 0 while there are too few for any rate. */
static double rate_of(const struct bwe_rate *r, int n)
{
	uint64_t sum = 0;

	if (!r->first || r->slice - r->first < BWE_SLICES)
		return 0;
	for (int i = 1; i <= n; i++)
		sum += r->bytes[(uint64_t)(r->slice - i) % BWE_RING];
	return (double)sum * 8 / seconds(n * BWE_SLICE_US);
}

static double rate_bps(const struct bwe_rate *r)
{
	return rate_of(r, BWE_SLICES - 1);
}

/* What was sent of what arrives, had it lost as much as the path does by itself. */
static double throughput(const struct bwe *b)
{
	return rate_bps(&b->arrived) / loss_passing(&b->loss);
}

/*
 * The most that two slices on end brought lately; 0 where one brought nothing: what comes after a
 * pause tells of the pause.
 */
static double rate_now(const struct bwe_rate *r)
{
	uint64_t most = 0, last = 0;

	for (int i = 1; i <= RATE_NOW; i++) {
		uint64_t bytes = r->bytes[(uint64_t)(r->slice - i) % BWE_RING];
		if (!bytes)
			return 0;
		if (i > 1 && bytes + last > most)
			most = bytes + last;
		last = bytes;
	}
	return (double)most * 8 / seconds(2 * BWE_SLICE_US);
}

/*
 * Whether more of what was sent with that is missing than any path loses by itself, chance
 * included: sooner seen than how delay grows.
 */
static bool overflows(const struct bwe *b)
{
	double missing = rate_of(&b->missing, RATE_NOW);

	if (missing <= 0)
		return false;
	double sent = rate_of(&b->arrived, RATE_NOW) + missing;
	double n = sent * seconds(RATE_NOW * BWE_SLICE_US) / PACKET_BITS;

	return n > 0 && missing > sent * (MISSING + MISSING_DEVIATIONS * sqrt(MISSING / n));
}

/*
 * What comes through a path that has become narrow just now; 0: it has not. Half of what
 * throughput() sums up came through a wider one. After a pause, which tells nothing, loss still
 * does.
 */
static double come_narrow(const struct bwe *b)
{
	double now = rate_now(&b->arrived);

	if (now > 0 && now < SUDDEN * rate_bps(&b->arrived))
		return now / loss_passing(&b->loss);
	return overflows(b) ? rate_of(&b->arrived, RATE_NOW) / loss_passing(&b->loss) : 0;
}

/* Bits on their way, as far as is known. */
static double on_the_way(const struct bwe *b)
{
	uint16_t n = (uint16_t)(b->sent_next - b->told_next);
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n && n <= BWE_SENT; i++)
		bytes += b->sent[(uint16_t)(b->told_next + i) % BWE_SENT].bytes;
	return (double)bytes * 8;
}

/*
 * Whether a path that brings `now` lets a queue grow: far more is on its way than comes in a
 * response time. Seen before anything of that is lost, and never where less comes as less is sent.
 */
static bool backs_up(const struct bwe *b, double now)
{
	double got = throughput(b);

	return got > BACKS_UP_BPS && now < COLLAPSE * got &&
	       COLLAPSE * on_the_way(b) > now * seconds(b->rtt.us) &&
	       rtt_queue_likely(&b->rtt, b->trend.noise_ms);
}

/* Whether it brings far less than the estimate, `now`: no probe makes it do that. */
static bool brings_less(const struct bwe *b, double now)
{
	return now > 0 && now < SUDDEN * (double)b->bps && (overflows(b) || backs_up(b, now));
}

bool bwe_overloaded(const struct bwe *b)
{
	return b->trend.state == TREND_OVER || overflows(b);
}

/* ---- delay: decrease and increase ---- */

static void note_capacity(struct bwe *b, double bps)
{
	if (!b->capacity_bps || fabs(bps - b->capacity_bps) > CAPACITY_DEVS * b->capacity_dev) {
		b->capacity_bps = bps;
		b->capacity_dev = bps / CAPACITY_DEV_FIRST;
		return;
	}
	double error = bps - b->capacity_bps;
	b->capacity_bps += CAPACITY_SMOOTHING * error;
	b->capacity_dev += CAPACITY_SMOOTHING * (fabs(error) - b->capacity_dev);
	b->capacity_dev = fmax(b->capacity_dev, b->capacity_bps / CAPACITY_DEV_MIN);
}

static void lower(struct bwe *b, double bps, int64_t now_us)
{
	if (bps >= (double)b->bps)
		return;
	set_bps(b, bps);
	b->lowered_us = now_us;
	b->n_lowered++;
}

static void on_over_use(struct bwe *b, int64_t now_us)
{
	double now = come_narrow(b), got = now > 0 ? now : throughput(b);
	int64_t rtt = rtt_us(&b->rtt);
	int64_t pause_us = (rtt < DECREASE_RTT_US ? rtt : DECREASE_RTT_US) + DECREASE_US;

	b->unsteady_us = now_us;
	/* A probe may fill a queue for a moment: what it tells is judged with it. */
	bool probed =
	    b->probe.running || b->probe.waiting || now_us - b->probed_us < PROBE_AFTER_US;
	if (probed && !brings_less(b, now)) {
		b->probe.overused = true;
		return;
	}
	int64_t since_us = now > 0 ? b->narrow_us : b->over_us;
	if (!got || now_us - since_us < pause_us)
		return;
	lower(b, DECREASE * got, now_us);
	if (probed) {
		b->probed_us = now_us;
		b->probe.running = b->probe.waiting = false; /* what it would tell is known */
	}
	b->over_us = now_us;
	if (now > 0)
		b->narrow_us = now_us;
	note_capacity(b, got);
}

static void increase(struct bwe *b, int64_t passed_us)
{
	double got = throughput(b), bps = (double)b->bps;
	double dt = seconds(passed_us < STEP_MAX_US ? passed_us : STEP_MAX_US);
	double around = CAPACITY_DEVS * b->capacity_dev;
	bool near =
	    b->capacity_bps && bps > b->capacity_bps - around && bps < b->capacity_bps + around;

	if (b->capacity_bps && got > b->capacity_bps + around)
		b->capacity_bps = 0; /* it has grown: to be found again */
	if (near)
		bps += fmax(PACKET_BITS / seconds(rtt_us(&b->rtt) + RESPONSE_US), GROWTH_MIN) * dt;
	else
		bps *= pow(GROWTH, dt);
	/* What is not used is not known to be there; but what was found is not taken away. */
	if (got && bps > HEADROOM * got + HEADROOM_BPS)
		bps = fmax(HEADROOM * got + HEADROOM_BPS, (double)b->bps);
	set_bps(b, bps);
}

/*
 * Delay that is steady again, while as much arrives as before and as was sent: it was not too much,
 * and the delay has grown for other reasons. So a sender of little is not taken for a narrow path.
 */
static void keep_what_passes(struct bwe *b, int64_t now_us)
{
	int64_t since_us = b->unsteady_us > b->lowered_us ? b->unsteady_us : b->lowered_us;

	if (now_us - since_us < PROOF_US)
		return;
	double arrived = rate_bps(&b->arrived);
	double sent = fmin(loss_sent_bps(&b->loss, arrived), arrived + rate_bps(&b->missing));
	if (sent > (double)b->bps)
		set_bps(b, sent);
}

static void on_standing_queue(struct bwe *b, int64_t now_us)
{
	if (rtt_queue_stands(&b->rtt, b->trend.noise_ms, now_us) && throughput(b) > 0)
		lower(b, DECREASE * throughput(b), now_us);
}

static void on_loss(struct bwe *b, int64_t now_us)
{
	const struct loss_path path = {.bps = b->bps,
				       .arrived_bps = rate_bps(&b->arrived),
				       .rtt = &b->rtt,
				       .growing = b->trend.state == TREND_OVER,
				       .lowered_us = b->lowered_us};
	struct loss_verdict v = loss_step(&b->loss, &path, now_us);

	if (v.change == LOSS_LOWER)
		lower(b, v.bps, now_us);
	if (v.change == LOSS_RAISE)
		set_bps(b, fmax((double)b->bps, v.bps));
}

/* ---- probes ---- */

/*
 * A sender that is kept from sending what it wants, and sends little, learns nothing by that: a
 * probe alone can help, and it comes soon. Where there really is no more, the next one comes after
 * twice as long each time.
 */
static int64_t probe_pause_us(const struct bwe *b)
{
	int64_t us = PROBE_STARVED_US;

	for (unsigned i = 0; i < b->n_probes_failed && us < PROBE_EVERY_US; i++)
		us *= 2;
	return us < PROBE_EVERY_US ? us : PROBE_EVERY_US;
}

static bool is_starved(const struct bwe *b)
{
	double got = throughput(b);

	return got > 0 && got < LOSS_LITTLE * (double)b->bps;
}

static bool probe_is_due(const struct bwe *b, int64_t now_us)
{
	const struct probe *p = &b->probe;

	if (p->running || p->waiting || !b->feedback_us || b->bps >= b->max_bps ||
	    (double)b->bps >= enough_bps(b) || b->trend.state == TREND_OVER ||
	    (rtt_queue_likely(&b->rtt, b->trend.noise_ms) && now_us - b->lowered_us < DRAIN_US))
		return false;
	if (!b->n_probes)
		return !b->loss.trial || is_starved(b);
	int64_t since = now_us - (b->probed_us > b->lowered_us ? b->probed_us : b->lowered_us);
	if (since >= PROBE_EVERY_US && !b->loss.trial)
		return true;
	return since >= probe_pause_us(b) && is_starved(b);
}

static void begin_probe(struct bwe *b, unsigned factor, int64_t now_us)
{
	double bps = fmin((double)b->bps * factor, enough_bps(b));

	probe_begin(&b->probe, fmin(bps, (double)b->max_bps), b->trend.noise_ms, now_us);
	b->n_probes++;
}

/* What a probe has found; nothing while it is not over. */
static void judge_probe(struct bwe *b, int64_t now_us)
{
	struct probe *p = &b->probe;

	if (!p->waiting || !probe_is_over(p, rtt_us(&b->rtt), now_us))
		return;
	p->waiting = false;
	b->probed_us = now_us;
	b->n_probes_failed++;
	if (!probe_tells(p, loss_likely(&b->loss, LOSS_DOUBT_SMALL))) {
		/* Where queues grew as well, too much is sent. */
		if (p->overused)
			lower(b, DECREASE * throughput(b), now_us);
		else
			b->probed_us = now_us - PROBE_EVERY_US + PROBE_AGAIN_US;
		return;
	}
	struct probe_result r = probe_result(p, 1 - loss_passing(&b->loss), b->trend.noise_ms);
	double found = r.through ? fmin(r.got_bps, r.sent_bps) : PROBE_FOUND * r.got_bps;
	if (p->overused && !r.through && r.got_bps < PROBE_BELOW * (double)b->bps)
		lower(b, r.got_bps, now_us); /* known too well, from better times */
	if (found <= (double)b->bps)
		return;
	set_bps(b, found);
	b->n_probes_failed = 0;
	b->capacity_bps = 0;
	if (r.through && (double)b->bps < enough_bps(b))
		begin_probe(b, PROBE_FACTOR, now_us); /* there may be more */
}

unsigned bwe_padding(struct bwe *b, int64_t now_us)
{
	/* Nothing comes back: the path is blocked, or so slow that this is the same. */
	if (b->feedback_us && b->sent_us - b->feedback_us > SILENCE_US &&
	    now_us - b->lowered_us > SILENCE_STEP_US && now_us - b->sent_us < SILENCE_US)
		lower(b, SILENCE_DECREASE * (double)b->bps, now_us);
	if (probe_is_due(b, now_us))
		begin_probe(b, b->n_probes ? PROBE_FACTOR : PROBE_FIRST, now_us);
	return probe_due(&b->probe, now_us);
}

/* ---- packets and feedback ---- */

void bwe_sent(struct bwe *b, uint16_t seq, unsigned bytes, int64_t now_us)
{
	b->sent[seq % BWE_SENT] = (struct bwe_packet){
	    .sent_us = (uint32_t)now_us,
	    .seq = seq,
	    .bytes = bytes < INT16_MAX ? bytes & INT16_MAX : INT16_MAX,
	};
	b->sent_us = now_us;
	b->sent_next = (uint16_t)(seq + 1);
	if (b->probe.running)
		probe_sent(&b->probe, seq, bytes);
}

/* The receiver's clock continues where it wraps; it begins high enough to stay above 0. */
static int64_t unwrap_arrival(struct bwe *b, int64_t us)
{
	int64_t at = us + b->arrival_base_us;
	bool wrapped = b->has_arrival && at < b->arrival_last_us - ARRIVAL_WRAP_US / 2;

	if (wrapped || !b->has_arrival) {
		b->arrival_base_us += ARRIVAL_WRAP_US;
		at += ARRIVAL_WRAP_US;
	}
	b->has_arrival = true;
	b->arrival_last_us = at;
	return at;
}

/* Bytes for a rate, until a packet belongs to another slice. */
struct batch {
	struct bwe_rate *to;
	int64_t begin_us; /* of the slice; an end before any time: there is none */
	unsigned bytes;
};

static void batch_end(struct batch *a)
{
	if (a->bytes)
		rate_add(a->to, a->begin_us, a->bytes);
	a->bytes = 0;
}

static void batch_add(struct batch *a, int64_t at_us, unsigned bytes)
{
	if ((uint64_t)(at_us - a->begin_us) >= BWE_SLICE_US) {
		batch_end(a);
		a->begin_us = at_us - at_us % BWE_SLICE_US;
	}
	a->bytes += bytes;
}

/* What one message tells of: what can be added up is, and told where all of it is known. */
struct told {
	uint64_t sent, got; /* bytes */
	uint64_t again;	    /* of those sent, of which it had been told that they are lost */
	int n_lost, n_got;  /* see loss_packets */
	int64_t first_us;   /* the first arrival; 0: none */
	int64_t last_us;    /* the last */
	int64_t base_us;    /* what makes an arrival of the message one of ours */
	struct batch arrived, missing;
	bool probe; /* one wants to know */
	bool over;  /* delay grew, also where that has passed by the end */
};

/*
 * Feedback gets lost like anything else. Of what it would have told as large a part has arrived as
 * of what comes after it, and in between: else it would look as if less arrived.
 */
static void fill_gap(struct bwe *b, uint16_t end, const struct told *t, int64_t last_us)
{
	uint64_t bytes = 0;

	if (!t->got || !last_us || (uint16_t)(end - b->told_next) >= BWE_SENT)
		return;
	for (uint16_t seq = b->told_next; seq != end; seq++) {
		const struct bwe_packet *e = &b->sent[seq % BWE_SENT];
		bytes += e->seq == seq ? e->bytes : 0;
	}
	uint64_t got = bytes * t->got / t->sent;
	rate_add(&b->arrived, (last_us + t->first_us) / 2, (unsigned)got);
	rate_add(&b->missing, (last_us + t->first_us) / 2, (unsigned)(bytes - got));
}

static void take_loss(struct bwe *b, struct bwe_packet *e, struct told *t)
{
	if (e->lost)
		return;
	t->n_lost++;
	e->lost = true;
	batch_add(&t->missing, t->last_us, e->bytes);
	if (t->probe)
		probe_loss(&b->probe, e->seq);
}

/* One packet that the feedback tells of. */
static inline void take_status(struct bwe *b, const struct twcc_status *s, struct told *t,
			       int64_t now_us)
{
	struct bwe_packet *e = &b->sent[s->seq % BWE_SENT];
	unsigned bytes = e->bytes;

	if (!bytes || e->seq != s->seq)
		return;
	t->sent += bytes;
	t->again += e->lost ? bytes : 0;
	if (!s->received) {
		take_loss(b, e, t);
		return;
	}
	int64_t age_us = (int64_t)(uint32_t)((uint32_t)now_us - e->sent_us);
	if (!t->first_us) {
		t->first_us = unwrap_arrival(b, s->arrival_us);
		t->base_us = t->first_us - s->arrival_us;
	}
	t->last_us = s->arrival_us + t->base_us;
	e->bytes = 0;
	t->got += bytes;
	t->n_got++;
	/* One that was only late may have been counted in the interval before. */
	t->n_lost -= e->lost;
	batch_add(&t->arrived, t->last_us, bytes);
	trend_packet(&b->trend, now_us - age_us, t->last_us);
	if (t->probe)
		probe_arrival(&b->probe, s->seq, bytes, now_us - age_us, t->last_us);
	rtt_packet(&b->rtt, age_us);
}

/* How many numbers from `seq` on are of packets that were forgotten, or are yet to be sent. */
static unsigned unknown_from(const struct bwe *b, uint16_t seq)
{
	uint16_t since_oldest = (uint16_t)(seq - (uint16_t)(b->sent_next - BWE_SENT));

	return since_oldest < BWE_SENT ? 0 : 65536u - since_oldest;
}

/* The message's packets, one after the other. */
static void take_all(struct bwe *b, struct twcc_reader r, struct told *told, int64_t now_us)
{
	struct told t = *told; /* whose place nobody knows: most of it stays in registers */
	struct twcc_status s;

	for (;;) {
		if (r.left > BWE_SENT && twcc_skip_lost(&r, unknown_from(b, r.seq)))
			continue;
		if (!twcc_read(&r, &s))
			break;
		take_status(b, &s, &t, now_us);
		t.over |= b->trend.state == TREND_OVER;
	}
	*told = t;
}

static struct told take_packets(struct bwe *b, struct twcc_reader *r, int64_t now_us)
{
	struct told t = {
	    .last_us = b->arrival_last_us,
	    .arrived = {.to = &b->arrived, .begin_us = -BWE_SLICE_US},
	    .missing = {.to = &b->missing, .begin_us = -BWE_SLICE_US},
	    .probe = b->probe.running || b->probe.waiting,
	};
	struct twcc_reader reader = *r;

	take_all(b, reader, &t, now_us);
	b->arrival_last_us = t.last_us;
	batch_end(&t.arrived);
	batch_end(&t.missing);
	loss_packets(&b->loss, t.n_lost, t.n_got, t.sent - t.again);
	return t;
}

int bwe_feedback(struct bwe *b, const struct rtcp_msg *m, int64_t now_us)
{
	struct twcc_reader r;
	int ret = twcc_read_begin(&r, m);

	if (ret < 0)
		return ret;
	if (!b->loss.begin_us)
		loss_begin(&b->loss, now_us);
	int64_t last_us = b->arrival_last_us;
	struct told told = take_packets(b, &r, now_us);
	fill_gap(b, r.seq, &told, last_us);
	rate_add(&b->missing, b->arrival_last_us, 0);
	b->told_next = (uint16_t)(r.seq + r.left);
	bool over = told.over || brings_less(b, come_narrow(b));
	if (b->trend.state == TREND_UNDER)
		b->unsteady_us = now_us;
	if (over)
		on_over_use(b, now_us);
	else if (b->trend.state == TREND_NORMAL && !b->loss.trial && b->feedback_us)
		increase(b, now_us - b->feedback_us);
	keep_what_passes(b, now_us);
	on_standing_queue(b, now_us);
	on_loss(b, now_us);
	judge_probe(b, now_us);
	b->feedback_us = now_us;
	return 0;
}
