/* Loss: watched, tried, judged; see loss.h. */
#include "loss.h"

#include <math.h>

#include "rtp/rtt.h"

/* intervals */
#define INTERVAL_US	1000000 /* of an interval, at least */
#define INTERVAL_N	50	/* packets that an interval has, at least */
#define FAST_US		300000	/* an interval with much loss is over sooner */
#define FAST_N		20	/* packets that such an interval has, at least */
#define MUCH		0.1	/* loss above the path's own that ends an interval sooner */
#define FAST_DEVIATIONS 3	/* of the loss of that few packets, besides MUCH */
#define TRIAL_N		100	/* packets that measure a trial, at least */
#define SETTLE_US	200000	/* besides a response time, until feedback shows a new rate */

/* what is too much */
#define LOW	       0.02   /* loss above the path's own that is nothing */
#define OWN_MAX	       0.35   /* no path in use loses more by itself */
#define DEVIATIONS     2      /* by which loss may exceed LOW by chance */
#define DEVIATIONS_OWN 3      /* the same with loss of the path's own: that comes in bursts */
#define SCATTER_MIN    0.005  /* loss that the deviation is reckoned from, at least */
#define DOUBT	       0.12   /* the most not blamed without proof on a sender that is not small */
#define SMALL_BPS      500000 /* a sender of less is small */
#define MADE_UP_MAX    0.5    /* the most loss made up for: what arrives at most doubles */
#define NOW_MAX	       0.9    /* the most that a guess of what was sent is based on */

/* a trial's rate, and its end */
#define ANSWER	  0.5	/* of the loss above the path's own: the rate is lowered by that part */
#define TRIAL_MIN 0.15	/* of the rate: a trial lowers it by that at least, so that it shows */
#define SAME	  0.7	/* of the loss before: with more than that the lower rate has not helped */
#define EASED	  0.9	/* of the rate before: with less than that it was lowered indeed */
#define QUEUE_US  60000 /* of response time above the shortest: a queue stands */
#define PASSES	  0.95	/* of what arrives: the estimate when loss is the path's own */
#define OWN_FALLS 0.1	/* of the difference, each interval: the path may have become better */
#define OWN_RISES 0.05	/* of the difference, each interval: the path may be a little worse */

/* Loss not blamed on the sender at this rate, as long as no queue grows. */
static double pardoned(double sent_bps)
{
	return sent_bps < SMALL_BPS ? LOSS_DOUBT_SMALL : DOUBT;
}

double loss_passing(const struct loss *l)
{
	return 1 - fmin(l->own, MADE_UP_MAX);
}

double loss_likely(const struct loss *l, double most)
{
	return fmin(l->own > LOW ? l->own : fmin(l->now, most), MADE_UP_MAX);
}

double loss_sent_bps(const struct loss *l, double arrived_bps)
{
	double most = l->own + pardoned(arrived_bps / (1 - fmin(l->now, NOW_MAX)));

	if (l->lost > most * (l->lost + l->got))
		return 0;
	return arrived_bps / (1 - loss_likely(l, most));
}

/* ---- intervals ---- */

void loss_begin(struct loss *l, int64_t now_us)
{
	l->lost = l->got = 0;
	l->bytes = 0;
	l->begin_us = now_us;
}

/* Whether the interval under way tells enough. */
static bool interval_is_over(const struct loss *l, int64_t passed_us)
{
	int n = l->lost + l->got;

	if (l->trial)
		return passed_us >= INTERVAL_US && n >= TRIAL_N;
	if (passed_us >= FAST_US && n >= FAST_N &&
	    (double)l->lost / n > l->own + MUCH + FAST_DEVIATIONS * sqrt(fmax(l->own, LOW) / n))
		return true;
	return passed_us >= INTERVAL_US && n >= INTERVAL_N;
}

/* Whether the interval's loss, of `n` packets, is more than the path's own and chance explain. */
static bool is_too_much(const struct loss *l, int n)
{
	int deviations = l->own > LOW ? DEVIATIONS_OWN : DEVIATIONS;

	return l->now > l->own + LOW + deviations * sqrt(fmax(l->own, SCATTER_MIN) / n);
}

/* ---- trials ---- */

/*
 * Goes below what is sent, else nothing would change, and no lower: a sender that cannot send less
 * already exceeds the estimate. Nor does a sender that sends far less than it may have to go
 * further down.
 */
static struct loss_verdict begin_trial(struct loss *l, const struct loss_path *path,
				       double sent_bps, int64_t now_us)
{
	double part = 1 - fmax(TRIAL_MIN, ANSWER * (l->now - l->own)), bps = (double)path->bps;

	l->trial = true;
	l->settled = false;
	l->trial_us = now_us;
	l->before = l->now;
	l->before_bps = path->bps;
	l->before_sent = sent_bps;
	l->before_rtt_us = path->rtt->us;
	bool little = sent_bps < LOSS_LITTLE * bps;
	return (struct loss_verdict){LOSS_LOWER,
				     little ? fmax(sent_bps, part * bps) : part * sent_bps};
}

