/*
 * SRTP: see srtp.h.
 *
 * AES-GCM by EVP, RFC 7714, key and salt from the master's by RFC 3711 section 4.3 (AES in counter
 * mode over a label), the tag of 16 bytes behind what is encrypted:
 *
 *	SRTP	nonce 00 00 | SSRC | ROC | SEQ  xor salt, header as associated data
 *	SRTCP	nonce 00 00 | SSRC | 00 00 | index  xor salt, the first 8 bytes and E | index as
 *		associated data; E | index behind the tag
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
#define RTCP_CLEAR    8	   /* bytes of SRTCP that are not encrypted */
#define RTCP_E	      0x80000000u
#define RTCP_INDEX    0x7fffffffu

/* RFC 3711 section 4.3.2 */
enum label { LABEL_RTP_KEY = 0, LABEL_RTP_SALT = 2, LABEL_RTCP_KEY = 3, LABEL_RTCP_SALT = 5 };

_Static_assert(SRTP_TAIL_MAX >= GCM_TAG + 4 /* E bit and index of SRTCP */, "room for the tail");

/* Half of an AES-GCM session that sends. */
struct gcm {
	EVP_CIPHER_CTX *ctx; /* NULL with AES-CM */
	uint8_t salt[GCM_NONCE];
};

struct srtp_session {
	srtp_t in, out;	      /* out: only with AES-CM */
	struct gcm rtp, rtcp; /* only with AES-GCM */
	uint32_t rtcp_index;
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

static bool gcm_init(struct gcm *g, const struct srtp_master *m, enum label key_label,
		     enum label salt_label)
{
	uint8_t key[16];

	g->ctx = EVP_CIPHER_CTX_new();
	bool ok = g->ctx && derive(m, (uint8_t)key_label, key, sizeof(key)) &&
		  derive(m, (uint8_t)salt_label, g->salt, sizeof(g->salt)) &&
		  EVP_EncryptInit_ex(g->ctx, EVP_aes_128_gcm(), NULL, key, NULL) == 1;
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}

static void gcm_done(struct gcm *g)
{
	EVP_CIPHER_CTX_free(g->ctx);
	OPENSSL_cleanse(g->salt, sizeof(g->salt));
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
	if (!ret && kind == SRTP_AES_CM)
		ret = library_session(&s->out, kind, ours, ssrc_any_outbound);
	else if (!ret && !(gcm_init(&s->rtp, ours, LABEL_RTP_KEY, LABEL_RTP_SALT) &&
			   gcm_init(&s->rtcp, ours, LABEL_RTCP_KEY, LABEL_RTCP_SALT)))
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
	gcm_done(&s->rtp);
	gcm_done(&s->rtcp);
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

/* What is new in each packet: `high` and `low` are the nonce's last six bytes. */
static void make_nonce(const struct gcm *g, uint8_t *nonce, const uint8_t *ssrc, uint16_t high,
		       uint32_t low)
{
	put_be16(nonce, 0);
	memcpy(nonce + 2, ssrc, 4);
	put_be16(nonce + 6, high);
	put_be32(nonce + 8, low);
	for (int i = 0; i < GCM_NONCE; i++)
		nonce[i] ^= g->salt[i];
}

static bool gcm_seal(const struct gcm *g, uint8_t *out, const uint8_t *in, size_t len)
{
	int n = 0, m = 0;

	return (!len || EVP_EncryptUpdate(g->ctx, out, &m, in, (int)len) == 1) &&
	       EVP_EncryptFinal_ex(g->ctx, out + m, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(g->ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG, out + len) == 1;
}

static bool gcm_begin(const struct gcm *g, const uint8_t *nonce)
{
	return EVP_EncryptInit_ex(g->ctx, NULL, NULL, NULL, nonce) == 1;
}

static bool gcm_aad(const struct gcm *g, const uint8_t *p, size_t len)
{
	int n;

	return EVP_EncryptUpdate(g->ctx, NULL, &n, p, (int)len) == 1;
}

size_t srtp_seal_rtp(struct srtp_session *s, uint8_t *out, size_t header_len,
		     const uint8_t *payload, size_t len, uint64_t index)
{
	uint8_t nonce[GCM_NONCE];

	if (!s->rtp.ctx) {
		int n = (int)(header_len + len);
		memcpy(out + header_len, payload, len);
		return srtp_protect(s->out, out, &n) == srtp_err_status_ok ? (size_t)n : 0;
	}
	make_nonce(&s->rtp, nonce, out + 8, (uint16_t)(index >> 32), (uint32_t)index);
	if (!gcm_begin(&s->rtp, nonce) || !gcm_aad(&s->rtp, out, header_len) ||
	    !gcm_seal(&s->rtp, out + header_len, payload, len))
		return 0;
	return header_len + len + GCM_TAG;
}

size_t srtp_seal_rtcp(struct srtp_session *s, uint8_t *p, size_t n)
{
	uint8_t nonce[GCM_NONCE], trailer[4];

	if (!s->rtcp.ctx) {
		int len = (int)n;
		return srtp_protect_rtcp(s->out, p, &len) == srtp_err_status_ok ? (size_t)len : 0;
	}
	/* One index over all our SSRCs: RFC 3711 wants it to grow for each, not to be dense. */
	if (n < RTCP_CLEAR || s->rtcp_index == RTCP_INDEX)
		return 0;
	uint32_t index = ++s->rtcp_index;
	put_be32(trailer, RTCP_E | index);
	make_nonce(&s->rtcp, nonce, p + 4, 0, index);
	if (!gcm_begin(&s->rtcp, nonce) || !gcm_aad(&s->rtcp, p, RTCP_CLEAR) ||
	    !gcm_aad(&s->rtcp, trailer, sizeof(trailer)) ||
	    !gcm_seal(&s->rtcp, p + RTCP_CLEAR, p + RTCP_CLEAR, n - RTCP_CLEAR))
		return 0;
	memcpy(p + n + GCM_TAG, trailer, sizeof(trailer));
	return n + GCM_TAG + sizeof(trailer);
}
