/* The STUN messages of a client (RFC 8489, RFC 8445), written by hand. */
#ifndef MSR_TESTS_STUN_H
#define MSR_TESTS_STUN_H

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "peer/peer.h"

static inline size_t attribute(uint8_t *p, uint16_t type, const void *value, size_t len)
{
	put_be16(p, type);
	put_be16(p + 2, (uint16_t)len);
	memset(p + 4, 0, (len + 3) & ~3u);
	memcpy(p + 4, value, len);
	return 4 + ((len + 3) & ~3u);
}

/* CRC-32 of FINGERPRINT: the one of Ethernet. */
static inline uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* MESSAGE-INTEGRITY and FINGERPRINT behind `n` bytes. Returns the length of the whole. */
static inline size_t seal_stun(uint8_t *p, size_t n, const char *pwd)
{
	uint8_t mac[64], crc[4];
	unsigned mac_len;

	put_be16(p + 2, (uint16_t)(n + 24 - 20));
	HMAC(EVP_sha1(), pwd, (int)strlen(pwd), p, n, mac, &mac_len);
	n += attribute(p + n, 0x0008, mac, 20);
	put_be16(p + 2, (uint16_t)(n + 8 - 20));
	put_be32(crc, crc32(p, n) ^ 0x5354554e);
	return n + attribute(p + n, 0x8028, crc, 4);
}

static inline size_t binding_request(uint8_t *p, const struct peer_local *to, bool nominate)
{
	static const uint8_t priority[4] = {0x6e, 0, 1, 0}, tie_breaker[8] = {1};
	char username[80];
	size_t n = 20;

	put_be16(p, 1);
	put_be32(p + 4, 0x2112a442);
	memcpy(p + 8, nominate ? "transaction1" : "transaction0", 12);
	snprintf(username, sizeof(username), "%s:theirs", to->ufrag);
	n += attribute(p + n, 0x0006, username, strlen(username));
	n += attribute(p + n, 0x0024, priority, 4);
	n += attribute(p + n, 0x802a, tie_breaker, 8);
	if (nominate)
		n += attribute(p + n, 0x0025, "", 0);
	return seal_stun(p, n, to->pwd);
}

/* One that nominates, framed for TCP (RFC 4571). */
static inline size_t framed_request(uint8_t *frame, const struct peer_local *to)
{
	size_t n = binding_request(frame + 2, to, true);

	put_be16(frame, (uint16_t)n);
	return n + 2;
}

/* Answers a request that came from `from`. */
static inline size_t binding_response(uint8_t *p, const uint8_t *request,
				      const struct sockaddr_in *from, const char *pwd)
{
	uint8_t mapped[8] = {0, 1};

	put_be16(p, 0x0101);
	memcpy(p + 4, request + 4, 16);
	put_be16(mapped + 2, ntohs(from->sin_port) ^ 0x2112);
	put_be32(mapped + 4, ntohl(from->sin_addr.s_addr) ^ 0x2112a442);
	return seal_stun(p, 20 + attribute(p + 20, 0x0020, mapped, 8), pwd);
}

#endif
