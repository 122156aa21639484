/* SRTP: what we seal is byte for byte what libsrtp2 seals, and opens again. */
#include "peer/srtp.h"

#include <errno.h>
#include <srtp2/srtp.h>
#include <stdlib.h>

#include "base/buf.h"
#include "../../support/test.h"

static const struct srtp_master a = {
    .key = "0123456789abcde", .salt = "saltsaltsalt", .salt_len = 12};
static const struct srtp_master b = {
    .key = "edcba9876543210", .salt = "tlastlastlas", .salt_len = 12};
static const struct srtp_master c = {
    .key = "0123456789abcde", .salt = "saltsaltsalt1", .salt_len = 14};
static const struct srtp_master d = {
    .key = "edcba9876543210", .salt = "tlastlastlas2", .salt_len = 14};

/* A header with an extension block of `ext` words. */
static size_t header(uint8_t *p, uint64_t index, uint32_t ssrc, unsigned ext)
{
	memset(p, 0, 16 + 4 * ext);
	p[0] = ext ? 0x90 : 0x80;
	p[1] = 96;
	put_be16(p + 2, (uint16_t)index);
	put_be32(p + 4, (uint32_t)index * 90);
	put_be32(p + 8, ssrc);
	if (!ext)
		return 12;
	put_be16(p + 12, 0xbede);
	put_be16(p + 14, (uint16_t)ext);
	for (unsigned i = 0; i < 4 * ext; i++)
		p[16 + i] = (uint8_t)(0x10 + i);
	return 16 + 4 * ext;
}

static void round_trips(enum srtp_kind kind, const struct srtp_master *x,
			const struct srtp_master *y)
{
	struct srtp_session *sender, *receiver;
	uint8_t out[1600], payload[1200];

	CHECK_INT(srtp_session_new(&sender, kind, x, y), 0);
	CHECK_INT(srtp_session_new(&receiver, kind, y, x), 0);
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	for (uint64_t index = 65000; index < 67000; index++) {
		size_t len = index % 1200, head = header(out, index, 0xabcd, index % 5);
		size_t n = srtp_seal_rtp(sender, out, head, payload, len, index);
		CHECK(n > head + len);
		CHECK_INT(srtp_open_rtp(receiver, out, &n), 0);
		CHECK_INT(n, head + len);
		CHECK_MEM(out + head, payload, len);
	}
	srtp_session_free(sender);
	srtp_session_free(receiver);
}

TEST(gcm_round_trips_over_a_roll_over)
{
	round_trips(SRTP_AES_GCM, &a, &b);
}

TEST(cm_round_trips_over_a_roll_over)
{
	round_trips(SRTP_AES_CM, &c, &d);
}

/* libsrtp2 alone, with the keys of `m`. `clear`: its SRTCP is authentic and not encrypted. */
static srtp_t library(enum srtp_kind kind, const struct srtp_master *m, bool clear)
{
	uint8_t key[30] = {0};
	srtp_policy_t p = {.ssrc.type = ssrc_any_outbound, .key = key, .window_size = 1024};
	srtp_t s;

	srtp_init();
	if (kind == SRTP_AES_GCM) {
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&p.rtp);
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&p.rtcp);
	} else {
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p.rtp);
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p.rtcp);
	}
	memcpy(key, m->key, 16);
	memcpy(key + 16, m->salt, m->salt_len);
	if (clear)
		p.rtcp.sec_serv = sec_serv_auth;
	CHECK_INT(srtp_create(&s, &p), srtp_err_status_ok);
	return s;
}

static size_t reference(srtp_t s, uint8_t *p, size_t header_len, const uint8_t *payload, size_t len)
{
	int n = (int)(header_len + len);

	memcpy(p + header_len, payload, len);
	CHECK_INT(srtp_protect(s, p, &n), srtp_err_status_ok);
	return (size_t)n;
}

