/*
 * DTLS by OpenSSL 3: see dtls.h.
 *
 * The BIO is our own: each write is one record and becomes one datagram (a memory BIO glues the
 * records of a flight together, beyond any MTU), and it answers the questions about the MTU, to
 * which OpenSSL otherwise assumes 256 bytes.
 */
#include "dtls.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define VALID_S (30L * 24 * 3600) /* validity of the certificate: nobody checks it */
#define SKEW_S	(24L * 3600)	  /* clocks of clients differ */
#define KEY_LEN 16
/* Bytes of a record: sizes the buffer of each association; nothing of ours is longer. */
#define FRAGMENT_MAX 2048
#define EXPORTER     "EXTRACTOR-dtls_srtp"
/* Between retransmissions: the first and the longest. OpenSSL's own second is long for anybody
 * who waits for a call; twelve are sent, more than DTLS_TIMEOUT_US takes. */
#define RETRY_FIRST_US 100000
#define RETRY_MAX_US   4000000
#define CONTENT_LAST   23 /* content types of DTLS 1.2 end with application data */

struct dtls_identity {
	SSL_CTX *ctx;
	BIO_METHOD *method;
	uint8_t hash[32];
};

struct dtls {
	SSL *ssl;
	const struct dtls_handler *handler;
	void *arg;
	struct loop_timer timer;
	struct mono give_up;
	const uint8_t *in; /* the datagram being read */
	size_t in_len;
	const EVP_MD *md; /* of the signalled fingerprint */
	uint8_t fingerprint[EVP_MAX_MD_SIZE];
	size_t fingerprint_len;
	bool ready, ended;
};

/* ---- the BIO ---- */

static int bio_write(BIO *b, const char *p, int n)
{
	struct dtls *d = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	d->handler->send(d->arg, (const uint8_t *)p, (size_t)n);
	return n;
}

static int bio_read(BIO *b, char *p, int n)
{
	struct dtls *d = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (!d->in) {
		BIO_set_retry_read(b);
		return -1;
	}
	if ((size_t)n > d->in_len)
		n = (int)d->in_len;
	memcpy(p, d->in, (size_t)n);
	d->in = NULL;
	return n;
}

static long bio_ctrl(BIO *b, int command, long num, void *ptr)
{
	(void)b;
	(void)num;
	(void)ptr;
	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_DGRAM_QUERY_MTU:
	case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
		return DTLS_MTU;
	default:
		return 0;
	}
}

static int bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

/* ---- identity ---- */

static int accept_any(int preverified, X509_STORE_CTX *ctx)
{
	(void)preverified;
	(void)ctx;
	return 1; /* certificates are self-signed: the signalled fingerprint decides, in check_peer
		   */
}

static X509 *self_signed(EVP_PKEY *key)
{
	X509 *x = X509_new();
	uint64_t serial = 0;

	if (!x)
		return NULL;
	RAND_bytes((uint8_t *)&serial, sizeof(serial));
	X509_NAME *name = X509_get_subject_name(x);
	if (X509_set_version(x, X509_VERSION_3) &&
	    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -SKEW_S) &&
	    X509_gmtime_adj(X509_getm_notAfter(x), VALID_S) && X509_set_pubkey(x, key) &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"msr", -1, -1,
				       0) &&
	    X509_set_issuer_name(x, name) && X509_sign(x, key, EVP_sha256()))
		return x;
	X509_free(x);
	return NULL;
}

