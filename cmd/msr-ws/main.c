/*
 * msr-ws: audio, video and room text over WebSocket. The map of its files is in app.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ack.h"
#include "app.h"
#include "base/log.h"
#include "base/opt.h"
#include "conn.h"
#include "event/event.h"
#include "frame/sink.h"
#include "ingest.h"
#include "library.h"
#include "pages.h"
#include "room.h"
#include "web/web.h"

#define ACKS_US	 1000000 /* at shutdown, for the reader to make things safe */
#define CLOSE_US 5000000 /* at shutdown, for closing handshakes */
#define SINK_MS	 5000	 /* at shutdown, for what a pipe has not taken yet */
#define LOOK_US	 20000	 /* between two looks whether that has happened */

/* ---- options ---- */

static const char *output = "-", *address = "127.0.0.1", *events_path;
static const char *tls_cert, *tls_key, *storage, *page, *sfu_url, *audiod_url;
static int64_t port = 8000, max_per_address, max_memory = 128 << 20, ring_size = 64 << 20;
static struct limits limits = {
    .resume_window_us = 10000000, .max_sessions = 10000, .max_room = 1000, .max_rate = 1000};
static bool trust_proxy;
static struct opt_list origins;

static const struct opt opts[] = {
    {'o', "output", OPT_STR, &output, NULL, "SINK", "frames go there: -, a path or shm:NAME (-)", 0,
     0},
    {'a', "address", OPT_STR, &address, "MSR_ADDRESS", "ADDRESS", "listen there (127.0.0.1)", 0, 0},
    {'p', "port", OPT_INT, &port, "MSR_WS_PORT", "PORT", "and there; 0: any (8000)", 0, 65535},
    {0, "tls-cert", OPT_STR, &tls_cert, NULL, "FILE", "certificate chain, PEM", 0, 0},
    {0, "tls-key", OPT_STR, &tls_key, NULL, "FILE", "its key, PEM", 0, 0},
    {'e', "events", OPT_STR, &events_path, NULL, "PATH", "events go there (standard error)", 0, 0},
    {0, "storage", OPT_STR, &storage, "MSR_STORAGE", "DIR", "serve the recordings in it", 0, 0},
    {0, "page", OPT_STR, &page, NULL, "DIR", "the web page (examples/web)", 0, 0},
    {0, "sfu-url", OPT_STR, &sfu_url, NULL, "URL", "tell the page where msr-sfu is", 0, 0},
    {0, "audiod-url", OPT_STR, &audiod_url, NULL, "URL", "and where msr-audiod is", 0, 0},
    {0, "allow-origin", OPT_LIST, &origins, NULL, "ORIGIN",
     "pages from there may connect too, or *; repeatable", 0, 0},
    {0, "trust-proxy", OPT_FLAG, &trust_proxy, NULL, NULL,
     "a proxy on loopback names the client in X-Forwarded-For", 0, 0},
    {0, "resume-window", OPT_TIME, &limits.resume_window_us, NULL, "TIME",
     "how long a session waits for its client to return (10s)", 0, 86400000000},
    {0, "max-sessions", OPT_INT, &limits.max_sessions, NULL, "N", "sessions in all (10000)", 1,
     1000000},
    {0, "max-room", OPT_INT, &limits.max_room, NULL, "N", "sessions in a room (1000)", 1, 1000000},
    {0, "max-per-address", OPT_INT, &max_per_address, NULL, "N",
     "connections from one address; 0: no bound (0)", 0, 1000000},
    {0, "max-rate", OPT_INT, &limits.max_rate, NULL, "N", "messages a second and session (1000)", 1,
     1000000},
    {0, "max-memory", OPT_SIZE, &max_memory, NULL, "BYTES",
     "received and not yet passed on, in all (128M)", 1 << 20, INT64_MAX},
    {0, "ring-size", OPT_SIZE, &ring_size, NULL, "BYTES", "of a ring that is made (64M)", 1 << 16,
     1LL << 40},
    {0},
};

static const struct opt_program program = {
    .name = "msr-ws",
    .usage = "[-o SINK] [-a ADDRESS] [-p PORT] [--storage DIR] [option ...]",
    .summary = "Takes audio, video and room text over WebSocket at /ROOM/SESSION.",
    .opts = opts,
};

