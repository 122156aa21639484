/*
 * WebSocket sessions, both ends in one loop: a client of lib/web against a server of lib/web. One
 * file, though a long one: each case needs both ends, and what is noted of them.
 */
#include "web/ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../../support/test.h"
#include "loop/loop.h"
#include "web/http.h"
#include "web/web.h"

#define LONG_US 20000000 /* a test that hangs fails after this */

static struct loop *loop;
static struct web *web;
static struct web_server *server;
static struct loop_timer late;
static int accepted, opened, server_code;
static atomic_int server_closed;
static char server_reason[128];
static int client_opened, client_closed, client_code, client_got;
static char client_reason[128];
static char host[300]; /* header of the last upgrade */
static size_t last_len;
static uint8_t *last;
static int last_port;
static struct ws *server_ws;
static void (*on_client_open)(struct ws *ws);
static void (*on_client_message)(struct ws *ws);

/* ---- the server: echoes; "close" closes with 4001 ---- */

static int server_accept(void *arg, struct web_req *req, void **session)
{
	(void)arg;
	accepted++;
	snprintf(host, sizeof(host), "%s", web_header(req, "host"));
	if (strcmp(web_param(req, "name"), "no") == 0) {
		web_reply_error(req, 409, "busy", "somebody else is here");
		return -1;
	}
	*session = NULL;
	return 0;
}

static void server_open(void *session, struct ws *ws)
{
	(void)session;
	opened++;
	server_ws = ws;
}

static void server_message(void *session, struct ws *ws, enum ws_type type, uint8_t *data,
			   size_t len)
{
	(void)session;
	CHECK_INT(data[len], 0);
	if (len == 5 && memcmp(data, "close", 5) == 0)
		ws_close(ws, 4001, "as you wish");
	else
		CHECK_INT(ws_send(ws, type, data, len), 0);
}

static void server_close(void *session, struct ws *ws, int code, const char *reason)
{
	(void)session, (void)ws;
	server_code = code;
	snprintf(server_reason, sizeof(server_reason), "%s", reason);
	server_ws = NULL;
	server_closed++;
}

static void server_too_large(void *session, struct ws *ws)
{
	(void)session;
	CHECK_INT(ws_send(ws, WS_TEXT, "too large", 9), 0);
}

/* Sends without end. */
static void server_flood(void *session, struct ws *ws)
{
	static uint8_t data[65536];

	(void)session;
	while (ws_send(ws, WS_BINARY, data, sizeof(data)) == 0)
		;
}

#define LARGE (6 << 20) /* bytes, beyond what the kernel takes at once */

static void server_large(void *session, struct ws *ws)
{
	uint8_t *data = calloc(1, LARGE);

	(void)session;
	CHECK_INT(ws_send(ws, WS_BINARY, data, LARGE), 0);
	free(data);
}

/* ---- the client ---- */

static void client_open(void *session, struct ws *ws)
{
	(void)session;
	client_opened++;
	if (on_client_open)
		on_client_open(ws);
}

static void client_message(void *session, struct ws *ws, enum ws_type type, uint8_t *data,
			   size_t len)
{
	(void)session, (void)type;
	client_got++;
	free(last);
	last = malloc(len + 1);
	memcpy(last, data, len + 1);
	last_len = len;
	if (on_client_message)
		on_client_message(ws);
}

static int busy_looks; /* times that the client is still busy */

static bool client_busy(void *session)
{
	(void)session;
	return busy_looks-- > 0;
}

static void client_close(void *session, struct ws *ws, int code, const char *reason)
{
	(void)session, (void)ws;
	client_closed++;
	client_code = code;
	snprintf(client_reason, sizeof(client_reason), "%s", reason);
	loop_stop(loop, 0);
}

static const struct ws_ops server_ops = {
    .accept = server_accept, .open = server_open, .message = server_message, .close = server_close};
static const struct ws_ops discarding_ops = {.accept = server_accept,
					     .open = server_open,
					     .message = server_message,
					     .too_large = server_too_large,
					     .close = server_close};