static void equal_rtp(enum srtp_kind kind, const struct srtp_master *ours,
		      const struct srtp_master *theirs)
{
	struct srtp_session *evp;
	uint8_t x[1700], y[1700] __attribute__((aligned(8))), payload[1300];
	srtp_t lib = library(kind, ours, false);

	CHECK_INT(srtp_session_new(&evp, kind, ours, theirs), 0);
	srand(1);
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)rand();
	/* Three roll-overs, each step small enough that libsrtp2 can follow. */
	for (uint64_t index = 100; index < 3 * 65536 + 100; index += 1 + (unsigned)rand() % 300) {
		size_t len = index % 64 ? (size_t)rand() % sizeof(payload) : 0;
		size_t hx = header(x, index, 7, index % 9), hy = header(y, index, 7, index % 9);
		size_t nx = srtp_seal_rtp(evp, x, hx, payload, len, index);
		CHECK_INT(nx, reference(lib, y, hy, payload, len));
		CHECK_MEM(x, y, nx);
	}
	srtp_session_free(evp);
	srtp_dealloc(lib);
}

TEST(gcm_equals_libsrtp_over_roll_overs_and_extensions)
{
	equal_rtp(SRTP_AES_GCM, &a, &b);
}

TEST(cm_equals_libsrtp_over_roll_overs_and_extensions)
{
	equal_rtp(SRTP_AES_CM, &c, &d);
}

static void equal_rtcp(enum srtp_kind kind, const struct srtp_master *ours,
		       const struct srtp_master *theirs)
{
	struct srtp_session *evp, *receiver;
	uint8_t x[300], y[300] __attribute__((aligned(8)));
	srtp_t lib = library(kind, ours, false);

	CHECK_INT(srtp_session_new(&evp, kind, ours, theirs), 0);
	CHECK_INT(srtp_session_new(&receiver, kind, theirs, ours), 0);
	for (unsigned i = 0; i < 500; i++) {
		size_t n = 8 + 4 * (i % 60);
		int len = (int)n;
		for (unsigned k = 0; k < n; k++)
			x[k] = (uint8_t)(i + k);
		put_be32(x, 0x81c90000u | (uint32_t)(n / 4 - 1));
		put_be32(x + 4, 99);
		memcpy(y, x, n);
		size_t sealed = srtp_seal_rtcp(evp, x, n);
		CHECK_INT(srtp_protect_rtcp(lib, y, &len), srtp_err_status_ok);
		CHECK_INT(sealed, len);
		CHECK_MEM(x, y, sealed);
		CHECK_INT(srtp_open_rtcp(receiver, x, &sealed), 0);
		CHECK_INT(sealed, n);
	}
	srtp_session_free(evp);
	srtp_session_free(receiver);
	srtp_dealloc(lib);
}

TEST(gcm_equals_libsrtp_for_rtcp)
{
	equal_rtcp(SRTP_AES_GCM, &a, &b);
}

TEST(cm_equals_libsrtp_for_rtcp)
{
	equal_rtcp(SRTP_AES_CM, &c, &d);
}

/* A receiver report without blocks, and `more` words. */
static size_t report(uint8_t *p, uint32_t ssrc, unsigned more)
{
	put_be32(p, 0x80c90000u | (1 + more));
	put_be32(p + 4, ssrc);
	for (unsigned i = 0; i < 4 * more; i++)
		p[8 + i] = (uint8_t)(i * 3);
	return 8 + 4 * (size_t)more;
}

static void protects(srtp_t lib, uint8_t *p, size_t *n)
{
	int len = (int)*n;

	CHECK_INT(srtp_protect_rtcp(lib, p, &len), srtp_err_status_ok);
	*n = (size_t)len;
}

static void opens_what_libsrtp_protects(enum srtp_kind kind, const struct srtp_master *ours,
					const struct srtp_master *theirs)
{
	struct srtp_session *r;
	srtp_t lib = library(kind, theirs, false);

	CHECK_INT(srtp_session_new(&r, kind, ours, theirs), 0);
	for (unsigned i = 0; i < 200; i++) {
		uint8_t p[300] __attribute__((aligned(8))), plain[300];
		size_t len = report(p, 3 + i % 2, i % 60), n = len;
		memcpy(plain, p, len);
		protects(lib, p, &n);
		CHECK_INT(srtp_open_rtcp(r, p, &n), 0);
		CHECK_INT(n, len);
		CHECK_MEM(p, plain, len);
	}
	srtp_session_free(r);
	srtp_dealloc(lib);
}

