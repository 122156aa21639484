/* UDP sockets and what comes in: see io.h. */
#include "io.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RX_BUFFER (1 << 20) /* bytes of a socket: half a second of HD video */
#define TX_BUFFER (1 << 20)
#define STUN_LAST 3 /* first bytes 0 to 3 are STUN, RFC 7983 */

/* ---- sockets ---- */

socklen_t io_address_size(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* Picks the socket of the group: 0 is libnice's, which was there first. */
static int split_by_first_byte(int fd)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
	    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, STUN_LAST, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
}

int io_open(int fd, const struct sockaddr_storage *local)
{
	int on = 1, rx = RX_BUFFER, tx = TX_BUFFER;
	int s = socket(local->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (s < 0)
		return -errno;
	if (local->ss_family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	/* The kernel grants what net.core.[rw]mem_max allows; less is not an error. */
	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &rx, sizeof(rx));
	setsockopt(s, SOL_SOCKET, SO_SNDBUF, &tx, sizeof(tx));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
	    setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
	    bind(s, (const struct sockaddr *)local, io_address_size(local)) < 0 ||
	    split_by_first_byte(s) < 0) {
		int err = -errno;
		close(s);
		return err;
	}
	return s;
}

bool io_same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *x = (const void *)a, *y = (const void *)b;
		return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
	}
	const struct sockaddr_in6 *x = (const void *)a, *y = (const void *)b;
	return x->sin6_port == y->sin6_port &&
	       !memcmp(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr));
}

/* ---- in ---- */

struct io_rx {
	struct mmsghdr msg[IO_RX_PACKETS];
	struct iovec iov[IO_RX_PACKETS];
	struct sockaddr_storage from[IO_RX_PACKETS];
	uint8_t data[IO_RX_PACKETS][IO_RX_SIZE] __attribute__((aligned(64)));
};

struct io_rx *io_rx_new(void)
{
	struct io_rx *rx = aligned_alloc(64, sizeof(*rx));

	if (!rx)
		return NULL;
	memset(rx->msg, 0, sizeof(rx->msg));
	for (unsigned i = 0; i < IO_RX_PACKETS; i++) {
		rx->iov[i] = (struct iovec){rx->data[i], IO_RX_SIZE};
		rx->msg[i].msg_hdr = (struct msghdr){
		    .msg_iov = &rx->iov[i], .msg_iovlen = 1, .msg_name = &rx->from[i]};
	}
	return rx;
}

void io_rx_free(struct io_rx *rx)
{
	free(rx);
}

unsigned io_receive(struct io_rx *rx, int fd)
{
	for (unsigned i = 0; i < IO_RX_PACKETS; i++)
		rx->msg[i].msg_hdr.msg_namelen = sizeof(rx->from[i]);
	int n = recvmmsg(fd, rx->msg, IO_RX_PACKETS, MSG_DONTWAIT, NULL);
	return n > 0 ? (unsigned)n : 0;
}

struct io_packet io_rx_packet(struct io_rx *rx, unsigned i)
{
	const struct mmsghdr *m = &rx->msg[i];
	bool whole = !(m->msg_hdr.msg_flags & MSG_TRUNC);

	return (struct io_packet){rx->data[i], whole ? m->msg_len : 0, &rx->from[i]};
}
