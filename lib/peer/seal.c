/* Sealing: see seal.h. */
#include "seal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "half.h"

_Static_assert(SRTP_TAIL_MAX >= HALF_GCM_TAG + HALF_TRAILER, "room for the tail");

struct seal {
	enum srtp_kind kind;
	struct half rtp, rtcp;
	uint32_t rtcp_index;
};

int seal_new(struct seal **out, enum srtp_kind kind, const struct srtp_master *m)
{
	struct seal *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->kind = kind;
	if (!half_init(&s->rtp, HALF_RTP, kind, m, false) ||
	    !half_init(&s->rtcp, HALF_RTCP, kind, m, false)) {
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
	half_done(&s->rtp);
	half_done(&s->rtcp);
	free(s);
}

static bool gcm_seal(const struct half *h, uint8_t *out, const uint8_t *in, size_t len)
{
	int n = 0, m = 0;

	return (!len || EVP_EncryptUpdate(h->ctx, out, &m, in, (int)len) == 1) &&
	       EVP_EncryptFinal_ex(h->ctx, out + m, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(h->ctx, EVP_CTRL_AEAD_GET_TAG, HALF_GCM_TAG, out + len) == 1;
}

size_t seal_rtp(struct seal *s, uint8_t *out, size_t header_len, const uint8_t *payload, size_t len,
		uint64_t index)
{
	const struct half *h = &s->rtp;
	uint16_t high = (uint16_t)(index >> 32);
	size_t n = header_len + len;

	if (s->kind == SRTP_AES_GCM)
		return half_gcm_begin(h, out + 8, high, (uint32_t)index) &&
			       half_gcm_aad(h, out, header_len) &&
			       gcm_seal(h, out + header_len, payload, len)
			   ? n + HALF_GCM_TAG
			   : 0;
	if (!half_cm_crypt(h, out + 8, high, (uint32_t)index, out + header_len, payload, len))
		return 0;
	half_cm_tag(h, out, n, (uint32_t)(index >> 16), out + n);
	return n + HALF_CM_TAG;
}

size_t seal_rtcp(struct seal *s, uint8_t *p, size_t n)
{
	const struct half *h = &s->rtcp;
	uint8_t trailer[HALF_TRAILER], *secret = p + HALF_RTCP_CLEAR;

	/* One index over all our SSRCs: RFC 3711 wants it to grow for each, not to be dense. */
	if (n < HALF_RTCP_CLEAR || s->rtcp_index == HALF_INDEX)
		return 0;
	uint32_t index = ++s->rtcp_index;
	put_be32(trailer, HALF_E | index);
	if (s->kind == SRTP_AES_GCM) {
		if (!half_gcm_begin(h, p + 4, 0, index) || !half_gcm_aad(h, p, HALF_RTCP_CLEAR) ||
		    !half_gcm_aad(h, trailer, sizeof(trailer)) ||
		    !gcm_seal(h, secret, secret, n - HALF_RTCP_CLEAR))
			return 0;
		memcpy(p + n + HALF_GCM_TAG, trailer, sizeof(trailer));
		return n + HALF_GCM_TAG + sizeof(trailer);
	}
	if (!half_cm_crypt(h, p + 4, 0, index, secret, secret, n - HALF_RTCP_CLEAR))
		return 0;
	memcpy(p + n, trailer, sizeof(trailer));
	half_cm_tag(h, p, n, HALF_E | index, p + n + sizeof(trailer));
	return n + sizeof(trailer) + HALF_CM_TAG;
}
