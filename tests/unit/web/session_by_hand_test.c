/*
 * WebSocket sessions of clients by hand, with blocking sockets on a thread of their own: what is
 * held of messages that do not end, and of clients that are slow. The server is echo.h's.
 */
#include "web/ws.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../../support/test.h"
#include "echo.h"

#define HELD_MAX  65536
#define PIECE	  49152	  /* two are beyond HELD_MAX */
#define ANSWER_MS 1500	  /* before a message that does not go on is given up */
#define WRITE_US  1000000 /* before a client that does not read is */
#define IDLE_US	  500000  /* where a test has clients closed for that */

enum { PART = 0, WHOLE = 0x80 };

static int hand_window;	     /* bytes of SO_RCVBUF; 0: the system's */
static int64_t hand_idle_us; /* of the server */

static int hand_open(int port)
{
	static const char request[] = "GET /x HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
				      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
				      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct timeval tv = {.tv_usec = ANSWER_MS % 1000 * 1000, .tv_sec = ANSWER_MS / 1000};
	char head[1024] = "";
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (hand_window)
		setsockopt(s, SOL_SOCKET, SO_RCVBUF, &hand_window, sizeof(hand_window));
	if (connect(s, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    send(s, request, sizeof(request) - 1, 0) < 0)
		return -1;
	for (size_t n = 0; n < sizeof(head) - 1 && !strstr(head, "\r\n\r\n"); n++)
		if (recv(s, head + n, 1, 0) != 1)
			return -1;
	return s;
}

/* A frame of zeros, masked with zeros. */
static void hand_send(int s, int fin_op, size_t len)
{
	uint8_t *p = calloc(1, 8 + len);

	p[0] = (uint8_t)fin_op;
	p[1] = 0x80 | 126;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	send(s, p, 8 + len, MSG_NOSIGNAL); /* what is missing is missed below */
	free(p);
}

/* The length of the message that comes back; -1: nothing does. */
static long hand_receive(int s)
{
	uint8_t head[10], data[4096];
	size_t len, more;
	ssize_t n;

	if (recv(s, head, 2, MSG_WAITALL) != 2)
		return -1;
	more = head[1] == 127 ? 8 : head[1] == 126 ? 2 : 0;
	if (more && recv(s, head + 2, more, MSG_WAITALL) != (ssize_t)more)
		return -1;
	len = more ? 0 : head[1];
	for (size_t i = 0; i < more; i++)
		len = len << 8 | head[2 + i];
	for (size_t left = len; left; left -= (size_t)n) {
		n = recv(s, data, left < sizeof(data) ? left : sizeof(data), 0);
		if (n <= 0)
			return -1;
	}
	return (long)len;
}

static struct by_hand {
	void (*talk)(int port);
	atomic_bool done;
	struct loop_timer look;
} by_hand;

static void *hand_thread(void *arg)
{
	by_hand.talk(*(int *)arg);
	by_hand.done = true;
	return NULL;
}

static void hand_look(void *arg)
{
	(void)arg;
	if (by_hand.done)
		loop_stop(echo.loop, 0);
	else
		loop_timer_in_us(&by_hand.look, 10000);
}

/* Runs `what` on a thread, against a server that holds little. */
static void talk_by_hand(void (*what)(int port), const struct ws_ops *ops)
{
	struct ws_opts server_opts = {.message_max = 4 << 20,
				      .queue_max = 8 << 20,
				      .write_timeout_us = WRITE_US,
				      .idle_us = hand_idle_us};
	struct web_opts wo = {.max_held = HELD_MAX};
	struct web_listen_opts lo = {.address = "127.0.0.1", .server_name = "test"};
	pthread_t thread;

	CHECK_INT(echo_begin(&wo, &lo, &server_opts, ops), 0);
	by_hand.talk = what;
	by_hand.done = false;
	loop_timer_init(&by_hand.look, echo.loop, hand_look, NULL);
	loop_timer_in_us(&by_hand.look, 0);
	int port = web_port(echo.server);
	CHECK_INT(pthread_create(&thread, NULL, hand_thread, &port), 0);
	int ret = web_run(echo.web);
	pthread_join(thread, NULL);
	loop_timer_stop(&by_hand.look);
	echo_end();
	CHECK_INT(ret, 0);
}

static long came[4];

/*
 * Two messages, both begun, are more than may be held; both end. `first` is of who came before them
 * and leaves in between; -1: nobody does.
 */
static void two_large_ones(int port, int first)
{
	int a = hand_open(port), b = hand_open(port);

	hand_send(a, PART | 2, PIECE);
	usleep(50000); /* a's began first */
	hand_send(b, PART | 2, PIECE);
	usleep(50000);
	hand_send(a, PART, 1);
	usleep(50000);
	hand_send(a, WHOLE, 1);
	if (first >= 0)
		close(first);
	came[1] = hand_receive(a);
	hand_send(b, WHOLE, 1);
	came[2] = hand_receive(b);
	close(a);
	close(b);
}

static void after_empty_pieces(int port)
{
	int s = hand_open(port);

	hand_send(s, PART | 2, 0);
	hand_send(s, WHOLE, 0);
	came[0] = hand_receive(s);
	two_large_ones(port, -1);
	close(s);
}

TEST(a_message_of_empty_pieces_leaves_nothing_behind)
{
	talk_by_hand(after_empty_pieces, &echo_ops);
	CHECK_INT(came[0], 0);
	CHECK_INT(came[1], PIECE + 2);
	CHECK_INT(came[2], PIECE + 1);
}

/* The eldest holds nothing, and leaves while others wait for it. */
static void the_eldest_leaves(int port)
{
	int s = hand_open(port);

	hand_send(s, PART | 2, 0);
	usleep(50000);
	two_large_ones(port, s);
}

TEST(who_held_nothing_makes_way_when_it_leaves)
{
	talk_by_hand(the_eldest_leaves, &echo_ops);
	CHECK_INT(came[1], PIECE + 2);
	CHECK_INT(came[2], PIECE + 1);
}

/* One in pieces, then one whole; of neither anything is held while others need the memory. */
static void too_large_ones(int port)
{
	int s = hand_open(port);

	for (size_t sent = 0; sent <= 5 << 20; sent += PIECE)
		hand_send(s, sent ? PART : PART | 2, PIECE);
	came[0] = hand_receive(s);
	two_large_ones(port, -1);
	hand_send(s, WHOLE, 1);
	hand_send(s, WHOLE | 2, 10);
	came[3] = hand_receive(s);
	close(s);
}

TEST(too_large_messages_are_discarded_where_the_program_says_so)
{
	talk_by_hand(too_large_ones, &echo_discarding);
	CHECK_INT(came[0], 9);
	CHECK_INT(came[1], PIECE + 2);
	CHECK_INT(came[2], PIECE + 1);
	CHECK_INT(came[3], 10);
}

/* Takes nothing, until the server has had enough. */
static void read_nothing(int port)
{
	int s = hand_open(port);

	for (int i = 0; i < ECHO_LONG_US / 10000 && !echo.closed; i++)
		usleep(10000);
	close(s);
}

TEST(who_does_not_read_is_disconnected)
{
	talk_by_hand(read_nothing, &echo_flooding);
	CHECK_INT(echo.code, WS_ABNORMAL);
	CHECK_STR(echo.reason, "does not read");
}

/* Two messages that take longer than IDLE_US: one of many frames, one of a single frame. */
static void send_slowly(int port)
{
	enum { PIECES = 10, EACH = 16384 };
	static uint8_t data[EACH];
	const uint32_t len = PIECES * EACH;
	const uint8_t head[14] = {
	    WHOLE | 2, 0x80 | 127, [7] = len >> 16 & 255, [8] = len >> 8 & 255, [9] = len & 255};
	int s = hand_open(port);

	for (int i = 0; i < PIECES; i++, usleep(IDLE_US / 7))
		hand_send(s, i ? PART : PART | 2, EACH);
	hand_send(s, WHOLE, 0);
	came[0] = hand_receive(s);
	send(s, head, sizeof(head), MSG_NOSIGNAL);
	for (int i = 0; i < PIECES; i++, usleep(IDLE_US / 7))
		send(s, data, sizeof(data), MSG_NOSIGNAL);
	came[1] = hand_receive(s);
	close(s);
}

TEST(who_sends_a_long_message_slowly_is_not_idle)
{
	hand_idle_us = IDLE_US;
	talk_by_hand(send_slowly, &echo_ops);
	hand_idle_us = 0;
	CHECK_INT(came[0], 163840);
	CHECK_INT(came[1], 163840);
}

/* For twice WRITE_US no more than a part of what waits; then all. */
static void read_slowly(int port)
{
	uint8_t data[65536];
	long n = 0;
	int s;

	hand_window = 65536;
	s = hand_open(port);
	hand_window = 0;
	for (int i = 0; i < 2 * WRITE_US / 25000; i++, usleep(25000))
		n += recv(s, data, sizeof(data), 0);
	for (ssize_t more; n < LARGE && (more = recv(s, data, sizeof(data), 0)) > 0;)
		n += more;
	came[0] = n;
	close(s);
}

TEST(who_reads_a_long_message_slowly_gets_all_of_it)
{
	talk_by_hand(read_slowly, &echo_large);
	CHECK(came[0] >= LARGE);
}
