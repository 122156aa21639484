/*
 * The libwebsockets context and its loop.
 *
 *   web_run:  lws_service (its poll; sockets, and the descriptor of the program's loop)
 *             → loop_turn (timers, children, sinks ...) → opts.turn → sessions with something to
 *             send write it → under load a short pause, so that one poll finds many messages, and
 *             once more everything after the first arrow
 *
 * poll(2) looks at every socket on each turn. With many sockets that costs more than the messages
 * themselves; the pause makes a turn carry many of them and bounds the delay it adds.
 */
#include "web_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"

#define OTHER_FDS     256 /* descriptors besides connections and what web_opts says */
#define BATCH_SOCKETS 48  /* fewer open sockets make poll(2) cheap enough */

/* What web_opts says with 0. */
#define DEFAULT_CONNS	 10000	      /* poll(2) looks at all of them in each turn */
#define DEFAULT_HELD	 (128u << 20) /* bytes: some messages with a body of 16 MiB */
#define DEFAULT_BATCH_US 1000	      /* far below what anybody hears or sees */
#define DEFAULT_HEAD_US	 10000000     /* a slow network's TLS handshake is done by then */

static const struct lws_protocols protocols[] = {
    {.name = "msr",
     .callback = web_conn_callback,
     .rx_buffer_size = RX_BUFFER,
     .tx_packet_size = TX_PACKET},
    {0},
};

/* Its own pings are kept in a sorted list that each received message walks: ours replace them. */
static const lws_retry_bo_t no_pings = {0};

static void on_log(int level, const char *line)
{
	size_t n = strcspn(line, "\n");

	/* Peers can provoke its errors at will; they are for whoever debugs. */
	log_line(LOG_DEBUG, "libwebsockets: %d %.*s", level, (int)n, line);
}

/*
 * ---- the tick: all timeouts of connections. It sleeps until the next of them, and for ever when
 * there is none, so that idle sessions without timeouts cost nothing ----
 */

static void tick_now(struct web *w)
{
	w->tick = (uint32_t)(mono_diff_us(mono_now(), w->started) / TICK_US);
}

void web_tick_soon(struct web *w)
{
	if (w->tick_armed)
		return;
	w->tick_armed = true;
	loop_timer_in_us(&w->ticker, TICK_US);
}

void web_active(struct web *w)
{
	if (w->active_this_turn)
		return;
	w->active_this_turn = true;
	tick_now(w);
	web_tick_soon(w);
}

static void on_tick(void *arg)
{
	struct web *w = arg;
	uint32_t next = TICK_NEVER;

	w->tick_armed = false;
	tick_now(w);
	list_each_safe (i, &w->conns) {
		struct conn *c = container_of(i, struct conn, link);
		uint32_t wait = 1;
		if (c->ws)
			wait = ws_session_tick(c->ws);
		else
			web_http_tick(c);
		if (wait < next)
			next = wait;
	}
	if (w->tick_armed || next == TICK_NEVER)
		return;
	w->tick_armed = next <= 1;
	loop_timer_in_us(&w->ticker, next * (int64_t)TICK_US);
}

/* ---- life ---- */

/* libwebsockets sizes its tables by the limit, and refuses descriptors beyond. */
static void limit_fds(size_t max_connections, size_t other)
{
	struct rlimit r;
	size_t want = max_connections + OTHER_FDS + other;

	proc_raise_nofile();
	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	if (r.rlim_cur < want)
		log_warn("the limit is %llu descriptors, but %zu connections and everything else "
			 "need %zu; raise it (ulimit -n)",
			 (unsigned long long)r.rlim_cur, max_connections, want);
	else
		r.rlim_cur = want;
	setrlimit(RLIMIT_NOFILE, &r);
}

static double count_held(void *arg)
{
	return (double)((struct web *)arg)->held;
}

