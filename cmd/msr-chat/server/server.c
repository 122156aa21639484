/*
 * The server: options, start, the main loop, and the stop.
 *
 * A turn of the loop reads everything that is readable, then server_flush() hands each receiver
 * all that is new with one system call. That is where the speed of a broadcast comes from.
 */
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../commands.h"
#include "../wire.h"
#include "../address.h"
#include "auth.h"
#include "base/log.h"
#include "base/opt.h"
#include "base/proc.h"
#include "bridge.h"
#include "conn.h"
#include "event/event.h"
#include "hub.h"
#include "listen.h"
#include "loop/loop.h"
#include "outside.h"

enum {
	SWEEP_US = 1000000,    /* between two looks at all timeouts */
	PRESSURE_US = 1000000, /* a receiver that took something within this is reading */
	PRESSURE_PART = 4,     /* senders wait when a feed holds a quarter of max_queue */
	RELIEF_US =
	    5000000,	  /* senders wait: a receiver that is behind has this long to catch up by */
	RELIEF_PART = 16, /* a sixteenth of max_queue; if not, it is disconnected */
};

static struct settings set = {
    .address = DEFAULT_ADDRESS,
    .metrics_address = "127.0.0.1",
    .spool = "/var/tmp",
    .max_spool = 8LL << 30,
    .max_content = 1LL << 30,
    .max_header = 4096,
    .max_queue = 16 << 20,
    .max_users = 10000,
    .max_per_address = 64,
    .rate = 50,
    .burst = 100,
    .login_timeout = 10000000,
    .message_timeout = 60000000,
    .send_timeout = 60000000,
    .drain = 10000000,
};

static const struct opt options[] = {
    {'a', "address", OPT_STR, &set.address, NULL, "ADDR[:PORT]", "listen there (127.0.0.1:8080)", 0,
     0},
    {'p', "port", OPT_STR, &set.port, NULL, "PORT", "port, if not given with the address", 0, 0},
    {'e', "events", OPT_STR, &set.events, NULL, "PATH", "events go there (standard error)", 0, 0},
    {0, "metrics-port", OPT_INT, &set.metrics_port, NULL, "PORT", "/health and /metrics over HTTP",
     1, 65535},
    {0, "metrics-address", OPT_STR, &set.metrics_address, NULL, "ADDRESS", "where (127.0.0.1)", 0,
     0},
    {0, "spool", OPT_STR, &set.spool, "TMPDIR", "DIR", "where large contents wait (/var/tmp)", 0,
     0},
    {0, "max-spool", OPT_SIZE, &set.max_spool, NULL, "SIZE", "all of them together (8G)", 0,
     INT64_MAX},
    {0, "max-content", OPT_SIZE, &set.max_content, NULL, "SIZE", "largest content (1G)", 0,
     INT64_MAX},
    {0, "max-header", OPT_SIZE, &set.max_header, NULL, "SIZE", "largest header (4K)", 256, 65535},
    {0, "max-queue", OPT_SIZE, &set.max_queue, NULL, "SIZE",
     "a receiver further behind is disconnected (16M)", 262144, INT64_MAX},
    {0, "send-timeout", OPT_TIME, &set.send_timeout, NULL, "TIME",
     "and one that takes nothing for this long (60s)", 1000, INT64_MAX},
    {0, "max-users", OPT_INT, &set.max_users, NULL, "N", "users at once (10000)", 1, 1000000},
    {0, "max-per-address", OPT_INT, &set.max_per_address, NULL, "N",
     "connections of one address (64); 0: no limit", 0, 1000000},
    {0, "rate", OPT_INT, &set.rate, NULL, "N", "messages a second of a user (50); 0: no limit", 0,
     1000000},
    {0, "burst", OPT_INT, &set.burst, NULL, "N", "messages at once on top of that (100)", 1,
     1000000},
    {0, "limit-loopback", OPT_FLAG, &set.limit_loopback, NULL, NULL,
     "the limits of an address hold for this machine too", 0, 0},
    {0, "login-timeout", OPT_TIME, &set.login_timeout, NULL, "TIME", "time to log in (10s)", 1000,
     INT64_MAX},
    {0, "idle-timeout", OPT_TIME, &set.idle_timeout, NULL, "TIME",
     "disconnect users silent for this long; 0: never (0)", 0, INT64_MAX},
    {0, "message-timeout", OPT_TIME, &set.message_timeout, NULL, "TIME",
     "disconnect users stuck in a message (60s)", 1000, INT64_MAX},
    {0, "history", OPT_INT, &set.history, NULL, "N", "send new users the last messages (0)", 0,
     100000},
    {0, "password-file", OPT_STR, &set.password_file, NULL, "FILE", "users, as name:hash lines", 0,
     0},
    {0, "guests", OPT_FLAG, &set.guests, NULL, NULL, "others may log in without a password", 0, 0},
    {0, "tls-cert", OPT_STR, &set.tls_cert, NULL, "FILE", "speak TLS with this certificate chain",
     0, 0},
    {0, "tls-key", OPT_STR, &set.tls_key, NULL, "FILE", "and this key", 0, 0},
    {0, "drain", OPT_TIME, &set.drain, NULL, "TIME", "time for transfers at the end (10s)", 0,
     INT64_MAX},
    {0, "room", OPT_STR, &set.room, NULL, "URL", "join this room of msr-ws", 0, 0},
    {0, "storage", OPT_STR, &set.storage, NULL, "DIR", "keep files for that room in DIR/chat", 0,
     0},
    {0},
};

