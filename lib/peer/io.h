/*
 * UDP sockets of the media path, and what comes in: up to IO_RX_PACKETS datagrams in one system
 * call. What goes out: see io_tx.h.
 *
 * The port belongs to libnice, which has bound a socket to it. io_open binds a second one beside
 * it and lets the kernel tell the two apart by the first byte of a datagram: STUN stays with
 * libnice's socket, all else comes to ours (SO_ATTACH_REUSEPORT_CBPF, socket(7)).
 */
#ifndef MSR_PEER_IO_H
#define MSR_PEER_IO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define IO_RX_PACKETS 64   /* datagrams of one io_receive */
#define IO_RX_SIZE    2048 /* bytes of one; longer ones are dropped */

/*
 * Opens a socket beside `fd`, which is bound to `local`. The new descriptor, or -errno: then media
 * has to come through libnice.
 */
int io_open(int fd, const struct sockaddr_storage *local);

struct io_packet {
	uint8_t *p;
	size_t n;
	const struct sockaddr_storage *from;
};

struct io_rx; /* buffers for io_receive, one a thread: 130 KB */

struct io_rx *io_rx_new(void);
void io_rx_free(struct io_rx *rx);
/* Receives what has arrived. Returns how many, 0 if none; see io_rx_packet. */
unsigned io_receive(struct io_rx *rx, int fd);
/* The i-th; n is 0 for one that was too long. */
struct io_packet io_rx_packet(struct io_rx *rx, unsigned i);

/* As bind(2) and sendto(2) want it. */
socklen_t io_address_size(const struct sockaddr_storage *a);
bool io_same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

#endif
