/* Requests and replies over a real socket; server and client live in one loop. */
#include "web/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../support/test.h"
#include "base/buf.h"
#include "loop/loop.h"
#include "web/web.h"

#define LONG_US 20000000 /* a test that hangs fails after this */

static struct loop *loop;
static struct web *web;
static struct web_server *server;
static struct loop_timer late, later;
static int sock, n_gone, n_closed;
static struct loop_io *io;
static char got[1 << 17];
static size_t n_got;
static const char *stop_at; /* end of what the client waits for; NULL: end of the connection */
static struct web_req *waiting;
static struct web_stream *stream;

/* ---- handlers ---- */

/* `arg` is the method of the route. */
static void handle_echo(void *arg, struct web_req *req)
{
	char text[512];
	size_t len;
	const char *body = web_body(req, &len);
	const char *q = web_query(req, "q"), *empty = web_query(req, "empty");
	const char *h = web_header(req, "x-name");

	CHECK_INT(body[len], 0);
	int n = snprintf(text, sizeof(text), "%s %s room=%s q=%s empty=%s none=%s x=%s peer=%s %s",
			 (const char *)arg, web_path(req), web_param(req, "room"), q ? q : "-",
			 empty ? empty : "-", web_query(req, "none") ? "?" : "-", h ? h : "-",
			 web_client_address(req), body);
	web_reply_header(req, "Location", "/next\r\nX-Evil: %d", 1);
	web_reply(req, 201, "text/plain", text, (size_t)n);
}

static void reply_later(void *arg)
{
	(void)arg;
	web_reply_json(waiting, 200, "{\"late\":true}", 13);
}

static void on_gone(void *arg)
{
	(void)arg;
	n_gone++;
	waiting = NULL;
	loop_stop(loop, 0);
}

static void handle_defer(void *arg, struct web_req *req)
{
	waiting = req;
	web_defer(req, on_gone, NULL);
	if (!arg)
		loop_timer_in_us(&later, 50000);
	else
		shutdown(sock, SHUT_RDWR); /* the client leaves */
}

static void on_closed(void *arg)
{
	(void)arg;
	n_closed++;
	stream = NULL;
	loop_stop(loop, 0);
}

static void end_stream(void *arg)
{
	(void)arg;
	web_stream_end(stream);
}

static void handle_stream(void *arg, struct web_req *req)
{
	struct web_stream_opts o = {
	    .queue_max = 4096, .keep_alive_us = 500000, .closed = on_closed};

	stream = web_stream_new(req, &o);
	if (strcmp(arg, "head") == 0) {
		CHECK_INT(web_stream_send(stream, "offer", "{}", 2), -ENOBUFS);
		return;
	}
	CHECK_INT(web_stream_send(stream, "offer", "{\"a\":1}", 7), 0);
	CHECK_INT(web_stream_send(stream, NULL, "two\nlines", 9), 0);
	if (strcmp(arg, "end") == 0)
		loop_timer_in_us(&later, 50000);
	if (strcmp(arg, "flood") == 0) {
		char big[3000] = {0};
		memset(big, 'x', sizeof(big) - 1);
		CHECK_INT(web_stream_send(stream, NULL, big, sizeof(big) - 1), 0);
		CHECK_INT(web_stream_send(stream, NULL, big, sizeof(big) - 1), -ENOBUFS);
	}
}

static void handle_nothing(void *arg, struct web_req *req)
{
	(void)arg, (void)req;
}

/* ---- the client ---- */

static void on_readable(void *arg, int events)
{
	(void)arg, (void)events;
	ssize_t n = read(sock, got + n_got, sizeof(got) - 1 - n_got);
	if (n > 0) {
		n_got += (size_t)n;
		got[n_got] = '\0';
		if (stop_at && strstr(got, stop_at))
			loop_stop(loop, 0);
	} else if (n == 0 || errno != EAGAIN) {
		loop_io_free(io);
		io = NULL;
		loop_stop(loop, 0);
	}
}

static void too_late(void *arg)
{
	(void)arg;
	loop_stop(loop, -ETIMEDOUT);
}

