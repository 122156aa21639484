/* Increase, decrease, loss, and when to probe; the delay trend is in trend.c, probes in probe.c. */
#include "bwe.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "rtp/twcc.h"

#define DECREASE	0.85 /* of what arrived, at over use */
#define GROWTH		1.08 /* a second, far from known capacity */
#define HEADROOM	1.5  /* times what arrived: no higher without a probe */
#define HEADROOM_BPS	10000
#define PACKET_BITS	9600 /* growth near capacity: about a packet a response time */
#define RTT_DEFAULT_US	200000
#define PROOF_US	400000	/* of steady delay: what arrives is not too much */
#define SILENCE_US	1500000 /* without feedback while sending: the path is blocked */
#define SILENCE_STEP_US 500000
#define ARRIVAL_WRAP_US ((int64_t)TWCC_REF_US << 24)

#define STANDING_US	150000 /* of delay, besides that of the path */
#define STANDING_NOISES 3      /* times what delays scatter */
#define STANDING_FOR_US 1200000

#define LOSS_INTERVAL_US 1000000
#define LOSS_PACKETS	 50	/* an interval has at least so many */
#define LOSS_FAST_US	 300000 /* much loss is seen earlier */
#define LOSS_FAST_N	 20
#define LOSS_MUCH	 0.1
#define LOSS_TRIAL_N	 100  /* packets that a trial measures */
#define LOSS_LOW	 0.02 /* above the path's own: nothing */
#define LOSS_OWN_MAX	 0.35 /* no path that is used has more of its own */
#define LOSS_SAME	 0.7  /* of the loss before: a lower rate has not helped */
#define LOSS_DOUBT	 0.12 /* up to here, a rate that could not be lowered is not to blame, */
#define LOSS_DOUBT_SMALL 0.3  /* or up to here, where it is a small one: */
#define SMALL_BPS	 500000
#define LOSS_LITTLE	 0.7   /* of the estimate: less is little to send */
#define LOSS_EASED	 0.9   /* of the rate before: it was lowered */
#define LOSS_QUEUE_US	 60000 /* response time above the shortest: a queue stands */

#define PROBE_EVERY_US	 3000000
#define PROBE_AGAIN_US	 1000000 /* one that told nothing, for too few packets came through */
#define PROBE_STARVED_US 500000	 /* where little is sent; twice as long after each that failed */
#define ENOUGH		 1.2	 /* times what is wanted: probes go no higher */
#define PROBE_FACTOR	 2
#define PROBE_FIRST	 3	/* the first one, which has all to find out */
#define PROBE_AFTER_US	 150000 /* until its queue has gone */

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
		b->probes_failed = 0;
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

static int64_t rtt_us(const struct bwe *b)
{
	return b->rtt_us ? b->rtt_us : RTT_DEFAULT_US;
}

/* ---- what arrives ---- */

static void rate_add(struct bwe_rate *r, int64_t at_us, unsigned bytes)
{
	int64_t slice = at_us / BWE_SLICE_US;

	if (!r->first || slice > r->slice + 4 * BWE_SLICES) {
		*r = (struct bwe_rate){.slice = slice, .first = slice};
	}
	for (; r->slice < slice; r->slice++)
		r->bytes[(uint64_t)(r->slice + 1) % BWE_SLICES] = 0;
	if (r->slice - slice < BWE_SLICES)
		r->bytes[(uint64_t)slice % BWE_SLICES] += bytes;
}

/* Over the complete slices; 0 while there are too few. */
static double rate_bps(const struct bwe_rate *r)
{
	uint64_t sum = 0;

	if (!r->first || r->slice - r->first < BWE_SLICES)
		return 0;
	for (int i = 0; i < BWE_SLICES; i++)
		sum += r->bytes[i];
	sum -= r->bytes[(uint64_t)r->slice % BWE_SLICES];
	return (double)sum * 8 / seconds((BWE_SLICES - 1) * BWE_SLICE_US);
}

uint64_t bwe_arrived_bps(const struct bwe *b)
{
	return (uint64_t)rate_bps(&b->arrived);
}

