/* MESSAGE-INTEGRITY of STUN: see stun.h, RFC 8489 sections 5 and 14.5. */
#include "stun.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/buf.h"

#define STUN_HEADER    20
#define STUN_MAX       1500 /* bytes: a datagram */
#define STUN_COOKIE    0x2112a442u
#define BINDING_REQ    0x0001
#define BINDING_OK     0x0101
#define ATTR_INTEGRITY 0x0008
#define INTEGRITY_LEN  20

/* Offset of the MESSAGE-INTEGRITY attribute, or 0. */
static size_t find_integrity(const uint8_t *p, size_t n)
{
	struct rd r = rd_of(p + STUN_HEADER, n - STUN_HEADER);

	while (rd_left(&r) >= 4) {
		size_t at = n - rd_left(&r);
		uint16_t type = rd_be16(&r), len = rd_be16(&r);
		if (!rd_bytes(&r, (len + 3u) & ~3u))
			return 0;
		if (type == ATTR_INTEGRITY)
			return len == INTEGRITY_LEN ? at : 0;
	}
	return 0;
}

bool stun_authentic(const uint8_t *p, size_t n, const char *local_pwd, const char *remote_pwd)
{
	uint8_t copy[STUN_MAX], mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;

	if (n < STUN_HEADER || n > STUN_MAX || get_be32(p + 4) != STUN_COOKIE ||
	    get_be16(p + 2) + (size_t)STUN_HEADER != n)
		return false;
	uint16_t type = get_be16(p);
	const char *pwd = type == BINDING_REQ ? local_pwd : type == BINDING_OK ? remote_pwd : NULL;
	size_t at = find_integrity(p, n);
	if (!pwd || !at)
		return false;
	/* The length in the header counts up to the attribute, not what follows it. */
	memcpy(copy, p, at);
	put_be16(copy + 2, (uint16_t)(at + 4 + INTEGRITY_LEN - STUN_HEADER));
	if (!HMAC(EVP_sha1(), pwd, (int)strlen(pwd), copy, at, mac, &mac_len))
		return false;
	return mac_len == INTEGRITY_LEN && !CRYPTO_memcmp(mac, p + at + 4, INTEGRITY_LEN);
}
