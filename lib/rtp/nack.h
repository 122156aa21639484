/*
 * Loss repair. Receiver side: which packets of a stream are missing and when to ask for them
 * (again). Sender side: the packets of a stream kept for a while, shared by all its receivers.
 */
#ifndef MSR_RTP_NACK_H
#define MSR_RTP_NACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rtp/packet.h"
#include "rtp/unwrap.h"

/* ---- receiver side ---- */

/* Packets under repair; when there are more, all are given up and a key frame is needed. */
#define NACK_MISSING_MAX 256
#define NACK_AGE_US	 1000000 /* a packet missing for longer is given up, */
#define NACK_LONG_US	 2000000 /* or, where answers take long, than this */
#define NACK_ANSWERS	 6	 /* as many times as an answer takes */
#define NACK_RETRY_US	 100000	 /* between requests for a packet, at least */
#define NACK_EARLY	 32	 /* packets that the first one may have overtaken, */
#define NACK_EARLY_US	 100000	 /* if they come in this time behind it */

struct nack_entry {
	int64_t seq;	  /* unwrapped */
	int64_t since_us; /* when it was found missing */
	int64_t asked_us; /* when it was last asked for */
	bool asked;
};

/* Zeroed is ready. */
struct nack_rx {
	struct rtp_unwrap unwrap;
	int64_t highest;
	int64_t first;	  /* number that the stream began with, or restarted */
	int64_t first_us; /* when that came */
	uint32_t early;	  /* bits, from first - 1 downwards: has come, or cannot be of the stream */
	bool renewed;	  /* the next packet resets, whatever its number is */
	unsigned n;	  /* entries in `missing`, ascending by seq */
	struct nack_entry missing[NACK_MISSING_MAX];
	int64_t answer_us; /* from finding a hole to its repair, mostly; 0: not known */
	double loss;	   /* part of the recent packets that had to be asked for */
	uint64_t lost;	   /* packets found missing */
	uint64_t repaired; /* of them, came in later */
	uint64_t given_up; /* of them, too old, or too many */
	uint64_t told;	   /* of those, what nack_rx_due has told */
};

enum nack_verdict {
	NACK_NEW,	/* in order, or the first behind a hole */
	NACK_REPAIRED,	/* fills a hole (retransmission or reordering), or the first overtook it */
	NACK_DUPLICATE, /* not missing: has been there, or was given up */
	NACK_RESET,	/* a jump that restarts the stream: ask for a key frame */
};

/* Tells of a packet that came in. *seq64, if not NULL, gets its unwrapped number. */
enum nack_verdict nack_rx_packet(struct nack_rx *n, uint16_t seq, int64_t now_us, int64_t *seq64);
/*
 * The same of one that was sent again, by RTX, whose number stands in its payload: wrong, it must
 * not restart the stream, nor begin it, sooner neither, nor leave more behind it than can still be
 * told missing. It is a duplicate then.
 */
enum nack_verdict nack_rx_again(struct nack_rx *n, uint16_t seq, int64_t now_us, int64_t *seq64);

/* The next packet restarts the stream, as after a jump: its source is another one. */
void nack_rx_renew(struct nack_rx *n);

/*
 * Collects up to `max` numbers to ask for now, ascending: those never asked for, and those that
 * should have been answered by now, as others were; where much is lost, for what is lost may be the
 * request, several times meanwhile. Gives up old ones first; *gave_up, if not NULL, says whether
 * any were given up since the last call, here or because there were too many. Returns how many.
 */
unsigned nack_rx_due(struct nack_rx *n, int64_t now_us, uint16_t *out, unsigned max, bool *gave_up);

/* ---- sender side ---- */

/* A packet kept for retransmission: a whole RTP packet as it came in. */
struct rtp_kept {
	int64_t seq; /* unwrapped */
	int64_t time_us;
	uint16_t len; /* 0: empty */
	uint8_t data[];
};

/*
 * As large as its stream needs: a slot has room for the packets that it has had (sound has short
 * ones), and there are more slots where packets would have to go that are younger than this.
 */
#define RTP_HISTORY_US 2500000

struct rtp_history {
	uint8_t *slots; /* owned: `n` times `stride` bytes, each a struct rtp_kept */
	unsigned n;	/* now; a power of two, as `most` is */
	unsigned most;
	size_t stride;
};

/* For `packets` at most, rounded up to a power of two, at most 8192. 0 or -ENOMEM. */
int rtp_history_init(struct rtp_history *h, unsigned packets);
void rtp_history_done(struct rtp_history *h);

/*
 * Copies a packet in, over the oldest in its place. One that is longer than RTP_PACKET_MAX is not
 * kept, nor one for which there is no memory.
 */
void rtp_history_put(struct rtp_history *h, int64_t seq, const uint8_t *data, size_t len,
		     int64_t now_us);
/* NULL when it is gone. Lent until the next put. */
const struct rtp_kept *rtp_history_get(const struct rtp_history *h, int64_t seq);

#endif
