/*
 * Reorder buffer: packets of one stream go in as they arrive and come out in order of sequence
 * number. A hole is waited for until the buffer is full or the hole is too old, then passed over
 * and reported. Bounded in packets and time; owns copies of what waits.
 *
 *	jitter_put(j, &packet, now)   then   while (jitter_get(j, now, &out) == 1) ...
 */
#ifndef MSR_RTP_JITTER_H
#define MSR_RTP_JITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jitter;

struct jitter_limits {
	unsigned packets; /* 1 to 4096, rounded up to a power of two */
	int64_t wait_us;  /* how long a hole may hold up what is behind it */
	int64_t start_us; /* how long the first packet waits for earlier ones that come later */
};

struct jitter_packet {
	const uint8_t *data; /* lent until the next call */
	size_t len;
	int64_t seq;	    /* unwrapped */
	int64_t arrival_us; /* as given to jitter_put */
	unsigned lost;	    /* numbers passed over just before this one */
	bool reset;	    /* the stream restarted here: nothing before belongs to it */
};

/* 0, -EINVAL or -ENOMEM. */
int jitter_new(struct jitter **out, const struct jitter_limits *limits);
void jitter_free(struct jitter *j);

/*
 * Takes a copy of a packet with sequence number `seq`. 0; -EEXIST for a duplicate, -ESTALE when it
 * is too late, -ENOMEM. `now_us` must not go back.
 */
int jitter_put(struct jitter *j, uint16_t seq, const uint8_t *data, size_t len, int64_t now_us);

/* 1 and the next packet, or 0 when there is none whose turn it is. */
int jitter_get(struct jitter *j, int64_t now_us, struct jitter_packet *out);
/* The same without waiting for holes: at the end of a stream. */
int jitter_drain(struct jitter *j, struct jitter_packet *out);

/* Another stream comes, with numbers of its own: forgets what waits and where the last one was. */
void jitter_begin(struct jitter *j);

/* When jitter_get may have something without another packet: a time, or INT64_MAX. */
int64_t jitter_deadline(const struct jitter *j);

/* Jumps that restarted the stream. A packet that waits to do so is replaced by the next one. */
uint64_t jitter_resets(const struct jitter *j);

#endif
