/*
 * The sending half of SRTP and SRTCP (RFC 3711, RFC 7714) by OpenSSL: the one thing that is done
 * for every packet to every receiver. It costs half of what libsrtp2 needs for AES-GCM and a
 * third for AES-CM (Debian's sits on NSS, whose SHA-1 is slow, and whose every operation walks a
 * table of all contexts of the process), and encrypts while it copies. Byte for byte the two are
 * equal, and tested to be.
 */
#ifndef MSR_PEER_SEAL_H
#define MSR_PEER_SEAL_H

#include "srtp.h"

struct seal;

/* 0 or -ENOMEM. */
int seal_new(struct seal **out, enum srtp_kind kind, const struct srtp_master *m);
/* Accepts NULL. */
void seal_free(struct seal *s);

/* See srtp_seal_rtp and srtp_seal_rtcp. */
size_t seal_rtp(struct seal *s, uint8_t *out, size_t header_len, const uint8_t *payload, size_t len,
		uint64_t index);
size_t seal_rtcp(struct seal *s, uint8_t *p, size_t n);

#endif
