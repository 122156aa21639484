/*
 * The media threads, as the rooms above see them. Rooms live on the API's thread and never touch
 * a packet; peers, tracks and subscriptions live on a media thread each. Between the two go
 * commands (this header's functions, a bounded queue a thread) and events (small structs).
 *
 *	API thread                                   media thread (one a core)
 *	room, user ── media_peer_new, _track_new … ──> queue ──> peer, track, sub
 *	handler  <── media_event ── queue <── connected, ended, estimate, speaker, layer, gap
 *
 * Objects are named by numbers that are never used twice, so a command or an event about something
 * that has just ended is simply ignored. All functions are for the API's thread and do not block.
 * A room's peers must all be on one thread: ask media_place once a room.
 *
 *	publisher's PeerConnection = peer with tracks (what it sends)
 *	receiver's PeerConnection  = peer with subs   (what it is sent: one sub for each m-section)
 */
#ifndef MSR_SFU_FWD_MEDIA_H
#define MSR_SFU_FWD_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "frame/frame.h"
#include "level.h"
#include "peer/peer.h"
#include "rtp/codec.h"
#include "rtp/feedback.h"
#include "rtp/packet.h"

#define MEDIA_LAYERS_MAX 4     /* encodings of one track */
#define MEDIA_TRACKS_MAX 64    /* a peer */
#define MEDIA_SUBS_MAX	 512   /* a peer */
#define MEDIA_QUEUE_MAX	 16384 /* commands waiting for a thread; beyond: -EAGAIN */
#define MEDIA_CNAME_SIZE 33

struct loop;
struct media;

typedef uint64_t media_id; /* 0: none */

/* Why a viewer gets another layer. */
enum media_reason {
	MEDIA_WANTED,	 /* it asked */
	MEDIA_BANDWIDTH, /* its network */
	MEDIA_SOURCE,	 /* the publisher stopped a layer, or sends it again */
};

enum media_event_kind {
	MEDIA_CONNECTED, /* peer: media may flow */
	MEDIA_ENDED,	 /* peer: its transport ended for good (why); still to be closed */
	MEDIA_ESTIMATE,	 /* peer: what its path carries has changed by a tenth or more */
	MEDIA_SPEAKER,	 /* room: another active speaker; its audio track, 0 if nobody speaks */
	MEDIA_LAYER,	 /* peer: is sent another layer of the track, or none of it */
	MEDIA_GAP,	 /* track: packets were left out of its recording */
};

struct media_event {
	enum media_event_kind kind;
	enum peer_end why;
	media_id room, peer, track; /* those that apply */
	uint8_t level;		    /* MEDIA_SPEAKER: -dBov, 0 is loudest */
	/* MEDIA_LAYER: */
	uint8_t layer, n_layers; /* from 0, the lowest; n_layers is 0 if it is paused */
	uint8_t stream;		 /* which of the rids of its config that is */
	uint16_t width, height;	 /* pixels; 0: not known */
	enum media_reason reason;
	uint64_t bps; /* MEDIA_ESTIMATE; 0: not known any more */
	/* MEDIA_GAP: */
	uint64_t left_out; /* packets */
	bool open;	   /* so far, and more are: told again */
};

struct media_config {
	unsigned threads;	  /* 0: as many as processors */
	struct peer_env *env;	  /* lent until media_stop; made with peer_env_new */
	struct loop *loop;	  /* the API's: events are delivered from it */
	const char *const *sinks; /* one for each thread to record to; lent while it starts */
	unsigned n_sinks;	  /* 0: nothing is recorded */
	/* On the API's thread; may call everything but media_stop. */
	void (*event)(void *arg, const struct media_event *e);
	void *arg;
};

/* Starts the threads. 0 or -errno. */
int media_start(struct media **out, const struct media_config *config);
/* Closes every peer (with goodbye), joins the threads. Accepts NULL. */
void media_stop(struct media *m);

/* The thread for a new room: the one with the fewest peers. */
unsigned media_place(const struct media *m);

/* ---- transports ---- */

struct media_peer_config {
	unsigned thread;  /* of its room */
	media_id room;	  /* any number of the caller's: speakers are found within it */
	bool controlling; /* the offer is ours: a receiver */
};

