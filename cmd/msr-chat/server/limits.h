/*
 * Protection of all users from one: connections and contents of an address, messages a second.
 */
#ifndef MSR_CHAT_LIMITS_H
#define MSR_CHAT_LIMITS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/map.h"

/* ---- connections of an address ---- */

/* One that has connections now, or contents in the spool. Shared by them. */
struct address {
	struct map_node node;
	uint8_t key[8];	  /* IPv4 address, or the first 64 bits of an IPv6 one */
	unsigned n;	  /* connections */
	unsigned files;	  /* contents in the spool; they may outlive the connections */
	uint64_t spooled; /* bytes of these */
	bool loopback;
	char text[INET6_ADDRSTRLEN]; /* of the connection that made it */
};

struct addresses {
	struct map map;
};

/* Counts a connection in. NULL: out of memory. */
struct address *address_get(struct addresses *all, const struct sockaddr_storage *peer);
void address_put(struct addresses *all, struct address *a);
/* Counts a content in and out. */
void address_add_file(struct address *a);
void address_drop_file(struct addresses *all, struct address *a);

/* ---- token bucket ---- */

enum rate_verdict { RATE_OK, RATE_WARN, RATE_DROP, RATE_FLOOD };

struct rate {
	int64_t tokens_milli; /* thousandths of a message */
	struct mono at;	      /* when they were counted last */
	bool warned;	      /* since the bucket was last half full */
	uint32_t dropped;     /* likewise */
};

void rate_init(struct rate *r, int64_t burst, struct mono now);
/*
 * One message at `now`, with `per_s` new tokens a second and room for `burst`. The first beyond
 * is a warning, then they are dropped, and twice `burst` dropped in a row are a flood.
 */
enum rate_verdict rate_take(struct rate *r, int64_t per_s, int64_t burst, struct mono now);

#endif
