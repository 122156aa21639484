/* Sockets, and OpenSSL on top of them. */
#include "wire.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

enum { RECORD = 16384 }; /* bytes of the largest TLS record */

struct wire_tls {
	SSL_CTX *ctx;
	bool server;
};

static int tls_failed(struct wire_tls *t, const char *what, const char *file)
{
	const char *why = ERR_reason_error_string(ERR_get_error());

	log_error("%s '%s': %s", what, file ? file : "", why ? why : "unknown error");
	wire_tls_free(t);
	return -EINVAL;
}

static struct wire_tls *tls_new(bool server)
{
	struct wire_tls *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->server = server;
	t->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (!t->ctx) {
		free(t);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	/* A write that could not finish is repeated with the same bytes from another place. */
	SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				     SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	return t;
}

int wire_tls_server(struct wire_tls **tp, const char *cert, const char *key)
{
	struct wire_tls *t = tls_new(true);

	if (!t)
		return -ENOMEM;
	if (SSL_CTX_use_certificate_chain_file(t->ctx, cert) != 1)
		return tls_failed(t, "cannot use the certificate", cert);
	if (SSL_CTX_use_PrivateKey_file(t->ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(t->ctx) != 1)
		return tls_failed(t, "cannot use the key", key);
	*tp = t;
	return 0;
}

int wire_tls_client(struct wire_tls **tp, const char *ca)
{
	struct wire_tls *t = tls_new(false);

	if (!t)
		return -ENOMEM;
	if (ca ? SSL_CTX_load_verify_locations(t->ctx, ca, NULL) != 1
	       : SSL_CTX_set_default_verify_paths(t->ctx) != 1)
		return tls_failed(t, "cannot use the certificates of", ca);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	*tp = t;
	return 0;
}

void wire_tls_free(struct wire_tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* The certificate must name the host, or its address where that is what the user gave. */
static int expect_host(SSL *ssl, const char *host)
{
	struct in6_addr any;

	if (inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	/* SSL_set_tlsext_host_name() without its cast that drops const. */
	SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		 (void *)(uintptr_t)host);
	return SSL_set1_host(ssl, host);
}

int wire_init(struct wire *w, int fd, struct wire_tls *tls, const char *host)
{
	*w = (struct wire){.fd = fd};
	if (!tls)
		return 0;
	SSL *ssl = SSL_new(tls->ctx);
	if (!ssl || SSL_set_fd(ssl, fd) != 1 || (host && expect_host(ssl, host) != 1)) {
		SSL_free(ssl);
		w->fd = -1;
		return -ENOMEM;
	}
	/* The handshake happens within the first reads and writes. */
	if (tls->server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	w->ssl = ssl;
	return 0;
}

void wire_done(struct wire *w)
{
	SSL_free(w->ssl);
	w->ssl = NULL;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* What a failed SSL call means. `crossed` tells whether it waits for the other direction. */
static ssize_t ssl_result(struct wire *w, int ret, int crossing, bool *crossed)
{
	int saved = errno, error = SSL_get_error(w->ssl, ret);

	*crossed = error == crossing;
	switch (error) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		return saved ? -saved : -ECONNRESET;
	default:
		log_debug("TLS: %s", ERR_reason_error_string(ERR_peek_error()));
		ERR_clear_error();
		return -EPROTO;
	}
}

ssize_t wire_recv(struct wire *w, void *buf, size_t n)
{
	if (w->ssl) {
		errno = 0;
		int got = SSL_read(w->ssl, buf, n > INT32_MAX ? INT32_MAX : (int)n);
		if (got <= 0)
			return ssl_result(w, got, SSL_ERROR_WANT_WRITE, &w->recv_needs_out);
		w->recv_needs_out = false;
		return got;
	}
	ssize_t got = recv(w->fd, buf, n, 0);
	return got < 0 ? (errno == EINTR ? -EAGAIN : -errno) : got;
}

static ssize_t ssl_send(struct wire *w, const void *data, size_t n)
{
	errno = 0;
	int sent = SSL_write(w->ssl, data, (int)n);

	if (sent > 0) {
		w->send_needs_in = false;
		return sent;
	}
	ssize_t ret = ssl_result(w, sent, SSL_ERROR_WANT_READ, &w->send_needs_in);
	return ret ? ret : -EPIPE;
}

ssize_t wire_sendv(struct wire *w, const struct iovec *iov, int n, bool more)
{
	if (w->ssl) {
		/* One record: many small pieces would each cost a record of their own. */
		char record[RECORD];
		size_t len = 0;
		for (int i = 0; i < n && len < sizeof(record); i++) {
			size_t part = iov[i].iov_len;
			if (part > sizeof(record) - len)
				part = sizeof(record) - len;
			memcpy(record + len, iov[i].iov_base, part);
			len += part;
		}
		return ssl_send(w, record, len);
	}
	int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
	ssize_t sent;
	if (n == 1) {
		sent = send(w->fd, iov->iov_base, iov->iov_len, flags);
	} else {
		struct msghdr msg = {.msg_iovlen = (size_t)n};
		memcpy(&msg.msg_iov, &iov, sizeof(iov)); /* it is not written to */
		sent = sendmsg(w->fd, &msg, flags);
	}
	return sent < 0 ? (errno == EINTR ? -EAGAIN : -errno) : sent;
}

ssize_t wire_sendfile(struct wire *w, int file, off_t at, size_t n)
{
	if (w->ssl) {
		char record[RECORD];
		ssize_t got = pread(file, record, n < sizeof(record) ? n : sizeof(record), at);
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		return ssl_send(w, record, (size_t)got);
	}
	ssize_t sent = sendfile(w->fd, file, &at, n);
	if (sent < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return sent ? sent : -EIO; /* the file is shorter than it was */
}

void wire_shutdown(struct wire *w)
{
	if (w->ssl)
		SSL_shutdown(w->ssl);
	shutdown(w->fd, SHUT_WR);
}

bool wire_pending(const struct wire *w)
{
	return w->ssl && SSL_pending(w->ssl) > 0;
}