static const struct ws_ops flooding_ops = {.accept = server_accept,
					   .open = server_flood,
					   .message = server_message,
					   .drained = server_flood,
					   .close = server_close};
static const struct ws_ops large_ops = {.accept = server_accept,
					.open = server_large,
					.message = server_message,
					.close = server_close};
static const struct ws_ops client_ops = {
    .open = client_open, .message = client_message, .busy = client_busy, .close = client_close};

static const struct ws_ops *ops_now = &server_ops; /* of the next server */

static void too_late(void *arg)
{
	(void)arg;
	loop_stop(loop, -ETIMEDOUT);
}

/*
 * Starts a server, connects to /NAME and runs until the client's session has ended. False: the
 * address cannot be had.
 */
static bool talk_at(const char *address, const char *name, const struct ws_opts *client_opts)
{
	struct ws_opts server_opts = {.message_max = 4 << 20, .queue_max = 8 << 20};
	struct web_opts wo = {0};
	struct web_listen_opts lo = {.address = address, .server_name = "test"};
	struct ws_connect_opts co = {0};
	char url[128];
	struct ws *ws;

	accepted = opened = server_closed = client_opened = client_closed = client_got = 0;
	CHECK_INT(loop_new(&loop), 0);
	wo.loop = loop;
	CHECK_INT(web_new(&web, &wo), 0);
	int ret = web_listen(&server, web, &lo);
	if (ret) {
		web_free(web);
		loop_free(loop);
		return false;
	}
	last_port = web_port(server);
	web_socket(server, "/:name", &server_opts, ops_now, NULL);
	loop_timer_init(&late, loop, too_late, NULL);
	loop_timer_in_us(&late, LONG_US);
	snprintf(url, sizeof(url), strchr(address, ':') ? "ws://[%s]:%d/%s" : "ws://%s:%d/%s",
		 address, last_port, name);
	co.url = url;
	if (client_opts)
		co.ws = *client_opts;
	CHECK_INT(ws_connect(&ws, web, &co, &client_ops, NULL), 0);
	CHECK_INT(web_run(web), 0);
	CHECK_INT(client_closed, 1);
	loop_timer_stop(&late);
	web_free(web);
	loop_free(loop);
	free(last);
	last = NULL;
	CHECK_INT(opened, server_closed);
	return true;
}

static void talk(const char *name, const struct ws_opts *client_opts)
{
	CHECK(talk_at("127.0.0.1", name, client_opts));
}

static size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 100000, 3 << 20};
static size_t n_sizes;

static void send_next(struct ws *ws)
{
	if (n_sizes > 0) {
		CHECK_INT(last_len, sizes[n_sizes - 1]);
		for (size_t i = 0; i < last_len; i++)
			CHECK(last[i] == (uint8_t)(i * 31 + 7));
	}
	if (n_sizes == sizeof(sizes) / sizeof(*sizes)) {
		ws_close(ws, WS_NORMAL, "enough");
		return;
	}
	size_t n = sizes[n_sizes++];
	uint8_t *data = malloc(n + 1);
	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)(i * 31 + 7);
	CHECK_INT(ws_send(ws, WS_BINARY, data, n), 0);
	free(data);
}

TEST(messages_of_all_sizes_come_back)
{
	struct ws_opts o = {.message_max = 4 << 20, .queue_max = 8 << 20};

	n_sizes = 0;
	on_client_open = on_client_message = send_next;
	talk("echo", &o);
	CHECK_INT(client_got, (long)(sizeof(sizes) / sizeof(*sizes)));
	CHECK_INT(client_code, WS_NORMAL);
	CHECK_INT(server_code, WS_NORMAL);
}

static void ask_to_close(struct ws *ws)
{
	ws_send(ws, WS_TEXT, "close", 5);
}

TEST(the_server_closes_with_code_and_reason)
{
	on_client_open = ask_to_close;
	on_client_message = NULL;
	talk("x", NULL);
	CHECK_INT(client_code, 4001);
	CHECK_STR(client_reason, "as you wish");
	CHECK_INT(server_code, 4001);
}

