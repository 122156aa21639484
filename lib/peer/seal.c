/*
 * Sealing: see seal.h.
 *
 * AES-GCM, RFC 7714: the tag of 16 bytes follows what is encrypted,
 *
 *	SRTP	nonce 00 00 | SSRC | ROC | SEQ  xor salt, header as associated data
 *	SRTCP	nonce 00 00 | SSRC | 00 00 | index  xor salt, the first 8 bytes and E | index as
 *		associated data; E | index after the tag
 *
 * AES-CM with HMAC-SHA1, RFC 3711: the tag of 10 bytes lies behind all,
 *
 *	SRTP	counter 00 00 00 00 | SSRC | ROC | SEQ | 00 00  xor salt; tag over packet | ROC
 *	SRTCP	counter 00 00 00 00 | SSRC | 00 00 | index | 00 00  xor salt; tag over
 *		packet | E | index
 */
/*
 * HMAC begins each packet from two states that depend on the key alone. Copies of a SHA_CTX are
 * assignments; EVP, which is to replace it, allocates for each.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "seal.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "derive.h"

#define AUTH_KEY   20
#define CM_COUNTER 16
#define CM_SALT	   14
#define CM_TAG	   10
#define SHA_BLOCK  64

_Static_assert(SRTP_TAIL_MAX >= SRTP_GCM_TAG + 4 /* E bit and index of SRTCP */,
	       "room for the tail");

/* SRTP or SRTCP. */
struct half {
	EVP_CIPHER_CTX *ctx; /* holds the session key */
	uint8_t salt[CM_SALT];
	SHA_CTX inner, outer; /* only AES-CM: HMAC after its key */
};

struct seal {
	enum srtp_kind kind;
	struct half rtp, rtcp;
	uint32_t rtcp_index;
};

/* ---- keys ---- */

/* RFC 2104: the hash of the padded key, from which those of the message and of the hash continue.
 */
static void hmac_key(SHA_CTX *c, const uint8_t key[static AUTH_KEY], uint8_t pad)
{
	uint8_t block[SHA_BLOCK];

	memset(block, pad, sizeof(block));
	for (int i = 0; i < AUTH_KEY; i++)
		block[i] ^= key[i];
	SHA1_Init(c);
	SHA1_Update(c, block, sizeof(block));
	OPENSSL_cleanse(block, sizeof(block));
}

static bool half_init(struct half *h, enum srtp_kind kind, const struct srtp_master *m,
		      unsigned labels)
{
	uint8_t key[SRTP_KEY_LEN], auth[AUTH_KEY];
	bool gcm = kind == SRTP_AES_GCM;

	h->ctx = EVP_CIPHER_CTX_new();
	bool ok = h->ctx && srtp_derive(m, labels + LABEL_KEY, key, sizeof(key)) &&
		  srtp_derive(m, labels + LABEL_AUTH, auth, sizeof(auth)) &&
		  srtp_derive(m, labels + LABEL_SALT, h->salt, gcm ? SRTP_GCM_NONCE : CM_SALT) &&
		  EVP_EncryptInit_ex(h->ctx, gcm ? EVP_aes_128_gcm() : EVP_aes_128_ctr(), NULL, key,
				     NULL) == 1;
	if (ok && !gcm) {
		hmac_key(&h->inner, auth, 0x36);
		hmac_key(&h->outer, auth, 0x5c);
	}
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(auth, sizeof(auth));
	return ok;
}

