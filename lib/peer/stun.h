/*
 * STUN messages (RFC 8489), only as far as to tell whether one is authentic: for the consent
 * clock. Everything else about STUN is libnice's.
 */
#ifndef MSR_PEER_STUN_H
#define MSR_PEER_STUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a datagram is STUN at all (RFC 7983). */
static inline bool stun_is(const uint8_t *p, size_t n)
{
	return n >= 20 && p[0] <= 3;
}

/*
 * Whether `p` is a Binding request that carries MESSAGE-INTEGRITY by `local_pwd`, or a response
 * with that of `remote_pwd`. A password may be NULL: then nothing is authentic by it.
 */
bool stun_authentic(const uint8_t *p, size_t n, const char *local_pwd, const char *remote_pwd);

#endif