TEST(clients_name_host_and_port)
{
	char want[32];

	on_client_open = ask_to_close;
	on_client_message = NULL;
	talk("x", NULL);
	snprintf(want, sizeof(want), "127.0.0.1:%d", last_port);
	CHECK_STR(host, want);
	if (!talk_at("::1", "x", NULL))
		return; /* some containers have no IPv6 at all */
	snprintf(want, sizeof(want), "[::1]:%d", last_port);
	CHECK_STR(host, want);
}

TEST(refused_upgrades_never_open)
{
	on_client_open = NULL;
	talk("no", NULL);
	CHECK_INT(accepted, 1);
	CHECK_INT(opened, 0);
	CHECK_INT(client_opened, 0);
	CHECK_INT(client_code, WS_ABNORMAL);
}

static void send_too_much(struct ws *ws)
{
	size_t n = (4 << 20) + 1;
	uint8_t *data = calloc(1, n);

	CHECK_INT(ws_send(ws, WS_BINARY, data, n), 0);
	free(data);
}

TEST(large_messages_are_refused)
{
	struct ws_opts o = {.queue_max = 8 << 20};

	on_client_open = send_too_much;
	talk("x", &o);
	CHECK_INT(client_code, WS_TOO_BIG);
}

static void send_latin1(struct ws *ws)
{
	ws_send(ws, WS_TEXT, "caf\xe9", 4);
}

TEST(text_must_be_utf8)
{
	on_client_open = send_latin1;
	talk("x", NULL);
	CHECK_INT(client_code, WS_BAD_DATA);
}

static void fill_queue(struct ws *ws)
{
	static uint8_t data[1000];
	int n = 0, ret;

	while ((ret = ws_send(ws, WS_BINARY, data, sizeof(data))) == 0)
		n++;
	CHECK_INT(ret, -ENOBUFS);
	CHECK_INT(n, 9); /* with their heads */
	CHECK(ws_queued(ws) <= 10000);
	ws_close(ws, WS_NORMAL, "");
	CHECK_INT(ws_send(ws, WS_BINARY, data, 1), -EPIPE);
}

TEST(queues_are_bounded)
{
	struct ws_opts o = {.queue_max = 10000};

	on_client_open = fill_queue;
	talk("x", &o);
	CHECK_INT(client_code, WS_NORMAL);
}

static int paused_got;

static void resume_later(void *arg)
{
	paused_got = client_got;
	ws_resume(arg);
}

static void pause_then_send(struct ws *ws)
{
	static struct loop_timer timer;

	ws_pause(ws);
	CHECK(ws_paused(ws));
	CHECK_INT(ws_send(ws, WS_TEXT, "later", 5), 0);
	loop_timer_init(&timer, loop, resume_later, ws);
	loop_timer_in_us(&timer, 300000);
}

static void close_now(struct ws *ws)
{
	ws_close(ws, 3000, "got it");
}

TEST(paused_sessions_receive_nothing)
{
	on_client_open = pause_then_send;
	on_client_message = close_now;
	talk("x", NULL);
	CHECK_INT(paused_got, 0);
	CHECK_INT(client_got, 1);
	CHECK_INT(server_code, 3000);
}

TEST(idle_sessions_are_closed)
{
	struct ws_opts o = {.idle_us = 300000, .idle_code = 4008};

	on_client_open = on_client_message = NULL;
	busy_looks = 0;
	talk("x", &o);
	CHECK_INT(server_code, 4008);
}

TEST(who_owes_an_answer_is_not_idle)
{
	struct ws_opts o = {.idle_us = 250000, .idle_code = 4008};

	on_client_open = on_client_message = NULL;
	busy_looks = 2;
	talk("x", &o);
	CHECK_INT(busy_looks, -1);
	CHECK_INT(server_code, 4008);
}

