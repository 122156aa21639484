/*
 * SRTP and SRTCP (RFC 3711, RFC 7714): media that comes is opened by libsrtp2, with its replay
 * windows and its guards against hostile packets, reports by OpenSSL, see unseal.h; what goes is
 * sealed by OpenSSL, see seal.h.
 */
#ifndef MSR_PEER_SRTP_H
#define MSR_PEER_SRTP_H

#include <stddef.h>
#include <stdint.h>

#define SRTP_TAIL_MAX 32 /* bytes that sealing adds at most, SRTCP included */
/* Sources taken from one peer over its life; more are refused. Each share of a screen is one more,
 * and its retransmissions another; each costs about 400 bytes. */
#define SRTP_SSRC_MAX 1024

/* The protection profiles of RFC 5764 and 7714 that we offer. */
enum srtp_kind { SRTP_AES_GCM, SRTP_AES_CM };

/* Master key and salt, as DTLS exports them. */
struct srtp_master {
	uint8_t key[16], salt[14];
	uint8_t salt_len; /* 12 for GCM, 14 */
};

struct srtp_session;

/* 0, -ENOMEM, or -EINVAL where libsrtp2 does not start. */
int srtp_session_new(struct srtp_session **out, enum srtp_kind kind, const struct srtp_master *ours,
		     const struct srtp_master *theirs);
/* Accepts NULL. */
void srtp_session_free(struct srtp_session *s);

/* In place; *n becomes the length of the plain packet. 0, or -EBADMSG: not authentic, a replay,
 * too short, or a source too many; or memory is short. */
int srtp_open_rtp(struct srtp_session *s, uint8_t *p, size_t *n);
int srtp_open_rtcp(struct srtp_session *s, uint8_t *p, size_t *n);

/*
 * Seals a packet of `header_len` bytes at `out` and a payload from elsewhere, which is encrypted
 * into place after it. `index` is the 48-bit packet index: its low 16 bits are the sequence number
 * in the header. Returns the length of all, or 0. `out` has room for SRTP_TAIL_MAX more.
 */
size_t srtp_seal_rtp(struct srtp_session *s, uint8_t *out, size_t header_len,
		     const uint8_t *payload, size_t len, uint64_t index);
/* In place, with room for SRTP_TAIL_MAX more. The new length, or 0. */
size_t srtp_seal_rtcp(struct srtp_session *s, uint8_t *p, size_t n);

#endif
