/*
 * SRTP: see srtp.h.
 *
 * AES-GCM by EVP, RFC 7714: the nonce is 00 00 | SSRC | ROC | SEQ xor the session salt, the
 * header is associated data, the tag of 16 bytes follows the payload. Session key and salt come
 * from the master key by RFC 3711 section 4.3: AES in counter mode over a label.
 */
#include "srtp.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <srtp2/srtp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define RTP_MIN	      12
#define RTCP_MIN      8
#define GCM_TAG	      16
#define GCM_NONCE     12
#define REPLAY_WINDOW 1024 /* packets; loss and reordering reach far back in RTX times */
#define LABEL_KEY     0x00
#define LABEL_SALT    0x02

_Static_assert(SRTP_TAIL_MAX >= GCM_TAG + 4 /* E bit and index of SRTCP */, "room for the tail");

struct srtp_session {
	srtp_t in, out;
	EVP_CIPHER_CTX *gcm; /* NULL with AES-CM */
	uint8_t salt[GCM_NONCE];
	uint32_t seen[SRTP_SSRC_MAX]; /* SSRCs of theirs that had a valid packet */
	unsigned n_seen;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static srtp_err_status_t init_status;

static void init(void)
{
	init_status = srtp_init();
}

/* ---- key derivation ---- */

static bool derive(const struct srtp_master *m, uint8_t label, uint8_t *out, int n)
{
	static const uint8_t zeros[16];
	uint8_t iv[16] = {0};
	int len = 0;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	memcpy(iv, m->salt, m->salt_len);
	iv[7] ^= label;
	bool ok = c && EVP_EncryptInit_ex(c, EVP_aes_128_ctr(), NULL, m->key, iv) == 1 &&
		  EVP_EncryptUpdate(c, out, &len, zeros, n) == 1 && len == n;
	EVP_CIPHER_CTX_free(c);
	OPENSSL_cleanse(iv, sizeof(iv));
	return ok;
}

static bool gcm_init(struct srtp_session *s, const struct srtp_master *m)
{
	uint8_t key[16];

	s->gcm = EVP_CIPHER_CTX_new();
	bool ok = s->gcm && derive(m, LABEL_KEY, key, sizeof(key)) &&
		  derive(m, LABEL_SALT, s->salt, sizeof(s->salt)) &&
		  EVP_EncryptInit_ex(s->gcm, EVP_aes_128_gcm(), NULL, key, NULL) == 1;
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}

/* ---- sessions ---- */

static int library_session(srtp_t *out, enum srtp_kind kind, const struct srtp_master *m,
			   srtp_ssrc_type_t direction)
{
	uint8_t key[sizeof(m->key) + sizeof(m->salt)] = {0};
	srtp_policy_t p = {
	    .ssrc.type = direction, .key = key, .window_size = REPLAY_WINDOW, .allow_repeat_tx = 1};

	if (kind == SRTP_AES_GCM) {
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&p.rtp);
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&p.rtcp);
	} else {
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p.rtp);
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p.rtcp);
	}
	memcpy(key, m->key, sizeof(m->key));
	memcpy(key + sizeof(m->key), m->salt, m->salt_len);
	srtp_err_status_t status = srtp_create(out, &p);
	OPENSSL_cleanse(key, sizeof(key));
	return status == srtp_err_status_ok	      ? 0
	       : status == srtp_err_status_alloc_fail ? -ENOMEM
						      : -EINVAL;
}

int srtp_session_new(struct srtp_session **out, enum srtp_kind kind, const struct srtp_master *ours,
		     const struct srtp_master *theirs)
{
	pthread_once(&once, init);
	if (init_status != srtp_err_status_ok)
		return -EINVAL;
	struct srtp_session *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	int ret = library_session(&s->in, kind, theirs, ssrc_any_inbound);
	if (!ret)
		ret = library_session(&s->out, kind, ours, ssrc_any_outbound);
	if (!ret && kind == SRTP_AES_GCM && !gcm_init(s, ours))
		ret = -ENOMEM;
	if (ret < 0) {
		srtp_session_free(s);
		return ret;
	}
	*out = s;
	return 0;
}

