/*
 * DTLS 1.2 (RFC 6347) by OpenSSL, for the keys of DTLS-SRTP (RFC 5764). Datagrams in, datagrams
 * out, each record its own; no sockets here.
 *
 *	dtls_packet ──> handshake ── send(datagram) ...
 *	                    └─ ready(profile, keys) once the certificate is the signalled one
 */
#ifndef MSR_PEER_DTLS_H
#define MSR_PEER_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"
#include "srtp.h"

struct dtls;
struct dtls_identity;

#define DTLS_MTU	1200	 /* bytes of a datagram: what every path of the Internet carries */
#define DTLS_TIMEOUT_US 30000000 /* for the whole handshake */

/* Whether a datagram is DTLS (RFC 7983). */
static inline bool dtls_is(const uint8_t *p, size_t n)
{
	return n >= 13 && p[0] >= 20 && p[0] <= 63;
}

/*
 * Certificate and key of the process, newly made: ECDSA P-256. `gcm`: whether AES-GCM is offered,
 * before AES-CM. 0 or -ENOMEM.
 */
int dtls_identity_new(struct dtls_identity **out, bool gcm);
void dtls_identity_free(struct dtls_identity *id);
/* SHA-256 of the certificate, 32 bytes, lent. */
const uint8_t *dtls_identity_hash(const struct dtls_identity *id);

struct dtls_handler {
	void (*send)(void *arg, const uint8_t *p, size_t n);
	void (*ready)(void *arg, enum srtp_kind kind, const struct srtp_master *ours,
		      const struct srtp_master *theirs);
	/* Failed, timed out (-EPROTO), another certificate (-EACCES), or they closed (0). */
	void (*ended)(void *arg, int why);
};

/* `handler` and `arg` live as long as the dtls. 0, -EINVAL for an unknown hash, or -ENOMEM. */
int dtls_new(struct dtls **out, const struct dtls_identity *id, struct loop *loop, bool client,
	     const char *hash, const uint8_t *fingerprint, size_t len,
	     const struct dtls_handler *handler, void *arg);
/* Not from within a handler. Accepts NULL. */
void dtls_free(struct dtls *d);
/* Sends the first flight, as client. */
void dtls_start(struct dtls *d);
void dtls_packet(struct dtls *d, const uint8_t *p, size_t n);
/* Says goodbye: close_notify. */
void dtls_goodbye(struct dtls *d);

#endif
