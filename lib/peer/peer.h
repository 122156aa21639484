/*
 * One end of a PeerConnection's transport: ICE, then DTLS, then SRTP, on one bundled component.
 *
 *	datagram ─ io ─┬─ STUN ──────────> ice (libnice)
 *	               ├─ DTLS ──────────> dtls (OpenSSL) ── keys ──> srtp
 *	               └─ RTP, RTCP ─────> srtp (opened in place) ──> handler
 *	peer_send_rtp ── srtp (sealed into place) ── peer_flush ── io_tx ──> one system call for
 *	                                             what a burst makes, to all peers
 *
 * Life: peer_new, on one thread for all of a peer_env, binds the ports and says what to signal;
 * peer_attach hands the peer to the loop whose thread alone may touch it from then on; peer_close
 * ends it there. Between peer_new and peer_attach only peer_free may be called.
 */
#ifndef MSR_PEER_PEER_H
#define MSR_PEER_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_UFRAG_SIZE	    33	/* bytes with the NUL; ours have 8 characters */
#define PEER_PWD_SIZE	    257 /* RFC 8839 allows 256 characters; ours have 24 */
#define PEER_ADDRESS_SIZE   46	/* INET6_ADDRSTRLEN */
#define PEER_CANDIDATES_MAX 32	/* of ours */
#define PEER_REMOTE_MAX	    32	/* candidates taken from one client; more are ignored */
#define PEER_HASH_MAX	    64	/* bytes of a fingerprint */
#define PEER_OUT_PACKETS    64	/* packets of a batch; peer_send_rtp flushes a full one itself */
#define PEER_CONSENT_US	    30000000 /* without an authentic packet for this long, a peer is gone */

struct loop;
struct peer;
struct peer_env;
struct peer_io;

/* ---- what all peers of a process share: addresses, ports, certificate ---- */

struct peer_env_config {
	const char *const *addresses; /* local ones to use, NULL-terminated; NULL: all there are */
	const char *public_ip;	      /* announced besides them, or NULL */
	uint16_t min_port, max_port;  /* inclusive, UDP and TCP; 0, 0: any (no TCP) */
	bool tcp;		      /* passive ICE-TCP as well */
	bool no_gcm;		      /* take only AES-CM: to measure and to test it */
};

/* 0, -EINVAL (not an address, or an empty range of ports), -EADDRNOTAVAIL (no local address), or
 * another -errno. */
int peer_env_new(struct peer_env **out, const struct peer_env_config *config);
/* Once no peer is left. Accepts NULL. */
void peer_env_free(struct peer_env *e);
/* SHA-256 of the certificate: 32 bytes, lent. */
const uint8_t *peer_env_fingerprint(const struct peer_env *e);
/* Ports of the range in use, and in all. */
void peer_env_ports(const struct peer_env *e, unsigned *used, unsigned *total);

/* ---- what is signalled ---- */

struct peer_candidate {
	char address[PEER_ADDRESS_SIZE]; /* numeric */
	char foundation[33];
	uint32_t priority;
	uint16_t port;
	bool tcp; /* ours: passive. Theirs are ignored: we never connect */
};

/* Our side; complete as soon as peer_new returns: only host candidates are gathered. */
struct peer_local {
	char ufrag[PEER_UFRAG_SIZE], pwd[PEER_PWD_SIZE];
	struct peer_candidate candidate[PEER_CANDIDATES_MAX];
	unsigned n_candidates;
};

struct peer_remote {
	char ufrag[PEER_UFRAG_SIZE], pwd[PEER_PWD_SIZE];
	char hash[16]; /* "sha-256", "sha-384" or "sha-512" */
	uint8_t fingerprint[PEER_HASH_MAX];
	uint8_t fingerprint_len;
	bool dtls_client; /* whether we are the DTLS client: their a=setup says passive */
};

enum peer_state {
	PEER_NEW,	/* nothing has come yet */
	PEER_CHECKING,	/* ICE is at work */
	PEER_SECURING,	/* DTLS is */
	PEER_CONNECTED, /* media may flow */
	PEER_ENDED,	/* for good; why: enum peer_end */
};

enum peer_end {
	PEER_END_NONE,
	PEER_END_ICE,	      /* no pair of candidates worked */
	PEER_END_DTLS,	      /* the handshake failed, or was not done within 30 s */
	PEER_END_FINGERPRINT, /* the certificate is not the signalled one */
	PEER_END_CONSENT,     /* nothing authentic for PEER_CONSENT_US */
	PEER_END_REMOTE,      /* said goodbye (close_notify) */
	PEER_END_MEMORY,
	PEER_ENDS, /* one more than the last */
};
/* "ice", "dtls", "fingerprint", "consent", "remote", "memory" */
const char *peer_end_name(enum peer_end why);