/* For localhost, signed by itself: believed by who names it as an authority. */
static void make_certificate(char *pem, size_t cap, const char *key)
{
	static int n;
	char cmd[1024];

	snprintf(pem, cap, "%s/%d.pem", test_dir(), n++);
	snprintf(cmd, sizeof(cmd),
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
		 "-subj /CN=localhost -keyout %s -out %s 2>/dev/null",
		 key, pem);
	CHECK_INT(system(cmd), 0);
}

static bool opens_tls(const char *ca_file)
{
	char url[64];
	struct ws_connect_opts co = {.url = url, .ca_file = ca_file};
	struct ws *ws;

	client_opened = 0;
	snprintf(url, sizeof(url), "wss://localhost:%d/x", web_port(server));
	CHECK_INT(ws_connect(&ws, web, &co, &client_ops, NULL), 0);
	CHECK_INT(web_run(web), 0);
	return client_opened;
}

TEST(each_client_believes_the_authorities_that_it_names)
{
	struct ws_opts server_opts = {0};
	struct web_listen_opts lo = {.address = "127.0.0.1", .server_name = "test"};
	struct web_opts wo = {0};
	char key[256], own[256], other[256], other_key[256];

	snprintf(key, sizeof(key), "%s/key", test_dir());
	snprintf(other_key, sizeof(other_key), "%s/other_key", test_dir());
	make_certificate(own, sizeof(own), key);
	make_certificate(other, sizeof(other), other_key);
	on_client_open = ask_to_close;
	on_client_message = NULL;
	CHECK_INT(loop_new(&loop), 0);
	wo.loop = loop;
	CHECK_INT(web_new(&web, &wo), 0);
	lo.tls_cert = own;
	lo.tls_key = key;
	CHECK_INT(web_listen(&server, web, &lo), 0);
	web_socket(server, "/:name", &server_opts, &server_ops, NULL);
	loop_timer_init(&late, loop, too_late, NULL);
	loop_timer_in_us(&late, LONG_US);
	CHECK(!opens_tls(other));
	CHECK(opens_tls(own));
	CHECK(!opens_tls(NULL));
	CHECK(!opens_tls(other));
	CHECK(opens_tls(own));
	loop_timer_stop(&late);
	web_free(web);
	loop_free(loop);
}

TEST(a_port_that_cannot_be_opened_says_why)
{
	struct web_listen_opts lo = {.address = "127.0.0.1", .server_name = "test"};
	struct web_server *second;
	struct web_opts wo = {0};
	char key[256], own[256], other[256], other_key[256];

	snprintf(key, sizeof(key), "%s/key", test_dir());
	snprintf(other_key, sizeof(other_key), "%s/other_key", test_dir());
	make_certificate(own, sizeof(own), key);
	make_certificate(other, sizeof(other), other_key);
	CHECK_INT(loop_new(&loop), 0);
	wo.loop = loop;
	CHECK_INT(web_new(&web, &wo), 0);
	CHECK_INT(web_listen(&server, web, &lo), 0);
	lo.port = web_port(server);
	CHECK_INT(web_listen(&second, web, &lo), -EADDRINUSE);
	CHECK_STR(web_error(web), "Address already in use");
	lo.port = 0;
	lo.tls_cert = own;
	CHECK_INT(web_listen(&second, web, &lo), -EINVAL);
	lo.tls_key = "/no/such/key";
	CHECK_INT(web_listen(&second, web, &lo), -EINVAL);
	CHECK_STR(web_error(web), "cannot read '/no/such/key': No such file or directory");
	lo.tls_key = other_key;
	CHECK_INT(web_listen(&second, web, &lo), -EINVAL);
	CHECK(strstr(web_error(web), "cannot use certificate"));
	web_free(web);
	loop_free(loop);
}

