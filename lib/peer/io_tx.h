/*
 * UDP out, in two steps: the packets of one peer become a few messages, the messages of many peers
 * one system call.
 *
 *	io_tx_next, io_tx_add   packets lie one after the other
 *	io_tx_queue             they are for this address: a run of equal sizes is one message that
 *	                        the kernel cuts (UDP_SEGMENT, udp(7)). Sent once a few are together
 *	io_tx_submit            sends what is queued
 *
 * Every receiver has a socket of its own, so sendmmsg(2) cannot send to many of them; io_uring(7)
 * can, and spares a system call for each (measured in a virtual machine: 1.3 µs a message instead
 * of 3.5). Where it is not to be had (older kernels, containers that forbid it) each message is a
 * sendmsg(2).
 *
 * One for each thread; it is the only one that may use it.
 */
#ifndef MSR_PEER_IO_TX_H
#define MSR_PEER_IO_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define IO_TX_PACKETS 64   /* of one io_tx_queue: as many segments as UDP_SEGMENT takes */
#define IO_TX_SIZE    1600 /* bytes of a packet at most */

struct io_tx;

/* `ring`: whether io_uring may be used. 0 or -ENOMEM. */
int io_tx_new(struct io_tx **out, bool ring);
/* Drops what is queued. Accepts NULL. */
void io_tx_free(struct io_tx *tx);

/* Packets added since the last io_tx_queue or io_tx_drop. */
unsigned io_tx_packets(const struct io_tx *tx);
/* Where the next goes, with room for IO_TX_SIZE; there must be fewer than IO_TX_PACKETS. */
uint8_t *io_tx_next(struct io_tx *tx);
void io_tx_add(struct io_tx *tx, size_t len);
/* The i-th of them, to send it another way; then io_tx_drop. */
const uint8_t *io_tx_packet(const struct io_tx *tx, unsigned i, size_t *len);
void io_tx_drop(struct io_tx *tx);

/* `fd` must stay open until io_tx_submit. What its socket does not take is dropped. */
void io_tx_queue(struct io_tx *tx, int fd, const struct sockaddr_storage *to);

struct io_sent {
	unsigned packets, calls, dropped;
	size_t bytes;
};

/* Sends what is queued. Returns what became of all that was queued since the last time. */
struct io_sent io_tx_submit(struct io_tx *tx);

#endif