static const struct opt_program program = {
    .name = "msr-chat server",
    .usage = "[-a ADDRESS:PORT] [OPTION ...]",
    .summary = "Lets the users of one room talk to each other over TCP.",
    .opts = options,
};

void server_tick(struct server *s)
{
	if (s->ticked)
		return;
	s->ticked = true;
	s->now = mono_now();
	clock_rfc3339(clock_wall_us(), s->timestamp);
}

/* ---- the end of a turn ---- */

/*
 * Disconnects receivers that are too far behind. Only looked for when the feed has grown beyond the
 * bound. Also those that lack little but keep much: one that is closing, or one whose own messages
 * are skipped.
 */
static void drop_slow(struct server *s)
{
	uint64_t max = (uint64_t)s->set.max_queue;

	list_each_safe (i, &s->conns) {
		struct conn *c = container_of(i, struct conn, link);
		if (outbox_lag(&c->out) > max || outbox_held(&c->out) > max)
			conn_slow(c);
	}
}

/* It took something just now, or there is nothing for it to take. */
static bool is_reading(const struct conn *c)
{
	return !c->blocked || mono_diff_us(c->server->now, c->taken_at) <= PRESSURE_US;
}

static bool is_behind(const struct conn *c)
{
	return outbox_lag(&c->out) > (uint64_t)c->server->set.max_queue / (2 * PRESSURE_PART);
}

/*
 * When more than half of those who read at all are behind, the load is too much, not a receiver
 * too slow: senders are not read until that is over. Those that take nothing do not count, so that
 * silent connections cannot hold up a room.
 */
static bool under_pressure(struct server *s)
{
	uint64_t much = (uint64_t)s->set.max_queue / PRESSURE_PART;
	size_t behind = 0, readers = 0;

	if (feed_held(&s->feeds[FEED_PLAIN].feed) < much &&
	    feed_held(&s->feeds[FEED_PRESENCE].feed) < much)
		return false;
	for (int f = 0; f < FEEDS; f++)
		list_each (i, &s->feeds[f].members) {
			const struct conn *c = container_of(i, struct conn, in_feed);
			if (!is_reading(c))
				continue;
			readers++;
			if (is_behind(c))
				behind++;
		}
	return behind * 2 > readers;
}

/* From now on each must catch up. */
static void watch_relief(struct server *s)
{
	s->relief_at = mono_add_us(s->now, RELIEF_US);
	for (int f = 0; f < FEEDS; f++)
		list_each (i, &s->feeds[f].members) {
			struct conn *c = container_of(i, struct conn, in_feed);
			c->watched_lag = outbox_lag(&c->out);
		}
}

/* Pressure that stops for a moment is not over: receivers pause now and then. */
static bool lately_pressed(const struct server *s)
{
	return s->pressure || mono_diff_us(s->now, s->pressed_at) <= PRESSURE_US;
}

