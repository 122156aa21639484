/*
 * A server of lib/web for tests: at /NAME it sends back what comes, and closes with 4001 where that
 *is "close"; the name "no" is refused. Others do as their names say.
 *
 *	echo_begin(&web, &listen, &session, &echo_ops);
 *	ws_connect(&ws, echo.web, &connect, &ops, NULL);
 *	CHECK_INT(web_run(echo.web), 0); // until somebody stops echo.loop
 *	echo_end();
 */
#ifndef MSR_TESTS_WEB_ECHO_H
#define MSR_TESTS_WEB_ECHO_H

#include <stdatomic.h>

#include "loop/loop.h"
#include "web/http.h"
#include "web/web.h"
#include "web/ws.h"

#define ECHO_LONG_US 20000000  /* a test that hangs fails after this */
#define LARGE	     (6 << 20) /* bytes, beyond what the kernel takes at once */

extern struct echo {
	struct loop *loop;
	struct web *web;
	struct web_server *server;
	int accepted, opened, code; /* the last session's end */
	atomic_int closed;
	char reason[128];
	char host[300]; /* header of the last upgrade */
} echo;

extern const struct ws_ops echo_ops;
extern const struct ws_ops echo_discarding; /* answers what is too large */
extern const struct ws_ops echo_flooding;   /* sends without end */
extern const struct ws_ops echo_large;	    /* sends LARGE bytes in one message */

/*
 * A loop and a server in it, where a test that takes ECHO_LONG_US ends with -ETIMEDOUT. An error
 * of web_listen, when the address cannot be had; then there is nothing to end.
 */
int echo_begin(const struct web_opts *web, const struct web_listen_opts *listen,
	       const struct ws_opts *session, const struct ws_ops *ops);
void echo_end(void);

#endif
