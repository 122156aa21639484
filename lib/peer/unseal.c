/*
 * Opening SRTCP: see unseal.h.
 *
 *	AES-GCM	header (8) | encrypted | tag (16) | E, index (4)
 *	AES-CM	header (8) | encrypted | E, index (4) | tag (10)
 *
 * What DTLS agrees on is always encrypted (RFC 5764 section 4.1.2), so E is set. Where it is not,
 * AES-GCM would have all of the packet as associated data, and the tag does not fit.
 */
#include "unseal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/buf.h"
#include "half.h"

struct unseal {
	enum srtp_kind kind;
	struct half rtcp;
};

int unseal_new(struct unseal **out, enum srtp_kind kind, const struct srtp_master *m)
{
	struct unseal *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->kind = kind;
	if (!half_init(&u->rtcp, HALF_RTCP, kind, m, true)) {
		unseal_free(u);
		return -ENOMEM;
	}
	*out = u;
	return 0;
}

void unseal_free(struct unseal *u)
{
	if (!u)
		return;
	half_done(&u->rtcp);
	free(u);
}

static size_t tail(const struct unseal *u)
{
	return HALF_TRAILER + (u->kind == SRTP_AES_GCM ? HALF_GCM_TAG : HALF_CM_TAG);
}

/* E and index, behind the tag or before it. */
static uint32_t trailer(const struct unseal *u, const uint8_t *p, size_t n)
{
	return get_be32(p + n - (u->kind == SRTP_AES_GCM ? HALF_TRAILER : tail(u)));
}

bool unseal_index(const struct unseal *u, const uint8_t *p, size_t n, uint32_t *index)
{
	if (n < HALF_RTCP_CLEAR + tail(u))
		return false;
	*index = trailer(u, p, n) & HALF_INDEX;
	return true;
}

/* `len` bytes of header and secret. */
static bool open_gcm(const struct half *h, uint8_t *p, size_t len, uint32_t index)
{
	uint8_t *secret = p + HALF_RTCP_CLEAR, *tag = p + len;
	int n = (int)(len - HALF_RTCP_CLEAR), out;

	return half_gcm_begin(h, p + 4, 0, index) &&
	       EVP_CIPHER_CTX_ctrl(h->ctx, EVP_CTRL_AEAD_SET_TAG, HALF_GCM_TAG, tag) == 1 &&
	       half_gcm_aad(h, p, HALF_RTCP_CLEAR) &&
	       half_gcm_aad(h, tag + HALF_GCM_TAG, HALF_TRAILER) &&
	       (!n || EVP_DecryptUpdate(h->ctx, secret, &out, secret, n) == 1) &&
	       EVP_DecryptFinal_ex(h->ctx, tag, &out) == 1;
}

static bool open_cm(const struct half *h, uint8_t *p, size_t len, uint32_t end)
{
	uint8_t *secret = p + HALF_RTCP_CLEAR, tag[HALF_CM_TAG];

	half_cm_tag(h, p, len, end, tag);
	return !CRYPTO_memcmp(tag, p + len + HALF_TRAILER, sizeof(tag)) && (end & HALF_E) &&
	       half_cm_crypt(h, p + 4, 0, end & HALF_INDEX, secret, secret, len - HALF_RTCP_CLEAR);
}

bool unseal_rtcp(struct unseal *u, uint8_t *p, size_t *n)
{
	uint32_t end = trailer(u, p, *n);
	size_t len = *n - tail(u);

	if (!(u->kind == SRTP_AES_GCM ? open_gcm(&u->rtcp, p, len, end & HALF_INDEX)
				      : open_cm(&u->rtcp, p, len, end)))
		return false;
	*n = len;
	return true;
}