static void list_metrics(struct web *w)
{
	static const char *const classes[] = {
	    "code=\"other\"", "code=\"1xx\"", "code=\"2xx\"",
	    "code=\"3xx\"",   "code=\"4xx\"", "code=\"5xx\"",
	};
	struct metrics *m = w->opts.metrics;

	metrics_gauge(m, "msr_web_connections", NULL, "Open connections", &w->open_conns);
	metrics_counter(m, "msr_web_accepted_total", NULL, "Connections accepted", &w->n_accepted);
	metrics_counter(m, "msr_web_refused_total", "limit=\"all\"",
			"Connections closed at a limit", &w->n_refused_total);
	metrics_counter(m, "msr_web_refused_total", "limit=\"address\"", "", &w->n_refused_address);
	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
		metrics_counter(m, "msr_web_requests_total", classes[i], "HTTP replies",
				&w->n_requests[i]);
	metrics_gauge(m, "msr_web_sessions", NULL, "Open WebSocket sessions", &w->n_ws_open);
	metrics_counter(m, "msr_web_sessions_total", NULL, "WebSocket sessions opened",
			&w->n_ws_total);
	metrics_counter(m, "msr_web_upgrades_refused_total", NULL, "WebSocket upgrades refused",
			&w->n_ws_refused);
	metrics_counter(m, "msr_web_messages_total", "direction=\"in\"", "WebSocket messages",
			&w->n_messages_in);
	metrics_counter(m, "msr_web_messages_total", "direction=\"out\"", "", &w->n_messages_out);
	metrics_counter(m, "msr_web_message_bytes_total", "direction=\"in\"",
			"Bytes of WebSocket messages", &w->n_bytes_in);
	metrics_counter(m, "msr_web_message_bytes_total", "direction=\"out\"", "", &w->n_bytes_out);
	metrics_counter(m, "msr_web_closed_total", "reason=\"ping\"",
			"Sessions closed for a fault of the peer", &w->n_ping_timeouts);
	metrics_counter(m, "msr_web_closed_total", "reason=\"slow\"", "", &w->n_slow_readers);
	metrics_counter(m, "msr_web_closed_total", "reason=\"size\"", "", &w->n_too_big);
	metrics_counter(m, "msr_web_closed_total", "reason=\"utf8\"", "", &w->n_bad_text);
	metrics_call(m, "msr_web_held_bytes", NULL, "Received and not yet passed on", count_held,
		     w);
	metrics_counter(m, "msr_web_held_pauses_total", NULL,
			"Times a socket was not read because of the memory bound", &w->n_throttled);
	metrics_counter(m, "msr_web_bodies_refused_total", NULL,
			"Requests refused because of it, with their bodies", &w->n_bodies_refused);
}

static void defaults(struct web_opts *o)
{
	if (!o->max_connections)
		o->max_connections = DEFAULT_CONNS;
	if (!o->max_held)
		o->max_held = DEFAULT_HELD;
	if (!o->header_timeout_us)
		o->header_timeout_us = DEFAULT_HEAD_US;
	if (!o->batch_wait_us)
		o->batch_wait_us = DEFAULT_BATCH_US;
}

static void on_close_timeout(void *arg);

/* libwebsockets polls the descriptor of our loop among its own. */
static int watch_loop(struct web *w)
{
	lws_sock_file_fd_type fd;

	w->watch_fd = dup(loop_fd(w->opts.loop));
	if (w->watch_fd < 0 || file_set_cloexec(w->watch_fd) < 0)
		return -errno;
	fd.filefd = w->watch_fd;
	if (!lws_adopt_descriptor_vhost(w->client_vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "msr", NULL))
		return -EIO;
	return 0;
}

int web_vhost_new(struct web *w, struct web_server *s, const struct lws_context_creation_info *tls,
		  struct lws_vhost **out)
{
	struct lws_context_creation_info info = tls ? *tls : (struct lws_context_creation_info){0};
	int seconds = (int)((w->opts.header_timeout_us + 999999) / 1000000);

	info.port = s ? CONTEXT_PORT_NO_LISTEN_SERVER : CONTEXT_PORT_NO_LISTEN;
	info.vhost_name = s ? s->name : "client";
	info.protocols = protocols;
	info.retry_and_idle_policy = &no_pings;
	info.timeout_secs_ah_idle = seconds;
	info.keepalive_timeout = KEEP_ALIVE_S;
	info.alpn = "http/1.1";
	info.user = s;
	*out = lws_create_vhost(w->context, &info);
	return *out ? 0 : -EIO;
}

int web_new(struct web **wp, const struct web_opts *opts)
{
	struct lws_context_creation_info info = {0};
	struct web *w = calloc(1, sizeof(*w));
	int ret = -EIO;

	if (!w)
		return -ENOMEM;
	w->opts = *opts;
	w->started = mono_now();
	defaults(&w->opts);
	w->watch_fd = -1;
	list_init(&w->servers);
	list_init(&w->conns);
	list_init(&w->dirty);
	list_init(&w->partials);
	list_init(&w->throttled);
	list_init(&w->authorities);
	map_init(&w->addresses);
	loop_timer_init(&w->ticker, opts->loop, on_tick, w);
	loop_timer_init(&w->close_timer, opts->loop, on_close_timeout, w);
	limit_fds(w->opts.max_connections, w->opts.other_fds);

	lws_set_log_level(log_level() >= LOG_DEBUG ? LLL_ERR | LLL_WARN : 0, on_log);
	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.user = w;
	info.pt_serv_buf_size = SERVICE_BUFFER;
	info.max_http_header_data = HEADER_MAX;
	info.timeout_secs = (unsigned int)((w->opts.header_timeout_us + 999999) / 1000000);
	w->context = lws_create_context(&info);
	if (!w->context)
		goto fail;
	ret = web_vhost_new(w, NULL, NULL, &w->client_vhost);
	if (!ret)
		ret = watch_loop(w);
	if (ret)
		goto fail;
	if (w->opts.metrics)
		list_metrics(w);
	*wp = w;
	return 0;
fail:
	web_free(w);
	return ret;
}

