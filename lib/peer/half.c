/* Keys of SRTP or SRTCP: see half.h. */
/*
 * HMAC begins each packet from two states that depend on the key alone. Copies of a SHA_CTX are
 * assignments; EVP, which is to replace it, allocates for each.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "half.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/buf.h"

#define KEY_LEN	   16
#define AUTH_KEY   20
#define GCM_NONCE  12
#define CM_COUNTER 16
#define CM_SALT	   14
#define SHA_BLOCK  64

_Static_assert(sizeof(((struct half *)0)->salt) >= CM_SALT, "the longest salt");

/* RFC 3711 section 4.3.2; those of SRTCP are 3 more. */
enum label { LABEL_KEY = 0, LABEL_AUTH = 1, LABEL_SALT = 2, LABELS_RTCP = 3 };

/* ---- keys ---- */

/* RFC 3711 section 4.3: AES in counter mode over a label. */
static bool derive(const struct srtp_master *m, unsigned label, uint8_t *out, int n)
{
	static const uint8_t zeros[AUTH_KEY];
	uint8_t iv[16] = {0};
	int len = 0;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	memcpy(iv, m->salt, m->salt_len);
	iv[7] ^= (uint8_t)label;
	bool ok = c && EVP_EncryptInit_ex(c, EVP_aes_128_ctr(), NULL, m->key, iv) == 1 &&
		  EVP_EncryptUpdate(c, out, &len, zeros, n) == 1 && len == n;
	EVP_CIPHER_CTX_free(c);
	OPENSSL_cleanse(iv, sizeof(iv));
	return ok;
}

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

bool half_init(struct half *h, enum half_kind half, enum srtp_kind kind,
	       const struct srtp_master *m, bool opens)
{
	uint8_t key[KEY_LEN], auth[AUTH_KEY];
	unsigned labels = half == HALF_RTCP ? LABELS_RTCP : 0;
	bool gcm = kind == SRTP_AES_GCM;

	h->ctx = EVP_CIPHER_CTX_new();
	bool ok = h->ctx && derive(m, labels + LABEL_KEY, key, sizeof(key)) &&
		  derive(m, labels + LABEL_AUTH, auth, sizeof(auth)) &&
		  derive(m, labels + LABEL_SALT, h->salt, gcm ? GCM_NONCE : CM_SALT) &&
		  EVP_CipherInit_ex(h->ctx, gcm ? EVP_aes_128_gcm() : EVP_aes_128_ctr(), NULL, key,
				    NULL, !opens) == 1;
	if (ok && !gcm) {
		hmac_key(&h->inner, auth, 0x36);
		hmac_key(&h->outer, auth, 0x5c);
	}
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(auth, sizeof(auth));
	return ok;
}

void half_done(struct half *h)
{
	EVP_CIPHER_CTX_free(h->ctx);
	OPENSSL_cleanse(h, sizeof(*h));
}

/* ---- AES-GCM ---- */

bool half_gcm_begin(const struct half *h, const uint8_t *ssrc, uint16_t high, uint32_t low)
{
	uint8_t nonce[GCM_NONCE];

	put_be16(nonce, 0);
	memcpy(nonce + 2, ssrc, 4);
	put_be16(nonce + 6, high);
	put_be32(nonce + 8, low);
	for (int i = 0; i < GCM_NONCE; i++)
		nonce[i] ^= h->salt[i];
	return EVP_CipherInit_ex(h->ctx, NULL, NULL, NULL, nonce, -1) == 1;
}

bool half_gcm_aad(const struct half *h, const uint8_t *p, size_t len)
{
	int n;

	return EVP_CipherUpdate(h->ctx, NULL, &n, p, (int)len) == 1;
}

/* ---- AES-CM ---- */

bool half_cm_crypt(const struct half *h, const uint8_t *ssrc, uint16_t high, uint32_t low,
		   uint8_t *out, const uint8_t *in, size_t len)
{
	uint8_t counter[CM_COUNTER] = {0};
	int n = 0;

	memcpy(counter + 4, ssrc, 4);
	put_be16(counter + 8, high);
	put_be32(counter + 10, low);
	for (int i = 0; i < CM_SALT; i++)
		counter[i] ^= h->salt[i];
	return EVP_CipherInit_ex(h->ctx, NULL, NULL, NULL, counter, -1) == 1 &&
	       (!len || EVP_CipherUpdate(h->ctx, out, &n, in, (int)len) == 1);
}

void half_cm_tag(const struct half *h, const uint8_t *p, size_t len, uint32_t more,
		 uint8_t tag[static HALF_CM_TAG])
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
	memcpy(tag, digest, HALF_CM_TAG);
}
