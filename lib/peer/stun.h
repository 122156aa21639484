/*
 * STUN messages (RFC 8489, RFC 8445) of a connection that stands: which are authentic, the answer
 * to a check on the pair in use, and a check of ours. All that decides about pairs is libnice's.
 */
#ifndef MSR_PEER_STUN_H
#define MSR_PEER_STUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define STUN_OUT_MAX 640 /* bytes of what is written here: two ufrags of 256 at most */

/* Whether a datagram is STUN at all (RFC 7983). */
static inline bool stun_is(const uint8_t *p, size_t n)
{
	return n >= 20 && p[0] <= 3;
}

/* Whether STUN is a request, by its type (RFC 8489 section 5). */
static inline bool stun_is_request(const uint8_t *p)
{
	return !(p[0] & 1) && !(p[1] & 0x10);
}

/* Whether the USERNAME of a request names the side with this ufrag (RFC 8445 section 7.2.2). */
bool stun_names(const uint8_t *p, size_t n, const char *ufrag);

/*
 * Whether `p` is a Binding request that carries MESSAGE-INTEGRITY by `local_pwd`, or a response
 * with that of `remote_pwd`. A password may be NULL: then nothing is authentic by it.
 */
bool stun_authentic(const uint8_t *p, size_t n, const char *local_pwd, const char *remote_pwd);

/*
 * Writes the answer to `p`, an authentic Binding request from `from`. Returns its length, or 0 when
 * the request is more than a sign of life: it claims our role, or has an attribute that would have
 * to be understood.
 */
size_t stun_answer(uint8_t out[static STUN_OUT_MAX], const uint8_t *p, size_t n, bool controlling,
		   const struct sockaddr_storage *from, const char *local_pwd);

/* Which role the sender of a request claims; false when it names none. */
bool stun_claims(const uint8_t *p, size_t n, bool *controlling);

struct stun_check {
	const char *local_ufrag, *remote_ufrag, *remote_pwd;
	bool controlling;
	uint64_t tie_breaker;
	uint32_t priority; /* of a peer-reflexive candidate */
	uint8_t id[12];	   /* random */
};

/* Writes a Binding request; its length. */
size_t stun_request(uint8_t out[static STUN_OUT_MAX], const struct stun_check *c);

#endif
