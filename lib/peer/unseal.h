/*
 * The receiving half of SRTCP (RFC 3711, RFC 7714) by OpenSSL: receivers send feedback all the
 * time, and libsrtp2 needs three times as long for it under AES-GCM, and much memory (Debian's sits
 * on NSS). It is the whole of what comes from who only receives. Replays are the caller's to
 * refuse.
 */
#ifndef MSR_PEER_UNSEAL_H
#define MSR_PEER_UNSEAL_H

#include <stdbool.h>

#include "srtp.h"

struct unseal;

/* 0 or -ENOMEM. */
int unseal_new(struct unseal **out, enum srtp_kind kind, const struct srtp_master *m);
/* Accepts NULL. */
void unseal_free(struct unseal *u);

/* The index of a packet, which is not known to be authentic yet. False when it is too short for
 * one: then it must not be opened. */
bool unseal_index(const struct unseal *u, const uint8_t *p, size_t n, uint32_t *index);
/* In place; *n becomes the length of the plain packet. False when it is not authentic, or not
 * encrypted; its bytes may be lost then. */
bool unseal_rtcp(struct unseal *u, uint8_t *p, size_t *n);

#endif