/* ---- the sink ---- */

static struct app app;
static struct loop_timer stop_timer;
static struct mono stop_by;
static int status;

static void stop(int result);

static void on_sink_ready(void *arg)
{
	struct app *a = arg;

	acks_run(a->acks);
	if (a->full || !list_empty(&a->blocked))
		ingest_resume(a);
}

static void on_sink_lost(void *arg, int err)
{
	struct app *a = arg;

	if (err == -EPIPE || err == -EBADMSG) {
		log_error("%s: %s; ending", output,
			  err == -EPIPE ? "the reader of the pipe is gone"
					: "the ring is damaged (remove it, then start again)");
		a->sink_lost = true;
		stop(1);
	} else {
		log_warn("%s: %s; still trying", output, strerror(-err));
	}
}

/* At the end of each turn: what came in it goes out together. */
static void on_turn(void *arg)
{
	struct app *a = arg;

	sink_flush(a->sink);
	acks_run(a->acks);
}

/* ---- shutdown: end sessions → wait for their acknowledgements → close connections ---- */

static void on_closed(void *arg)
{
	(void)arg;
	loop_stop(app.loop, status);
}

static void on_stop_timer(void *arg)
{
	struct app *a = arg;
	bool done = acks_empty(a->acks) && list_empty(&a->blocked);

	if (!done && !a->sink_lost && mono_diff_us(mono_now(), stop_by) < 0)
		loop_timer_in_us(&stop_timer, LOOK_US);
	else
		web_close(a->web, "shutdown", CLOSE_US, on_closed, NULL);
}

static void stop(int result)
{
	if (app.stopping)
		return;
	status = result;
	app.stopping = true;
	map_each (n, &app.sessions)
		ingest_end(container_of(n, struct session, node), "shutdown");
	stop_by = mono_add_us(mono_now(), ACKS_US);
	loop_timer_in_us(&stop_timer, 0);
}

static void on_stop_signal(void *arg)
{
	(void)arg;
	log_info("stopping");
	stop(0);
}

/* ---- setting up ---- */

static void list_metrics(struct metrics *m, struct counters *n)
{
	metrics_counter(m, "msr_ws_frames_total", "kind=\"audio\"", "Frames put into the sink",
			&n->frames[0]);
	metrics_counter(m, "msr_ws_frames_total", "kind=\"video\"", "", &n->frames[1]);
	metrics_counter(m, "msr_ws_frame_bytes_total", "kind=\"audio\"", "Bytes of their bodies",
			&n->bytes[0]);
	metrics_counter(m, "msr_ws_frame_bytes_total", "kind=\"video\"", "", &n->bytes[1]);
	metrics_counter(m, "msr_ws_parts_repeated_total", NULL, "Parts that came again",
			&n->repeated);
	metrics_counter(m, "msr_ws_parts_lost_total", NULL, "Parts given up", &n->lost);
	metrics_gauge(m, "msr_ws_waiting_bytes", NULL, "Of parts that wait for others or the sink",
		      &n->ordered_bytes);
	metrics_counter(m, "msr_ws_acks_total", NULL, "Acknowledgements sent", &n->acks);
	metrics_counter(m, "msr_ws_errors_total", NULL, "Error messages to clients", &n->errors);
	metrics_counter(m, "msr_ws_texts_total", NULL, "Room texts", &n->texts);
	metrics_counter(m, "msr_ws_texts_delivered_total", NULL, "Copies sent to others",
			&n->texts_delivered);
	metrics_counter(m, "msr_ws_texts_dropped_total", NULL, "Copies that slow clients missed",
			&n->texts_dropped);
	metrics_counter(m, "msr_ws_sink_full_total", NULL, "Times the sink was full", &n->pauses);
	metrics_counter(m, "msr_ws_throttled_total", NULL, "Times a session was above its rate",
			&n->throttled);
	metrics_gauge(m, "msr_ws_sessions", NULL, "Sessions, live and waiting", &n->sessions);
	metrics_gauge(m, "msr_ws_rooms", NULL, "Rooms", &n->rooms);
	metrics_counter(m, "msr_ws_resumed_total", NULL, "Sessions whose client came back",
			&n->resumed);
	metrics_counter(m, "msr_ws_taken_over_total", NULL, "Live sessions taken over",
			&n->taken_over);
	metrics_process(m);
}

