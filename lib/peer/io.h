/*
 * UDP sockets of the media path: packets in and out, many in one system call.
 *
 *	in   io_receive: up to IO_RX_PACKETS datagrams at once
 *	out  io_batch: packets lie one behind the other; a run of equal sizes is one message that
 *	     the kernel cuts (UDP_SEGMENT, udp(7)), the few runs of a batch go in one call
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
#define IO_TX_PACKETS 64   /* of a batch: as many segments as UDP_SEGMENT takes */
#define IO_TX_SIZE    1600 /* bytes of a packet at most */

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
/* Receives what is there. Returns how many, 0 when nothing is; see io_rx_packet. */
unsigned io_receive(struct io_rx *rx, int fd);
/* The i-th; n is 0 for one that was too long. */
struct io_packet io_rx_packet(struct io_rx *rx, unsigned i);

bool io_same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/* Packets to one destination. */
struct io_batch {
	unsigned n;   /* packets */
	size_t bytes; /* of all */
	uint16_t len[IO_TX_PACKETS];
	uint8_t data[IO_TX_PACKETS * IO_TX_SIZE];
};

struct io_sent {
	unsigned packets, calls, dropped;
	size_t bytes;
};

/* Where the next packet goes. The batch must not be full. */
static inline uint8_t *io_batch_next(struct io_batch *b)
{
	return b->data + b->bytes;
}
static inline void io_batch_add(struct io_batch *b, size_t len)
{
	b->len[b->n++] = (uint16_t)len;
	b->bytes += len;
}
/* Sends all of it and empties it. What the socket does not take is dropped. */
struct io_sent io_send(struct io_batch *b, int fd, const struct sockaddr_storage *to);

#endif
