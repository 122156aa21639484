/* Parts in their order. */
#include "order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void order_start(struct lane *l, uint64_t number)
{
	if (!l->started) {
		l->started = true;
		l->next = l->known = number;
	}
}

/* All from `next` up to the one before `end` are given up. */
static void lose(struct lane *l, uint64_t first, uint64_t end)
{
	struct gap *last = l->n_gaps ? &l->gaps[l->n_gaps - 1] : NULL;

	l->lost += end - first;
	l->gap = true;
	if (last && last->end == first) {
		last->end = end;
		return;
	}
	/* Better no acknowledgement than a wrong one: what lies that far back is forgotten. */
	if (l->n_gaps == ORDER_GAPS) {
		l->known = l->gaps[0].end;
		memmove(l->gaps, l->gaps + 1, (ORDER_GAPS - 1) * sizeof(*l->gaps));
		l->n_gaps--;
	}
	l->gaps[l->n_gaps++] = (struct gap){first, end};
}

static bool is_late(const struct lane *l, uint64_t number)
{
	bool late = number < l->known;

	for (size_t i = 0; i < l->n_gaps; i++)
		late |= number >= l->gaps[i].first && number < l->gaps[i].end;
	return late;
}

bool order_waits(const struct lane *l)
{
	return l->first && (!l->started || l->first->frame.part != l->next);
}

void order_give_up(struct lane *l)
{
	if (!order_waits(l))
		return;
	/* Before the first part of a session nothing is known to be missing. */
	if (!l->started)
		order_start(l, l->first->frame.part);
	else
		lose(l, l->next, l->first->frame.part);
	l->next = l->first->frame.part;
}

enum order_verdict order_check(struct lane *l, uint64_t number)
{
	if (!l->started) {
		if (number == 0)
			order_start(l, 0);
		else if (l->n >= ORDER_PLACES || (l->first && number > l->first->frame.part &&
						  number - l->first->frame.part >= ORDER_PLACES))
			order_give_up(l);
		else
			return ORDER_HOLD;
	}
	if (number < l->next) {
		l->repeated++;
		return is_late(l, number) ? ORDER_LATE : ORDER_REPEATED;
	}
	/* Far ahead: what is missing will not come. */
	if (number - l->next >= ORDER_PLACES && order_waits(l))
		order_give_up(l);
	if (number - l->next >= ORDER_PLACES && !l->first) {
		lose(l, l->next, number);
		l->next = number;
	}
	return number == l->next && !l->first ? ORDER_NOW : ORDER_HOLD;
}

size_t order_cost(const struct frame *f)
{
	return sizeof(struct part) + f->storage_len + f->body_len;
}

int order_hold(struct lane *l, const struct frame *f)
{
	struct part **at = &l->first;

	/* Mostly they come in order, only one is missing: look at the end first. */
	if (l->last && l->last->frame.part < f->part)
		at = &l->last->next;
	while (*at && (*at)->frame.part < f->part)
		at = &(*at)->next;
	if (*at && (*at)->frame.part == f->part) {
		l->repeated++;
		return -EEXIST;
	}
	struct part *p = malloc(order_cost(f));
	if (!p)
		return -ENOMEM;
	p->frame = *f;
	if (f->storage_len)
		memcpy(p->mem, f->storage, f->storage_len);
	if (f->body_len)
		memcpy(p->mem + f->storage_len, f->body, f->body_len);
	p->frame.storage = (const char *)p->mem;
	p->frame.body = p->mem + f->storage_len;
	p->next = *at;
	*at = p;
	if (!p->next)
		l->last = p;
	l->n++;
	l->bytes += order_cost(f);
	return 0;
}

void order_passed(struct lane *l)
{
	l->next++;
	l->gap = false;
	l->passed++;
}

void order_lost(struct lane *l)
{
	lose(l, l->next - 1, l->next);
}

struct part *order_ready(struct lane *l)
{
	struct part *p = l->first;

	if (!p || order_waits(l))
		return NULL;
	if (l->gap)
		p->frame.flags |= FRAME_GAP;
	return p;
}

void order_pop(struct lane *l)
{
	struct part *p = l->first;

	l->first = p->next;
	if (!l->first)
		l->last = NULL;
	l->n--;
	l->bytes -= order_cost(&p->frame);
	free(p);
	order_passed(l);
}

void order_free(struct lane *l)
{
	while (l->first)
		order_pop(l);
}