TEST(rtcp_of_libsrtp_is_opened)
{
	opens_what_libsrtp_protects(SRTP_AES_GCM, &a, &b);
	opens_what_libsrtp_protects(SRTP_AES_CM, &c, &d);
}

/* Authentic or not: it is not what was agreed. */
static void refuses_clear(enum srtp_kind kind, const struct srtp_master *ours,
			  const struct srtp_master *theirs)
{
	struct srtp_session *r;
	uint8_t p[300] __attribute__((aligned(8))), plain[300];
	size_t n = report(p, 3, 5);
	srtp_t lib = library(kind, theirs, true);

	CHECK_INT(srtp_session_new(&r, kind, ours, theirs), 0);
	memcpy(plain, p, n);
	protects(lib, p, &n);
	CHECK_MEM(p, plain, n - (kind == SRTP_AES_GCM ? 20 : 14));
	CHECK_INT(srtp_open_rtcp(r, p, &n), -EBADMSG);
	srtp_session_free(r);
	srtp_dealloc(lib);
}

TEST(rtcp_that_is_not_encrypted_is_refused)
{
	refuses_clear(SRTP_AES_GCM, &a, &b);
	refuses_clear(SRTP_AES_CM, &c, &d);
}

struct sealed {
	uint8_t p[80];
	size_t n;
};

static int give(struct srtp_session *r, struct sealed k)
{
	return srtp_open_rtcp(r, k.p, &k.n);
}

/* In any order, each once, as far back as is remembered: after that it could be a replay. */
static void replays_of_rtcp(enum srtp_kind kind, const struct srtp_master *x,
			    const struct srtp_master *y)
{
	static struct sealed k[400];
	struct srtp_session *s, *r;

	CHECK_INT(srtp_session_new(&s, kind, x, y), 0);
	CHECK_INT(srtp_session_new(&r, kind, y, x), 0);
	for (unsigned i = 0; i < 400; i++)
		k[i].n = srtp_seal_rtcp(s, k[i].p, report(k[i].p, i < 300 ? 1 : 2, 3));
	CHECK_INT(give(r, k[1]), 0);
	CHECK_INT(give(r, k[1]), -EBADMSG);
	CHECK_INT(give(r, k[0]), 0); /* late, not twice */
	CHECK_INT(give(r, k[0]), -EBADMSG);
	CHECK_INT(give(r, k[60]), 0);
	for (unsigned i = 2; i < 60; i += 2)
		CHECK_INT(give(r, k[i]), 0);
	for (unsigned i = 3; i < 60; i += 2)
		CHECK_INT(give(r, k[i]), 0);
	for (unsigned i = 0; i <= 60; i++)
		CHECK_INT(give(r, k[i]), -EBADMSG);
	CHECK_INT(give(r, k[299]), 0);
	for (unsigned i = 0; i < 150; i++)
		CHECK_INT(give(r, k[i]), -EBADMSG);
	/* Another source has a window of its own. */
	CHECK_INT(give(r, k[399]), 0);
	CHECK_INT(give(r, k[350]), 0);
	CHECK_INT(give(r, k[350]), -EBADMSG);
	CHECK_INT(give(r, k[298]), 0);
	srtp_session_free(s);
	srtp_session_free(r);
}

TEST(rtcp_comes_once)
{
	replays_of_rtcp(SRTP_AES_GCM, &a, &b);
	replays_of_rtcp(SRTP_AES_CM, &c, &d);
}

/* Every bit counts, and what is refused neither moves the window nor takes a place. */
static void forged_rtcp(enum srtp_kind kind, const struct srtp_master *x,
			const struct srtp_master *y)
{
	struct srtp_session *s, *r;
	struct sealed k = {0}, bad;

	CHECK_INT(srtp_session_new(&s, kind, x, y), 0);
	CHECK_INT(srtp_session_new(&r, kind, y, x), 0);
	k.n = srtp_seal_rtcp(s, k.p, report(k.p, 1, 4));
	for (uint32_t ssrc = 0; ssrc < 2 * SRTP_SSRC_MAX; ssrc++) {
		bad = k;
		put_be32(bad.p + 4, ssrc + 2);
		CHECK_INT(give(r, bad), -EBADMSG);
	}
	for (size_t bit = 0; bit < 8 * k.n; bit++) {
		bad = k;
		bad.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_INT(give(r, bad), -EBADMSG);
	}
	for (size_t n = 0; n < k.n; n++) {
		bad = k;
		bad.n = n;
		CHECK_INT(give(r, bad), -EBADMSG);
	}
	CHECK_INT(give(r, k), 0);
	srtp_session_free(s);
	srtp_session_free(r);
}

