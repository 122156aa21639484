/*
 * The keys of one half, SRTP or SRTCP, in one direction, and what is done with them (RFC 3711, RFC
 * 7714): what sealing and opening have in common.
 *
 * AES-GCM: the tag of 16 bytes follows what is encrypted,
 *
 *	SRTP	nonce 00 00 | SSRC | ROC | SEQ  xor salt, header as associated data
 *	SRTCP	nonce 00 00 | SSRC | 00 00 | index  xor salt, the first 8 bytes and E | index as
 *		associated data; E | index after the tag
 *
 * AES-CM with HMAC-SHA1: the tag of 10 bytes lies behind all,
 *
 *	SRTP	counter 00 00 00 00 | SSRC | ROC | SEQ | 00 00  xor salt; tag over packet | ROC
 *	SRTCP	counter 00 00 00 00 | SSRC | 00 00 | index | 00 00  xor salt; tag over
 *		packet | E | index
 */
#ifndef MSR_PEER_HALF_H
#define MSR_PEER_HALF_H

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "srtp.h"

#define HALF_GCM_TAG	16
#define HALF_CM_TAG	10
#define HALF_RTCP_CLEAR 8 /* bytes of SRTCP that are not encrypted */
#define HALF_TRAILER	4 /* bytes of E and index */
#define HALF_E		0x80000000u
#define HALF_INDEX	0x7fffffffu

enum half_kind { HALF_RTP, HALF_RTCP };

struct half {
	EVP_CIPHER_CTX *ctx; /* holds the session key */
	uint8_t salt[14];
	SHA_CTX inner, outer; /* only AES-CM: HMAC after its key */
};

/* Derives the session keys from the master's, to seal or to open with. False without memory; then
 * half_done is still to be called. */
bool half_init(struct half *h, enum half_kind half, enum srtp_kind kind,
	       const struct srtp_master *m, bool opens);
/* Accepts one that is zeroed. */
void half_done(struct half *h);

/* What is new in each packet: `ssrc` as it stands there; `high` and `low` are the last six bytes of
 * the nonce, or of the counter's part that differs. */
bool half_gcm_begin(const struct half *h, const uint8_t *ssrc, uint16_t high, uint32_t low);
bool half_gcm_aad(const struct half *h, const uint8_t *p, size_t len);

/* Encrypts or decrypts, which is the same; `out` may be `in`. */
bool half_cm_crypt(const struct half *h, const uint8_t *ssrc, uint16_t high, uint32_t low,
		   uint8_t *out, const uint8_t *in, size_t len);
/* Over the packet and the four bytes of `more`. */
void half_cm_tag(const struct half *h, const uint8_t *p, size_t len, uint32_t more,
		 uint8_t tag[static HALF_CM_TAG]);

#endif
