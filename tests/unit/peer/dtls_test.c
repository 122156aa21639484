/* DTLS against OpenSSL's own client: hellos in pieces, out of order, twice; both roles. */
#include "peer/dtls.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "../../support/hello.h"
#include "../../support/test.h"

struct side {
	struct dtls *dtls;
	struct hello out; /* what we sent, copied one behind the other */
	size_t used;
	bool ready, ended;
	int why;
	struct srtp_master ours, theirs;
};

static struct loop *loop;
static struct dtls_identity *identity;

static void on_send(void *arg, const uint8_t *p, size_t n)
{
	struct side *s = arg;

	CHECK(n <= DTLS_MTU);
	memcpy(s->out.data + s->used, p, n);
	s->out.p[s->out.n] = s->out.data + s->used;
	s->out.len[s->out.n++] = n;
	s->used += n;
}

static void on_ready(void *arg, enum srtp_kind kind, const struct srtp_master *ours,
		     const struct srtp_master *theirs)
{
	struct side *s = arg;

	CHECK_INT(kind, SRTP_AES_GCM);
	s->ready = true;
	s->ours = *ours;
	s->theirs = *theirs;
}

static void on_ended(void *arg, int why)
{
	struct side *s = arg;

	s->ended = true;
	s->why = why;
}

static const struct dtls_handler handler = {on_send, on_ready, on_ended};

static void start(void)
{
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(dtls_identity_new(&identity, true), 0);
}

static void stop(void)
{
	dtls_identity_free(identity);
	loop_free(loop);
}

static void side_new(struct side *s, bool client, const uint8_t *fingerprint)
{
	memset(s, 0, sizeof(*s));
	CHECK_INT(
	    dtls_new(&s->dtls, identity, loop, client, "sha-256", fingerprint, 32, &handler, s), 0);
}

/* A certificate of the other side, and its fingerprint. */
static X509 *certificate(EVP_PKEY **key, uint8_t hash[static 32])
{
	X509 *x = X509_new();
	unsigned n = 32;

	*key = EVP_EC_gen("P-256");
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, *key);
	X509_sign(x, *key, EVP_sha256());
	X509_digest(x, EVP_sha256(), hash, &n);
	return x;
}

static void feed(struct side *s, const struct hello *h, unsigned i)
{
	dtls_packet(s->dtls, h->p[i], h->len[i]);
}

/* Carries flights to and fro until both are done. */
static void finish(struct side *s, SSL *client)
{
	static struct hello h;

	for (int turn = 0; turn < 8 && !(s->ready && SSL_is_init_finished(client)); turn++) {
		for (unsigned i = 0; i < s->out.n; i++) {
			BIO_write(SSL_get_rbio(client), s->out.p[i], (int)s->out.len[i]);
			SSL_do_handshake(client);
		}
		s->out.n = 0;
		s->used = 0;
		hello_take(client, &h);
		for (unsigned i = 0; i < h.n; i++)
			feed(s, &h, i);
	}
	CHECK(s->ready);
	CHECK(!s->ended);
	CHECK(SSL_is_init_finished(client));
}

/* The order in which the pieces of the hello arrive, and how many times each does. */
static void check_pieces(bool backwards, int times)
{
	static struct side s;
	static struct hello h;
	uint8_t fingerprint[32];
	EVP_PKEY *key;

	start();
	X509 *cert = certificate(&key, fingerprint);
	SSL *client = hello_client(256, cert, key);
	side_new(&s, false, fingerprint);
	SSL_do_handshake(client);
	hello_take(client, &h);
	CHECK(h.n >= 4);
	for (unsigned i = 0; i < h.n; i++) {
		CHECK(h.len[i] <= 256);
		for (int k = 0; k < times; k++)
			feed(&s, &h, backwards ? h.n - 1 - i : i);
		if (i + 1 < h.n)
			CHECK_INT(s.out.n, 0);
	}
	CHECK(s.out.n > 0);
	finish(&s, client);
	SSL_free(client);
	X509_free(cert);
	EVP_PKEY_free(key);
	dtls_free(s.dtls);
	stop();
}

TEST(a_hello_in_pieces_is_put_together)
{
	check_pieces(false, 1);
}

TEST(its_pieces_may_come_in_any_order)
{
	check_pieces(true, 1);
}

TEST(its_pieces_may_come_twice)
{
	check_pieces(false, 2);
}

TEST(broken_pieces_harm_nobody)
{
	static struct side s;
	static struct hello h;
	uint8_t fingerprint[32], p[300];
	EVP_PKEY *key;

	start();
	X509 *cert = certificate(&key, fingerprint);
	SSL *client = hello_client(256, cert, key);
	side_new(&s, false, fingerprint);
	SSL_do_handshake(client);
	hello_take(client, &h);
	feed(&s, &h, 0);
	/* Cut at every length that dtls_is lets through, then with a record length that is none. */
	for (size_t n = 13; n < h.len[1]; n++)
		dtls_packet(s.dtls, h.p[1], n);
	memcpy(p, h.p[1], h.len[1]);
	p[11] = 0xff;
	dtls_packet(s.dtls, p, h.len[1]);
	p[11] = h.p[1][11];
	p[0] = 63; /* no content type of DTLS 1.2 */
	dtls_packet(s.dtls, p, h.len[1]);
	CHECK(!s.ended);
	for (unsigned i = 1; i < h.n; i++)
		feed(&s, &h, i);
	finish(&s, client);
	SSL_free(client);
	X509_free(cert);
	EVP_PKEY_free(key);
	dtls_free(s.dtls);
	stop();
}

static void exchange(struct side *from, struct side *to)
{
	struct side was = *from;

	from->out.n = 0;
	from->used = 0;
	for (unsigned i = 0, at = 0; i < was.out.n; at += was.out.len[i++])
		dtls_packet(to->dtls, was.out.data + at, was.out.len[i]);
}

TEST(both_roles_derive_the_same_keys)
{
	static struct side active, passive;

	start();
	side_new(&active, true, dtls_identity_hash(identity));
	side_new(&passive, false, dtls_identity_hash(identity));
	dtls_start(active.dtls);
	for (int i = 0; i < 6; i++) {
		exchange(&active, &passive);
		exchange(&passive, &active);
	}
	CHECK(active.ready);
	CHECK(passive.ready);
	CHECK_MEM(active.ours.key, passive.theirs.key, sizeof(active.ours.key));
	CHECK_MEM(active.theirs.key, passive.ours.key, sizeof(active.ours.key));
	CHECK_INT(active.ours.salt_len, 12);
	CHECK_MEM(active.ours.salt, passive.theirs.salt, 12);
	dtls_goodbye(active.dtls);
	exchange(&active, &passive);
	CHECK(passive.ended);
	CHECK_INT(passive.why, 0);
	dtls_free(active.dtls);
	dtls_free(passive.dtls);
	stop();
}

static void on_second(void *arg)
{
	(void)arg;
	loop_stop(loop, 0);
}

TEST(a_lost_hello_is_soon_sent_again)
{
	static struct side s;
	static const uint8_t nobody[32];
	struct loop_timer second;

	start();
	side_new(&s, true, nobody);
	dtls_start(s.dtls);
	CHECK_INT(s.out.n, 1);
	loop_timer_init(&second, loop, on_second, NULL);
	loop_timer_in_us(&second, 1000000);
	CHECK_INT(loop_run(loop), 0);
	CHECK(s.out.n >= 3);
	CHECK(!s.ended);
	dtls_free(s.dtls);
	stop();
}