void web_free(struct web *w)
{
	if (!w)
		return;
	loop_timer_stop(&w->close_timer);
	list_each (i, &w->servers)
		web_listen_stop(container_of(i, struct web_server, link));
	w->closing = true;
	w->close_done = NULL;
	if (w->context)
		lws_context_destroy(w->context); /* calls back for each connection */
	/* Of those that were yet to be tried it knows nothing. */
	list_each_safe (i, &w->conns)
		web_conn_free(container_of(i, struct conn, link));
	loop_timer_stop(&w->ticker);
	list_each_safe (i, &w->servers) {
		struct web_server *s = container_of(i, struct web_server, link);
		for (struct route *r = s->routes, *next; r; r = next) {
			next = r->next;
			free(r);
		}
		web_static_free(s);
		free(s);
	}
	web_client_done(w);
	map_done(&w->addresses);
	free(w);
}

/* ---- shutting down ---- */

static void closed_all(struct web *w)
{
	void (*done)(void *) = w->close_done;

	loop_timer_stop(&w->close_timer);
	w->close_done = NULL;
	if (done)
		done(w->close_arg);
}

static void on_close_timeout(void *arg)
{
	struct web *w = arg;

	if (w->n_conns)
		log_warn("%zu connections did not close in time", w->n_conns);
	closed_all(w);
}

void web_conn_gone(struct web *w)
{
	/* From the loop, not from inside libwebsockets. */
	if (w->closing && w->close_done && !w->n_conns)
		loop_timer_in_us(&w->close_timer, 0);
}

void web_close(struct web *w, const char *reason, int64_t timeout_us, void (*done)(void *arg),
	       void *arg)
{
	if (w->closing)
		return;
	w->closing = true;
	w->close_done = done;
	w->close_arg = arg;
	list_each (i, &w->servers)
		web_listen_stop(container_of(i, struct web_server, link));
	list_each_safe (i, &w->conns) {
		struct conn *c = container_of(i, struct conn, link);
		c->stopping = true;
		if (c->ws)
			ws_close(c->ws, WS_GOING_AWAY, reason);
		else if (c->req && c->req->stream)
			web_stream_end(c->req->stream);
		else if (!c->req)
			web_conn_kill(c);
	}
	loop_timer_in_us(&w->close_timer, w->n_conns ? timeout_us : 0);
}

/* ---- the loop ---- */

static void flush_sessions(struct web *w)
{
	struct list batch = LIST_INIT(batch);

	/* Sessions made dirty meanwhile wait for the next turn, which comes at once. */
	while (!list_empty(&w->dirty)) {
		struct list *i = list_first(&w->dirty);
		list_remove(i);
		list_push(&batch, i);
	}
	while (!list_empty(&batch)) {
		struct list *i = list_first(&batch);
		list_remove(i);
		ws_session_flush(container_of(i, struct ws, dirty));
	}
}

/* True when it paused. */
static bool pause_under_load(struct web *w)
{
	struct timespec t = {.tv_nsec = w->opts.batch_wait_us * 1000};

	if (w->opts.batch_wait_us <= 0 || !w->n_received || w->n_conns < BATCH_SOCKETS)
		return false;
	nanosleep(&t, NULL);
	return true;
}

/* Everything but the sockets' input. */
static int turn(struct web *w)
{
	int ret = loop_turn(w->opts.loop, 0);

	if (ret < 0)
		return ret;
	if (w->opts.turn)
		w->opts.turn(w->opts.arg);
	if (!list_empty(&w->dirty))
		web_tick_soon(w);
	flush_sessions(w);
	loop_apply(w->opts.loop);
	return 0;
}

int web_run(struct web *w)
{
	int result = 0;

	if (w->incomplete)
		return -ENOMEM;
	loop_begin(w->opts.loop);
	while (!loop_stopped(w->opts.loop, &result)) {
		w->n_received = 0;
		w->active_this_turn = false;
		if (lws_service(w->context, list_empty(&w->dirty) ? 0 : -1) < 0)
			return -EIO;
		if (!w->active_this_turn)
			tick_now(w);
		int ret = turn(w);
		/* What was done elsewhere meanwhile goes out before more comes in. */
		if (!ret && pause_under_load(w))
			ret = turn(w);
		if (ret < 0)
			return ret;
	}
	return result;
}
