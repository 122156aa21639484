/* UDP out: what is queued arrives as it was, in few system calls, with io_uring and without. */
#include "peer/io_tx.h"

#include <arpa/inet.h>
#include <liburing.h>
#include <string.h>
#include <unistd.h>

#include "../../support/test.h"

#define RECEIVERS 40 /* more than are queued before some are sent */

struct receiver {
	int fd;
	struct sockaddr_storage at;
};

static struct receiver receiver[RECEIVERS];
static int out;

static void open_sockets(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(any);
	int size = 1 << 20;

	for (unsigned i = 0; i < RECEIVERS; i++) {
		struct receiver *r = &receiver[i];
		r->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		CHECK_INT(bind(r->fd, (struct sockaddr *)&any, len), 0);
		memset(&r->at, 0, sizeof(r->at));
		CHECK_INT(getsockname(r->fd, (struct sockaddr *)&r->at, &len), 0);
		setsockopt(r->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(out, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void close_sockets(void)
{
	for (unsigned i = 0; i < RECEIVERS; i++)
		close(receiver[i].fd);
	close(out);
}

/* Sizes of a frame's packets, then some that fit no run. */
static size_t size_of(unsigned i)
{
	return i < 30 ? 1100 : i == 30 ? 700 : 200 + 37 * (i % 7);
}

static uint8_t byte_of(unsigned to, unsigned i, size_t k)
{
	return (uint8_t)(to * 31 + i * 7 + k);
}

static void queue(struct io_tx *tx, unsigned to, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = io_tx_next(tx);
		for (size_t k = 0; k < size_of(i); k++)
			p[k] = byte_of(to, i, k);
		io_tx_add(tx, size_of(i));
	}
	CHECK_INT(io_tx_packets(tx), n);
	io_tx_queue(tx, out, &receiver[to].at);
	CHECK_INT(io_tx_packets(tx), 0);
}

static void check_arrived(unsigned to, unsigned n)
{
	uint8_t p[2048];

	for (unsigned i = 0; i < n; i++) {
		CHECK_INT(recv(receiver[to].fd, p, sizeof(p), 0), size_of(i));
		for (size_t k = 0; k < size_of(i); k++)
			if (p[k] != byte_of(to, i, k))
				CHECK_INT(k, -1);
	}
	CHECK_INT(recv(receiver[to].fd, p, sizeof(p), 0), -1);
}

static void bursts_arrive(bool ring)
{
	struct io_tx *tx;

	open_sockets();
	CHECK_INT(io_tx_new(&tx, ring), 0);
	for (unsigned turn = 0; turn < 3; turn++) {
		for (unsigned to = 0; to < RECEIVERS; to++)
			queue(tx, to, turn ? IO_TX_PACKETS : 1);
		struct io_sent s = io_tx_submit(tx);
		CHECK_INT(s.packets, RECEIVERS * (turn ? IO_TX_PACKETS : 1));
		CHECK_INT(s.dropped, 0);
		CHECK_INT(io_tx_submit(tx).packets, 0);
		for (unsigned to = 0; to < RECEIVERS; to++)
			check_arrived(to, turn ? IO_TX_PACKETS : 1);
	}
	io_tx_free(tx);
	close_sockets();
}

TEST(bursts_arrive_through_the_ring)
{
	bursts_arrive(true);
}

TEST(bursts_arrive_without_a_ring)
{
	bursts_arrive(false);
}

TEST(one_call_sends_to_many)
{
	struct io_uring probe;
	bool ring = io_uring_queue_init(8, &probe, 0) == 0;
	struct io_tx *tx;

	if (ring)
		io_uring_queue_exit(&probe);
	open_sockets();
	CHECK_INT(io_tx_new(&tx, true), 0);
	for (unsigned to = 0; to < RECEIVERS; to++)
		queue(tx, to, 1);
	unsigned calls = io_tx_submit(tx).calls;
	CHECK_INT(calls, ring ? 2 : RECEIVERS);
	for (unsigned to = 0; to < RECEIVERS; to++)
		check_arrived(to, 1);
	io_tx_free(tx);
	close_sockets();
}

TEST(what_a_socket_refuses_is_counted_and_the_others_arrive)
{
	struct io_tx *tx;

	open_sockets();
	for (unsigned ring = 0; ring < 2; ring++) {
		CHECK_INT(io_tx_new(&tx, ring), 0);
		queue(tx, 0, 31);
		int good = out;
		out = -1;
		queue(tx, 1, 1);
		out = good;
		queue(tx, 2, 31);
		struct io_sent s = io_tx_submit(tx);
		CHECK_INT(s.packets, 62);
		CHECK_INT(s.dropped, 1);
		check_arrived(0, 31);
		check_arrived(1, 0);
		check_arrived(2, 31);
		io_tx_free(tx);
	}
	close_sockets();
}

/* A device with a smaller MTU than a segment: the kernel says no, and takes them one by one. */
TEST(what_the_kernel_does_not_cut_goes_piece_by_piece)
{
	int no_udp_checksum = 1;
	struct io_tx *tx;

	open_sockets();
	/* UDP_SEGMENT insists on checksums. */
	setsockopt(out, SOL_SOCKET, SO_NO_CHECK, &no_udp_checksum, sizeof(no_udp_checksum));
	for (unsigned ring = 0; ring < 2; ring++) {
		CHECK_INT(io_tx_new(&tx, ring), 0);
		queue(tx, 0, 31);
		queue(tx, 1, 31);
		struct io_sent s = io_tx_submit(tx);
		CHECK_INT(s.packets, 62);
		CHECK_INT(s.dropped, 0);
		CHECK(s.calls > 62);
		check_arrived(0, 31);
		check_arrived(1, 31);
		io_tx_free(tx);
	}
	close_sockets();
}

TEST(packets_sent_another_way_are_dropped)
{
	struct io_tx *tx;
	size_t len;

	open_sockets();
	CHECK_INT(io_tx_new(&tx, true), 0);
	queue(tx, 0, 1);
	memset(io_tx_next(tx), 1, 100);
	io_tx_add(tx, 100);
	memset(io_tx_next(tx), 2, 50);
	io_tx_add(tx, 50);
	CHECK_INT(*io_tx_packet(tx, 1, &len), 2);
	CHECK_INT(len, 50);
	io_tx_drop(tx);
	queue(tx, 1, 1);
	CHECK_INT(io_tx_submit(tx).packets, 2);
	check_arrived(0, 1);
	check_arrived(1, 1);
	io_tx_free(tx);
	close_sockets();
}
