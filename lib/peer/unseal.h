/*
 * Opening SRTCP under AES-GCM (RFC 7714 section 9) by OpenSSL: receivers send feedback all the
 * time, and libsrtp2 needs several times as long for it, and much memory (Debian's sits on NSS). It
 * is the whole of what comes from who only receives. Replays are the caller's to refuse.
 */
#ifndef MSR_PEER_UNSEAL_H
#define MSR_PEER_UNSEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNSEAL_MIN 28 /* bytes of the shortest packet: header, tag, index */

struct srtp_master;
struct unseal;

/* 0 or -ENOMEM. */
int unseal_new(struct unseal **out, const struct srtp_master *m);
/* Accepts NULL. */
void unseal_free(struct unseal *u);

/* The index of a packet of at least UNSEAL_MIN bytes, which is not known to be authentic yet. */
uint32_t unseal_rtcp_index(const uint8_t *p, size_t n);
/* In place; *n, at least UNSEAL_MIN, becomes the length of the plain packet. False when it is not
 * authentic: its bytes are lost then. */
bool unseal_rtcp(struct unseal *u, uint8_t *p, size_t *n);

#endif
