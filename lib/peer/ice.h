/*
 * ICE (RFC 8445) by libnice: one agent with one component, host candidates only. Whatever there is
 * to know about libnice stands in ice.c and ice_loop.c.
 *
 *	ice_new ── binds, says ufrag, pwd, candidates ── ice_attach ── checks ──> selected(pair)
 *
 * Packets that are not STUN come through `packet` until somebody takes the sockets of a selected
 * pair over (io.h), and always over TCP. ice_new may be called on any thread; after ice_attach an
 * ice belongs to the loop's thread.
 */
#ifndef MSR_PEER_ICE_H
#define MSR_PEER_ICE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "peer.h"
#include "stun.h"

struct ice;
struct loop;

/* The pair that media takes. */
struct ice_pair {
	bool tcp;			       /* then only ice_send can send */
	int fd;				       /* libnice's socket; not ours to close or read */
	struct sockaddr_storage local, remote; /* of the socket and of the other side */
};

struct ice_handler {
	void (*selected)(void *arg, const struct ice_pair *pair);
	/* Something has begun: the first check, or the first candidate of theirs. */
	void (*checking)(void *arg);
	/* The selected pair is gone for good (a TCP connection that ended). */
	void (*lost)(void *arg);
	/* From an address that libnice knows to be the other side's. Lent. */
	void (*packet)(void *arg, uint8_t *p, size_t n);
	/* An authentic STUN message came. */
	void (*alive)(void *arg);
	/* A request of a stranger was dropped. */
	void (*stray)(void *arg);
};

struct ice_config {
	const struct sockaddr_storage *addresses; /* to bind to */
	unsigned n_addresses;
	uint16_t port; /* on all of them; 0: any */
	bool tcp, controlling;
};

/*
 * 0, -EADDRINUSE (on one of the addresses, or all are gone), -EMFILE (or one of them is gone) or
 * -ENOMEM. Fills all of *local.
 */
int ice_new(struct ice **out, const struct ice_config *config, struct peer_local *local);
void ice_attach(struct ice *i, struct loop *loop, const struct ice_handler *handler, void *arg);
/* For one that was not attached, on the thread that has it. Accepts NULL. */
void ice_free(struct ice *i);
/*
 * Ends it; no handler is called any more, but `closed` once the sockets are free, from the loop.
 * Not from within a handler.
 */
void ice_close(struct ice *i, void (*closed)(void *arg), void *arg);

/*
 * STUN that came to a socket of ours beside libnice's, bound to the local address of the selected
 * pair; between bind and filter the kernel gives some of it to the wrong one (io.h). Answers a
 * check of that pair. True when it was authentic.
 */
bool ice_stun(struct ice *i, int fd, const uint8_t *p, size_t n,
	      const struct sockaddr_storage *from);

int ice_set_remote(struct ice *i, const char *ufrag, const char *pwd);
int ice_add_candidate(struct ice *i, const struct peer_candidate *c);
void ice_end_of_candidates(struct ice *i);
int ice_restart(struct ice *i, const char *ufrag, const char *pwd);
/* Random ones, of the characters that RFC 8839 allows. */
void ice_credentials(char ufrag[static PEER_UFRAG_SIZE], char pwd[static PEER_PWD_SIZE]);
/*
 * Writes a check for the selected pair, which a silent peer has to answer (RFC 7675); the answer
 * makes `alive`. Its length.
 */
size_t ice_check(struct ice *i, uint8_t out[static STUN_OUT_MAX]);
/* Over the selected pair. False when it could not go out. */
bool ice_send(struct ice *i, const uint8_t *p, size_t n);

#endif
