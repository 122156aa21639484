/* UDP out: see io_tx.h. */
#include "io_tx.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#define GSO_BYTES 65000 /* of one message: it is an IP packet until the kernel cuts it */
/* Sent at the latest when so much is together: what was written is still in the cache. */
#define QUEUE_MESSAGES 32
#define QUEUE_BYTES    65536
/* One more io_tx_queue fits always, even if each of its packets becomes a message. */
#define MESSAGES_MAX (QUEUE_MESSAGES + IO_TX_PACKETS)
#define BYTES_MAX    (QUEUE_BYTES + IO_TX_PACKETS * IO_TX_SIZE)
#define RING_ENTRIES 128

_Static_assert(RING_ENTRIES >= MESSAGES_MAX, "an entry for each message");

/* Packets for one address, all but the last of `size` bytes. */
struct message {
	struct msghdr head;
	struct iovec iov;
	int fd;
	unsigned n;
	uint16_t size;
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	union {
		char bytes[CMSG_SPACE(sizeof(uint16_t))];
		struct cmsghdr align;
	} control;
};

struct io_tx {
	struct io_uring ring;
	bool have_ring;
	struct io_sent sent; /* since the last io_tx_submit */

	struct message message[MESSAGES_MAX];
	unsigned n_messages;

	unsigned n; /* packets not queued yet */
	uint16_t len[IO_TX_PACKETS];
	size_t first, end; /* their bytes in `data` */
	uint8_t data[BYTES_MAX];
};

int io_tx_new(struct io_tx **out, bool ring)
{
	struct io_tx *tx = calloc(1, sizeof(*tx));

	if (!tx)
		return -ENOMEM;
	tx->have_ring = ring && io_uring_queue_init(RING_ENTRIES, &tx->ring, 0) == 0;
	*out = tx;
	return 0;
}

void io_tx_free(struct io_tx *tx)
{
	if (tx && tx->have_ring)
		io_uring_queue_exit(&tx->ring);
	free(tx);
}

/* ---- packets ---- */

unsigned io_tx_packets(const struct io_tx *tx)
{
	return tx->n;
}

uint8_t *io_tx_next(struct io_tx *tx)
{
	return tx->data + tx->end;
}

void io_tx_add(struct io_tx *tx, size_t len)
{
	tx->len[tx->n++] = (uint16_t)len;
	tx->end += len;
}

const uint8_t *io_tx_packet(const struct io_tx *tx, unsigned i, size_t *len)
{
	const uint8_t *p = tx->data + tx->first;

	for (unsigned k = 0; k < i; k++)
		p += tx->len[k];
	*len = tx->len[i];
	return p;
}

void io_tx_drop(struct io_tx *tx)
{
	tx->n = 0;
	tx->end = tx->first;
}

/* ---- messages ---- */

static socklen_t set_address(struct message *m, const struct sockaddr_storage *to)
{
	if (to->ss_family == AF_INET6) {
		memcpy(&m->to.v6, to, sizeof(m->to.v6));
		return sizeof(m->to.v6);
	}
	memcpy(&m->to.v4, to, sizeof(m->to.v4));
	return sizeof(m->to.v4);
}

static void segment(struct message *m)
{
	m->head.msg_control = m->control.bytes;
	m->head.msg_controllen = sizeof(m->control.bytes);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m->head);
	*c = (struct cmsghdr){.cmsg_level = SOL_UDP,
			      .cmsg_type = UDP_SEGMENT,
			      .cmsg_len = CMSG_LEN(sizeof(uint16_t))};
	memcpy(CMSG_DATA(c), &m->size, sizeof(m->size));
}