/* What arrives of what is sent when nothing is wrong: the path's own loss is no sign of that. */
static double passing(const struct bwe *b)
{
	return 1 - fmin(b->loss.own, 0.5);
}

static double throughput(const struct bwe *b)
{
	return rate_bps(&b->arrived) / passing(b);
}

/* The path's own loss; where nothing is known of that yet, what is lost now, but `most` at most. */
static double likely_loss(const struct bwe *b, double most)
{
	const struct bwe_loss *l = &b->loss;

	return fmin(l->own > LOSS_LOW ? l->own : fmin(l->now, most), 0.5);
}

/* Loss that is not blamed on who sends so much, as long as no queue grows. */
static double pardoned(double sent_bps)
{
	return sent_bps < SMALL_BPS ? LOSS_DOUBT_SMALL : LOSS_DOUBT;
}

/* ---- delay: decrease and increase ---- */

static void note_capacity(struct bwe *b, double bps)
{
	if (!b->capacity_bps || fabs(bps - b->capacity_bps) > 3 * b->capacity_dev) {
		b->capacity_bps = bps;
		b->capacity_dev = bps / 10;
		return;
	}
	double error = bps - b->capacity_bps;
	b->capacity_bps += 0.05 * error;
	b->capacity_dev += 0.05 * (fabs(error) - b->capacity_dev);
	b->capacity_dev = fmax(b->capacity_dev, b->capacity_bps / 25);
}

static void lower(struct bwe *b, double bps, int64_t now_us)
{
	if (bps >= (double)b->bps)
		return;
	set_bps(b, bps);
	b->lowered_us = now_us;
	b->lowered++;
}

static void on_over_use(struct bwe *b, int64_t now_us)
{
	double got = throughput(b);
	int64_t pause_us = rtt_us(b) < 200000 ? rtt_us(b) + 50000 : 250000;

	b->unsteady_us = now_us;
	/* A probe may fill a queue for a moment: what it tells is judged with it. */
	if (b->probe.running || b->probe.waiting || now_us - b->probed_us < PROBE_AFTER_US) {
		b->probe.over = true;
		return;
	}
	if (!got || now_us - b->lowered_us < pause_us)
		return;
	lower(b, DECREASE * got, now_us);
	note_capacity(b, got);
}

static void increase(struct bwe *b, int64_t passed_us)
{
	double got = throughput(b), bps = (double)b->bps;
	double dt = seconds(passed_us < 1000000 ? passed_us : 1000000);
	bool near = b->capacity_bps && bps > b->capacity_bps - 3 * b->capacity_dev &&
		    bps < b->capacity_bps + 3 * b->capacity_dev;

	if (b->capacity_bps && got > b->capacity_bps + 3 * b->capacity_dev)
		b->capacity_bps = 0; /* it has grown: find it anew */
	if (near)
		bps += fmax(PACKET_BITS / seconds(rtt_us(b) + 100000), 4000) * dt;
	else
		bps *= pow(GROWTH, dt);
	/* What is not used is not known to be there; but what was found is not taken away. */
	if (got && bps > HEADROOM * got + HEADROOM_BPS)
		bps = fmax(HEADROOM * got + HEADROOM_BPS, (double)b->bps);
	set_bps(b, bps);
}

/*
 * Delay that is steady again, while as much arrives as before and as was sent: it was not too much,
 * and the delay has grown for other reasons. So who sends little is not taken for a narrow path.
 * Loss of which nothing is known yet is not held against that.
 */
static void keep_what_passes(struct bwe *b, int64_t now_us)
{
	const struct bwe_loss *l = &b->loss;
	int64_t since_us = b->unsteady_us > b->lowered_us ? b->unsteady_us : b->lowered_us;
	double arrived = rate_bps(&b->arrived), sent = arrived / (1 - fmin(l->now, 0.9));
	double most = l->own + pardoned(sent);

	if (now_us - since_us < PROOF_US || l->lost > most * (l->lost + l->got))
		return;
	double got = arrived / (1 - likely_loss(b, most));
	if (got > (double)b->bps)
		set_bps(b, got);
}

