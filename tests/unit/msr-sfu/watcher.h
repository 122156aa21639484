/*
 * Who watches in a simulated call (world.h), behind a path of its own, and answers as browsers do:
 * transport feedback, NACK, PLI, receiver reports.
 */
#ifndef MSR_TESTS_SFU_WATCHER_H
#define MSR_TESTS_SFU_WATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../../cmd/msr-sfu/fwd/endpoint.h"
#include "../../../cmd/msr-sfu/fwd/sub.h"
#include "../../support/path.h"

#define FLIGHT_MAX 4096
#define BACK_MAX   256
#define WINDOW	   4096 /* packets of pictures that a watcher has in mind */

struct flight {
	int64_t arrival_us;
	size_t n;
	uint8_t p[1500];
};

struct back {
	int64_t arrival_us;
	size_t n;
	uint8_t p[1300];
};

struct piece { /* of a frame */
	int64_t number;
	bool here, key;
	uint8_t layer;
	uint16_t index, count;
	int64_t asked_us;
	unsigned asked;
};

struct watcher {
	struct endpoint e;
	struct sub *video, *audio;
	struct path path;
	enum { TRANSPORT, REMB, REPORTS } feedback;
	uint64_t remb_bps;
	struct rtp_extmap ext; /* how it reads what comes */
	uint8_t out[1700];
	struct flight flight[FLIGHT_MAX];
	unsigned n_flight;
	struct back back[BACK_MAX];
	unsigned n_back;
	struct twcc_rx rx;
	/* pictures */
	struct rtp_unwrap unwrap;
	struct piece piece[WINDOW];
	int64_t first, highest; /* numbers of packets */
	int64_t next;		/* the next frame's first one; -1: a key frame is needed */
	int64_t shown_us, pli_us, report_us;
	int layer;			       /* of the last frame */
	unsigned sent, lost;		       /* of all packets on the path */
	unsigned reported_sent, reported_lost; /* at the last report */
	/* figures, since watcher_figures_begin */
	int64_t freeze_us;
	unsigned frames, sound, late;
	double estimate;
	unsigned n_estimates;
	double estimate_low, estimate_high;
};

/* The `number`th to receive these two. */
struct watcher *watcher_new(struct track *video, struct track *audio, unsigned number,
			    double capacity);
void watcher_free(struct watcher *v);
/* What arrives by now is shown, and what is due is said. */
void watcher_step(struct watcher *v);

/* Its figures are of the time from here on. */
void watcher_figures_begin(struct watcher *v);
/* Per cent of the sound of the last `seconds` that did not come, or too late. */
double watcher_concealed(const struct watcher *v, double seconds);
/* Of the estimate, in bit/s. */
double watcher_mean(const struct watcher *v);
/* Prints all of them, beside the bit/s that the path really has. */
void watcher_tell(const char *what, const struct watcher *v, double seconds, double truth);

#endif
