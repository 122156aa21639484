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
#include "replay.h"
#include "seal.h"
#include "unseal.h"

#define RTP_MIN	      12
#define REPLAY_WINDOW 1024 /* packets; loss and reordering reach far back in RTX times */
#define SEEN_FIRST    8	   /* sound and pictures with retransmissions; doubled up to the bound */

/* An SSRC of theirs that had a valid packet. */
struct source {
	struct replay rtcp; /* of SRTP the library has windows of its own */
	uint32_t ssrc;
};

struct srtp_session {
	enum srtp_kind kind;
	struct srtp_master theirs;
	srtp_t in; /* opens SRTP; NULL before the first packet */
	struct unseal *unseal;
	struct seal *out;
	struct source *seen; /* owned: n_seen, the latest last */
	unsigned n_seen, room;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static srtp_err_status_t init_status;

static void init(void)
{
	init_status = srtp_init();
}

/* ---- sessions ---- */

static bool library_session(struct srtp_session *s)
{
	const struct srtp_master *m = &s->theirs;
	uint8_t key[sizeof(m->key) + sizeof(m->salt)] = {0};
	srtp_policy_t p = {.ssrc.type = ssrc_any_inbound, .key = key, .window_size = REPLAY_WINDOW};

	if (s->kind == SRTP_AES_GCM) {
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&p.rtp);
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&p.rtcp);
	} else {
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p.rtp);
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p.rtcp);
	}
	memcpy(key, m->key, sizeof(m->key));
	memcpy(key + sizeof(m->key), m->salt, m->salt_len);
	bool made = srtp_create(&s->in, &p) == srtp_err_status_ok;
	OPENSSL_cleanse(key, sizeof(key));
	if (!made)
		s->in = NULL;
	return made;
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
	s->kind = kind;
	s->theirs = *theirs;
	int ret = seal_new(&s->out, kind, ours);
	if (!ret)
		ret = unseal_new(&s->unseal, kind, theirs);
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
	unseal_free(s->unseal);
	free(s->seen);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

/* ---- opening ---- */

/*
 * A session of libsrtp2 takes 20 KB, and who only receives sends nothing that it would have to
 * open. So it is made for the first packet that needs it.
 */
static bool have_library(struct srtp_session *s)
{
	return s->in || library_session(s);
}

/*
 * The source of a packet, once that has proved valid: one that is known, or the place for another;
 * NULL where there is none. libsrtp2 keeps a stream for each SSRC and searches them one by one, the
 * latest first. None is forgotten: its packets could come again.
 */
static struct source *admit(struct srtp_session *s, uint32_t ssrc)
{
	for (unsigned i = s->n_seen; i-- > 0;)
		if (s->seen[i].ssrc == ssrc)
			return &s->seen[i];
	if (s->n_seen == s->room) {
		unsigned room = s->room ? 2 * s->room : SEEN_FIRST;
		struct source *grown =
		    room <= SRTP_SSRC_MAX ? reallocarray(s->seen, room, sizeof(*grown)) : NULL;
		if (!grown)
			return NULL;
		s->seen = grown;
		s->room = room;
	}
	s->seen[s->n_seen] = (struct source){.ssrc = ssrc};
	return &s->seen[s->n_seen];
}

/* A packet of `from` was valid. */
static void keep(struct srtp_session *s, const struct source *from)
{
	s->n_seen += from == &s->seen[s->n_seen];
}

int srtp_open_rtp(struct srtp_session *s, uint8_t *p, size_t *n)
{
	int len = (int)*n;

	if (*n < RTP_MIN)
		return -EBADMSG;
	const struct source *from = admit(s, get_be32(p + 8));
	if (!from || !have_library(s) || srtp_unprotect(s->in, p, &len) != srtp_err_status_ok)
		return -EBADMSG;
	keep(s, from);
	*n = (size_t)len;
	return 0;
}

int srtp_open_rtcp(struct srtp_session *s, uint8_t *p, size_t *n)
{
	uint32_t index;

	if (!unseal_index(s->unseal, p, *n, &index))
		return -EBADMSG;
	struct source *from = admit(s, get_be32(p + 4));
	if (!from || !replay_is_fresh(&from->rtcp, index) || !unseal_rtcp(s->unseal, p, n))
		return -EBADMSG;
	replay_note(&from->rtcp, index);
	keep(s, from);
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
