/*
 * Two plans: what may stay (a little more than the estimate, for what flows has just been shown to
 * pass) and what may be taken (less). What is above the first goes down to it; what is below the
 * second for long enough goes up.
 */
#include "allocate.h"

#include <stdlib.h>

#define STAY  1.1  /* of the estimate, for what flows already */
#define TAKE  0.87 /* of the estimate, before more is sent */
#define UNDER 0.93 /* of the receiver's own limit, before more is sent: layers fluctuate */
#define CLEAR 1.05 /* margin above which a layer clearly does not fit */
#define FAR   2	   /* times what passes: the total is far above that */

struct plan {
	const struct allocate_item *item;
	unsigned n;
	const uint16_t *order; /* by priority */
	double left;	       /* bit/s */
	double most;	       /* the same before anything was given */
	double other;	 /* of the estimate, for retransmissions; lowest layers may use that */
	bool overloaded; /* see allocate_limits */
	int layer[MEDIA_SUBS_MAX];
};

/* ---- one item ---- */

static int top(const struct allocate_item *i)
{
	int last = (int)i->n_layers - 1;

	return i->wanted < last ? i->wanted : last;
}

/* The next layer above `from` that comes and is wanted; `from` itself when there is none. */
static int above(const struct allocate_item *i, int from)
{
	for (int l = from + 1; l <= top(i); l++)
		if (i->bps[l])
			return l;
	return from;
}

static double weight(const struct allocate_item *i, int layer)
{
	return layer < 0 || layer >= (int)i->n_layers ? 0 : (double)i->bps[layer];
}

/* The highest layer that comes up to `layer`, or the lowest where none does. */
static int coming(const struct allocate_item *i, int layer)
{
	for (int l = layer; l > 0; l--)
		if (weight(i, l) > 0)
			return l;
	return layer < 0 ? -1 : 0;
}

/* The same of all that is wanted. */
static int best(const struct allocate_item *i)
{
	return coming(i, top(i));
}

/* What flows: a grant outlasts its layer, and holds again as soon as that comes again. */
static int flowing(const struct allocate_item *i)
{
	return coming(i, i->grant->layer);
}

/* ---- plans ---- */

static int by_priority(const void *a, const void *b, void *arg)
{
	const struct allocate_item *item = arg;
	uint16_t i = *(const uint16_t *)a, k = *(const uint16_t *)b;

	if (item[i].speaks != item[k].speaks)
		return item[i].speaks ? -1 : 1;
	if (item[i].wanted != item[k].wanted)
		return item[i].wanted > item[k].wanted ? -1 : 1;
	return i < k ? -1 : 1; /* always the same one */
}

/*
 * One step up for everybody who stands at the top of what the steps before gave. Returns whether
 * anybody went up.
 */
static bool step(struct plan *p, unsigned level, uint8_t *taken)
{
	bool any = false;

	for (unsigned k = 0; k < p->n; k++) {
		unsigned i = p->order[k];
		const struct allocate_item *item = &p->item[i];
		int next = above(item, p->layer[i]);
		if (item->audio || taken[i] != level || next == p->layer[i])
			continue;
		double more = weight(item, next) - weight(item, p->layer[i]);
		double other = p->layer[i] < 0 ? p->other : 0;
		if (more > p->left + other)
			continue;
		p->left -= more;
		p->layer[i] = next;
		taken[i]++;
		any = true;
	}
	return any;
}

static void fill(struct plan *p)
{
	uint8_t taken[MEDIA_SUBS_MAX] = {0};

	for (unsigned i = 0; i < p->n; i++) {
		p->layer[i] = p->item[i].audio ? 0 : -1;
		p->left -= p->item[i].audio && p->item[i].wanted >= 0 ? weight(&p->item[i], 0) : 0;
	}
	for (unsigned level = 0; step(p, level, taken); level++)
		;
}

/* Whether the lowest layer of a picture that flows stays though the plan has no room for it. */
static bool lingers(struct plan *stay, const struct allocate_item *i, double flows, int64_t now_us)
{
	struct allocate_grant *g = i->grant;
	double bps = weight(i, above(i, -1));

	if (!g->over_us)
		g->over_us = now_us;
	double left = stay->left + stay->other;
	/* An estimate that has fallen with nothing else to show for it is often back in a second.
	 */
	bool sudden = g->fitted && flows > FAR * stay->most && stay->overloaded;
	int64_t patience_us = sudden ? ALLOCATE_SUDDEN_US : ALLOCATE_PAUSE_US;
	if (now_us - g->over_us >= patience_us && bps > CLEAR * left)
		return false;
	stay->left -= bps;
	return true;
}

/* ---- decisions ---- */

static int64_t hold_us(const struct allocate_grant *g)
{
	return g->hold_us ? g->hold_us : g->layer < 0 ? ALLOCATE_RESUME_US : ALLOCATE_RAISE_US;
}

static void lower(struct allocate_grant *g, int layer, int64_t now_us)
{
	bool failed = g->raised_us && now_us - g->raised_us < ALLOCATE_FAILED_US;
	int64_t longer_us = 2 * hold_us(g);

	g->layer = layer;
	g->fits_us = 0;
	g->raised_us = 0;
	g->hold_us = !failed ? 0 : longer_us < ALLOCATE_RAISE_MAX ? longer_us : ALLOCATE_RAISE_MAX;
}

