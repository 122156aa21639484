/* A DTLS client of OpenSSL for tests, whose first flight can be had as datagrams of any size. */
#ifndef MSR_TEST_HELLO_H
#define MSR_TEST_HELLO_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HELLO_MAX 64 /* datagrams of a flight */

struct hello {
	uint8_t data[16384];
	const uint8_t *p[HELLO_MAX];
	size_t len[HELLO_MAX];
	unsigned n;
};

/*
 * A client with a certificate; free with SSL_free. Its hello is padded to several hundred bytes by
 * protocol names, as the key shares of a post-quantum one do. `mtu`: bytes of its datagrams.
 */
static inline SSL *hello_client(long mtu, X509 *cert, EVP_PKEY *key)
{
	uint8_t names[800];
	SSL_CTX *ctx = SSL_CTX_new(DTLS_client_method());

	for (size_t i = 0; i < sizeof(names); i++)
		names[i] = i % 100 ? 'x' : 99;
	SSL_CTX_set_options(ctx, SSL_OP_NO_QUERY_MTU);
	SSL_CTX_set_tlsext_use_srtp(ctx, "SRTP_AEAD_AES_128_GCM");
	if (cert) {
		SSL_CTX_use_certificate(ctx, cert);
		SSL_CTX_use_PrivateKey(ctx, key);
	}
	SSL *ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_alpn_protos(ssl, names, sizeof(names));
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(ssl), -1);
	SSL_set_mtu(ssl, mtu);
	SSL_set_connect_state(ssl);
	return ssl;
}

/* What it has written since the last time, a record a datagram. */
static inline void hello_take(SSL *ssl, struct hello *h)
{
	int got = BIO_read(SSL_get_wbio(ssl), h->data, sizeof(h->data));

	h->n = 0;
	for (int at = 0; at + 13 <= got && h->n < HELLO_MAX; h->n++) {
		h->p[h->n] = h->data + at;
		h->len[h->n] = 13u + (size_t)(h->data[at + 11] << 8 | h->data[at + 12]);
		at += (int)h->len[h->n];
	}
}

#endif
