/*
 * The recorder's tap: one more receiver of a track, that gets the decrypted packets as they came,
 * as frames (msr-frame(5)) for msr-record.
 *
 *	track_route ── tap_burst ──┐
 *	sender report ── tap_report ├──> sink of the media thread ──> msr-record
 *
 * A full sink never delays a call. From the first packet that does not fit the track is left out:
 * sound until there is room again, pictures until a key frame comes after that. The first packet
 * behind such a gap carries FRAME_GAP.
 */
#ifndef MSR_SFU_FWD_TAP_H
#define MSR_SFU_FWD_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "base/list.h"
#include "frame/frame.h"
#include "rtp/codec.h"

struct burst_packet;
struct loop;
struct rtcp_sr;
struct sink;
struct stream;

/* Whose recording a track belongs to, and what it shows. */
struct tap_config {
	char room[ID_SIZE], user[ID_SIZE];
	enum frame_source source; /* a screen is a recording of its own */
};

/* The sink of one media thread, and the sessions open on it. */
struct tap_sink {
	struct sink *sink;    /* NULL: nothing is recorded */
	struct list sessions; /* struct tap_session */
	int64_t wall_us;      /* wall clock minus the loop's */
	uint64_t frames, dropped, gaps;
};

/* 0 or what sink_open says. */
int tap_sink_open(struct tap_sink *s, const char *spec, struct loop *loop);
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
	bool wait_key;	   /* until a key frame comes */
	uint64_t left_out; /* in this gap */
};

/* 0 or -ENOMEM. */
int tap_open(struct tap **out, struct tap_sink *s, const struct tap_config *c,
	     enum rtp_codec codec);
/* Accepts NULL. Ends the session with its last track. */
void tap_close(struct tap *t);

/* Packets of one stream; true when a gap began, and pictures want a key frame. */
bool tap_burst(struct tap *t, const struct burst_packet *b, unsigned n, const struct stream *of,
	       int64_t now_us);
void tap_report(struct tap *t, const struct rtcp_sr *sr, int64_t now_us);

#endif