/*
 * A new transport and what to write into its description. 0, -EADDRINUSE (no port is free: 503),
 * -EADDRNOTAVAIL (no address is there), -EMFILE, -EAGAIN or -ENOMEM.
 */
int media_peer_new(struct media *m, const struct media_peer_config *c, media_id *id,
		   struct peer_local *local);
/* Ends it with its tracks and subs. Subs of others to its tracks end too. */
void media_peer_close(struct media *m, media_id peer);

/*
 * What the client's description says: credentials, fingerprint, candidates; after the first time,
 * new credentials mean an ICE restart that the client asked for. 0 or -EAGAIN, -ENOMEM.
 */
int media_peer_remote(struct media *m, media_id peer, const struct peer_remote *remote,
		      const struct peer_candidate *candidates, unsigned n_candidates,
		      bool end_of_candidates);
/* Trickled ones. */
int media_peer_candidates(struct media *m, media_id peer, const struct peer_candidate *candidates,
			  unsigned n_candidates, bool end_of_candidates);
/* Restarts ICE with these of ours, from peer_credentials; the candidates stay. 0, -EAGAIN, -ENOMEM.
 */
int media_peer_restart(struct media *m, media_id peer, const char *ufrag, const char *pwd);
/* Header extension ids of the transport, both ways; to be set before its first track or sub. */
int media_peer_extensions(struct media *m, media_id peer, const struct rtp_extmap *map);

/* ---- what a peer sends ---- */

struct media_track_config {
	enum rtp_codec codec;
	uint8_t pt, rtx_pt; /* rtx_pt 0: none */
	uint8_t red_pt;	    /* of redundant sound, which may come as well; 0: none */
	char mid[RTP_MID_MAX + 1];
	uint32_t ssrc, rtx_ssrc; /* as signalled, or 0: found by mid, rid or payload type */
	unsigned n_rids;	 /* simulcast layers, as the sender lists them */
	char rid[MEDIA_LAYERS_MAX][RTP_MID_MAX + 1];
	struct rtp_feedback feedback; /* feedback that the client takes */
};

/* `track` is the caller's number for it, from media_new_id. 0, -EAGAIN, -ENOMEM. */
int media_track_new(struct media *m, media_id peer, media_id track,
		    const struct media_track_config *c);
/* Takes the place of an earlier config after a renegotiation. */
int media_track_change(struct media *m, media_id track, const struct media_track_config *c);
/* Whose recording a track belongs to, and what it shows. */
struct tap_config {
	char room[ID_SIZE], user[ID_SIZE];
	enum frame_source source; /* a screen is a recording of its own */
};
/* Records it from its next key frame on; once a track. 0, -EAGAIN, -ENOMEM. */
int media_track_record(struct media *m, media_id track, const struct tap_config *c);
/* Ends the subs to it too. */
void media_track_close(struct media *m, media_id track);

/* ---- what a peer is sent ---- */

struct media_sub_config {
	media_id peer;	/* receives it */
	media_id track; /* of a peer on the same thread */
	uint8_t pt, rtx_pt;
	uint8_t red_pt; /* of redundant sound, which it wants where packets are lost; 0: none */
	uint32_t ssrc, rtx_ssrc; /* ours, from media_new_ssrc; rtx_ssrc 0: none */
	char mid[RTP_MID_MAX + 1];
	char cname[MEDIA_CNAME_SIZE]; /* one for all tracks of a publisher: lip sync */
	struct rtp_feedback feedback;
	enum media_level want;
	/* The SSRC outlives its track: the peer's next sub with it continues the numbers,
	 * because SRTP must not use one twice, and receivers take no number for new that was there.
	 */
	bool lasting;
};

/*
 * Sends a track to a peer from its next key frame on, which is asked for. `sub` is the caller's
 * number for it, from media_new_id. 0, -EAGAIN, -ENOMEM.
 */
int media_sub_new(struct media *m, media_id sub, const struct media_sub_config *c);
void media_sub_close(struct media *m, media_id sub);
/* Asks for another layer, or pauses. 0, -EAGAIN, -ENOMEM. */
int media_sub_want(struct media *m, media_id sub, enum media_level want);
/* All that the peer is sent together is to stay below this; 0: no limit. 0, -EAGAIN, -ENOMEM. */
int media_peer_limit(struct media *m, media_id peer, uint64_t max_bps);

