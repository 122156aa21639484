/* Ports: see ports.h. A freed port is used again as late as the range allows, so that stragglers
 * of an old peer find nobody. */
#include "ports.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct ports {
	uint16_t min;
	unsigned n; /* 0: the system chooses */
	_Atomic unsigned next, used;
	_Atomic bool *taken;
};

int ports_new(struct ports **out, uint16_t min, uint16_t max)
{
	if (max < min || (min == 0 && max != 0))
		return -EINVAL;
	struct ports *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->min = min;
	p->n = min ? (unsigned)(max - min) + 1 : 0;
	p->taken = calloc(p->n + 1, sizeof(*p->taken));
	if (!p->taken) {
		free(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void ports_free(struct ports *p)
{
	if (!p)
		return;
	free(p->taken);
	free(p);
}

int ports_take(struct ports *p, uint16_t *port)
{
	if (!p->n) {
		*port = 0;
		atomic_fetch_add(&p->used, 1);
		return 0;
	}
	for (unsigned i = 0; i < p->n; i++) {
		unsigned at = atomic_fetch_add(&p->next, 1) % p->n;
		if (atomic_exchange(&p->taken[at], true))
			continue;
		atomic_fetch_add(&p->used, 1);
		*port = (uint16_t)(p->min + at);
		return 0;
	}
	return -EADDRINUSE;
}

void ports_give(struct ports *p, uint16_t port)
{
	atomic_fetch_sub(&p->used, 1);
	if (p->n)
		atomic_store(&p->taken[port - p->min], false);
}

void ports_count(const struct ports *p, unsigned *used, unsigned *total)
{
	*used = atomic_load(&p->used);
	*total = p->n ? p->n : 65535;
}