/* Those for whom senders wait, but who hardly catch up, would hold up the room for ever. */
static void relieve(struct server *s)
{
	uint64_t step = (uint64_t)s->set.max_queue / RELIEF_PART;

	if (!lately_pressed(s) || mono_diff_us(s->now, s->relief_at) < 0)
		return;
	for (int f = 0; f < FEEDS; f++)
		list_each_safe (i, &s->feeds[f].members) {
			struct conn *c = container_of(i, struct conn, in_feed);
			if (is_behind(c) && outbox_lag(&c->out) + step > c->watched_lag)
				conn_slow(c);
		}
	watch_relief(s);
}

static void set_pressure(struct server *s, bool pressure)
{
	if (pressure == s->pressure)
		return;
	if (pressure && !lately_pressed(s))
		watch_relief(s);
	s->pressure = pressure;
	log_debug("senders %s", pressure ? "wait for receivers" : "continue");
	if (pressure)
		return; /* each is paused when it next has something to say */
	s->pressed_at = s->now;
	list_each (i, &s->conns) {
		struct conn *c = container_of(i, struct conn, link);
		if (c->paused) {
			c->paused = false;
			c->heard = s->now;
			conn_update(c);
		}
	}
}

static void flush_feed(struct room_feed *r)
{
	r->flushed = r->feed.end;
	list_each_safe (i, &r->members) {
		struct conn *c = container_of(i, struct conn, in_feed);
		if (!c->blocked)
			conn_flush(c);
	}
}

void server_flush(struct server *s)
{
	bool again;

	/* Flushing can disconnect somebody, and others are told of that. */
	do {
		again = false;
		for (int i = 0; i < FEEDS; i++)
			if (s->feeds[i].feed.end != s->feeds[i].flushed) {
				flush_feed(&s->feeds[i]);
				again = true;
			}
		for (struct list *first; (first = list_first(&s->dirty));) {
			list_remove(first);
			conn_flush(container_of(first, struct conn, dirty));
		}
	} while (again);
	for (int i = 0; i < FEEDS; i++)
		if (feed_held(&s->feeds[i].feed) > (uint64_t)s->set.max_queue)
			drop_slow(s);
	set_pressure(s, under_pressure(s));
	conn_reap(s);
}

/* ---- the clock, and the stop ---- */

/*
 * Transfers under way continue, and during an upload everybody who may be its receiver stays. The
 * others are told that the server stops.
 */
static void drain_step(struct server *s)
{
	list_each (i, &s->conns)
		if (container_of(i, struct conn, link)->file)
			return;
	list_each_safe (i, &s->conns) {
		struct conn *c = container_of(i, struct conn, link);
		if (!conn_busy(c))
			conn_fail(c, CHAT_SHUTTING_DOWN);
	}
}

static void finish(void *arg)
{
	struct server *s = arg;

	if (s->draining)
		return;
	log_info("stopping; transfers under way have %lld s", (long long)s->set.drain / 1000000);
	s->draining = true;
	s->drain_until = mono_add_us(s->now, s->set.drain);
	listener_close(s->listener);
	s->listener = NULL;
	drain_step(s);
}

static void sweep(struct server *s)
{
	list_each_safe (i, &s->conns)
		conn_sweep(container_of(i, struct conn, link));
	relieve(s);
	if (s->draining)
		drain_step(s);
	metric_set(&s->n.spool_bytes, (int64_t)s->spool.used);
	metric_set(&s->n.spool_files, (int64_t)s->spool.files);
	metric_set(&s->n.feed_bytes,
		   (int64_t)(feed_held(&s->feeds[0].feed) + feed_held(&s->feeds[1].feed)));
}

static void on_sweep(void *arg)
{
	struct server *s = arg;

	server_tick(s);
	sweep(s);
	loop_timer_in_us(&s->sweep, SWEEP_US);
}

static void on_signal(void *arg, int sig)
{
	struct server *s = arg;

	server_tick(s);
	if (sig == SIGHUP && s->auth)
		auth_reload(s->auth);
	else if (sig != SIGHUP && s->draining)
		_exit(1);
	else if (sig != SIGHUP)
		finish(s);
}