/* What nobody limits, or what is new, gets its layer at once. */
static void set(const struct allocate_item *i, int layer)
{
	struct allocate_grant *g = i->grant;

	g->decided = true;
	g->layer = layer;
	g->wanted = i->wanted;
	g->fits_us = g->over_us = 0;
}

/* What does not fit goes down. */
static void go_down(struct plan *stay, const struct plan *take, int64_t now_us)
{
	double flows = (double)allocate_granted_bps(stay->item, stay->n);

	for (unsigned k = 0; k < stay->n; k++) {
		unsigned i = stay->order[k];
		const struct allocate_item *item = &stay->item[i];
		struct allocate_grant *g = item->grant;
		int lowest = above(item, -1);
		if (item->audio || item->wanted < 0 || !g->decided) {
			/* A new picture is given the benefit of the doubt. */
			set(item, item->audio || item->wanted < 0 ? item->wanted
				  : take->layer[i] < 0		  ? (lowest < 0 ? 0 : lowest)
								  : take->layer[i]);
			continue;
		}
		if (lowest < 0)
			continue; /* nothing comes: nothing is known */
		if (stay->layer[i] >= 0) {
			g->over_us = 0;
			g->fitted = true;
			if (flowing(item) > stay->layer[i])
				lower(g, stay->layer[i], now_us);
		} else if (g->layer >= 0 && lingers(stay, item, flows, now_us)) {
			if (flowing(item) > lowest)
				lower(g, lowest, now_us);
		} else if (g->layer >= 0) {
			lower(g, -1, now_us);
			g->over_us = 0;
		}
	}
}

/* What has fitted for long enough goes up, as long as all that flows then fits. */
static void go_up(const struct plan *take, int64_t now_us)
{
	double flows = (double)allocate_granted_bps(take->item, take->n);

	for (unsigned k = 0; k < take->n; k++) {
		unsigned i = take->order[k];
		const struct allocate_item *item = &take->item[i];
		struct allocate_grant *g = item->grant;
		double after = flows + weight(item, take->layer[i]) - weight(item, flowing(item));
		double most = take->most + (g->layer < 0 ? take->other : 0);
		if (item->audio || take->layer[i] <= g->layer || after > most) {
			g->fits_us = 0;
			continue;
		}
		if (!g->fits_us)
			g->fits_us = now_us;
		if (now_us - g->fits_us < hold_us(g) && item->wanted <= g->wanted)
			continue;
		g->layer = take->layer[i];
		g->fits_us = 0;
		g->raised_us = now_us;
		flows = after;
	}
}

static double budget(const struct allocate_limits *l, double of_estimate, double of_max)
{
	double bps = of_estimate * (double)l->estimate_bps - (double)l->other_bps;

	if (!l->estimate_bps)
		return of_max * (double)l->max_bps;
	if (l->max_bps && bps > of_max * (double)l->max_bps)
		return of_max * (double)l->max_bps;
	return bps > 0 ? bps : 0;
}

void allocate(const struct allocate_item *item, unsigned n, const struct allocate_limits *limits,
	      int64_t now_us)
{
	uint16_t order[MEDIA_SUBS_MAX];

	if (!limits->estimate_bps && !limits->max_bps) {
		for (unsigned i = 0; i < n; i++)
			set(&item[i], item[i].audio ? item[i].wanted : best(&item[i]));
		return;
	}
	for (unsigned i = 0; i < n; i++)
		order[i] = (uint16_t)i;
	if (n > 1)
		qsort_r(order, n, sizeof(order[0]), by_priority, (void *)(uintptr_t)item);
	double stays = budget(limits, STAY, 1), takes = budget(limits, TAKE, UNDER);
	double other = limits->estimate_bps ? (double)limits->other_bps : 0;
	struct plan stay = {item,
			    n,
			    order,
			    .left = stays,
			    .most = stays,
			    .other = other,
			    .overloaded = limits->overloaded};
	struct plan take = {item, n, order, .left = takes, .most = takes, .other = other};
	fill(&stay);
	fill(&take);
	go_down(&stay, &take, now_us);
	go_up(&take, now_us);
	for (unsigned i = 0; i < n; i++)
		item[i].grant->wanted = item[i].wanted;
}

uint64_t allocate_wanted_bps(const struct allocate_item *item, unsigned n)
{
	double sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += item[i].wanted < 0 ? 0 : weight(&item[i], best(&item[i]));
	return (uint64_t)sum;
}

uint64_t allocate_lowest_bps(const struct allocate_item *item, unsigned n)
{
	double sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += item[i].wanted < 0 ? 0 : weight(&item[i], above(&item[i], -1));
	return (uint64_t)sum;
}

uint64_t allocate_granted_bps(const struct allocate_item *item, unsigned n)
{
	double sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum +=
		    weight(&item[i], item[i].audio && item[i].wanted >= 0 ? 0 : flowing(&item[i]));
	return (uint64_t)sum;
}
