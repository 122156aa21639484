/*
 * A bare libwebsockets server that takes WebSocket messages and does nothing with them, as its
 * examples are written: what msr-ws is measured against. ws_sink PORT
 */
#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t stopped;
static struct lws_context *context;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
	lws_cancel_service(context);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t len)
{
	(void)wsi, (void)reason, (void)user, (void)in, (void)len;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct lws_protocols protocols[] = {
	    {.name = "sink", .callback = callback, .rx_buffer_size = 4096}, {0}};
	struct lws_context_creation_info info = {0};

	if (argc < 2)
		return 2;
	info.port = atoi(argv[1]);
	info.iface = "127.0.0.1";
	info.protocols = protocols;
	lws_set_log_level(LLL_ERR, NULL);
	context = lws_create_context(&info);
	if (!context)
		return 1;
	signal(SIGTERM, on_signal);
	while (!stopped && lws_service(context, 0) >= 0)
		;
	lws_context_destroy(context);
	return 0;
}