TEST(forged_rtcp_is_refused_and_changes_nothing)
{
	forged_rtcp(SRTP_AES_GCM, &a, &b);
	forged_rtcp(SRTP_AES_CM, &c, &d);
}

TEST(hostile_packets_are_refused)
{
	struct srtp_session *s, *r;
	uint8_t p[200], copy[200];

	CHECK_INT(srtp_session_new(&s, SRTP_AES_GCM, &a, &b), 0);
	CHECK_INT(srtp_session_new(&r, SRTP_AES_GCM, &b, &a), 0);
	size_t n = srtp_seal_rtp(s, p, header(p, 1, 7, 1), (const uint8_t *)"hello", 5, 1), m = n;
	memcpy(copy, p, n);
	CHECK_INT(srtp_open_rtp(r, p, &m), 0);
	memcpy(p, copy, n);
	m = n;
	CHECK_INT(srtp_open_rtp(r, p, &m), -EBADMSG); /* a replay */
	for (size_t cut = 0; cut < n; cut++) {
		memcpy(p, copy, n);
		m = cut;
		CHECK_INT(srtp_open_rtp(r, p, &m), -EBADMSG);
	}
	for (size_t cut = 0; cut < 30; cut++) {
		memset(p, 0, sizeof(p));
		p[0] = 0x80;
		p[1] = 200;
		m = cut;
		CHECK_INT(srtp_open_rtcp(r, p, &m), -EBADMSG);
	}
	srtp_session_free(s);
	srtp_session_free(r);
}

TEST(sources_of_one_peer_are_bounded)
{
	struct srtp_session *s, *r;
	uint8_t p[200];
	unsigned taken = 0;

	CHECK_INT(srtp_session_new(&s, SRTP_AES_GCM, &a, &b), 0);
	CHECK_INT(srtp_session_new(&r, SRTP_AES_GCM, &b, &a), 0);
	for (uint32_t ssrc = 1; ssrc < 2 * SRTP_SSRC_MAX; ssrc++) {
		size_t n = srtp_seal_rtp(s, p, header(p, 1, ssrc, 0), (const uint8_t *)"x", 1, 1);
		taken += srtp_open_rtp(r, p, &n) == 0;
	}
	CHECK_INT(taken, SRTP_SSRC_MAX);
	srtp_session_free(s);
	srtp_session_free(r);
}

/* Each time that somebody shares a screen it has two new ones. */
TEST(a_long_call_has_hundreds_of_sources_and_replays_of_none)
{
	struct srtp_session *s, *r;
	uint8_t p[200], first[200];

	CHECK_INT(srtp_session_new(&s, SRTP_AES_GCM, &a, &b), 0);
	CHECK_INT(srtp_session_new(&r, SRTP_AES_GCM, &b, &a), 0);
	for (uint32_t ssrc = 1; ssrc <= 1000; ssrc++) {
		size_t n = srtp_seal_rtp(s, p, header(p, 1, ssrc, 0), (const uint8_t *)"x", 1, 1);
		if (ssrc == 1)
			memcpy(first, p, n);
		CHECK_INT(srtp_open_rtp(r, p, &n), 0);
	}
	size_t n = 12 + 1 + 16;
	CHECK_INT(srtp_open_rtp(r, first, &n), -EBADMSG);
	n = srtp_seal_rtp(s, p, header(p, 2, 1, 0), (const uint8_t *)"x", 1, 2);
	CHECK_INT(srtp_open_rtp(r, p, &n), 0);
	srtp_session_free(s);
	srtp_session_free(r);
}