/* Numbers, unique in the process; SSRCs are random, not 0. */
media_id media_new_id(struct media *m);
uint32_t media_new_ssrc(struct media *m);

/* ---- counters of all threads: one table for their fields, their sum and GET /metrics ---- */

/* field, metric, help: those that lib/peer counts, by their names in struct peer_stats */
#define MEDIA_PEER_COUNTERS(X)                                                          \
	X(rx_packets, "msr_sfu_rx_packets_total", "Packets received")                   \
	X(rx_bytes, "msr_sfu_rx_bytes_total", "Bytes received")                         \
	X(tx_packets, "msr_sfu_tx_packets_total", "Packets sent")                       \
	X(tx_bytes, "msr_sfu_tx_bytes_total", "Bytes sent")                             \
	X(tx_calls, "msr_sfu_tx_calls_total", "System calls that sent them")            \
	X(tx_dropped, "msr_sfu_tx_dropped_total", "Packets that a full socket refused") \
	X(rx_unauthentic, "msr_sfu_rx_unauthentic_total", "Packets that SRTP refused")  \
	X(rx_stray, "msr_sfu_rx_stray_total",                                           \
	  "Datagrams from addresses not validated, or of no use")

/* All of them; what does not end in _total is a number of now. */
#define MEDIA_COUNTERS(X)                                                                        \
	X(peers, "msr_sfu_peers", "Peer connections")                                            \
	X(subs, "msr_sfu_subscriptions", "Tracks sent to receivers")                             \
	MEDIA_PEER_COUNTERS(X)                                                                   \
	X(rx_unknown, "msr_sfu_rx_unknown_total", "RTP packets of no track")                     \
	X(nacks_sent, "msr_sfu_nacks_sent_total", "Packets asked for again")                     \
	X(nacks_received, "msr_sfu_nacks_received_total", "Packets we were asked for again")     \
	X(retransmitted, "msr_sfu_retransmitted_total", "Packets sent again")                    \
	X(not_kept, "msr_sfu_not_kept_total", "Packets asked for that were too old")             \
	X(sound_recovered, "msr_sfu_sound_recovered_total",                                      \
	  "Packets of sound that were lost and came with a later one")                           \
	X(sound_repeated, "msr_sfu_sound_repeated_total",                                        \
	  "Packets of sound that were sent with the one before")                                 \
	X(key_requests_sent, "msr_sfu_key_requests_sent_total", "Key frames asked for")          \
	X(key_requests_received, "msr_sfu_key_requests_received_total",                          \
	  "Key frames that receivers asked for")                                                 \
	X(layer_switches, "msr_sfu_layer_switches_total",                                        \
	  "Times that a receiver was moved to another layer, paused or resumed")                 \
	X(estimated, "msr_sfu_estimated_peers", "Receivers whose paths' bandwidth is known")     \
	X(estimate_bps, "msr_sfu_estimate_bits_per_second", "Bandwidth of these paths together") \
	X(paused, "msr_sfu_paused_subscriptions", "Pictures not sent because they do not fit")   \
	X(probes, "msr_sfu_probes_total", "Probes of a path's bandwidth")                        \
	X(padding_bytes, "msr_sfu_padding_bytes_total", "Bytes sent for them besides media")     \
	X(recorded, "msr_sfu_recorded_frames_total", "Frames given to the recorder")             \
	X(record_dropped, "msr_sfu_record_dropped_total",                                        \
	  "Frames left out because a sink was full")                                             \
	X(record_gaps, "msr_sfu_record_gaps_total", "Gaps in recorded tracks that this made")    \
	X(events_lost, "msr_sfu_events_lost_total",                                              \
	  "Events that the interface did not keep up with")

struct media_stats {
#define MEDIA_FIELD(field, metric, help) uint64_t field;
	MEDIA_COUNTERS(MEDIA_FIELD)
#undef MEDIA_FIELD
};

/* A recent sample; each thread publishes its part once a second. */
void media_stats(struct media *m, struct media_stats *s);

#endif
