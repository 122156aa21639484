/* Addresses and token buckets. */
#include "limits.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

/* The part of an address that one person usually has; returns its length. */
static size_t key_of(const struct sockaddr_storage *peer, struct address *a)
{
	if (peer->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)peer;
		memcpy(a->key, &in->sin_addr, 4);
		a->loopback = ntohl(in->sin_addr.s_addr) >> 24 == 127;
		inet_ntop(AF_INET, &in->sin_addr, a->text, sizeof(a->text));
		return 4;
	}
	const struct sockaddr_in6 *in6 = (const void *)peer;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		memcpy(a->key, in6->sin6_addr.s6_addr + 12, 4);
		a->loopback = a->key[0] == 127;
		inet_ntop(AF_INET, a->key, a->text, sizeof(a->text));
		return 4;
	}
	memcpy(a->key, in6->sin6_addr.s6_addr, 8);
	a->loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	inet_ntop(AF_INET6, &in6->sin6_addr, a->text, sizeof(a->text));
	return 8;
}

struct address *address_get(struct addresses *all, const struct sockaddr_storage *peer)
{
	struct address found = {0};
	size_t len = key_of(peer, &found);
	struct map_node *node = map_get(&all->map, found.key, len);
	struct address *a = node ? container_of(node, struct address, node) : NULL;

	if (!a) {
		a = malloc(sizeof(*a));
		if (!a)
			return NULL;
		*a = found;
		if (map_put(&all->map, &a->node, a->key, len) < 0) {
			free(a);
			return NULL;
		}
	}
	a->n++;
	return a;
}

static void free_unused(struct addresses *all, struct address *a)
{
	if (a->n || a->files)
		return;
	map_remove(&all->map, &a->node);
	free(a);
}

void address_put(struct addresses *all, struct address *a)
{
	a->n--;
	free_unused(all, a);
}

void address_add_file(struct address *a)
{
	a->files++;
}

void address_drop_file(struct addresses *all, struct address *a)
{
	a->files--;
	free_unused(all, a);
}

void rate_init(struct rate *r, int64_t burst, struct mono now)
{
	*r = (struct rate){.tokens_milli = burst * 1000, .at = now};
}

enum rate_verdict rate_take(struct rate *r, int64_t per_s, int64_t burst, struct mono now)
{
	/* More than the bucket holds makes no difference, and cannot overflow. */
	int64_t us = mono_diff_us(now, r->at);
	int64_t full_us = burst * 1000000 / per_s + 1000;

	if (us > full_us)
		us = full_us;
	if (us >= 1000) {
		r->tokens_milli += us * per_s / 1000;
		r->at = now;
		if (r->tokens_milli > burst * 1000)
			r->tokens_milli = burst * 1000;
	}
	if (r->tokens_milli >= burst * 500) {
		r->warned = false;
		r->dropped = 0;
	}
	if (r->tokens_milli >= 1000) {
		r->tokens_milli -= 1000;
		return RATE_OK;
	}
	if (!r->warned) {
		r->warned = true;
		return RATE_WARN;
	}
	return ++r->dropped > 2 * burst ? RATE_FLOOD : RATE_DROP;
}