static void set_up(const struct web_opts *opts)
{
	static const char *const named[] = {"https://www.example"};
	static const struct web_origins origins = {.list = named, .n = 1, .localhost = true};
	static char leave[] = "leave", plain[] = "", end[] = "end", head[] = "head",
		    flood[] = "flood";
	static char get[] = "GET", post[] = "POST", delete[] = "DELETE";
	struct web_opts wo = opts ? *opts : (struct web_opts){0};
	struct web_listen_opts lo = {.address = "127.0.0.1", .server_name = "test"};

	n_gone = n_closed = 0;
	CHECK_INT(loop_new(&loop), 0);
	wo.loop = loop;
	lo.cors = &origins;
	lo.max_body = 1000;
	CHECK_INT(web_new(&web, &wo), 0);
	CHECK_INT(web_listen(&server, web, &lo), 0);
	web_route(server, "GET", "/echo/:room", 0, handle_echo, get);
	web_route(server, "POST", "/echo/:room", 0, handle_echo, post);
	web_route(server, "DELETE", "/echo/:room", 0, handle_echo, delete);
	web_route(server, "POST", "/large", 100000, handle_nothing, NULL);
	web_accept_post(server, "/echo/:room", "text/plain");
	web_route(server, "GET", "/defer", 0, handle_defer, NULL);
	web_route(server, "GET", "/leave", 0, handle_defer, leave);
	web_route(server, "GET", "/events", 0, handle_stream, plain);
	web_route(server, "GET", "/events/end", 0, handle_stream, end);
	web_route(server, "GET", "/events/head", 0, handle_stream, head);
	web_route(server, "GET", "/events/flood", 0, handle_stream, flood);
	loop_timer_init(&late, loop, too_late, NULL);
	loop_timer_init(&later, loop, reply_later, NULL);
	loop_timer_in_us(&late, LONG_US);
}

static void tear_down(void)
{
	loop_io_free(io);
	io = NULL;
	if (sock >= 0)
		close(sock);
	sock = -1;
	web_free(web);
	loop_free(loop);
}

