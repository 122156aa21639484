/*
 * One RTP stream that a publisher sends: a track's only encoding, or a layer of simulcast. Counts
 * what arrives, keeps it for retransmission, and remembers what to ask the publisher for.
 *
 *	packet ── stream_take ──> new? number, 64 bits ──> burst of the track
 *	tick   ── nack_rx_due, stream_ask_key, stream_report ──> RTCP to the publisher
 */
#ifndef MSR_SFU_FWD_STREAM_H
#define MSR_SFU_FWD_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "rtp/codec.h"
#include "rtp/nack.h"
#include "rtp/packet.h"
#include "rtp/rtcp.h"

#define STREAM_KEEP_VIDEO 1024 /* packets at most: two seconds at 5 Mbit/s */
#define STREAM_KEEP_AUDIO 128  /* packets at most: two and a half seconds */
/* Between requests, however many ask: with the time an encoder needs, a newcomer sees a picture
 * within 1.5 s. */
#define STREAM_KEY_US 800000
/* For one wish, while no key frame is seen: one may get lost, and one that is encrypted end to end
 * is never recognised. */
#define STREAM_KEY_ASKS	 6
#define STREAM_RATE_US	 200000	 /* of one measurement of the rate */
#define STREAM_SILENT_US 1000000 /* without a packet for this long it does not live */

struct stream {
	uint32_t ssrc, rtx_ssrc; /* 0: not known yet */
	uint32_t clock;		 /* Hz */
	struct nack_rx nack;
	struct rtp_history history;

	/* reception, RFC 3550 appendix A */
	int64_t first;		 /* first number, 64 bits */
	uint64_t received;	 /* packets, without duplicates and what came by RTX */
	int64_t expected_before; /* at the last report */
	uint64_t received_before;
	int64_t transit; /* of the last packet, in clock units */
	uint32_t jitter; /* times 16 */
	bool started;

	/* what comes: media, without padding */
	int64_t media_us;	/* the last packet; 0: none yet */
	uint64_t media_bytes;	/* since rate_us */
	int64_t rate_us;	/* of the last measurement; 0: none yet */
	uint64_t bps;		/* smoothed over about a second */
	uint16_t width, height; /* pixels, by the last key frame that told; 0: not known */

	/* the last sender report */
	struct rtcp_sr sr;
	int64_t sr_at_us; /* when it came; 0: none yet */

	/* key frames */
	uint8_t key_asks;     /* requests that are still to be made, unless one comes */
	int64_t key_asked_us; /* the last request; 0: never */
	uint8_t fir_seq;
};

/* 0 or -ENOMEM. */
int stream_init(struct stream *s, enum rtp_codec codec);
void stream_done(struct stream *s);

/*
 * Takes a packet, which may have come by RTX: then the network did lose it. False for a duplicate,
 * which goes no further. *seq gets its number, *reset tells that the stream restarted there: what
 * came before has nothing to do with it.
 */
bool stream_take(struct stream *s, const struct rtp_packet *p, bool rtx, int64_t now_us,
		 int64_t *seq, bool *reset);

/* Its next packet is of another SSRC: it restarts. */
void stream_renew(struct stream *s);

/* Measures its rate, when it is time; once a tick. */
void stream_measure(struct stream *s, int64_t now_us);
/* Its rate in bit/s, smoothed over about a second; 0 when it does not live. */
uint64_t stream_bps(const struct stream *s, int64_t now_us);

void stream_sender_report(struct stream *s, const struct rtcp_sr *sr, int64_t now_us);
/* Our report block about it; false before its first packet. */
bool stream_report(struct stream *s, int64_t now_us, struct rtcp_report *r);

/* Where the publisher's clocks stand now, by its last sender report; false without one. */
bool stream_clocks(const struct stream *s, int64_t now_us, uint64_t *ntp, uint32_t *ts);

/* Somebody needs a key frame. */
void stream_want_key(struct stream *s);
/* One came: whoever asked before has it. */
void stream_got_key(struct stream *s);
/* Whether to ask for one now; then that counts as asked. */
bool stream_ask_key(struct stream *s, int64_t now_us);

#endif