static int fail(const char *what, int err)
{
	log_error("%s: %s", what, strerror(-err));
	return 1;
}

static int open_sink(struct app *a)
{
	struct sink_opts o = {.loop = a->loop,
			      .ring_size = (size_t)ring_size,
			      .ready = on_sink_ready,
			      .lost = on_sink_lost,
			      .arg = a};
	int ret = sink_open(&a->sink, output, &o);

	if (ret == -EBUSY)
		log_error("%s: another producer writes there", output);
	else if (ret)
		fail(output, ret);
	return ret;
}

static int open_server(struct app *a, struct library **library)
{
	static struct web_origins allowed = {.same = true};
	static struct pages_opts pages;
	struct web_listen_opts o = {.address = address,
				    .port = (int)port,
				    .tls_cert = tls_cert,
				    .tls_key = tls_key,
				    .server_name = "msr-ws"};
	struct web_server *s;

	int ret = web_listen(&s, a->web, &o);
	if (ret) {
		log_error("cannot listen on %s port %d: %s", address, (int)port, web_error(a->web));
		return ret;
	}
	if (storage && (ret = library_new(library, storage, s))) {
		log_error("cannot serve the recordings in '%s': %s", storage, strerror(-ret));
		return ret;
	}
	pages = (struct pages_opts){.dir = page,
				    .sfu_url = sfu_url,
				    .audiod_url = audiod_url,
				    .resume_window_us = limits.resume_window_us,
				    .recordings = storage != NULL};
	if ((ret = pages_route(s, &pages))) {
		log_error("cannot serve the page in '%s': %s", page, strerror(-ret));
		return ret;
	}
	allowed.list = origins.v;
	allowed.n = origins.n;
	conn_route(a, s, &allowed);
	log_info("listening on %s://%s:%d/, frames go to %s", tls_cert ? "https" : "http", address,
		 web_port(s), output);
	return 0;
}

static int run(struct app *a, struct metrics *m)
{
	/* Connections that wait for their turn, and those of the page, come on top of sessions. */
	struct web_opts web = {.loop = a->loop,
			       .metrics = m,
			       .max_connections = (size_t)limits.max_sessions + 1024,
			       .max_per_address = (size_t)max_per_address,
			       .trust_proxy = trust_proxy,
			       .max_held = (size_t)max_memory,
			       .turn = on_turn,
			       .arg = a};
	struct library *library = NULL;
	int ret = events_open(&a->events, events_path, program.name);

	if (ret)
		return fail(events_path ? events_path : "events", ret);
	events_metrics(a->events, m);
	if ((ret = acks_new(&a->acks, a)) || (ret = web_new(&a->web, &web)))
		return fail("cannot start", ret);
	ret = open_sink(a);
	if (!ret)
		ret = open_server(a, &library);
	if (!ret)
		ret = web_run(a->web);
	else
		ret = 1;
	if (ret < 0)
		ret = fail("the loop", ret);

	int lost = a->sink ? sink_close(a->sink, a->sink_lost ? 0 : SINK_MS) : 0;
	a->sink = NULL;
	if (lost && !a->sink_lost)
		ret = fail("not all frames were written", lost);
	acks_free(a->acks);
	web_free(a->web);
	rooms_free(a);
	library_free(library);
	events_close(a->events);
	return ret;
}

int main(int argc, char **argv)
{
	struct metrics *m;
	int next;

	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	if (next < argc)
		return opt_usage(&program, "'%s' is not an option", argv[next]);
	if (opt_pair(&program, "--tls-cert", tls_cert, "--tls-key", tls_key))
		return 2;
	app.limits = limits;
	map_init(&app.rooms);
	map_init(&app.sessions);
	list_init(&app.blocked);
	int ret = loop_new(&app.loop);
	if (!ret)
		ret = loop_stop_signals(app.loop, on_stop_signal, NULL);
	if (!ret)
		ret = metrics_new(&m);
	if (ret)
		return fail("cannot start", ret);
	loop_timer_init(&stop_timer, app.loop, on_stop_timer, &app);
	list_metrics(m, &app.count);
	ret = run(&app, m);
	loop_free(app.loop);
	metrics_free(m);
	return ret;
}