TEST(nobody_listens)
{
	struct web_opts wo = {0};
	struct ws_connect_opts co = {.url = "ws://127.0.0.1:1/x"};
	struct ws *ws;

	client_closed = client_opened = 0;
	CHECK_INT(loop_new(&loop), 0);
	wo.loop = loop;
	CHECK_INT(web_new(&web, &wo), 0);
	loop_timer_init(&late, loop, too_late, NULL);
	loop_timer_in_us(&late, LONG_US);
	CHECK_INT(ws_connect(&ws, web, &co, &client_ops, NULL), 0);
	CHECK_INT(web_run(web), 0);
	CHECK_INT(client_closed, 1);
	CHECK_INT(client_code, WS_ABNORMAL);
	co.url = "http://127.0.0.1/";
	CHECK_INT(ws_connect(&ws, web, &co, &client_ops, NULL), -EINVAL);
	loop_timer_stop(&late);
	web_free(web);
	loop_free(loop);
}

/* ---- clients by hand, with blocking sockets on a thread of their own ---- */

#define HELD_MAX  65536
#define PIECE	  49152	 /* two are beyond HELD_MAX */
#define ANSWER_MS 1500	 /* before a message that does not go on is given up */
#define WRITE_US  500000 /* before a client that does not read is */
#define IDLE_US	  500000 /* where a test has clients closed for that */

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
		loop_stop(loop, 0);
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

	CHECK_INT(loop_new(&loop), 0);
	wo.loop = loop;
	CHECK_INT(web_new(&web, &wo), 0);
	CHECK_INT(web_listen(&server, web, &lo), 0);
	web_socket(server, "/:name", &server_opts, ops, NULL);
	loop_timer_init(&late, loop, too_late, NULL);
	loop_timer_in_us(&late, LONG_US);
	server_closed = 0;
	by_hand.talk = what;
	by_hand.done = false;
	loop_timer_init(&by_hand.look, loop, hand_look, NULL);
	loop_timer_in_us(&by_hand.look, 0);
	int port = web_port(server);
	CHECK_INT(pthread_create(&thread, NULL, hand_thread, &port), 0);
	int ret = web_run(web);
	pthread_join(thread, NULL);
	loop_timer_stop(&late);
	loop_timer_stop(&by_hand.look);
	web_free(web);
	loop_free(loop);
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
	talk_by_hand(after_empty_pieces, &server_ops);
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
	talk_by_hand(the_eldest_leaves, &server_ops);
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
	talk_by_hand(too_large_ones, &discarding_ops);
	CHECK_INT(came[0], 9);
	CHECK_INT(came[1], PIECE + 2);
	CHECK_INT(came[2], PIECE + 1);
	CHECK_INT(came[3], 10);
}

static void send_small(struct ws *ws)
{
	if (client_got == 2)
		ws_close(ws, WS_NORMAL, "");
	else
		CHECK_INT(ws_send(ws, WS_TEXT, "small", 5), 0);
}

TEST(a_session_outlives_a_message_that_is_too_large)
{
	struct ws_opts o = {.queue_max = 8 << 20};

	ops_now = &discarding_ops;
	on_client_open = send_too_much;
	on_client_message = send_small;
	talk("x", &o);
	ops_now = &server_ops;
	CHECK_INT(client_got, 2);
	CHECK_INT(client_code, WS_NORMAL);
}

/* Takes nothing, until the server has had enough. */
static void read_nothing(int port)
{
	int s = hand_open(port);

	for (int i = 0; i < LONG_US / 10000 && !server_closed; i++)
		usleep(10000);
	close(s);
}

TEST(who_does_not_read_is_disconnected)
{
	talk_by_hand(read_nothing, &flooding_ops);
	CHECK_INT(server_code, WS_ABNORMAL);
	CHECK_STR(server_reason, "does not read");
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
	talk_by_hand(send_slowly, &server_ops);
	hand_idle_us = 0;
	CHECK_INT(came[0], 163840);
	CHECK_INT(came[1], 163840);
}

/* For twice WRITE_US no more than a part of what waits; then all. */
static void read_slowly(int port)
{
	uint8_t data[16384];
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
	talk_by_hand(read_slowly, &large_ops);
	CHECK(came[0] >= LARGE);
}