void io_tx_queue(struct io_tx *tx, int fd, const struct sockaddr_storage *to)
{
	uint8_t *p = tx->data + tx->first;

	for (unsigned i = 0; i < tx->n;) {
		struct message *m = &tx->message[tx->n_messages++];
		size_t bytes = 0;
		m->fd = fd;
		m->size = tx->len[i];
		m->n = 0;
		while (i < tx->n && tx->len[i] <= m->size && bytes + tx->len[i] <= GSO_BYTES) {
			bytes += tx->len[i];
			m->n++;
			if (tx->len[i++] < m->size)
				break; /* a shorter one is the last of its run */
		}
		m->iov = (struct iovec){p, bytes};
		m->head = (struct msghdr){.msg_name = &m->to,
					  .msg_namelen = set_address(m, to),
					  .msg_iov = &m->iov,
					  .msg_iovlen = 1};
		if (m->n > 1)
			segment(m);
		p += bytes;
	}
	tx->n = 0;
	tx->first = tx->end;
	if (tx->n_messages < QUEUE_MESSAGES && tx->end < QUEUE_BYTES)
		return;
	tx->sent = io_tx_submit(tx); /* the count continues */
}

/* ---- sending ---- */

/* For paths on which the kernel refuses to segment: a smaller MTU, no checksums in the device. */
static void send_singly(struct io_sent *s, const struct message *m)
{
	const uint8_t *p = m->iov.iov_base;
	size_t left = m->iov.iov_len;

	for (unsigned i = 0; i < m->n; i++) {
		size_t len = left < m->size ? left : m->size;
		ssize_t ret =
		    sendto(m->fd, p, len, MSG_DONTWAIT, m->head.msg_name, m->head.msg_namelen);
		s->calls++;
		s->packets += ret >= 0;
		s->dropped += ret < 0;
		s->bytes += ret >= 0 ? len : 0;
		p += len;
		left -= len;
	}
}

/* What became of a message: `ret` is 0 or more, or -errno. */
static void account(struct io_sent *s, const struct message *m, int ret)
{
	if (ret >= 0) {
		s->packets += m->n;
		s->bytes += m->iov.iov_len;
	} else if (m->n > 1 && ret != -EAGAIN && ret != -ENOBUFS) {
		send_singly(s, m);
	} else {
		s->dropped += m->n;
	}
}

static void send_message(struct io_sent *s, const struct message *m)
{
	s->calls++;
	account(s, m, sendmsg(m->fd, &m->head, MSG_DONTWAIT) < 0 ? -errno : 0);
}

/* Returns how many the kernel took; their buffers are free again. */
static unsigned send_by_ring(struct io_tx *tx)
{
	unsigned done = 0, head;
	struct io_uring_cqe *c;

	for (unsigned i = 0; i < tx->n_messages; i++) {
		struct io_uring_sqe *q = io_uring_get_sqe(&tx->ring); /* enough: see above */
		io_uring_prep_sendmsg(q, tx->message[i].fd, &tx->message[i].head, MSG_DONTWAIT);
		io_uring_sqe_set_data64(q, i);
	}
	/* With MSG_DONTWAIT each is carried out, or has failed, before this returns. */
	int taken = io_uring_submit_and_wait(&tx->ring, tx->n_messages);
	tx->sent.calls++;
	io_uring_for_each_cqe(&tx->ring, head, c)
	{
		account(&tx->sent, &tx->message[io_uring_cqe_get_data64(c)], c->res);
		done++;
	}
	io_uring_cq_advance(&tx->ring, done);
	if (taken != (int)tx->n_messages || done != tx->n_messages) {
		/* Out of memory, say. What is left in the ring must never be sent later. */
		io_uring_queue_exit(&tx->ring);
		tx->have_ring = false;
	}
	return taken > 0 ? (unsigned)taken : 0;
}

struct io_sent io_tx_submit(struct io_tx *tx)
{
	unsigned i = 0;

	/* A single one is cheaper without. */
	if (tx->have_ring && tx->n_messages > 1)
		i = send_by_ring(tx);
	for (; i < tx->n_messages; i++)
		send_message(&tx->sent, &tx->message[i]);
	struct io_sent sent = tx->sent;
	tx->sent = (struct io_sent){0};
	tx->n_messages = 0;
	/* Packets that are not queued yet stay; callers mostly have none. */
	if (tx->n)
		memmove(tx->data, tx->data + tx->first, tx->end - tx->first);
	tx->end -= tx->first;
	tx->first = 0;
	return sent;
}
