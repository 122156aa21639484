/*
 * A bare libwebsockets echo in one process, on the library's own loop: what msr-audiod is measured
 * against. Written as well as the library allows without replacing its framing: a queue a
 * connection, and as many writes a turn as the socket takes. ws_echo PORT
 */
#include <libwebsockets.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER 32768 /* bytes read from a socket at once, as in lib/web */

struct packet {
	struct packet *next;
	size_t len;
	bool binary, first, final;
	uint8_t mem[]; /* LWS_PRE, then `len` bytes */
};

struct session {
	struct packet *queue, **last;
};

static volatile sig_atomic_t stopped;
static struct lws_context *context;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
	lws_cancel_service(context);
}

static int keep(struct lws *wsi, struct session *s, const void *in, size_t len)
{
	struct packet *p = malloc(sizeof(*p) + LWS_PRE + len);

	if (!p)
		return -1;
	*p = (struct packet){
	    .len = len,
	    .binary = lws_frame_is_binary(wsi),
	    .first = lws_is_first_fragment(wsi),
	    .final = lws_is_final_fragment(wsi),
	};
	memcpy(p->mem + LWS_PRE, in, len);
	*s->last = p;
	s->last = &p->next;
	lws_callback_on_writable(wsi);
	return 0;
}

static int answer(struct lws *wsi, struct session *s)
{
	while (s->queue && !lws_send_pipe_choked(wsi)) {
		struct packet *p = s->queue;
		int how = lws_write_ws_flags(p->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT,
					     p->first, p->final);
		int n = lws_write(wsi, p->mem + LWS_PRE, p->len, (enum lws_write_protocol)how);
		s->queue = p->next;
		if (!s->queue)
			s->last = &s->queue;
		free(p);
		if (n < 0)
			return -1;
	}
	if (s->queue)
		lws_callback_on_writable(wsi);
	return 0;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t len)
{
	struct session *s = user;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		*s = (struct session){.last = &s->queue};
		return 0;
	case LWS_CALLBACK_RECEIVE:
		return keep(wsi, s, in, len);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return answer(wsi, s);
	case LWS_CALLBACK_CLOSED:
		for (struct packet *p = s->queue, *next; p; p = next) {
			next = p->next;
			free(p);
		}
		return 0;
	default:
		return 0;
	}
}

int main(int argc, char **argv)
{
	static const struct lws_protocols protocols[] = {
	    {.name = "echo",
	     .callback = callback,
	     .per_session_data_size = sizeof(struct session),
	     .rx_buffer_size = BUFFER},
	    {0}};
	struct lws_context_creation_info info = {0};

	if (argc < 2)
		return 2;
	info.port = atoi(argv[1]);
	info.iface = "127.0.0.1";
	info.protocols = protocols;
	info.pt_serv_buf_size = 2 * BUFFER;
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
