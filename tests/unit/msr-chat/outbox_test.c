/* How many small messages go ahead of a large one that waits. */
#include "../../../cmd/msr-chat/server/outbox.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../cmd/msr-chat/server/limits.h"
#include "../../../cmd/msr-chat/server/parcel.h"
#include "../../../cmd/msr-chat/server/spool.h"
#include "../../../cmd/msr-chat/wire.h"
#include "../../support/test.h"

enum { SMALL = 16000, MANY = 40, AHEAD_MAX = 256 * 1024 };

/* A room with one receiver, and the other end of its socket. */
struct receiver {
	struct addresses all;
	struct address *from;
	struct spool spool;
	struct feed feed;
	struct outbox out;
	struct wire wire;
	int peer;
};

static void receiver_begin(struct receiver *r)
{
	struct sockaddr_storage peer = {.ss_family = AF_INET};
	int fd[2];

	map_init(&r->all.map);
	r->from = address_get(&r->all, &peer);
	r->spool =
	    (struct spool){.dir = test_dir(), .max = 1 << 20, .max_files = 8, .addresses = &r->all};
	CHECK_INT(feed_init(&r->feed), 0);
	outbox_init(&r->out);
	outbox_attach(&r->out, &r->feed);
	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	CHECK_INT(wire_init(&r->wire, fd[0], NULL, NULL), 0);
	r->peer = fd[1];
}

static void receiver_end(struct receiver *r)
{
	outbox_done(&r->out);
	feed_done(&r->feed);
	wire_done(&r->wire);
	close(r->peer);
	address_put(&r->all, r->from);
	CHECK_INT(r->all.map.n, 0);
	map_done(&r->all.map);
}

static void say(struct receiver *r)
{
	memset(feed_reserve(&r->feed, SMALL), 's', SMALL);
	feed_commit(&r->feed, SMALL);
}

static void whisper(struct receiver *r)
{
	struct parcel *p = parcel_new(SMALL, NULL);

	memset(p->data, 's', SMALL);
	CHECK_INT(outbox_insert(&r->out, p), 0);
	parcel_unref(p);
}

/* A content of two bytes. */
static void hand_over(struct receiver *r)
{
	struct spool_file *f = NULL;

	CHECK_INT(spool_open(&r->spool, r->from, false, 2, &f), 0);
	CHECK_INT(spool_write(f, "LL", 2), 0);
	struct parcel *p = parcel_new(0, f);
	CHECK_INT(outbox_large(&r->out, p), 0);
	parcel_unref(p);
}

/* Takes everything; the bytes ahead of the first large content. */
static size_t ahead_of_large(struct receiver *r)
{
	static char got[65536];
	size_t ahead = 0, all = 0;
	bool seen = false;
	int left;

	do {
		left = outbox_flush(&r->out, &r->wire, 1 << 20);
		CHECK(left >= 0);
		for (ssize_t n; (n = read(r->peer, got, sizeof(got))) > 0; all += (size_t)n) {
			const char *large = seen ? NULL : memchr(got, 'L', (size_t)n);
			if (large)
				ahead = all + (size_t)(large - got);
			seen |= large != NULL;
		}
	} while (left);
	CHECK(seen);
	CHECK(outbox_empty(&r->out));
	return ahead;
}

TEST(private_messages_go_ahead_within_the_bound)
{
	struct receiver r;

	receiver_begin(&r);
	hand_over(&r);
	for (int i = 0; i < MANY; i++)
		whisper(&r);
	size_t ahead = ahead_of_large(&r);
	CHECK(ahead >= AHEAD_MAX / 2);
	CHECK(ahead <= AHEAD_MAX);
	CHECK_INT(ahead % SMALL, 0);
	receiver_end(&r);
}

TEST(public_messages_go_ahead_within_the_bound)
{
	struct receiver r;

	receiver_begin(&r);
	say(&r); /* so that it does not begin with a chunk */
	CHECK_INT(outbox_flush(&r.out, &r.wire, 0), 0);
	hand_over(&r);
	for (int i = 0; i < MANY; i++)
		say(&r);
	size_t ahead = ahead_of_large(&r);
	CHECK(ahead >= AHEAD_MAX / 2 + SMALL);
	CHECK(ahead <= AHEAD_MAX + SMALL);
	CHECK_INT(ahead % SMALL, 0);
	receiver_end(&r);
}

TEST(what_was_there_before_goes_ahead_and_does_not_count)
{
	struct receiver r;

	receiver_begin(&r);
	for (int i = 0; i < MANY; i++)
		say(&r);
	hand_over(&r);
	whisper(&r);
	CHECK_INT(ahead_of_large(&r), (MANY + 1) * SMALL);
	receiver_end(&r);
}

TEST(small_ones_pass_between_two_large_ones)
{
	struct receiver r;

	receiver_begin(&r);
	hand_over(&r);
	hand_over(&r);
	CHECK_INT(outbox_flush(&r.out, &r.wire, 1), 1); /* in the middle of the first */
	say(&r);
	whisper(&r);
	CHECK_INT(outbox_flush(&r.out, &r.wire, 1 << 20), 0);
	char got[4 + 2 * SMALL];
	CHECK_INT(recv(r.peer, got, sizeof(got), MSG_WAITALL), sizeof(got));
	CHECK(got[1] == 'L' && got[2] == 's');
	CHECK(got[1 + 2 * SMALL] == 's' && got[2 + 2 * SMALL] == 'L');
	receiver_end(&r);
}
