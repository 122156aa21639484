/* SRTP: see srtp.h. */
#include "srtp.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <srtp2/srtp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "seal.h"

#define RTP_MIN	      12
#define RTCP_MIN      8
#define REPLAY_WINDOW 1024 /* packets; loss and reordering reach far back in RTX times */
#define SEEN_FIRST    8	   /* sound and pictures with retransmissions; doubled up to the bound */

struct srtp_session {
	srtp_t in;
	struct seal *out;
	uint32_t *seen; /* owned: SSRCs of theirs that had a valid packet, the latest last */
	unsigned n_seen, room;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static srtp_err_status_t init_status;

static void init(void)
{
	init_status = srtp_init();
}

/* ---- sessions ---- */

static int library_session(srtp_t *out, enum srtp_kind kind, const struct srtp_master *m)
{
	uint8_t key[sizeof(m->key) + sizeof(m->salt)] = {0};
	srtp_policy_t p = {.ssrc.type = ssrc_any_inbound, .key = key, .window_size = REPLAY_WINDOW};

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
	int ret = library_session(&s->in, kind, theirs);
	if (!ret)
		ret = seal_new(&s->out, kind, ours);
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
	seal_free(s->out);
	free(s->seen);
	free(s);
}

/* ---- opening ---- */

/*
 * libsrtp2 keeps a stream for each SSRC and searches them one by one, the latest first. None is
 * forgotten: its packets could come again.
 */
static bool admit(struct srtp_session *s, uint32_t ssrc, bool *known)
{
	*known = true;
	for (unsigned i = s->n_seen; i-- > 0;)
		if (s->seen[i] == ssrc)
			return true;
	*known = false;
	if (s->n_seen < s->room)
		return true;
	unsigned room = s->room ? 2 * s->room : SEEN_FIRST;
	uint32_t *grown =
	    room <= SRTP_SSRC_MAX ? reallocarray(s->seen, room, sizeof(*grown)) : NULL;
	if (!grown)
		return false;
	s->seen = grown;
	s->room = room;
	return true;
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

size_t srtp_seal_rtp(struct srtp_session *s, uint8_t *out, size_t header_len,
		     const uint8_t *payload, size_t len, uint64_t index)
{
	return seal_rtp(s->out, out, header_len, payload, len, index);
}

size_t srtp_seal_rtcp(struct srtp_session *s, uint8_t *p, size_t n)
{
	return seal_rtcp(s->out, p, n);
}
