/*
 * A call in virtual time: a publisher of sound and pictures, watchers behind simulated paths
 * (watcher.h), and between them the real endpoints, tracks and subscriptions.
 *
 *	world_begin(1, world_one);
 *	struct watcher *v = world_add(3e6);
 *	world_run(15);
 *	CHECK(v->frames > 15 * 28);
 *	world_end();
 */
#ifndef MSR_TESTS_SFU_WORLD_H
#define MSR_TESTS_SFU_WORLD_H

#include <stdint.h>

#include "../../../cmd/msr-sfu/fwd/media.h"

#define SECOND	 1000000LL
#define FRAME_US 33333
#define AUDIO_US 20000
#define MARK	 22 /* bytes at the end of a picture's payload: key, layer, index, count */

struct watcher;

extern struct world {
	int64_t now; /* us */
	struct media_stats stats;
	unsigned keys; /* frames that the publisher has sent */
} world;

extern const double world_one[1];     /* bit/s of a picture without layers */
extern const double world_layered[3]; /* and of one with three */

/* A publisher whose picture has `n_layers`, each with its bit/s (0: not sent), and nobody else. */
void world_begin(unsigned n_layers, const double *bps);
/* Somebody behind a bottleneck of so many bit/s (0: none); lent until world_end. */
struct watcher *world_add(double capacity);
void world_end(void);

/* A millisecond. */
void world_step(void);
/* So many seconds, over which the watchers' figures are taken anew. */
void world_run(double seconds);
/* Seconds until the watcher is granted `layer` (-1: none), or `limit`. */
double world_until_layer(const struct watcher *v, int layer, double limit);

#endif
