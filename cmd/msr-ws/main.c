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

static struct {
	const char *output, *address, *events;
	const char *tls_cert, *tls_key, *storage, *page, *sfu_url, *audiod_url;
	int64_t port, max_per_address, max_memory, ring_size;
	struct limits limits;
	bool trust_proxy;
	struct opt_list origins;
} opts = {
    .output = "-",
    .address = "127.0.0.1",
    .port = 8000,
    .max_memory = 128 << 20,
    .ring_size = 64 << 20,
    .limits = {.resume_window_us = 10000000,
	       .max_sessions = 10000,
	       .max_room = 1000,
	       .max_rate = 1000},
};

static const struct opt table[] = {
    {'o', "output", OPT_STR, &opts.output, NULL, "SINK",
     "frames go there: -, a path or shm:NAME (-)", 0, 0},
    {'a', "address", OPT_STR, &opts.address, "MSR_ADDRESS", "ADDRESS", "listen there (127.0.0.1)",
     0, 0},
    {'p', "port", OPT_INT, &opts.port, "MSR_WS_PORT", "PORT", "port; 0 picks a free one (8000)", 0,
     65535},
    {0, "tls-cert", OPT_STR, &opts.tls_cert, NULL, "FILE", "certificate chain, PEM", 0, 0},
    {0, "tls-key", OPT_STR, &opts.tls_key, NULL, "FILE", "its key, PEM", 0, 0},
    {'e', "events", OPT_STR, &opts.events, NULL, "PATH", "events go there (standard error)", 0, 0},
    {0, "storage", OPT_STR, &opts.storage, "MSR_STORAGE", "DIR", "serve the recordings in it", 0,
     0},
    {0, "page", OPT_STR, &opts.page, NULL, "DIR", "the web page (examples/web)", 0, 0},
    {0, "sfu-url", OPT_STR, &opts.sfu_url, NULL, "URL", "tell the page where msr-sfu is", 0, 0},
    {0, "audiod-url", OPT_STR, &opts.audiod_url, NULL, "URL", "and where msr-audiod is", 0, 0},
    {0, "allow-origin", OPT_LIST, &opts.origins, NULL, "ORIGIN",
     "pages from there may connect too, or *; repeatable", 0, 0},
    {0, "trust-proxy", OPT_FLAG, &opts.trust_proxy, NULL, NULL,
     "a proxy on loopback names the client in X-Forwarded-For", 0, 0},
    {0, "resume-window", OPT_TIME, &opts.limits.resume_window_us, NULL, "TIME",
     "how long a session waits for its client to return (10s)", 0, 86400000000},
    {0, "max-sessions", OPT_INT, &opts.limits.max_sessions, NULL, "N", "sessions in all (10000)", 1,
     1000000},
    {0, "max-room", OPT_INT, &opts.limits.max_room, NULL, "N", "sessions in a room (1000)", 1,
     1000000},
    {0, "max-per-address", OPT_INT, &opts.max_per_address, NULL, "N",
     "connections from one address; 0: no bound (0)", 0, 1000000},
    {0, "max-rate", OPT_INT, &opts.limits.max_rate, NULL, "N",
     "messages a second and session (1000)", 1, 1000000},
    {0, "max-memory", OPT_SIZE, &opts.max_memory, NULL, "BYTES",
     "received and not yet passed on, in all (128M)", 1 << 20, INT64_MAX},
    {0, "ring-size", OPT_SIZE, &opts.ring_size, NULL, "BYTES", "of a ring that is made (64M)",
     1 << 16, 1LL << 40},
    {0},
};

static const struct opt_program program = {
    .name = "msr-ws",
    .usage = "[-o SINK] [-a ADDRESS] [-p PORT] [--storage DIR] [option ...]",
    .summary = "Takes audio, video and room text over WebSocket at /ROOM/SESSION.",
    .opts = table,
};

/* ---- the sink ---- */

/* `app` is what the other files know of it. */
struct program {
	struct app app;
	struct metrics *metrics;
	struct library *library; /* NULL without --storage */
	struct web_origins allowed;
	struct pages_opts pages;
	struct loop_timer stop_timer;
	struct mono stop_by;
	int status; /* to exit with */
};

static void begin_stop(struct program *p, int status);

static void on_sink_ready(void *arg)
{
	struct app *a = &((struct program *)arg)->app;

	acks_run(a->acks);
	if (a->full || !list_empty(&a->blocked))
		ingest_resume(a);
}

static void on_sink_lost(void *arg, int err)
{
	struct program *p = arg;

	if (err == -EPIPE || err == -EBADMSG) {
		log_error("%s: %s; ending", opts.output,
			  err == -EPIPE ? "the reader of the pipe is gone"
					: "the ring is damaged (remove it, then start again)");
		p->app.sink_lost = true;
		begin_stop(p, 1);
	} else {
		log_warn("%s: %s; still trying", opts.output, strerror(-err));
	}
}

/* At the end of each turn: what came in it goes out together. */
static void on_turn(void *arg)
{
	struct app *a = &((struct program *)arg)->app;

	sink_flush(a->sink);
	acks_run(a->acks);
}

/* ---- shutdown: end sessions → wait for their acknowledgements → close connections ---- */

static void on_closed(void *arg)
{
	struct program *p = arg;

	loop_stop(p->app.loop, p->status);
}

static void on_stop_timer(void *arg)
{
	struct program *p = arg;
	struct app *a = &p->app;
	bool done = acks_empty(a->acks) && list_empty(&a->blocked);

	if (!done && !a->sink_lost && mono_diff_us(mono_now(), p->stop_by) < 0)
		loop_timer_in_us(&p->stop_timer, LOOK_US);
	else
		web_close(a->web, "shutdown", CLOSE_US, on_closed, p);
}

