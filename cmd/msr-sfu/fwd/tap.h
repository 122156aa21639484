/*
 * The recorder's tap: one more receiver of a track, that gets the decrypted packets as they came,
 * as frames (msr-frame(5)) for msr-record.
 *
 *	track_route ── tap_burst ──┐
 *	sender report ── tap_report ├──> sink of the media thread ──> msr-record
 *
 * Of simulcast the recorder gets the best layer that lives, as one stream whose numbers, times and
 * pictures continue over changes of the layer (layer.h); everything else as it came.
 *
 * A full sink never delays a call. From the first packet that does not fit the track is left out:
 * sound until there is room again, pictures until a key frame comes after that. The first packet
 * behind such a gap carries FRAME_GAP. A gap is told when it ends; while it lasts, at the next tick
 * and then once a second, for whoever announces it where the track ends first.
 */
#ifndef MSR_SFU_FWD_TAP_H
#define MSR_SFU_FWD_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "layer.h"
#include "media.h"

struct burst_packet;
struct loop;
struct rtcp_sr;
struct sink;
struct stream;
struct track;

/* The sink of one media thread, and the sessions open on it. */
struct tap_sink {
	struct sink *sink;    /* NULL: nothing is recorded */
	struct list sessions; /* struct tap_session */
	unsigned n_over;      /* of them, those that are over and whose end waits for room */
	struct media_stats *stats;
	/* Packets of a track were left out, and are still where `open`. NULL: nobody is told. */
	void (*gap)(void *arg, const struct track *of, uint64_t left_out, bool open);
	void *gap_arg;
};

/* Counts in `stats`, which is lent. 0 or what sink_open says. */
int tap_sink_open(struct tap_sink *s, const char *spec, struct loop *loop,
		  struct media_stats *stats);
/* Ends the sessions that are open, and closes the sink. */
void tap_sink_close(struct tap_sink *s);
/* Hands on what was put; once a tick. */
void tap_sink_flush(struct tap_sink *s);

struct tap {
	struct tap_sink *sink;
	struct tap_session *session;
	enum frame_source source;
	uint8_t codec; /* enum frame_codec */
	uint32_t clock;
	bool video;
	bool gap;	   /* packets are being left out */
	int64_t told_us;   /* when this gap was last told; 0: not yet */
	bool wait_key;	   /* until a key frame comes */
	int64_t asked_us;  /* when one was last asked for; 0: never */
	int64_t ask_us;	   /* until it is again, at least */
	uint64_t readers;  /* that had begun at the last tick, see sink_reader_starts */
	uint64_t left_out; /* in this gap */
	struct layer layer;
	uint32_t ssrc; /* of simulcast: that of the first stream, for all; 0: none yet */
};

/* Records a track. 0 or -ENOMEM. */
int tap_open(struct tap **out, struct tap_sink *s, const struct tap_config *c, struct track *of);
/* Accepts NULL. Ends the session with its last track. */
void tap_close(struct tap *t);

/* Packets of its track. When a gap begins pictures need a key frame. */
void tap_burst(struct tap *t, struct track *of, const struct burst_packet *b, unsigned n,
	       int64_t now_us);
/*
 * Once a tick: tells of a gap that lasts, and asks for the key frame that pictures wait for as soon
 * as there is room for it. A recorder that has restarted cannot continue with a picture that builds
 * on those which the last one knew: that needs one, too.
 */
void tap_tick(struct tap *t, struct track *of, int64_t now_us);
/* The layers of its track changed. */
void tap_update(struct tap *t, struct track *of);
/* A sender report of one of the track's streams. */
void tap_report(struct tap *t, const struct track *of, const struct stream *s, int64_t now_us);

#endif
