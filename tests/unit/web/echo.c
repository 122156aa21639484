#include "echo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/test.h"

struct echo echo;

static struct loop_timer late;

static int server_accept(void *arg, struct web_req *req, void **session)
{
	(void)arg;
	echo.accepted++;
	snprintf(echo.host, sizeof(echo.host), "%s", web_header(req, "host"));
	if (strcmp(web_param(req, "name"), "no") == 0) {
		web_reply_error(req, 409, "busy", "somebody else is here");
		return -1;
	}
	*session = NULL;
	return 0;
}

static void server_open(void *session, struct ws *ws)
{
	(void)session, (void)ws;
	echo.opened++;
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
	echo.code = code;
	snprintf(echo.reason, sizeof(echo.reason), "%s", reason);
	echo.closed++;
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

static void server_large(void *session, struct ws *ws)
{
	uint8_t *data = calloc(1, LARGE);

	(void)session;
	CHECK_INT(ws_send(ws, WS_BINARY, data, LARGE), 0);
	free(data);
}

const struct ws_ops echo_ops = {
    .accept = server_accept, .open = server_open, .message = server_message, .close = server_close};
const struct ws_ops echo_discarding = {.accept = server_accept,
				       .open = server_open,
				       .message = server_message,
				       .too_large = server_too_large,
				       .close = server_close};
const struct ws_ops echo_flooding = {.accept = server_accept,
				     .open = server_flood,
				     .message = server_message,
				     .drained = server_flood,
				     .close = server_close};
const struct ws_ops echo_large = {.accept = server_accept,
				  .open = server_large,
				  .message = server_message,
				  .close = server_close};

static void too_late(void *arg)
{
	(void)arg;
	loop_stop(echo.loop, -ETIMEDOUT);
}

int echo_begin(const struct web_opts *web, const struct web_listen_opts *listen,
	       const struct ws_opts *session, const struct ws_ops *ops)
{
	struct web_opts wo = *web;

	echo = (struct echo){0};
	CHECK_INT(loop_new(&echo.loop), 0);
	wo.loop = echo.loop;
	CHECK_INT(web_new(&echo.web, &wo), 0);
	int ret = web_listen(&echo.server, echo.web, listen);
	if (ret) {
		web_free(echo.web);
		loop_free(echo.loop);
		return ret;
	}
	web_socket(echo.server, "/:name", session, ops, NULL);
	loop_timer_init(&late, echo.loop, too_late, NULL);
	loop_timer_in_us(&late, ECHO_LONG_US);
	return 0;
}

void echo_end(void)
{
	loop_timer_stop(&late);
	web_free(echo.web);
	loop_free(echo.loop);
}