static void begin_stop(struct program *p, int status)
{
	if (p->app.stopping)
		return;
	p->status = status;
	p->app.stopping = true;
	map_each (n, &p->app.sessions)
		ingest_end(container_of(n, struct session, node), "shutdown");
	p->stop_by = mono_add_us(mono_now(), ACKS_US);
	loop_timer_in_us(&p->stop_timer, 0);
}

static void on_stop_signal(void *arg)
{
	log_info("stopping");
	begin_stop(arg, 0);
}

/* ---- start ---- */

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

static int open_sink(struct program *p)
{
	struct sink_opts o = {.loop = p->app.loop,
			      .ring_size = (size_t)opts.ring_size,
			      .ready = on_sink_ready,
			      .lost = on_sink_lost,
			      .arg = p};
	int ret = sink_open(&p->app.sink, opts.output, &o);

	if (ret == -EBUSY)
		log_error("another producer writes to '%s'", opts.output);
	else if (ret)
		log_error("cannot open the sink '%s': %s", opts.output, strerror(-ret));
	return ret;
}

static int start_web(struct program *p)
{
	/* Connections that wait for their turn, and those of the page, come on top of sessions. */
	struct web_opts o = {.loop = p->app.loop,
			     .metrics = p->metrics,
			     .max_connections = (size_t)opts.limits.max_sessions + 1024,
			     .max_per_address = (size_t)opts.max_per_address,
			     .trust_proxy = opts.trust_proxy,
			     .max_held = (size_t)opts.max_memory,
			     .turn = on_turn,
			     .arg = p};
	int ret = web_new(&p->app.web, &o);

	return ret ? log_failure("start", ret) : 0;
}

static int open_server(struct program *p)
{
	struct web_listen_opts o = {.address = opts.address,
				    .port = (int)opts.port,
				    .tls_cert = opts.tls_cert,
				    .tls_key = opts.tls_key,
				    .server_name = "msr-ws"};
	struct web_server *s;

	int ret = web_listen(&s, p->app.web, &o);
	if (ret) {
		log_error("cannot listen on %s port %d: %s; choose another with -a and -p",
			  opts.address, (int)opts.port, web_error(p->app.web));
		return ret;
	}
	if (opts.storage && (ret = library_new(&p->library, opts.storage, s))) {
		log_error("cannot serve the recordings in '%s': %s", opts.storage, strerror(-ret));
		return ret;
	}
	p->pages = (struct pages_opts){.dir = opts.page,
				       .sfu_url = opts.sfu_url,
				       .audiod_url = opts.audiod_url,
				       .resume_window_us = opts.limits.resume_window_us,
				       .recordings = opts.storage != NULL};
	if ((ret = pages_route(s, &p->pages))) {
		log_error("cannot serve the page in '%s': %s", opts.page, strerror(-ret));
		return ret;
	}
	p->allowed =
	    (struct web_origins){.same = true, .list = opts.origins.v, .n = opts.origins.n};
	conn_route(&p->app, s, &p->allowed);
	log_info("listening on %s://%s:%d/, frames go to %s", opts.tls_cert ? "https" : "http",
		 opts.address, web_port(s), opts.output);
	return 0;
}

/* 0, or -errno of what failed, which is logged. */
static int start(struct program *p)
{
	struct app *a = &p->app;
	int ret;

	a->limits = opts.limits;
	map_init(&a->rooms);
	map_init(&a->sessions);
	list_init(&a->blocked);
	if ((ret = loop_new(&a->loop)) || (ret = loop_stop_signals(a->loop, on_stop_signal, p)) ||
	    (ret = metrics_new(&p->metrics)) || (ret = acks_new(&a->acks, a)))
		return log_failure("start", ret);
	loop_timer_init(&p->stop_timer, a->loop, on_stop_timer, p);
	list_metrics(p->metrics, &a->count);
	if ((ret = events_open(&a->events, opts.events, program.name)))
		return ret;
	events_metrics(a->events, p->metrics);
	if ((ret = start_web(p)) || (ret = open_sink(p)))
		return ret;
	return open_server(p);
}

/* The exit status: 1 also when frames were lost. */
static int run(struct program *p)
{
	struct app *a = &p->app;
	int ret = web_run(a->web);

	if (ret < 0)
		log_error("the event loop failed: %s", strerror(-ret));
	int lost = sink_close(a->sink, a->sink_lost ? 0 : SINK_MS);
	a->sink = NULL;
	if (lost && !a->sink_lost)
		log_error("not all frames were written to '%s': %s", opts.output, strerror(-lost));
	return ret || lost ? 1 : 0;
}

/* Also after a start that failed. */
static void stop(struct program *p)
{
	struct app *a = &p->app;

	if (a->sink)
		sink_close(a->sink, 0);
	acks_free(a->acks);
	web_free(a->web);
	rooms_free(a);
	library_free(p->library);
	events_close(a->events);
	loop_free(a->loop);
	metrics_free(p->metrics);
}

/* An exit status, or -1 to start. */
static int check_options(int argc, char **argv)
{
	int next;

	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	if (next < argc)
		return opt_usage(&program, "'%s' is not an option", argv[next]);
	if (web_origins_check(&program, &opts.origins) ||
	    opt_pair(&program, "--tls-cert", opts.tls_cert, "--tls-key", opts.tls_key))
		return 2;
	return -1;
}

int main(int argc, char **argv)
{
	static struct program p;
	int status = check_options(argc, argv);

	if (status >= 0)
		return status;
	status = start(&p) ? 1 : run(&p);
	stop(&p);
	return status;
}
