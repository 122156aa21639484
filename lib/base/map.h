/*
 * Hash table from byte strings to intrusive nodes. The hash is keyed with random bits of the
 * process, so that peers that choose ids cannot choose collisions (SipHash-1-3).
 */
#ifndef MSR_BASE_MAP_H
#define MSR_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

/* Embedded in what is stored; find the whole with container_of (list.h). */
struct map_node {
	struct map_node *next; /* in the same bucket */
	uint64_t hash;
	const void *key; /* lent by the owner while the node is in the map */
	size_t key_len;
};

struct map {
	struct map_node **bucket; /* owned */
	size_t n_buckets;	  /* a power of two, or 0 */
	size_t n;		  /* nodes stored */
};

void map_init(struct map *m);
/* Frees the table, not the nodes. */
void map_done(struct map *m);

/* NULL if no node has the key. */
struct map_node *map_get(const struct map *m, const void *key, size_t len);

/*
 * Stores `node` under `key`, which stays the caller's and must live as long as the node is in the
 * map. 0, -EEXIST when the key is taken, -ENOMEM.
 */
int map_put(struct map *m, struct map_node *node, const void *key, size_t len);

/* `node` must be in the map. */
void map_remove(struct map *m, struct map_node *node);

/* The body may remove `i`, and only `i`. */
#define map_each(i, m)                                                                           \
	for (size_t i##_b = 0; i##_b < (m)->n_buckets; i##_b++)                                  \
		for (struct map_node *i = (m)->bucket[i##_b], *i##_next = i ? i->next : NULL; i; \
		     i = i##_next, i##_next = i ? i->next : NULL)

#endif
