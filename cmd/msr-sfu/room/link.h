/*
 * Between descriptions and media: turns what SDP says (lib/sdp) into commands to the media threads
 * (fwd/media.h), and their events into reports about links. The rooms know the media threads only
 * through this.
 */
#ifndef MSR_SFU_ROOM_LINK_H
#define MSR_SFU_ROOM_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "../fwd/level.h"
#include "fail.h"
#include "rtp/packet.h"
#include "sdp/negotiate.h"

struct link;	 /* one PeerConnection's transport */
struct link_in;	 /* a track that comes in on it */
struct link_out; /* a track that goes out on one */
struct links;	 /* all media threads */
struct loop;
struct metrics;
struct owner; /* room.h */
struct track;

/* What a receiver is sent of a track, and why. */
struct link_layer {
	const char *name;	/* "high", "mid", "low", "off" */
	const char *rid;	/* as the publisher calls it, or NULL */
	uint16_t width, height; /* pixels; 0: not known */
	const char *reason;	/* "wanted", "bandwidth", "source" */
};

struct links_opts {
	struct loop *loop;	 /* lent; reports arrive from it */
	struct metrics *metrics; /* lent */
	unsigned threads;	 /* 0: one a core */
	const char *public_ip;	 /* announced besides the local ones; NULL: none */
	const char *rtc_address; /* the only local one to use; NULL: all */
	uint16_t min_port, max_port;
	const char *const *sinks; /* to record to: one for each thread, lent while they start */
	unsigned n_sinks;	  /* 0: nothing is recorded */

	/* Reports; the link may be freed in them. `owner` is what link_new was given. */
	void (*connected)(struct owner *owner, struct link *l);
	/* For good: ICE or DTLS failed, nothing was heard for 30 s, or it said goodbye. */
	void (*ended)(struct owner *owner, struct link *l, const char *reason);
	/* Who speaks in a room now, by its number; NULL is nobody. `level` in -dBov, 0 is loudest.
	 */
	void (*speaker)(void *arg, uint64_t room, struct track *t, int level);
	/* `owner` of a receiving link is sent another layer of a track. */
	void (*layer)(struct owner *owner, const struct track *t, const struct link_layer *l);
	/* This many packets of a track are missing in its recording: the sink was full. */
	void (*gap)(const struct track *t, uint64_t left_out);
	void *arg;
};

/* 0 or -errno, logged. */
int links_new(struct links **lp, const struct links_opts *opts);
/* Once every link is freed. Accepts NULL. */
void links_free(struct links *ls);
/* The media thread for a new room. */
unsigned links_place(const struct links *ls);

struct link_opts {
	unsigned thread; /* of the room */
	uint64_t room;	 /* its number */
	/* In ICE: where we offer, or the other side is lite (RFC 8445, section 6.1.1). */
	bool controlling;
	struct owner *owner;
};
/* 0, or -1 with *f (no_ports, no_memory). */
int link_new(struct link **lp, struct links *ls, const struct link_opts *opts, struct fail *f);
/* Accepts NULL. Free its ins and outs before. */
void link_free(struct link *l);
bool link_connected(const struct link *l);
/* For good, as was reported. */
bool link_ended(const struct link *l);
/* Bit/s that the path to it carries, a second old at most; 0: not known. */
uint64_t link_estimate_bps(const struct link *l);

/* Our side, for descriptions; the strings are lent until link_free, _restart or _renew. */
void link_local(const struct link *l, struct sdp_local *local);
/* Parses a description; returns owned. 0, or -1 with *f. */
int link_parse(struct sdp **out, const char *text, size_t len, struct fail *f);
/*
 * An offer: one section must be alive, and have what a transport needs; or none is, with `may_end`.
 */
int link_read_offer(struct sdp **out, const char *text, size_t len, bool may_end, struct fail *f);
/*
 * Whether the section that carries the transport is of the PeerConnection that was described
 * before, if one was: DTLS continues over an ICE restart, so its certificate cannot change. 0, or
 * -1 with *f (other_connection).
 */
int link_check(const struct link *l, const struct sdp_media *m, struct fail *f);
/* Their side, from that section. 0, or -1 with *f. */
int link_remote(struct link *l, const struct sdp_media *m, struct fail *f);
/* The ids that our answer gave to header extensions; one map serves a bundle (RFC 8843, 9.2). */
void link_extmap(struct rtp_extmap *map, const struct sdp *answer);
/* Ids of header extensions; again when more are agreed. */
int link_extensions(struct link *l, const struct rtp_extmap *map, struct fail *f);
/* Whether these credentials of theirs are new while others are in use: an ICE restart. */
bool link_is_restart(const struct link *l, const char *ufrag);
/*
 * Draws new credentials of ours and puts them into *local, lent until the next call. link_restart
 * puts them to use: once what they were drawn for is certain, for until then the old ones serve. 0,
 * or -1 with *f.
 */
void link_draw(struct link *l, struct sdp_local *local);
int link_restart(struct link *l, struct fail *f);
/*
 * Both at once, with theirs, where these come without a description (RFC 9725, section 4.3.3). 0,
 * or -1 with *f; where theirs are of no use nothing has changed.
 */
int link_restart_with(struct link *l, const char *ufrag, const char *pwd, struct fail *f);
/*
 * New credentials of ours for the next offer. ICE restarts with them when link_remote takes its
 * answer; until then media keeps its old way. 0, or -1 with *f (connection_ended).
 */
int link_renew(struct link *l, struct fail *f);
/* A trickled candidate; names such as x.local and TCP are ignored. */
void link_candidate(struct link *l, const struct sdp_candidate *c);
/* No more of them come. */
void link_candidates_end(struct link *l);

/* A track that comes in on `l`, as agreed. Reports name `owner`. 0, or -1 with *f. */
int link_receive(struct link *l, struct link_in **in, struct track *owner,
		 const struct sdp_media *theirs, const struct sdp_agreed *agreed, struct fail *f);
/* The same after a renegotiation. */
int link_receive_again(struct link_in *in, const struct sdp_media *theirs,
		       const struct sdp_agreed *agreed, struct fail *f);
/* Outs that take from it get nothing more, but stay to be freed. Accepts NULL. */
void link_in_free(struct link_in *in);

/* How a track goes out to one receiver. */
struct link_out_opts {
	const char *mid, *cname;
	uint8_t pt, rtx_pt, red_pt;
	uint32_t ssrc, rtx_ssrc; /* ours */
	struct rtp_feedback feedback;
	enum media_level want;
	bool lasting; /* the next track under this ssrc continues its numbers */
};
int link_send(struct link *l, const struct link_in *in, struct link_out **out,
	      const struct link_out_opts *opts, struct fail *f);
/* Accepts NULL. */
void link_out_free(struct link_out *out);
/* Another layer, or nothing for a while. 0, or -1 with *f. */
int link_out_want(struct link_out *out, enum media_level want, struct fail *f);
/* All that goes out on `l` is to stay below `max_bps`; 0: no limit. 0, or -1 with *f. */
int link_limit(struct link *l, uint64_t max_bps, struct fail *f);

/* Random, never 0. */
uint32_t link_ssrc(struct links *ls);

#endif