/*
 * A queue that is full, or is fed as fast as it empties, grows no more: there is no trend to see.
 * Its delay is: then less is sent once, and where that does not help, the path has become that
 * long.
 */
static void on_standing_queue(struct bwe *b, int64_t now_us)
{
	int64_t spread_us = (int64_t)(STANDING_NOISES * 1000 * b->trend.noise_ms);

	if (b->rtt_us < b->rtt_min_us + STANDING_US + spread_us) {
		b->standing_us = 0;
		b->drained = false;
		return;
	}
	if (!b->standing_us)
		b->standing_us = now_us;
	if (now_us - b->standing_us < STANDING_FOR_US)
		return;
	b->standing_us = now_us;
	if (b->drained)
		b->rtt_min_us = b->rtt_us;
	else if (throughput(b) > 0)
		lower(b, DECREASE * throughput(b), now_us);
	b->drained = !b->drained;
}

/* ---- loss ---- */

static void begin_interval(struct bwe_loss *l, int64_t now_us)
{
	l->lost = l->got = 0;
	l->bytes = 0;
	l->begin_us = now_us;
}

/* The path's own loss: the rate was not to blame. */
static void accept_loss(struct bwe *b)
{
	struct bwe_loss *l = &b->loss;

	l->own = fmin((l->now + l->before) / 2, LOSS_OWN_MAX);
	if (b->trend.state != TREND_OVER && b->lowered_us <= l->trial_us)
		set_bps(b, fmax((double)b->bps, fmax((double)l->before_bps, 0.95 * throughput(b))));
}

/*
 * Enough of the lowered rate has come back: has it helped? Where the sender could not go down, for
 * it has nothing smaller to send, nothing is known: then moderate loss without a queue is put up
 * with, and more only of a small sender, or of one that sends far less than the estimate anyway.
 */
static void end_trial(struct bwe *b, int n, double sent_bps, int64_t now_us)
{
	struct bwe_loss *l = &b->loss;
	/* Loss that has nothing to do with the rate would be as before, give or take chance; */
	double same = LOSS_SAME * l->before - sqrt(l->before / n);
	/* of a path that is full, as much would come through as before. */
	double full = 1 - (1 - l->before) * l->before_sent / fmax(sent_bps, 1);
	same = fmax(same, (l->before + fmax(full, l->own)) / 2);
	bool eased = sent_bps < LOSS_EASED * l->before_sent;
	bool little =
	    sent_bps < LOSS_LITTLE * (double)(b->bps < l->before_bps ? b->bps : l->before_bps);
	/* Of a small one's a queue is told by its growth: paths become longer, too. */
	bool small = sent_bps < SMALL_BPS && l->before_rtt_us > b->rtt_min_us;
	bool queue = b->rtt_us > (small ? l->before_rtt_us : b->rtt_min_us) + LOSS_QUEUE_US;
	bool doubt = (little || l->now < pardoned(sent_bps)) && !queue;

	l->trial = false;
	if (l->now > same && l->now <= LOSS_OWN_MAX && (eased || doubt))
		accept_loss(b);
	else if (l->now > l->own + LOSS_LOW) /* somewhat: further down */
		lower(b, (double)b->bps * (1 - 0.5 * (l->now - l->own)), now_us);
}

/*
 * Goes below what is sent, else nothing would change, and no lower: who cannot do with less is
 * above the estimate already. And who sends far less than it might shall not have to go further
 * down.
 */
static void begin_trial(struct bwe *b, double sent_bps, int64_t now_us)
{
	struct bwe_loss *l = &b->loss;
	double part = 1 - fmax(0.15, 0.5 * (l->now - l->own)), bps = (double)b->bps;

	l->trial = true;
	l->settled = false;
	l->before = l->now;
	l->before_bps = b->bps;
	l->before_sent = sent_bps;
	l->before_rtt_us = b->rtt_us;
	bool little = sent_bps < LOSS_LITTLE * bps;
	lower(b, little ? fmax(sent_bps, part * bps) : part * sent_bps, now_us);
	l->trial_us = now_us;
}

