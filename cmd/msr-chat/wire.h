/*
 * The bytes of a connection: a non-blocking socket, plain or with TLS (OpenSSL). Used by server
 * and client; what lies above does not know which it is.
 */
#ifndef MSR_CHAT_WIRE_H
#define MSR_CHAT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct wire_tls; /* certificates and settings, shared by connections */

/* For a server. 0, or -EINVAL after logging what is wrong with the files. */
int wire_tls_server(struct wire_tls **tp, const char *cert, const char *key);
/* For a client; `ca` NULL trusts the system's certificates. */
int wire_tls_client(struct wire_tls **tp, const char *ca);
/* Accepts NULL. */
void wire_tls_free(struct wire_tls *t);

struct wire {
	int fd;	   /* owned; -1 when closed */
	void *ssl; /* owned SSL object, or NULL */
	/* TLS crosses the directions during its handshake: */
	bool recv_needs_out; /* the last wire_recv waits until the socket can be written */
	bool send_needs_in;  /* the last wire_send waits until there is something to read */
};

/* Takes `fd`. `tls` NULL is plain; `host` is for the client side: whom the certificate must
 * name. 0 or -ENOMEM, and then `fd` is still the caller's. */
int wire_init(struct wire *w, int fd, struct wire_tls *tls, const char *host);
/* Closes; harmless when closed already. */
void wire_done(struct wire *w);

/* Bytes received, 0 at the end of the stream, -EAGAIN, or -errno (-EPROTO: TLS failed). */
ssize_t wire_recv(struct wire *w, void *buf, size_t n);
/* Bytes taken, -EAGAIN or -errno. `more`: further data follows at once. */
ssize_t wire_sendv(struct wire *w, const struct iovec *iov, int n, bool more);
/* Sends from a file, without a copy where there is no TLS. */
ssize_t wire_sendfile(struct wire *w, int file, off_t at, size_t n);
/* Ends our direction; what was sent still arrives. */
void wire_shutdown(struct wire *w);
/* Received bytes are waiting inside TLS, of which poll(2) knows nothing. */
bool wire_pending(const struct wire *w);

#endif
