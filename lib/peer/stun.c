/* STUN messages: see stun.h, RFC 8489 sections 5 and 14, RFC 8445 section 7. */
#include "stun.h"

#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/buf.h"

#define STUN_HEADER	20
#define STUN_MAX	1500 /* bytes: a datagram */
#define STUN_COOKIE	0x2112a442u
#define BINDING_REQ	0x0001
#define BINDING_OK	0x0101
#define INTEGRITY_LEN	20
#define ID_OFF		8 /* of the transaction id */
#define ID_LEN		12
#define REQUIRED_MAX	0x7fff /* attributes up to here must be understood */
#define FINGERPRINT_XOR 0x5354554eu

enum attribute {
	ATTR_USERNAME = 0x0006,
	ATTR_INTEGRITY = 0x0008,
	ATTR_XOR_ADDRESS = 0x0020,
	ATTR_PRIORITY = 0x0024,
	ATTR_USE_CANDIDATE = 0x0025,
	ATTR_FINGERPRINT = 0x8028,
	ATTR_CONTROLLED = 0x8029,
	ATTR_CONTROLLING = 0x802a,
};

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

bool stun_names(const uint8_t *p, size_t n, const char *ufrag)
{
	size_t ours = strlen(ufrag);

	if (n < STUN_HEADER)
		return false;
	struct rd r = rd_of(p + STUN_HEADER, n - STUN_HEADER);
	while (rd_left(&r) >= 4) {
		uint16_t type = rd_be16(&r), len = rd_be16(&r);
		const uint8_t *value = rd_bytes(&r, (len + 3u) & ~3u);
		if (!value)
			return false;
		if (type == ATTR_USERNAME)
			return len > ours && !memcmp(value, ufrag, ours) && value[ours] == ':';
	}
	return false;
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

/* ---- writing ---- */

static size_t begin(uint8_t *out, uint16_t type, const uint8_t *id)
{
	put_be16(out, type);
	put_be16(out + 2, 0);
	put_be32(out + 4, STUN_COOKIE);
	memcpy(out + ID_OFF, id, ID_LEN);
	return STUN_HEADER;
}

/* The value, padded to four bytes, is the caller's to write. */
static uint8_t *add(uint8_t *out, size_t *n, enum attribute type, size_t len)
{
	uint8_t *value = out + *n + 4;

	put_be16(out + *n, (uint16_t)type);
	put_be16(out + *n + 2, (uint16_t)len);
	*n += 4 + ((len + 3) & ~(size_t)3);
	memset(value, 0, *n - (size_t)(value - out));
	put_be16(out + 2, (uint16_t)(*n - STUN_HEADER));
	return value;
}

/* CRC-32 of ISO 3309; a few hundred bytes a second do not want a table. */
static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* Integrity and fingerprint, each over all before it, with the length that includes itself. */
static size_t finish(uint8_t *out, size_t n, const char *pwd)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;
	size_t covered = n;
	uint8_t *value = add(out, &n, ATTR_INTEGRITY, INTEGRITY_LEN);

	if (!HMAC(EVP_sha1(), pwd, (int)strlen(pwd), out, covered, mac, &mac_len))
		return 0;
	memcpy(value, mac, INTEGRITY_LEN);
	covered = n;
	value = add(out, &n, ATTR_FINGERPRINT, 4);
	put_be32(value, crc32(out, covered) ^ FINGERPRINT_XOR);
	return n;
}

static void add_address(uint8_t *out, size_t *n, const struct sockaddr_storage *a)
{
	const struct sockaddr_in *v4 = (const void *)a;
	const struct sockaddr_in6 *v6 = (const void *)a;
	bool six = a->ss_family == AF_INET6;
	const uint8_t *address = six ? v6->sin6_addr.s6_addr : (const uint8_t *)&v4->sin_addr;
	size_t len = six ? 16 : 4;
	uint8_t *value = add(out, n, ATTR_XOR_ADDRESS, 4 + len);

	value[1] = six ? 2 : 1;
	put_be16(value + 2,
		 ntohs(six ? v6->sin6_port : v4->sin_port) ^ (uint16_t)(STUN_COOKIE >> 16));
	/* Cookie and transaction id lie one after the other in the header. */
	for (size_t i = 0; i < len; i++)
		value[4 + i] = address[i] ^ out[4 + i];
}

/* Whether a request is one that a pair in use gets again and again. */
static bool is_plain(const uint8_t *p, size_t n, bool controlling)
{
	struct rd r = rd_of(p + STUN_HEADER, n - STUN_HEADER);

	while (rd_left(&r) >= 4) {
		uint16_t type = rd_be16(&r), len = rd_be16(&r);
		if (!rd_bytes(&r, (len + 3u) & ~3u) ||
		    type == (controlling ? ATTR_CONTROLLING : ATTR_CONTROLLED))
			return false;
		if (type <= REQUIRED_MAX && type != ATTR_USERNAME && type != ATTR_INTEGRITY &&
		    type != ATTR_PRIORITY && type != ATTR_USE_CANDIDATE)
			return false;
	}
	return true;
}

bool stun_claims(const uint8_t *p, size_t n, bool *controlling)
{
	if (n < STUN_HEADER || get_be16(p) != BINDING_REQ)
		return false;
	struct rd r = rd_of(p + STUN_HEADER, n - STUN_HEADER);
	while (rd_left(&r) >= 4) {
		uint16_t type = rd_be16(&r), len = rd_be16(&r);
		if (!rd_bytes(&r, (len + 3u) & ~3u))
			return false;
		if (type == ATTR_CONTROLLING || type == ATTR_CONTROLLED) {
			*controlling = type == ATTR_CONTROLLING;
			return true;
		}
	}
	return false;
}

size_t stun_answer(uint8_t out[static STUN_OUT_MAX], const uint8_t *p, size_t n, bool controlling,
		   const struct sockaddr_storage *from, const char *local_pwd)
{
	if (n < STUN_HEADER || get_be16(p) != BINDING_REQ || !is_plain(p, n, controlling))
		return 0;
	size_t len = begin(out, BINDING_OK, p + ID_OFF);
	add_address(out, &len, from);
	return finish(out, len, local_pwd);
}

size_t stun_request(uint8_t out[static STUN_OUT_MAX], const struct stun_check *c)
{
	size_t n = begin(out, BINDING_REQ, c->id), remote = strlen(c->remote_ufrag),
	       local = strlen(c->local_ufrag);
	uint8_t *value = add(out, &n, ATTR_USERNAME, remote + 1 + local);

	memcpy(value, c->remote_ufrag, remote);
	value[remote] = ':';
	memcpy(value + remote + 1, c->local_ufrag, local);
	put_be32(add(out, &n, ATTR_PRIORITY, 4), c->priority);
	value = add(out, &n, c->controlling ? ATTR_CONTROLLING : ATTR_CONTROLLED, 8);
	put_be32(value, (uint32_t)(c->tie_breaker >> 32));
	put_be32(value + 4, (uint32_t)c->tie_breaker);
	return finish(out, n, c->remote_pwd);
}