/* Whether the interval under way tells enough. */
static bool interval_is_over(const struct bwe_loss *l, int64_t passed_us)
{
	int n = l->lost + l->got;

	if (l->trial)
		return passed_us >= LOSS_INTERVAL_US && n >= LOSS_TRIAL_N;
	if (passed_us >= LOSS_FAST_US && n >= LOSS_FAST_N &&
	    (double)l->lost / n > l->own + LOSS_MUCH + 3 * sqrt(fmax(l->own, LOSS_LOW) / n))
		return true;
	return passed_us >= LOSS_INTERVAL_US && n >= LOSS_PACKETS;
}

static void on_loss(struct bwe *b, int64_t now_us)
{
	struct bwe_loss *l = &b->loss;
	int n = l->lost + l->got;

	if (l->trial && !l->settled) {
		if (now_us - l->trial_us >= rtt_us(b) + 200000) {
			l->settled = true;
			begin_interval(l, now_us);
		}
		return;
	}
	if (!interval_is_over(l, now_us - l->begin_us))
		return;
	double sent_bps = (double)l->bytes * 8 / seconds(now_us - l->begin_us);
	l->now = fmax(l->lost, 0) / n;
	begin_interval(l, now_us);
	if (l->trial) {
		end_trial(b, n, sent_bps, now_us);
		return;
	}
	/* The packets of an interval scatter: some standard deviations are allowed. */
	double scatter = (l->own > LOSS_LOW ? 3 : 2) * sqrt(fmax(l->own, 0.005) / n);
	if (l->now > l->own + LOSS_LOW + scatter)
		begin_trial(b, sent_bps, now_us);
	else if (l->own > 0) /* the path may have become better, or a little worse */
		l->own += (l->now < l->own ? 0.1 : 0.05) * (l->now - l->own);
}

/* ---- probes ---- */

/*
 * Who is kept from sending what it wants, and sends little, learns nothing by that: a probe alone
 * can help, and it comes soon. Where there really is no more, each finds so for twice as long.
 */
static int64_t probe_pause_us(const struct bwe *b)
{
	int64_t us = PROBE_STARVED_US;

	for (unsigned i = 0; i < b->probes_failed && us < PROBE_EVERY_US; i++)
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
	    (double)b->bps >= enough_bps(b) || b->trend.state == TREND_OVER)
		return false;
	if (!b->probes)
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
	b->probes++;
}

/* What a probe has found; nothing while it is not over. */
static void judge_probe(struct bwe *b, int64_t now_us)
{
	struct probe *p = &b->probe;

	if (!p->waiting || !probe_is_over(p, rtt_us(b), now_us))
		return;
	p->waiting = false;
	b->probed_us = now_us;
	b->probes_failed++;
	if (!probe_tells(p, likely_loss(b, LOSS_DOUBT_SMALL))) {
		/* Where queues grew as well, too much is sent. */
		if (p->over)
			lower(b, DECREASE * throughput(b), now_us);
		else
			b->probed_us = now_us - PROBE_EVERY_US + PROBE_AGAIN_US;
		return;
	}
	struct probe_result r = probe_result(p, 1 - passing(b), b->trend.noise_ms);
	double found = r.through ? fmin(r.got_bps, r.sent_bps) : 0.9 * r.got_bps;
	if (p->over && !r.through && r.got_bps < 0.9 * (double)b->bps)
		lower(b, r.got_bps, now_us); /* known too well, from better times */
	if (found <= (double)b->bps)
		return;
	set_bps(b, found);
	b->probes_failed = 0;
	b->capacity_bps = 0;
	if (r.through && (double)b->bps < enough_bps(b))
		begin_probe(b, PROBE_FACTOR, now_us); /* there may be more */
}

