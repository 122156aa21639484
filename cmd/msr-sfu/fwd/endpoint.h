/*
 * The media side of one peer: ingress of what it sends, and its RTCP about what it is sent.
 *
 *	endpoint_rtp ── parse once ── which stream? ── twcc, numbers, history ──> track's burst
 *	endpoint_batch_end ──> the bursts go out
 *	endpoint_rtcp ──> sender reports, NACK, PLI, FIR, reports
 *	endpoint_rtcp ──> transport feedback, REMB, loss ──> congest ── what fits ──> subs
 *	endpoint_tick (FWD_TICK_US) ── what streams and subs want ──> RTCP to the peer
 *
 * No I/O of its own and no clock: packets leave through a wire, time is passed in.
 */
#ifndef MSR_SFU_FWD_ENDPOINT_H
#define MSR_SFU_FWD_ENDPOINT_H

#include "base/list.h"
#include "base/map.h"
#include "binding.h"
#include "congest.h"
#include "media.h"
#include "remb.h"
#include "rtp/twcc.h"
#include "wire.h"

#define FWD_TICK_US   20000   /* NACK and key frame requests */
#define FWD_TWCC_US   60000   /* transport-wide feedback; what browsers send themselves */
#define FWD_SR_US     200000  /* between checks whether a sender report is due */
#define FWD_REPORT_US 1000000 /* receiver reports */
#define ENDPOINT_SSRC 1 /* ours, as a sender of feedback: we send nothing else to publishers */

struct stream;
struct sub;
struct sub_past;
struct track;

struct endpoint {
	const struct wire *wire;
	void *wire_arg;
	struct media_stats *stats; /* of the thread */
	/* A sub to it is sent another layer, or is paused. */
	void (*layer)(void *arg, const struct sub *s);
	void *layer_arg;

	/* Tracks and subs by their numbers, over all endpoints of the thread; NULL for none. */
	struct map *track_map, *sub_map;

	bool connected;
	char cname[MEDIA_CNAME_SIZE]; /* of ENDPOINT_SSRC */
	struct rtp_extmap extmap;
	struct list tracks, subs;
	uint64_t max_bps; /* that it wants to be sent in all; 0: no limit */

	struct sub_past *past; /* owned: n_past, of lasting subs, from their beginning */
	unsigned n_past;

	struct bindings bindings;
	struct track *dirty[MEDIA_TRACKS_MAX]; /* with packets in their bursts */
	unsigned n_dirty;

	struct twcc_rx *twcc;		   /* once a track of theirs has it */
	struct remb_rx remb;		   /* for those without */
	int64_t twcc_us, report_us, sr_us; /* of the last feedback, or check of it */

	uint16_t twcc_next; /* number of the next packet to them */
	struct congest congest;
	bool repeats; /* a key frame is to be sent again: sub_repeat */
	bool speaks;  /* its user is the room's active speaker */
};

void endpoint_init(struct endpoint *e, const struct wire *wire, void *wire_arg,
		   struct media_stats *stats);
/* Frees its tracks and subs, and the subs of others to its tracks. */
void endpoint_done(struct endpoint *e);

void endpoint_connected(struct endpoint *e, int64_t now_us);

/* Decrypted packets; `p` may be changed, and lives until endpoint_batch_end. */
void endpoint_rtp(struct endpoint *e, uint8_t *p, size_t n, int64_t now_us);
void endpoint_rtcp(struct endpoint *e, const uint8_t *p, size_t n, int64_t now_us);
void endpoint_batch_end(struct endpoint *e, int64_t now_us);

/* Whether it needs ticks: it sends, or is sent something. */
bool endpoint_busy(const struct endpoint *e);
void endpoint_tick(struct endpoint *e, int64_t now_us);
/* Whether its path is being probed: congest_pad is to be called between ticks too. */
static inline bool endpoint_probing(const struct endpoint *e)
{
	return e->connected && e->congest.bwe && e->congest.bwe->probe.running;
}

/* Ends the track, its subs, and what was bound to it. */
void endpoint_drop_track(struct endpoint *e, struct track *t);
/* Takes a track's new config; SSRCs are found again where it may mean other ones. */
void endpoint_change_track(struct endpoint *e, struct track *t, const struct media_track_config *c);

#endif
