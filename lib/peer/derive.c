/* Session keys and nonces: see derive.h. */
#include "derive.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/buf.h"
#include "srtp.h"

#define LABEL_AT 7 /* byte of the counter: the key derivation rate is 0 */
#define OUT_MAX	 20

bool srtp_derive(const struct srtp_master *m, unsigned label, uint8_t *out, size_t n)
{
	static const uint8_t zeros[OUT_MAX];
	uint8_t iv[16] = {0};
	int len = 0;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	memcpy(iv, m->salt, m->salt_len);
	iv[LABEL_AT] ^= (uint8_t)label;
	bool ok = c && n <= OUT_MAX &&
		  EVP_EncryptInit_ex(c, EVP_aes_128_ctr(), NULL, m->key, iv) == 1 &&
		  EVP_EncryptUpdate(c, out, &len, zeros, (int)n) == 1 && len == (int)n;
	EVP_CIPHER_CTX_free(c);
	OPENSSL_cleanse(iv, sizeof(iv));
	return ok;
}

void srtp_gcm_nonce(uint8_t nonce[static SRTP_GCM_NONCE], const uint8_t *salt, const uint8_t *ssrc,
		    uint16_t high, uint32_t low)
{
	put_be16(nonce, 0);
	memcpy(nonce + 2, ssrc, 4);
	put_be16(nonce + 6, high);
	put_be32(nonce + 8, low);
	for (int i = 0; i < SRTP_GCM_NONCE; i++)
		nonce[i] ^= salt[i];
}
