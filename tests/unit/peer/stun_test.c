/* STUN of a connection that stands: our checks and answers are right, and only plain ones are
 * answered. */
#include "peer/stun.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/buf.h"
#include "../../support/test.h"

static struct stun_check check = {.local_ufrag = "ours",
				  .remote_ufrag = "theirs1",
				  .remote_pwd = "their-password-22-chars",
				  .controlling = true,
				  .tie_breaker = 0x0123456789abcdef,
				  .priority = 1862270975,
				  .id = "transaction"};

/* The last attribute is a fingerprint over all before it (RFC 8489 section 14.7). */
static void check_fingerprint(const uint8_t *p, size_t n)
{
	uint32_t table[256], crc = ~0u;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] & 1 ? table[i] >> 1 ^ 0xedb88320u : table[i] >> 1;
	}
	for (size_t i = 0; i < n - 8; i++)
		crc = crc >> 8 ^ table[(crc ^ p[i]) & 255];
	CHECK_INT(get_be16(p + n - 8), 0x8028);
	CHECK_INT(get_be32(p + n - 4), ~crc ^ 0x5354554e);
	CHECK_INT(get_be16(p + 2), n - 20);
}

TEST(a_request_is_authentic_and_names_both_sides)
{
	uint8_t p[STUN_OUT_MAX];
	size_t n = stun_request(p, &check);

	CHECK(stun_is(p, n));
	CHECK(stun_authentic(p, n, check.remote_pwd, NULL));
	CHECK(!stun_authentic(p, n, "another-password-22-cha", NULL));
	CHECK(!stun_authentic(p, n, NULL, check.remote_pwd));
	check_fingerprint(p, n);
	bool controlling = false;
	CHECK(stun_claims(p, n, &controlling) && controlling);
	CHECK_INT(get_be16(p + 20), 6); /* USERNAME */
	CHECK_INT(get_be16(p + 22), 12);
	CHECK_MEM(p + 24, "theirs1:ours", 12);
	CHECK_MEM(p + 8, check.id, 12);
}

static void answer_from(const struct sockaddr_storage *from, size_t address_len)
{
	uint8_t p[STUN_OUT_MAX], out[STUN_OUT_MAX];
	size_t n = stun_request(p, &check);
	size_t len = stun_answer(out, p, n, false, from, check.remote_pwd);

	CHECK(len > 0);
	CHECK(stun_authentic(out, len, NULL, check.remote_pwd));
	check_fingerprint(out, len);
	CHECK_MEM(out + 8, check.id, 12);
	CHECK_INT(get_be16(out + 20), 0x20);
	CHECK_INT(get_be16(out + 22), 4 + address_len);
	CHECK_INT(out[25], address_len == 4 ? 1 : 2);
	CHECK_INT(get_be16(out + 26) ^ 0x2112, 32853);
	for (size_t i = 0; i < address_len; i++)
		out[28 + i] ^= out[4 + i];
	CHECK_MEM(out + 28,
		  address_len == 4
		      ? (const void *)&((const struct sockaddr_in *)(const void *)from)->sin_addr
		      : (const void *)&((const struct sockaddr_in6 *)(const void *)from)->sin6_addr,
		  address_len);
}

TEST(a_request_names_whom_it_is_for)
{
	uint8_t p[STUN_OUT_MAX];
	size_t n = stun_request(p, &check);

	CHECK(stun_is_request(p));
	CHECK(stun_names(p, n, "theirs1"));
	CHECK(!stun_names(p, n, "theirs"));
	CHECK(!stun_names(p, n, "theirs12"));
	CHECK(!stun_names(p, n, "ours"));
	CHECK(!stun_names(p, n, "theirs1:ours"));
	for (size_t cut = 0; cut < 36; cut++)
		CHECK(!stun_names(p, cut, "theirs1"));
	for (unsigned class = 1; class < 4; class ++) { /* indication, success, error */
		p[0] = (uint8_t)(class >> 1);
		p[1] = (uint8_t)(1 | (class & 1) << 4);
		CHECK(!stun_is_request(p));
	}
}

TEST(an_answer_tells_the_address)
{
	struct sockaddr_storage a = {0};
	struct sockaddr_in *v4 = (void *)&a;
	struct sockaddr_in6 *v6 = (void *)&a;

	v4->sin_family = AF_INET;
	v4->sin_port = htons(32853);
	inet_pton(AF_INET, "192.0.2.1", &v4->sin_addr);
	answer_from(&a, 4);
	memset(&a, 0, sizeof(a));
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(32853);
	inet_pton(AF_INET6, "2001:db8:1234:5678:11:2233:4455:6677", &v6->sin6_addr);
	answer_from(&a, 16);
}

TEST(what_is_more_than_a_sign_of_life_is_left_alone)
{
	struct sockaddr_storage from = {.ss_family = AF_INET};
	uint8_t p[STUN_OUT_MAX], out[STUN_OUT_MAX];
	size_t n = stun_request(p, &check);

	/* Both claim to be controlling. */
	CHECK_INT(stun_answer(out, p, n, true, &from, check.remote_pwd), 0);
	/* No request. */
	size_t len = stun_answer(out, p, n, false, &from, check.remote_pwd);
	CHECK_INT(stun_answer(p, out, len, false, &from, check.remote_pwd), 0);
	/* PRIORITY becomes something that one has to understand. */
	n = stun_request(p, &check);
	put_be16(p + 36, 0x0019);
	CHECK_INT(stun_answer(out, p, n, false, &from, check.remote_pwd), 0);
	/* Truncated anywhere. */
	n = stun_request(p, &check);
	for (size_t cut = 0; cut < n; cut++)
		CHECK(stun_answer(out, p, cut, false, &from, check.remote_pwd) < STUN_OUT_MAX);
}