/* Called on the loop's thread. None may free the peer; peer_close may be called from all. */
struct peer_handler {
	void (*state)(void *arg, enum peer_state state, enum peer_end why);
	/* Decrypted and authentic. `p` is lent until `batch_end` returns, and may be changed. */
	void (*rtp)(void *arg, uint8_t *p, size_t n, int64_t now_us);
	/* Lent during the call only. */
	void (*rtcp)(void *arg, const uint8_t *p, size_t n, int64_t now_us);
	/* What came in one go has been handed over. */
	void (*batch_end)(void *arg, int64_t now_us);
};

/* ---- one peer ---- */

/*
 * Binds a port on every address that is there, and fills *local. `controlling`: whether we made the
 * offer. 0, -EADDRINUSE when no port of the range is free, -EADDRNOTAVAIL when no address is there,
 * -EMFILE, -ENOMEM.
 */
int peer_new(struct peer **out, struct peer_env *env, bool controlling, struct peer_local *local);

/* Sockets, buffers and counters of a thread; one for each loop. 0 or -errno. */
int peer_io_new(struct peer_io **out, struct loop *loop);
/* Once no peer is attached to it, closing ones included (peer_io_closing). */
void peer_io_free(struct peer_io *io);
/* Peers whose close is under way; the loop must keep turning until there are none. */
unsigned peer_io_closing(const struct peer_io *io);

/* `handler` and `arg` must live until peer_close. 0 or -errno; then the peer is still the caller's.
 */
int peer_attach(struct peer *p, struct peer_io *io, const struct peer_handler *handler, void *arg);

/*
 * Ends and frees: no handler is called any more. Its ports are free again once libnice has let go
 * of them, some turns later. Says goodbye to the peer. Only for attached peers.
 */
void peer_close(struct peer *p);
/* For a peer that is not attached, or could not be, on the thread that has it: the one that made it
 * or one that it was handed to. Accepts NULL. */
void peer_free(struct peer *p);

/* Takes what the other side signalled, again after an ICE restart. 0 or -EINVAL. */
int peer_set_remote(struct peer *p, const struct peer_remote *r);
/* A candidate of theirs: at once or trickled. 0; -EINVAL (no numeric address), -ENOSPC. */
int peer_add_candidate(struct peer *p, const struct peer_candidate *c);
void peer_end_of_candidates(struct peer *p);
/* New credentials for an ICE restart, on any thread; then peer_restart on the peer's. */
void peer_credentials(char ufrag[static PEER_UFRAG_SIZE], char pwd[static PEER_PWD_SIZE]);
/* Restarts ICE with them; DTLS and SRTP continue. Call peer_set_remote with theirs then. */
int peer_restart(struct peer *p, const char *ufrag, const char *pwd);

enum peer_state peer_state(const struct peer *p);

/* ---- sending; all drop, and count, what cannot be sent now: a network, not a queue ---- */

/*
 * Seals header (at `out`, `header_len` bytes, extensions included) and a copy of the payload into
 * the batch of this thread. `index` is the 48-bit packet index (roll-over counter and sequence
 * number) of its SSRC; one index must always carry the same bytes. A batch is for one peer at a
 * time: peer_flush before sending to another. What is flushed while packets that came are handled
 * goes out at the end of that, all peers' together; else at once.
 *
 *	uint8_t *h = peer_out(p);                 room for a whole packet
 *	n = write the header at h;
 *	peer_send_rtp(p, n, payload, len, index);
 *	peer_flush(p);
 */
uint8_t *peer_out(struct peer *p);
void peer_send_rtp(struct peer *p, size_t header_len, const uint8_t *payload, size_t len,
		   uint64_t index);
void peer_flush(struct peer *p);
/* One compound packet, sent at once. */
void peer_send_rtcp(struct peer *p, const uint8_t *packet, size_t len);

#define PEER_PACKET_MAX 1500 /* bytes of header and payload that peer_out has room for */

/* Counters of a thread since its start; read them there. */
struct peer_stats {
	uint64_t rx_packets, rx_bytes;
	uint64_t tx_packets, tx_bytes, tx_calls; /* calls: system calls for them */
	uint64_t tx_dropped;			 /* the socket was full, or an error */
	uint64_t rx_unauthentic;		 /* SRTP or SRTCP refused, replays too */
	uint64_t rx_stray; /* not a packet of ours, too early, or from an address not validated */
};
const struct peer_stats *peer_io_stats(const struct peer_io *io);

#endif