static int connect_to(const struct web_server *s)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_port = htons((uint16_t)web_port(s));
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK_INT(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Sends the request and runs until `until` has come, or the connection ended. */
static void ask_again(const char *request, const char *until)
{
	n_got = 0;
	got[0] = '\0';
	stop_at = until;
	CHECK_INT(write(sock, request, strlen(request)), (long)strlen(request));
	CHECK_INT(web_run(web), 0);
}

/* The same on a new connection. */
static void ask(const char *request, const char *until)
{
	sock = connect_to(server);
	CHECK_INT(loop_io_new(&io, loop, sock, LOOP_IN, on_readable, NULL), 0);
	ask_again(request, until);
}

static void one(const char *request, const char *until)
{
	set_up(NULL);
	ask(request, until);
	tear_down();
}

#define HOST "Host: x\r\n"
#define LAST HOST "Connection: close\r\n\r\n"

TEST(parameters_query_headers_and_body)
{
	one("POST /echo/a%20b?q=1%262+3&empty HTTP/1.1\r\nX-Name: me\r\nContent-Length: "
	    "4\r\n" LAST "body",
	    NULL);
	CHECK(strstr(got, "HTTP/1.1 201 Created\r\n"));
	CHECK(strstr(got, "POST /echo/a b room=a b q=1&2 3 empty= none=- x=me peer=127.0.0.1 "
			  "body"));
	CHECK(
	    strstr(got, "\r\nLocation: /next  X-Evil: 1\r\n")); /* one header, whatever is in it */
}

TEST(a_long_parameter_hides_none)
{
	char head[4096];

	memset(head, 'a', sizeof(head));
	memcpy(head, "GET /echo/r?long=", 17);
	strcpy(head + 3000, "&q=1 HTTP/1.1\r\n" LAST);
	one(head, NULL);
	CHECK(strstr(got, "GET /echo/r room=r q=1 empty"));
}

TEST(methods_without_a_body)
{
	one("DELETE /echo/r HTTP/1.1\r\n" LAST, NULL);
	CHECK(strstr(got, "DELETE /echo/r room=r"));
	one("POST /echo/r HTTP/1.1\r\n" LAST, NULL);
	CHECK(strstr(got, "POST /echo/r room=r"));
	one("HEAD /echo/r HTTP/1.1\r\n" LAST, NULL);
	CHECK(strstr(got, "201 Created") && !strstr(got, "/echo/r room"));
	CHECK(strcmp(got + n_got - 4, "\r\n\r\n") == 0);
}

TEST(connections_are_kept_alive)
{
	set_up(NULL);
	ask("GET /echo/1 HTTP/1.1\r\n" HOST "\r\n", "room=1");
	CHECK(!strstr(got, "Connection: close"));
	ask_again("GET /echo/2 HTTP/1.1\r\n" LAST, NULL);
	CHECK(strstr(got, "room=2") && strstr(got, "Connection: close"));
	tear_down();
}

TEST(errors_are_json_with_cors)
{
	one("GET /none HTTP/1.1\r\nOrigin: http://localhost:5\r\n" LAST, NULL);
	CHECK(strstr(got, "404 Not Found") && strstr(got, "{\"error\":\"not_found\",\"message\":"));
	CHECK(strstr(got, "Access-Control-Allow-Origin: http://localhost:5\r\n"));
	CHECK(strstr(got, "Vary: Origin\r\n"));
	CHECK(!strstr(got, "Access-Control-Allow-Credentials"));
	one("GET /none HTTP/1.1\r\nOrigin: https://www.example\r\n" LAST, NULL);
	CHECK(strstr(got, "Access-Control-Allow-Origin: https://www.example\r\n"));
	CHECK(strstr(got, "Access-Control-Allow-Credentials: true\r\n"));
	CHECK(strstr(got, "Vary: Origin\r\n"));
	CHECK(strstr(got, "Access-Control-Expose-Headers: Location, ETag, Link, Retry-After\r\n"));
	one("GET /none HTTP/1.1\r\nOrigin: http://evil.example\r\n" LAST, NULL);
	CHECK(strstr(got, "404 Not Found") && !strstr(got, "Access-Control-Allow-Origin"));
	one("PUT /echo/r HTTP/1.1\r\n" LAST, NULL);
	CHECK(strstr(got, "405 Method Not Allowed") &&
	      strstr(got, "Allow: GET, HEAD, POST, DELETE\r\n"));
	one("OPTIONS /echo/r HTTP/1.1\r\nOrigin: http://localhost\r\n"
	    "Access-Control-Request-Method: DELETE\r\n"
	    "Access-Control-Request-Headers: if-match\r\n" LAST,
	    NULL);
	CHECK(strstr(got, "204 No Content") &&
	      strstr(got, "Access-Control-Allow-Methods: GET, HEAD, POST, DELETE\r\n") &&
	      strstr(got, "Access-Control-Allow-Headers: if-match\r\n"));
	CHECK(strstr(got, "Accept-Post: text/plain\r\n"));
	one("OPTIONS /large HTTP/1.1\r\n" LAST, NULL);
	CHECK(strstr(got, "204 No Content") && strstr(got, "Allow: POST, OPTIONS\r\n"));
	CHECK(!strstr(got, "Accept-Post"));
}

TEST(bodies_are_bounded_per_route)
{
	one("POST /echo/r HTTP/1.1\r\nContent-Length: 1001\r\n" LAST, "at most 1000");
	CHECK(strstr(got, "413 Content Too Large") && strstr(got, "too_large"));
	one("POST /echo/r HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n" LAST, "bad_length");
	CHECK(strstr(got, "400 Bad Request"));
	one("POST /echo/r HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" LAST, "length_required");
	CHECK(strstr(got, "411 Length Required"));
}

#define HALF 30000

TEST(bodies_are_bounded_together)
{
	static const char next[] = "GET /echo/1 HTTP/1.1\r\n" LAST;
	static char half[2 * HALF], whole[600];

	set_up(&(struct web_opts){.max_held = HALF + 300});
	int n =
	    snprintf(half, 100, "POST /large HTTP/1.1\r\nContent-Length: 100000\r\n" HOST "\r\n");
	memset(half + n, 'x', HALF);
	snprintf(whole, sizeof(whole),
		 "POST /echo/r HTTP/1.1\r\nContent-Length: 400\r\n" LAST "%0400d", 0);
	for (int first = 1; first >= 0; first--) {
		int fd = connect_to(server);
		if (first)
			CHECK_INT(write(fd, half, (size_t)n + HALF), n + HALF);
		ask(next, NULL); /* by then that is there */
		close(sock);
		ask(whole, NULL);
		close(sock);
		CHECK(strstr(got, first ? "503 Service Unavailable" : "201 Created"));
		CHECK_INT(strstr(got, "\"limit\"") != NULL, first);
		close(fd);
		ask(next, NULL); /* and that it has gone */
		close(sock);
	}
	/* One alone, of which more is to come. */
	memset(half + n, 'x', sizeof(half) - 1 - (size_t)n);
	ask(half, "limit");
	close(sock);
	sock = -1;
	tear_down();
}

TEST(a_handler_without_an_answer_is_an_error)
{
	one("POST /large HTTP/1.1\r\n" LAST, NULL);
	CHECK(strstr(got, "500 Internal Server Error") && strstr(got, "no_reply"));
}

TEST(replies_may_come_later)
{
	one("GET /defer HTTP/1.1\r\n" LAST, NULL);
	CHECK(strstr(got, "200 OK") && strstr(got, "{\"late\":true}"));
	CHECK_INT(n_gone, 0);
}

TEST(clients_that_leave_are_noticed)
{
	set_up(NULL);
	ask("GET /leave HTTP/1.1\r\n" LAST, NULL);
	if (!n_gone) { /* the first stop was our own end of the connection */
		CHECK_INT(web_run(web), 0);
	}
	CHECK_INT(n_gone, 1);
	tear_down();
}

TEST(streams_send_events_and_comments)
{
	set_up(NULL);
	ask("GET /events HTTP/1.1\r\n" HOST "\r\n", "\n:\n\n");
	CHECK(strstr(got, "Content-Type: text/event-stream\r\n"));
	CHECK(strstr(got,
		     "\r\n\r\nevent: offer\ndata: {\"a\":1}\n\ndata: two\ndata: lines\n\n:\n\n"));
	/* The client leaves. */
	loop_io_free(io);
	io = NULL;
	close(sock);
	sock = -1;
	CHECK_INT(web_run(web), 0);
	CHECK_INT(n_closed, 1);
	tear_down();
}

TEST(streams_end)
{
	set_up(NULL);
	loop_timer_init(&later, loop, end_stream, NULL);
	ask("GET /events/end HTTP/1.1\r\n" HOST "\r\n", NULL);
	CHECK(strstr(got, "data: lines\n\n"));
	CHECK_INT(n_closed, 1);
	tear_down();
	set_up(NULL);
	ask("HEAD /events/head HTTP/1.1\r\n" HOST "\r\n", NULL);
	CHECK(strstr(got, "Content-Type: text/event-stream\r\n"));
	CHECK(strcmp(got + n_got - 4, "\r\n\r\n") == 0);
	CHECK_INT(n_closed, 1);
	tear_down();
}

TEST(streams_of_slow_clients_are_closed)
{
	set_up(NULL);
	ask("GET /events/flood HTTP/1.1\r\n" HOST "\r\n", NULL);
	CHECK_INT(n_closed, 1);
	tear_down();
}

TEST(only_a_trusted_proxy_names_the_client)
{
	struct web_opts trusting = {.trust_proxy = true};

	one("GET /echo/r HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6\r\n" LAST, NULL);
	CHECK(strstr(got, "peer=127.0.0.1"));
	set_up(&trusting);
	ask("GET /echo/r HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7\r\n" LAST, NULL);
	tear_down();
	CHECK(strstr(got, "peer=7.7.7.7"));
}

#define GET_FOR(path, client) "GET " path " HTTP/1.1\r\nX-Forwarded-For: " client "\r\n" HOST "\r\n"

TEST(clients_of_a_proxy_that_keeps_connections_are_counted_while_they_are_served)
{
	struct web_opts one_each = {.trust_proxy = true, .max_per_address = 1};

	set_up(&one_each);
	ask(GET_FOR("/echo/r", "6.6.6.6"), "peer=6.6.6.6");
	ask_again(GET_FOR("/events", "7.7.7.7"), "data: lines");
	int kept = sock;
	loop_io_free(io);
	ask(GET_FOR("/echo/r", "7.7.7.7"), "too many connections from 7.7.7.7");
	close(sock);
	loop_io_free(io);
	ask(GET_FOR("/echo/r", "6.6.6.6"), "peer=6.6.6.6");
	int idle = sock;
	loop_io_free(io);
	ask(GET_FOR("/echo/r", "6.6.6.6"), "peer=6.6.6.6");
	tear_down();
	close(kept);
	close(idle);
}

TEST(a_reserve_is_there_when_all_connections_are_open)
{
	struct web_opts one_conn = {.max_connections = 1};
	struct web_listen_opts lo = {.address = "127.0.0.1", .server_name = "spare", .reserve = 1};
	struct web_server *spare;

	set_up(&one_conn);
	CHECK_INT(web_listen(&spare, web, &lo), 0);
	ask("GET /health HTTP/1.1\r\n" HOST "\r\n", "OK");
	int kept = sock;
	loop_io_free(io);
	ask("GET /health HTTP/1.1\r\n" LAST, NULL);
	CHECK_INT(n_got, 0);
	close(sock);
	server = spare;
	ask("GET /health HTTP/1.1\r\n" HOST "\r\n", "OK");
	CHECK(strstr(got, "200 OK"));
	int kept_too = sock;
	loop_io_free(io);
	ask("GET /health HTTP/1.1\r\n" LAST, NULL);
	CHECK_INT(n_got, 0);
	tear_down();
	close(kept);
	close(kept_too);
}

static void on_done(void *arg)
{
	(void)arg;
	loop_stop(loop, 7);
}

TEST(shutting_down_ends_idle_connections)
{
	set_up(NULL);
	ask("GET /defer HTTP/1.1\r\n" HOST "\r\n", "late");
	CHECK(strstr(got, "200 OK"));
	loop_io_free(io);
	io = NULL;
	web_close(web, "bye", 5000000, on_done, NULL);
	CHECK_INT(web_run(web), 7);
	tear_down();
}