int seal_new(struct seal **out, enum srtp_kind kind, const struct srtp_master *m)
{
	struct seal *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->kind = kind;
	if (!half_init(&s->rtp, kind, m, 0) || !half_init(&s->rtcp, kind, m, LABELS_RTCP)) {
		seal_free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	EVP_CIPHER_CTX_free(s->rtp.ctx);
	EVP_CIPHER_CTX_free(s->rtcp.ctx);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

/* ---- AES-GCM ---- */

/* What is new in each packet: `high` and `low` are the nonce's last six bytes. */
static bool gcm_begin(const struct half *h, const uint8_t *ssrc, uint16_t high, uint32_t low)
{
	uint8_t nonce[SRTP_GCM_NONCE];

	srtp_gcm_nonce(nonce, h->salt, ssrc, high, low);
	return EVP_EncryptInit_ex(h->ctx, NULL, NULL, NULL, nonce) == 1;
}

static bool gcm_aad(const struct half *h, const uint8_t *p, size_t len)
{
	int n;

	return EVP_EncryptUpdate(h->ctx, NULL, &n, p, (int)len) == 1;
}

static bool gcm_seal(const struct half *h, uint8_t *out, const uint8_t *in, size_t len)
{
	int n = 0, m = 0;

	return (!len || EVP_EncryptUpdate(h->ctx, out, &m, in, (int)len) == 1) &&
	       EVP_EncryptFinal_ex(h->ctx, out + m, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(h->ctx, EVP_CTRL_AEAD_GET_TAG, SRTP_GCM_TAG, out + len) == 1;
}

/* ---- AES-CM ---- */

static bool cm_seal(const struct half *h, const uint8_t *ssrc, uint16_t high, uint32_t low,
		    uint8_t *out, const uint8_t *in, size_t len)
{
	uint8_t counter[CM_COUNTER] = {0};
	int n = 0;

	memcpy(counter + 4, ssrc, 4);
	put_be16(counter + 8, high);
	put_be32(counter + 10, low);
	for (int i = 0; i < CM_SALT; i++)
		counter[i] ^= h->salt[i];
	return EVP_EncryptInit_ex(h->ctx, NULL, NULL, NULL, counter) == 1 &&
	       (!len || EVP_EncryptUpdate(h->ctx, out, &n, in, (int)len) == 1);
}

static void cm_tag(const struct half *h, const uint8_t *p, size_t len, uint32_t more, uint8_t *tag)
{
	uint8_t digest[SHA_DIGEST_LENGTH], last[4];
	SHA_CTX c = h->inner;

	put_be32(last, more);
	SHA1_Update(&c, p, len);
	SHA1_Update(&c, last, sizeof(last));
	SHA1_Final(digest, &c);
	c = h->outer;
	SHA1_Update(&c, digest, sizeof(digest));
	SHA1_Final(digest, &c);
	memcpy(tag, digest, CM_TAG);
}

/* ---- packets ---- */

size_t seal_rtp(struct seal *s, uint8_t *out, size_t header_len, const uint8_t *payload, size_t len,
		uint64_t index)
{
	const struct half *h = &s->rtp;
	uint16_t high = (uint16_t)(index >> 32);
	size_t n = header_len + len;

	if (s->kind == SRTP_AES_GCM)
		return gcm_begin(h, out + 8, high, (uint32_t)index) &&
			       gcm_aad(h, out, header_len) &&
			       gcm_seal(h, out + header_len, payload, len)
			   ? n + SRTP_GCM_TAG
			   : 0;
	if (!cm_seal(h, out + 8, high, (uint32_t)index, out + header_len, payload, len))
		return 0;
	cm_tag(h, out, n, (uint32_t)(index >> 16), out + n);
	return n + CM_TAG;
}

size_t seal_rtcp(struct seal *s, uint8_t *p, size_t n)
{
	const struct half *h = &s->rtcp;
	uint8_t trailer[4], *secret = p + SRTP_RTCP_CLEAR;

	/* One index over all our SSRCs: RFC 3711 wants it to grow for each, not to be dense. */
	if (n < SRTP_RTCP_CLEAR || s->rtcp_index == SRTP_RTCP_INDEX)
		return 0;
	uint32_t index = ++s->rtcp_index;
	put_be32(trailer, SRTP_RTCP_E | index);
	if (s->kind == SRTP_AES_GCM) {
		if (!gcm_begin(h, p + 4, 0, index) || !gcm_aad(h, p, SRTP_RTCP_CLEAR) ||
		    !gcm_aad(h, trailer, sizeof(trailer)) ||
		    !gcm_seal(h, secret, secret, n - SRTP_RTCP_CLEAR))
			return 0;
		memcpy(p + n + SRTP_GCM_TAG, trailer, sizeof(trailer));
		return n + SRTP_GCM_TAG + sizeof(trailer);
	}
	if (!cm_seal(h, p + 4, 0, index, secret, secret, n - SRTP_RTCP_CLEAR))
		return 0;
	memcpy(p + n, trailer, sizeof(trailer));
	cm_tag(h, p, n, SRTP_RTCP_E | index, p + n + sizeof(trailer));
	return n + sizeof(trailer) + CM_TAG;
}