static bool set_up(struct dtls_identity *id, bool gcm)
{
	static char groups[] = "X25519:P-256:P-384"; /* the macro takes no const */
	unsigned n = sizeof(id->hash);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = key ? self_signed(key) : NULL;
	bool ok = false;

	id->ctx = SSL_CTX_new(DTLS_method());
	id->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams");
	if (!x || !id->ctx || !id->method)
		goto out;
	BIO_meth_set_write(id->method, bio_write);
	BIO_meth_set_read(id->method, bio_read);
	BIO_meth_set_ctrl(id->method, bio_ctrl);
	BIO_meth_set_create(id->method, bio_create);
	SSL_CTX_set_options(id->ctx, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_NO_TICKET | SSL_OP_SINGLE_ECDH_USE);
	SSL_CTX_set_mode(id->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_max_send_fragment(id->ctx, FRAGMENT_MAX);
	SSL_CTX_set_session_cache_mode(id->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(id->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
	SSL_CTX_set_read_ahead(id->ctx, 1);
	ok = SSL_CTX_set_min_proto_version(id->ctx, DTLS1_2_VERSION) == 1 &&
	     SSL_CTX_set1_groups_list(id->ctx, groups) == 1 &&
	     SSL_CTX_set_cipher_list(id->ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES128:!aNULL") ==
		 1 &&
	     SSL_CTX_use_certificate(id->ctx, x) == 1 &&
	     SSL_CTX_use_PrivateKey(id->ctx, key) == 1 &&
	     /* 0 is success here */
	     SSL_CTX_set_tlsext_use_srtp(id->ctx,
					 gcm ? "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"
					     : "SRTP_AES128_CM_SHA1_80") == 0 &&
	     X509_digest(x, EVP_sha256(), id->hash, &n) == 1;
out:
	EVP_PKEY_free(key);
	X509_free(x);
	return ok;
}

int dtls_identity_new(struct dtls_identity **out, bool gcm)
{
	struct dtls_identity *id = calloc(1, sizeof(*id));

	if (!id || !set_up(id, gcm)) {
		dtls_identity_free(id);
		return -ENOMEM;
	}
	*out = id;
	return 0;
}

void dtls_identity_free(struct dtls_identity *id)
{
	if (!id)
		return;
	SSL_CTX_free(id->ctx);
	BIO_meth_free(id->method);
	free(id);
}

const uint8_t *dtls_identity_hash(const struct dtls_identity *id)
{
	return id->hash;
}

/* ---- the handshake ---- */

static void end(struct dtls *d, int why)
{
	if (d->ended)
		return;
	d->ended = true;
	loop_timer_stop(&d->timer);
	d->handler->ended(d->arg, why);
}

static bool check_peer(struct dtls *d)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	X509 *x = SSL_get1_peer_certificate(d->ssl);
	bool ok = x && X509_digest(x, d->md, hash, &n) == 1 && n == d->fingerprint_len &&
		  !CRYPTO_memcmp(hash, d->fingerprint, n);

	X509_free(x);
	return ok;
}

static void take(uint8_t *to, const uint8_t **from, size_t n)
{
	memcpy(to, *from, n);
	*from += n;
}

/* Client key, server key, client salt, server salt: RFC 5764 section 4.2. */
static bool export_keys(struct dtls *d)
{
	uint8_t keys[2 * (KEY_LEN + 14)];
	struct srtp_master m[2] = {0};
	SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(d->ssl);

	if (!profile)
		return false;
	enum srtp_kind kind = profile->id == SRTP_AEAD_AES_128_GCM ? SRTP_AES_GCM : SRTP_AES_CM;
	uint8_t salt_len = kind == SRTP_AES_GCM ? 12 : 14;
	if (SSL_export_keying_material(d->ssl, keys, 2u * (KEY_LEN + salt_len), EXPORTER,
				       strlen(EXPORTER), NULL, 0, 0) != 1)
		return false;
	const uint8_t *p = keys;
	for (int i = 0; i < 2; i++)
		take(m[i].key, &p, KEY_LEN);
	for (int i = 0; i < 2; i++)
		take(m[i].salt, &p, m[i].salt_len = salt_len);
	bool server = SSL_is_server(d->ssl);
	d->handler->ready(d->arg, kind, &m[server], &m[!server]);
	OPENSSL_cleanse(keys, sizeof(keys));
	OPENSSL_cleanse(m, sizeof(m));
	return true;
}

static void on_finished(struct dtls *d)
{
	if (!check_peer(d)) {
		end(d, -EACCES);
		return;
	}
	d->ready = true;
	if (!export_keys(d))
		end(d, -EPROTO);
}

/* Retransmission, while a flight is unanswered. */
static void arm(struct dtls *d)
{
	struct timeval tv;

	if (d->ended)
		return;
	if (DTLSv1_get_timeout(d->ssl, &tv))
		loop_timer_in_us(&d->timer, tv.tv_sec * 1000000LL + tv.tv_usec + 1000);
	else if (!d->ready)
		loop_timer_at(&d->timer, d->give_up);
	else
		loop_timer_stop(&d->timer);
}

/* After the handshake hardly a record comes any more: its buffers, 17 KB, are had when needed. */
static bool borrow_buffers(struct dtls *d)
{
	return !d->ready || SSL_alloc_buffers(d->ssl) == 1;
}

static void return_buffers(struct dtls *d)
{
	if (d->ready)
		SSL_free_buffers(d->ssl);
}

static void advance(struct dtls *d)
{
	uint8_t waste[2048]; /* application data: data channels, which we do not offer */

	ERR_clear_error();
	if (!borrow_buffers(d))
		return; /* as if the packet were lost */
	int ret = d->ready ? SSL_read(d->ssl, waste, sizeof(waste)) : SSL_do_handshake(d->ssl);
	if (ret == 1 && !d->ready && SSL_is_init_finished(d->ssl)) {
		on_finished(d);
	} else if (ret <= 0) {
		int err = SSL_get_error(d->ssl, ret);
		if (err == SSL_ERROR_ZERO_RETURN)
			end(d, 0);
		else if (err != SSL_ERROR_WANT_READ && err != SSL_ERROR_WANT_WRITE && !d->ready)
			end(d, -EPROTO);
	}
	d->in = NULL;
	return_buffers(d);
	arm(d);
}

static void on_timer(void *arg)
{
	struct dtls *d = arg;

	if (!d->ready && mono_diff_us(mono_now(), d->give_up) >= 0) {
		end(d, -EPROTO);
		return;
	}
	ERR_clear_error();
	if (borrow_buffers(d) && DTLSv1_handle_timeout(d->ssl) < 0 && !d->ready) {
		end(d, -EPROTO);
		return;
	}
	return_buffers(d);
	arm(d);
}

/* ---- one association ---- */

static unsigned retry_us(SSL *ssl, unsigned last_us)
{
	(void)ssl;
	if (!last_us)
		return RETRY_FIRST_US;
	return last_us < RETRY_MAX_US / 2 ? last_us * 2 : RETRY_MAX_US;
}

static bool attach(struct dtls *d, const struct dtls_identity *id, bool client)
{
	BIO *b = BIO_new(id->method);

	d->ssl = b ? SSL_new(id->ctx) : NULL;
	if (!d->ssl) {
		BIO_free(b);
		return false;
	}
	BIO_set_data(b, d);
	SSL_set_bio(d->ssl, b, b);
	SSL_set_mtu(d->ssl, DTLS_MTU);
	DTLS_set_timer_cb(d->ssl, retry_us);
	if (client)
		SSL_set_connect_state(d->ssl);
	else
		SSL_set_accept_state(d->ssl);
	return true;
}

int dtls_new(struct dtls **out, const struct dtls_identity *id, struct loop *loop, bool client,
	     const char *hash, const uint8_t *fingerprint, size_t len,
	     const struct dtls_handler *handler, void *arg)
{
	const EVP_MD *md = !strcmp(hash, "sha-256")   ? EVP_sha256()
			   : !strcmp(hash, "sha-384") ? EVP_sha384()
			   : !strcmp(hash, "sha-512") ? EVP_sha512()
						      : NULL;
	if (!md || len != (size_t)EVP_MD_get_size(md))
		return -EINVAL;
	struct dtls *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->handler = handler;
	d->arg = arg;
	d->md = md;
	memcpy(d->fingerprint, fingerprint, len);
	d->fingerprint_len = len;
	loop_timer_init(&d->timer, loop, on_timer, d);
	if (!attach(d, id, client)) {
		free(d);
		return -ENOMEM;
	}
	d->give_up = mono_add_us(mono_now(), DTLS_TIMEOUT_US);
	loop_timer_at(&d->timer, d->give_up);
	*out = d;
	return 0;
}

void dtls_free(struct dtls *d)
{
	if (!d)
		return;
	loop_timer_stop(&d->timer);
	SSL_free(d->ssl);
	free(d);
}

void dtls_start(struct dtls *d)
{
	advance(d);
}

void dtls_packet(struct dtls *d, const uint8_t *p, size_t n)
{
	/* Invalid records are discarded (RFC 6347 section 4.1.2.7); OpenSSL ends with an unknown
	 * type. */
	if (d->ended || (n && p[0] > CONTENT_LAST))
		return;
	d->in = p;
	d->in_len = n;
	advance(d);
}

void dtls_goodbye(struct dtls *d)
{
	if (d->ready && !d->ended && borrow_buffers(d)) {
		ERR_clear_error();
		SSL_shutdown(d->ssl);
	}
}