unsigned bwe_padding(struct bwe *b, int64_t now_us)
{
	/* Nothing comes back: the path is blocked, or so slow that this is the same. */
	if (b->feedback_us && b->sent_us - b->feedback_us > SILENCE_US &&
	    now_us - b->lowered_us > SILENCE_STEP_US && now_us - b->sent_us < SILENCE_US)
		lower(b, 0.7 * (double)b->bps, now_us);
	if (probe_is_due(b, now_us))
		begin_probe(b, b->probes ? PROBE_FACTOR : PROBE_FIRST, now_us);
	return probe_due(&b->probe, now_us);
}

/* ---- packets and feedback ---- */

void bwe_sent(struct bwe *b, uint16_t seq, unsigned bytes, int64_t now_us)
{
	b->sent[seq % BWE_SENT] = (struct bwe_sent){
	    .sent_us = (uint32_t)now_us,
	    .seq = seq,
	    .bytes = bytes < INT16_MAX ? bytes & INT16_MAX : INT16_MAX,
	};
	b->sent_us = now_us;
	if (b->probe.running)
		probe_sent(&b->probe, seq, bytes);
}

/* The receiver's clock wraps after 12 days. */
static int64_t unwrap_arrival(struct bwe *b, int64_t us)
{
	int64_t at = us + b->arrival_base_us;

	if (b->has_arrival && at < b->arrival_last_us - ARRIVAL_WRAP_US / 2) {
		b->arrival_base_us += ARRIVAL_WRAP_US;
		at += ARRIVAL_WRAP_US;
	}
	if (!b->has_arrival)
		b->arrival_base_us = ARRIVAL_WRAP_US, at += ARRIVAL_WRAP_US; /* above 0 */
	b->has_arrival = true;
	b->arrival_last_us = at;
	return at;
}

/* One packet that the feedback tells of. */
static void take_status(struct bwe *b, const struct twcc_status *s, int64_t now_us)
{
	struct bwe_sent *e = &b->sent[s->seq % BWE_SENT];

	if (!e->bytes || e->seq != s->seq)
		return;
	unsigned bytes = e->bytes;
	int64_t age_us = (int64_t)(uint32_t)((uint32_t)now_us - e->sent_us);
	b->loss.bytes += e->lost ? 0 : bytes;
	if (!s->received) {
		b->loss.lost += !e->lost;
		if (!e->lost)
			probe_loss(&b->probe, s->seq);
		e->lost = true;
		return;
	}
	b->loss.lost -= e->lost; /* it was only late, perhaps since the interval before */
	e->bytes = 0;
	b->loss.got++;
	int64_t arrival_us = unwrap_arrival(b, s->arrival_us);
	rate_add(&b->arrived, arrival_us, bytes);
	trend_packet(&b->trend, now_us - age_us, arrival_us);
	probe_arrival(&b->probe, s->seq, bytes, now_us - age_us, arrival_us);
	b->rtt_us = b->rtt_us ? (7 * b->rtt_us + age_us) / 8 : age_us;
	b->rtt_min_us = !b->rtt_min_us || age_us < b->rtt_min_us ? age_us : b->rtt_min_us + 1;
}

int bwe_feedback(struct bwe *b, const struct rtcp_msg *m, int64_t now_us)
{
	struct twcc_reader r;
	struct twcc_status s;
	int ret = twcc_read_begin(&r, m);

	if (ret < 0)
		return ret;
	if (!b->loss.begin_us)
		begin_interval(&b->loss, now_us);
	bool over = false;
	while (twcc_read(&r, &s)) {
		take_status(b, &s, now_us);
		over |= b->trend.state == TREND_OVER; /* also when it has passed by the end */
	}
	if (b->trend.state == TREND_UNDER)
		b->unsteady_us = now_us;
	if (over)
		on_over_use(b, now_us);
	else if (b->trend.state == TREND_NORMAL && !b->loss.trial && b->feedback_us)
		increase(b, now_us - b->change_us);
	keep_what_passes(b, now_us);
	on_standing_queue(b, now_us);
	on_loss(b, now_us);
	judge_probe(b, now_us);
	b->feedback_us = b->change_us = now_us;
	return 0;
}