void srtp_session_free(struct srtp_session *s)
{
	if (!s)
		return;
	if (s->in)
		srtp_dealloc(s->in);
	if (s->out)
		srtp_dealloc(s->out);
	EVP_CIPHER_CTX_free(s->gcm);
	OPENSSL_cleanse(s->salt, sizeof(s->salt));
	free(s);
}

/* ---- opening ---- */

/* libsrtp2 keeps a stream for each SSRC for ever and searches them one by one. */
static bool admit(const struct srtp_session *s, uint32_t ssrc, bool *known)
{
	for (unsigned i = 0; i < s->n_seen; i++)
		if (s->seen[i] == ssrc)
			return *known = true;
	*known = false;
	return s->n_seen < SRTP_SSRC_MAX;
}

int srtp_open_rtp(struct srtp_session *s, uint8_t *p, size_t *n)
{
	bool known;
	int len = (int)*n;

	if (*n < RTP_MIN)
		return -EBADMSG;
	uint32_t ssrc = get_be32(p + 8);
	if (!admit(s, ssrc, &known) || srtp_unprotect(s->in, p, &len) != srtp_err_status_ok)
		return -EBADMSG;
	if (!known)
		s->seen[s->n_seen++] = ssrc;
	*n = (size_t)len;
	return 0;
}

int srtp_open_rtcp(struct srtp_session *s, uint8_t *p, size_t *n)
{
	bool known;
	int len = (int)*n;

	/* Shorter than header and trailer: do not let the library find out by itself. */
	if (*n < RTCP_MIN + 4 + 10)
		return -EBADMSG;
	uint32_t ssrc = get_be32(p + 4);
	if (!admit(s, ssrc, &known) || srtp_unprotect_rtcp(s->in, p, &len) != srtp_err_status_ok)
		return -EBADMSG;
	if (!known)
		s->seen[s->n_seen++] = ssrc;
	*n = (size_t)len;
	return 0;
}

/* ---- sealing ---- */

size_t srtp_seal_reference(struct srtp_session *s, uint8_t *out, size_t header_len,
			   const uint8_t *payload, size_t len)
{
	int n = (int)(header_len + len);

	memcpy(out + header_len, payload, len);
	return srtp_protect(s->out, out, &n) == srtp_err_status_ok ? (size_t)n : 0;
}

size_t srtp_seal_rtp(struct srtp_session *s, uint8_t *out, size_t header_len,
		     const uint8_t *payload, size_t len, uint64_t index)
{
	uint8_t nonce[GCM_NONCE];
	int n = 0, m = 0;

	if (!s->gcm)
		return srtp_seal_reference(s, out, header_len, payload, len);
	uint8_t *body = out + header_len;
	put_be16(nonce, 0);
	memcpy(nonce + 2, out + 8, 4);
	put_be16(nonce + 6, (uint16_t)(index >> 32));
	put_be32(nonce + 8, (uint32_t)index);
	for (int i = 0; i < GCM_NONCE; i++)
		nonce[i] ^= s->salt[i];
	if (EVP_EncryptInit_ex(s->gcm, NULL, NULL, NULL, nonce) != 1 ||
	    EVP_EncryptUpdate(s->gcm, NULL, &n, out, (int)header_len) != 1 ||
	    (len && EVP_EncryptUpdate(s->gcm, body, &m, payload, (int)len) != 1) ||
	    EVP_EncryptFinal_ex(s->gcm, body + m, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(s->gcm, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, body + len) != 1)
		return 0;
	return header_len + len + GCM_TAG;
}

size_t srtp_seal_rtcp(struct srtp_session *s, uint8_t *p, size_t n)
{
	int len = (int)n;

	return srtp_protect_rtcp(s->out, p, &len) == srtp_err_status_ok ? (size_t)len : 0;
}