/* Another thread has something: texts of the room, answers about passwords. */
static void on_wake(void *arg)
{
	struct server *s = arg;
	uint64_t serial;
	bool ok;

	server_tick(s);
	bridge_deliver(s->bridge);
	while (s->auth && auth_result(s->auth, &serial, &ok))
		list_each_safe (i, &s->conns) {
			struct conn *c = container_of(i, struct conn, link);
			if (c->serial == serial) {
				conn_authenticated(c, ok);
				break;
			}
		}
}

static void wake(void *arg)
{
	struct server *s = arg;

	loop_wake(s->loop);
}

/* ---- life ---- */

/* Each step says what went wrong, unless it is memory; none runs after one that failed. */

static int start_events(struct server *s)
{
	s->message_events = s->set.events != NULL;
	return events_open(&s->events, s->set.events, "msr-chat");
}

static int start_loop(struct server *s)
{
	static const int sigs[] = {SIGTERM, SIGINT, SIGHUP, 0};
	int ret = loop_new(&s->loop);

	if (!ret)
		ret = loop_signals(s->loop, sigs, on_signal, s);
	if (!ret) {
		loop_on_wake(s->loop, on_wake, s);
		loop_timer_init(&s->sweep, s->loop, on_sweep, s);
		ret = loop_timer_in_us(&s->sweep, SWEEP_US);
	}
	if (ret < 0)
		log_error("cannot make the event loop: %s", strerror(-ret));
	return ret;
}

static int start(struct server *s)
{
	int ret;

	list_init(&s->conns);
	list_init(&s->dirty);
	list_init(&s->dead);
	map_init(&s->addresses.map);
	s->spool = (struct spool){
	    .dir = s->set.spool, .max = (uint64_t)s->set.max_spool, .addresses = &s->addresses};
	server_tick(s);
	proc_raise_nofile();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of write(2) */
	if ((ret = start_events(s)) || (ret = start_loop(s)) || (ret = hub_init(s)))
		return ret;
	if (s->set.tls_cert && (ret = wire_tls_server(&s->tls, s->set.tls_cert, s->set.tls_key)))
		return ret;
	if (s->set.password_file &&
	    (ret = auth_open(&s->auth, s->set.password_file, s->set.guests, s->look, wake, s)))
		return ret;
	if ((ret = listener_open(&s->listener, s)) || (ret = outside_open(&s->outside, s)))
		return ret;
	/* Half of what lib/web may have lowered the limit to: the rest is for connections. */
	s->spool.max_files = proc_nofile() / 2;
	return 0;
}

static void stop(struct server *s)
{
	set_pressure(s, false);
	listener_close(s->listener);
	list_each_safe (i, &s->conns)
		conn_close(container_of(i, struct conn, link), chat_error_code(CHAT_SHUTTING_DOWN));
	conn_reap(s);
	outside_close(s->outside);
	auth_close(s->auth);
	hub_done(s);
	map_done(&s->addresses.map);
	wire_tls_free(s->tls);
	loop_free(s->loop);
	events_close(s->events);
}

static int run(struct server *s)
{
	int ret = 0;

	while (!ret && !(s->draining &&
			 (list_empty(&s->conns) || mono_diff_us(s->now, s->drain_until) >= 0))) {
		ret = loop_turn(s->loop, -1);
		server_flush(s);
		s->ticked = false;
	}
	return ret;
}

int server_main(int argc, char **argv)
{
	struct server s = {0};
	int next;

	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	if (next < argc)
		return opt_usage(&program, "'%s' is one argument too many", argv[next]);
	if (opt_pair(&program, "--tls-cert", set.tls_cert, "--tls-key", set.tls_key))
		return 2;
	if (set.storage && !set.room)
		return opt_usage(&program, "--storage needs --room");
	s.set = set;
	int ret = start(&s);
	if (ret == -ENOMEM)
		log_error("out of memory");
	if (!ret) {
		ret = run(&s);
		if (ret < 0)
			log_error("the event loop failed: %s", strerror(-ret));
	}
	stop(&s);
	if (!ret)
		log_info("stopped");
	return ret ? 1 : 0;
}