/* The loss of a trial of `n` packets that shows that the lower rate has not helped. */
static double unchanged(const struct loss *l, int n, double sent_bps)
{
	/* Loss that has nothing to do with the rate would be as before, give or take chance; */
	double same = SAME * l->before - sqrt(l->before / n);
	/* of a path that is full, as much would come through as before. */
	double full = 1 - (1 - l->before) * l->before_sent / fmax(sent_bps, 1);

	return fmax(same, (l->before + fmax(full, l->own)) / 2);
}

/*
 * A sender that has nothing smaller to send could not lower its rate, so the trial says nothing.
 * Then moderate loss without a queue is tolerated, and more only of a small sender, or of one that
 * sends far less than the estimate anyway.
 */
static bool is_in_doubt(const struct loss *l, const struct loss_path *path, double sent_bps)
{
	const struct rtt *r = path->rtt;
	double bps = (double)(path->bps < l->before_bps ? path->bps : l->before_bps);
	bool little = sent_bps < LOSS_LITTLE * bps;
	/* A small sender's queue is told by its growth: paths become longer, too. */
	bool small = sent_bps < SMALL_BPS && l->before_rtt_us > r->min_us;
	bool queue = r->us > (small ? l->before_rtt_us : r->min_us) + QUEUE_US;

	return (little || l->now < pardoned(sent_bps)) && !queue;
}

/* The path's own loss: the rate was not to blame, and is what it was before. */
static struct loss_verdict accept_loss(struct loss *l, const struct loss_path *path)
{
	l->own = fmin((l->now + l->before) / 2, OWN_MAX);
	if (path->growing || path->lowered_us > l->trial_us)
		return (struct loss_verdict){.change = LOSS_KEEP};
	double passes = PASSES * (path->arrived_bps / loss_passing(l));
	return (struct loss_verdict){LOSS_RAISE, fmax((double)l->before_bps, passes)};
}

/* Enough of the lowered rate has come back: has it helped? */
static struct loss_verdict end_trial(struct loss *l, const struct loss_path *path, int n,
				     double sent_bps)
{
	bool eased = sent_bps < EASED * l->before_sent;

	l->trial = false;
	if (l->now > unchanged(l, n, sent_bps) && l->now <= OWN_MAX &&
	    (eased || is_in_doubt(l, path, sent_bps)))
		return accept_loss(l, path);
	if (l->now > l->own + LOW) /* somewhat: further down */
		return (struct loss_verdict){LOSS_LOWER,
					     (double)path->bps * (1 - ANSWER * (l->now - l->own))};
	return (struct loss_verdict){.change = LOSS_KEEP};
}

/* More loss than any path has by itself, in what has come of the interval. */
static bool is_flood(const struct loss *l, int n, int64_t passed_us)
{
	return passed_us >= FAST_US && n >= FAST_N &&
	       l->lost > n * (OWN_MAX + FAST_DEVIATIONS * sqrt(OWN_MAX / n));
}

struct loss_verdict loss_step(struct loss *l, const struct loss_path *path, int64_t now_us)
{
	const struct loss_verdict keep = {.change = LOSS_KEEP};
	int n = l->lost + l->got;

	/* Needs no trial, and does not wait for one to settle. */
	if (path->arrived_bps > 0 && is_flood(l, n, now_us - l->begin_us)) {
		l->now = (double)l->lost / n;
		l->trial = false;
		loss_begin(l, now_us);
		return (struct loss_verdict){LOSS_LOWER, path->arrived_bps / loss_passing(l)};
	}
	if (l->trial && !l->settled) {
		if (now_us - l->trial_us >= rtt_us(path->rtt) + SETTLE_US) {
			l->settled = true;
			loss_begin(l, now_us);
		}
		return keep;
	}
	/* What was lost before a lower rate has had its effect says nothing of that rate. */
	if (!l->trial && path->lowered_us &&
	    now_us - path->lowered_us < rtt_us(path->rtt) + SETTLE_US) {
		loss_begin(l, now_us);
		return keep;
	}
	if (!interval_is_over(l, now_us - l->begin_us))
		return keep;
	double sent_bps = (double)l->bytes * 8 / ((double)(now_us - l->begin_us) / 1e6);
	l->now = fmax(l->lost, 0) / n;
	loss_begin(l, now_us);
	if (l->trial)
		return end_trial(l, path, n, sent_bps);
	if (is_too_much(l, n))
		return begin_trial(l, path, sent_bps, now_us);
	if (l->own > 0)
		l->own += (l->now < l->own ? OWN_FALLS : OWN_RISES) * (l->now - l->own);
	return keep;
}
