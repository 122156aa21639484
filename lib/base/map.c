/* The keyed hash table: chained buckets, doubled at one node a bucket. */
#include "map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_BUCKETS 16

static uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static uint64_t hash_key[2];

/* Before main, so that threads need no lock. */
__attribute__((constructor)) static void draw_key(void)
{
	if (getrandom(hash_key, sizeof(hash_key), 0) != sizeof(hash_key))
		hash_key[0] = (uintptr_t)&hash_key;
}

/* SipHash-1-3 (Aumasson and Bernstein, with one compression and three finalisation rounds). */
static uint64_t sip_hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t m;

	uint64_t v[4] = {hash_key[0] ^ 0x736f6d6570736575ULL, hash_key[1] ^ 0x646f72616e646f6dULL,
			 hash_key[0] ^ 0x6c7967656e657261ULL, hash_key[1] ^ 0x7465646279746573ULL};
	for (size_t left = len; left >= 8; left -= 8, p += 8) {
		memcpy(&m, p, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)len << 56;
	for (size_t i = 0; i < len % 8; i++)
		m |= (uint64_t)p[i] << (8 * i);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m)
{
	*m = (struct map){0};
}

void map_done(struct map *m)
{
	free(m->bucket);
	map_init(m);
}

static struct map_node *find(const struct map *m, uint64_t hash, const void *key, size_t len)
{
	if (!m->n_buckets)
		return NULL;
	struct map_node *i = m->bucket[hash & (m->n_buckets - 1)];
	while (i && (i->hash != hash || i->key_len != len || memcmp(i->key, key, len) != 0))
		i = i->next;
	return i;
}

struct map_node *map_get(const struct map *m, const void *key, size_t len)
{
	return m->n ? find(m, sip_hash(key, len), key, len) : NULL;
}

static int grow(struct map *m)
{
	size_t n = m->n_buckets ? m->n_buckets * 2 : FIRST_BUCKETS;
	struct map_node **bucket = calloc(n, sizeof(struct map_node *));

	if (!bucket)
		return -ENOMEM;
	map_each (i, m) {
		struct map_node **to = &bucket[i->hash & (n - 1)];
		i->next = *to;
		*to = i;
	}
	free(m->bucket);
	m->bucket = bucket;
	m->n_buckets = n;
	return 0;
}

int map_put(struct map *m, struct map_node *node, const void *key, size_t len)
{
	uint64_t hash = sip_hash(key, len);

	if (find(m, hash, key, len))
		return -EEXIST;
	if (m->n >= m->n_buckets && grow(m) < 0 && !m->n_buckets)
		return -ENOMEM;
	struct map_node **to = &m->bucket[hash & (m->n_buckets - 1)];
	*node = (struct map_node){.next = *to, .hash = hash, .key = key, .key_len = len};
	*to = node;
	m->n++;
	return 0;
}

void map_remove(struct map *m, struct map_node *node)
{
	struct map_node **at = &m->bucket[node->hash & (m->n_buckets - 1)];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	node->next = NULL;
	m->n--;
}
