/*
 * WebSocket sessions, both ends in one loop: a client of lib/web against a server of lib/web
 * (echo.h).
 */
#include "web/ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/test.h"
#include "echo.h"

static int client_opened, client_closed, client_code, client_got;
static char client_reason[128];
static size_t last_len;
static uint8_t *last;
static int last_port;
static void (*on_client_open)(struct ws *ws);
static void (*on_client_message)(struct ws *ws);
static const struct ws_ops *ops_now = &echo_ops; /* of the next server */

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
	loop_stop(echo.loop, 0);
}

static const struct ws_ops client_ops = {
    .open = client_open, .message = client_message, .busy = client_busy, .close = client_close};

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

	client_opened = client_closed = client_got = 0;
	if (echo_begin(&wo, &lo, &server_opts, ops_now))
		return false;
	last_port = web_port(echo.server);
	snprintf(url, sizeof(url), strchr(address, ':') ? "ws://[%s]:%d/%s" : "ws://%s:%d/%s",
		 address, last_port, name);
	co.url = url;
	if (client_opts)
		co.ws = *client_opts;
	CHECK_INT(ws_connect(&ws, echo.web, &co, &client_ops, NULL), 0);
	CHECK_INT(web_run(echo.web), 0);
	CHECK_INT(client_closed, 1);
	echo_end();
	free(last);
	last = NULL;
	CHECK_INT(echo.opened, echo.closed);
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
	CHECK_INT(echo.code, WS_NORMAL);
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
	CHECK_INT(echo.code, 4001);
}

TEST(clients_name_host_and_port)
{
	char want[32];

	on_client_open = ask_to_close;
	on_client_message = NULL;
	talk("x", NULL);
	snprintf(want, sizeof(want), "127.0.0.1:%d", last_port);
	CHECK_STR(echo.host, want);
	if (!talk_at("::1", "x", NULL))
		return; /* some containers have no IPv6 at all */
	snprintf(want, sizeof(want), "[::1]:%d", last_port);
	CHECK_STR(echo.host, want);
}

TEST(refused_upgrades_never_open)
{
	on_client_open = NULL;
	talk("no", NULL);
	CHECK_INT(echo.accepted, 1);
	CHECK_INT(echo.opened, 0);
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
	loop_timer_init(&timer, echo.loop, resume_later, ws);
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
	CHECK_INT(echo.code, 3000);
}

TEST(idle_sessions_are_closed)
{
	struct ws_opts o = {.idle_us = 300000, .idle_code = 4008};

	on_client_open = on_client_message = NULL;
	busy_looks = 0;
	talk("x", &o);
	CHECK_INT(echo.code, 4008);
}

TEST(who_owes_an_answer_is_not_idle)
{
	struct ws_opts o = {.idle_us = 250000, .idle_code = 4008};

	on_client_open = on_client_message = NULL;
	busy_looks = 2;
	talk("x", &o);
	CHECK_INT(busy_looks, -1);
	CHECK_INT(echo.code, 4008);
}

/* Two for localhost, each signed by itself: believed by who names it as an authority. */
struct certificates {
	char own[256], own_key[256], other[256], other_key[256];
};

static void make_certificate(char *pem, char *key, size_t cap, const char *name)
{
	char cmd[1024];

	snprintf(pem, cap, "%s/%s.pem", test_dir(), name);
	snprintf(key, cap, "%s/%s.key", test_dir(), name);
	snprintf(cmd, sizeof(cmd),
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
		 "-subj /CN=localhost -keyout %s -out %s 2>/dev/null",
		 key, pem);
	CHECK_INT(system(cmd), 0);
}

static void make_certificates(struct certificates *c)
{
	make_certificate(c->own, c->own_key, sizeof(c->own), "own");
	make_certificate(c->other, c->other_key, sizeof(c->other), "other");
}

static bool opens_tls(const char *ca_file)
{
	char url[64];
	struct ws_connect_opts co = {.url = url, .ca_file = ca_file};
	struct ws *ws;

	client_opened = 0;
	snprintf(url, sizeof(url), "wss://localhost:%d/x", web_port(echo.server));
	CHECK_INT(ws_connect(&ws, echo.web, &co, &client_ops, NULL), 0);
	CHECK_INT(web_run(echo.web), 0);
	return client_opened;
}

TEST(each_client_believes_the_authorities_that_it_names)
{
	struct ws_opts server_opts = {0};
	struct web_listen_opts lo = {.address = "127.0.0.1", .server_name = "test"};
	struct web_opts wo = {0};
	struct certificates c;

	make_certificates(&c);
	on_client_open = ask_to_close;
	on_client_message = NULL;
	lo.tls_cert = c.own;
	lo.tls_key = c.own_key;
	CHECK_INT(echo_begin(&wo, &lo, &server_opts, &echo_ops), 0);
	CHECK(!opens_tls(c.other));
	CHECK(opens_tls(c.own));
	CHECK(!opens_tls(NULL));
	CHECK(!opens_tls(c.other));
	CHECK(opens_tls(c.own));
	echo_end();
}

TEST(a_port_that_cannot_be_opened_says_why)
{
	struct web_listen_opts lo = {.address = "127.0.0.1", .server_name = "test"};
	struct ws_opts server_opts = {0};
	struct web_server *second;
	struct web_opts wo = {0};
	struct certificates c;

	make_certificates(&c);
	CHECK_INT(echo_begin(&wo, &lo, &server_opts, &echo_ops), 0);
	lo.port = web_port(echo.server);
	CHECK_INT(web_listen(&second, echo.web, &lo), -EADDRINUSE);
	CHECK_STR(web_error(echo.web), "Address already in use");
	lo.port = 0;
	lo.tls_cert = c.own;
	CHECK_INT(web_listen(&second, echo.web, &lo), -EINVAL);
	lo.tls_key = "/no/such/key";
	CHECK_INT(web_listen(&second, echo.web, &lo), -EINVAL);
	CHECK_STR(web_error(echo.web), "cannot read '/no/such/key': No such file or directory");
	lo.tls_key = c.other_key;
	CHECK_INT(web_listen(&second, echo.web, &lo), -EINVAL);
	CHECK(strstr(web_error(echo.web), "cannot use certificate"));
	echo_end();
}

TEST(nobody_listens)
{
	struct web_listen_opts lo = {.address = "127.0.0.1", .server_name = "test"};
	struct ws_opts server_opts = {0};
	struct web_opts wo = {0};
	struct ws_connect_opts co = {.url = "ws://127.0.0.1:1/x"};
	struct ws *ws;

	client_closed = client_opened = 0;
	CHECK_INT(echo_begin(&wo, &lo, &server_opts, &echo_ops), 0);
	CHECK_INT(ws_connect(&ws, echo.web, &co, &client_ops, NULL), 0);
	CHECK_INT(web_run(echo.web), 0);
	CHECK_INT(client_closed, 1);
	CHECK_INT(client_code, WS_ABNORMAL);
	co.url = "http://127.0.0.1/";
	CHECK_INT(ws_connect(&ws, echo.web, &co, &client_ops, NULL), -EINVAL);
	/* The program ends before it was tried. */
	co.url = "ws://127.0.0.1:1/x";
	CHECK_INT(ws_connect(&ws, echo.web, &co, &client_ops, NULL), 0);
	echo_end();
	CHECK_INT(client_closed, 2);
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

	ops_now = &echo_discarding;
	on_client_open = send_too_much;
	on_client_message = send_small;
	talk("x", &o);
	ops_now = &echo_ops;
	CHECK_INT(client_got, 2);
	CHECK_INT(client_code, WS_NORMAL);
}
