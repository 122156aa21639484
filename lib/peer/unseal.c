/*
 * Opening SRTCP: see unseal.h.
 *
 *	header (8) | encrypted | tag (16) | E, index (4)
 *
 * The header and the last four bytes are associated data. Where E is not set nothing would be
 * encrypted, and all of it be associated data; DTLS never agrees on that (RFC 5764 section 4.1.2),
 * and such a packet is refused, for its tag is not that of these.
 */
#include "unseal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/buf.h"
#include "derive.h"

#define TRAILER 4 /* bytes of E and index */

_Static_assert(UNSEAL_MIN == SRTP_RTCP_CLEAR + SRTP_GCM_TAG + TRAILER, "the shortest packet");

struct unseal {
	EVP_CIPHER_CTX *ctx; /* holds the session key */
	uint8_t salt[SRTP_GCM_NONCE];
};

static bool set_key(struct unseal *u, const struct srtp_master *m)
{
	uint8_t key[SRTP_KEY_LEN];

	u->ctx = EVP_CIPHER_CTX_new();
	bool ok = u->ctx && srtp_derive(m, LABELS_RTCP + LABEL_KEY, key, sizeof(key)) &&
		  srtp_derive(m, LABELS_RTCP + LABEL_SALT, u->salt, sizeof(u->salt)) &&
		  EVP_DecryptInit_ex(u->ctx, EVP_aes_128_gcm(), NULL, key, NULL) == 1;
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}

int unseal_new(struct unseal **out, const struct srtp_master *m)
{
	struct unseal *u = calloc(1, sizeof(*u));

	if (!u || !set_key(u, m)) {
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
	EVP_CIPHER_CTX_free(u->ctx);
	OPENSSL_cleanse(u, sizeof(*u));
	free(u);
}

uint32_t unseal_rtcp_index(const uint8_t *p, size_t n)
{
	return get_be32(p + n - TRAILER) & SRTP_RTCP_INDEX;
}

bool unseal_rtcp(struct unseal *u, uint8_t *p, size_t *n)
{
	size_t len = *n - SRTP_GCM_TAG - TRAILER; /* of the plain packet */
	uint8_t *tag = p + len, *trailer = tag + SRTP_GCM_TAG, nonce[SRTP_GCM_NONCE];
	uint8_t *secret = p + SRTP_RTCP_CLEAR;
	size_t secret_len = len - SRTP_RTCP_CLEAR;
	int out, last;

	srtp_gcm_nonce(nonce, u->salt, p + 4, 0, unseal_rtcp_index(p, *n));
	if (EVP_DecryptInit_ex(u->ctx, NULL, NULL, NULL, nonce) != 1 ||
	    EVP_CIPHER_CTX_ctrl(u->ctx, EVP_CTRL_AEAD_SET_TAG, SRTP_GCM_TAG, tag) != 1 ||
	    EVP_DecryptUpdate(u->ctx, NULL, &out, p, SRTP_RTCP_CLEAR) != 1 ||
	    EVP_DecryptUpdate(u->ctx, NULL, &out, trailer, TRAILER) != 1 ||
	    (secret_len && EVP_DecryptUpdate(u->ctx, secret, &out, secret, (int)secret_len) != 1) ||
	    EVP_DecryptFinal_ex(u->ctx, tag, &last) != 1)
		return false;
	*n = len;
	return true;
}
