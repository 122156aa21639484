/*
 * msr-audiod: real-time audio processing over WebSocket.
 *
 *	client ══ WebSocket ══ session ── seat ══ shared memory ══ worker ── chain ── processors
 *
 * The front process (this one) owns sockets and answers; workers own the sound.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/opt.h"
#include "base/id.h"
#include "base/proc.h"
#include "event/event.h"
#include "filter.h"
#include "loop/loop.h"
#include "pool.h"
#include "recorder.h"
#include "session.h"
#include "web/web.h"
#include "worker.h"

enum {
	STOP_US = 500000,     /* for closing handshakes at the end */
	STOP_TURN_US = 10000, /* between two looks whether everything is answered, */
	STOP_TURNS = 100,     /* for at most one second */
	/* Of the two seconds that stopping may take: the reader of a recording's pipe has what
	 * these leave, and then the workers have to end. */
	STOP_ALL_US = 1700000,
	/* Under load: a session has one job under way, so pauses bound its rate. */
	BATCH_WAIT_US = 50,
	ROUND_US = 250,	       /* longest wait for the workers' answers within a turn, */
	ROUNDS_US = 2000,      /* and of all such rounds of a turn */
	KEEP_BYTES = 32 << 20, /* of freed memory that stay the program's */
	FDS_A_SESSION = 1,
	FDS_OWN = 64,	   /* descriptors besides the clients' and the workers' */
	HEALTH_CONNS = 16, /* of FDS_OWN: for /health and /metrics when clients have all others */
	FDS_A_WORKER = 10, /* two rings with their bells, the process, and starting the next */
};

static struct {
	const char *address, *events, *tls_cert, *tls_key;
	const char *sink, *room, *record;
	int64_t port, health_port;
	int64_t workers;	     /* 0: one a core */
	int64_t buffer, max_message; /* bytes */
	int64_t max_sessions;
	int64_t max_connections;		     /* 0: twice the sessions */
	int64_t max_queue, max_memory;		     /* bytes */
	int64_t session_timeout_us, data_timeout_us; /* the first may be 0: never */
	struct opt_list origins, execs;
} set = {
    .address = "127.0.0.1",
    .room = "audiod",
    .record = "output",
    .port = 8004,
    .health_port = 8005,
    .buffer = 1024,
    .max_message = 1 << 20,
    .max_sessions = 2000,
    .max_queue = 4 << 20,
    .max_memory = 512 << 20,
    .session_timeout_us = 5000000,
    .data_timeout_us = 1000000,
};

static const struct opt opts[] = {
    {'a', "address", OPT_STR, &set.address, NULL, "ADDRESS", "listen here (127.0.0.1)", 0, 0},
    {'p', "port", OPT_INT, &set.port, "MSR_AUDIOD_PORT", "PORT", "of the WebSocket /ws (8004)", 0,
     65535},
    {0, "health-port", OPT_INT, &set.health_port, "MSR_AUDIOD_HEALTH_PORT", "PORT",
     "of /health and /metrics (8005)", 0, 65535},
    {'w', "workers", OPT_INT, &set.workers, NULL, "N", "worker processes (one a core)", 1,
     POOL_WORKERS_MAX},
    {0, "buffer", OPT_SIZE, &set.buffer, NULL, "BYTES", "each of a session's two buffers (1024)",
     64, 1 << 20},
    {0, "max-message", OPT_SIZE, &set.max_message, NULL, "BYTES", "longest message (1M)", 64,
     64 << 20},
    {0, "max-sessions", OPT_INT, &set.max_sessions, NULL, "N", "receivers at once (2000)", 1,
     100000},
    {0, "max-connections", OPT_INT, &set.max_connections, NULL, "N",
     "connections at once (twice the receivers)", 1, 1000000},
    {0, "session-timeout", OPT_TIME, &set.session_timeout_us, NULL, "TIME",
     "end silent sessions (5s; 0: never)", 0, 86400000000},
    {0, "data-timeout", OPT_TIME, &set.data_timeout_us, NULL, "TIME", "replace a hung worker (1s)",
     10000, 3600000000},
    {0, "max-queue", OPT_SIZE, &set.max_queue, NULL, "BYTES", "unsent bytes of a client (4M)",
     65536, 1 << 30},
    {0, "max-memory", OPT_SIZE, &set.max_memory, NULL, "BYTES",
     "unprocessed bytes of all clients, and unsent ones (512M)", 1 << 20, 1ll << 40},
    {0, "allow-origin", OPT_LIST, &set.origins, NULL, "ORIGIN", "pages that may connect", 0, 0},
    {0, "allow-exec", OPT_LIST, &set.execs, NULL, "NAME=COMMAND", "what exec:NAME runs", 0, 0},
    {0, "record", OPT_STR, &set.record, NULL, "SIDE", "record input or output (output)", 0, 0},
    {'o', "output", OPT_STR, &set.sink, NULL, "SINK", "record to -, a path or shm:NAME", 0, 0},
    {0, "room", OPT_STR, &set.room, NULL, "ROOM", "that recordings belong to (audiod)", 0, 0},
    {'e', "events", OPT_STR, &set.events, NULL, "PATH", "where events go (standard error)", 0, 0},
    {0, "tls-cert", OPT_STR, &set.tls_cert, NULL, "FILE", "certificate chain, PEM", 0, 0},
    {0, "tls-key", OPT_STR, &set.tls_key, NULL, "FILE", "its key, PEM", 0, 0},
    {0},
};

static const struct opt_program program = {
    "msr-audiod",
    "[-a ADDRESS] [-p PORT] [OPTION ...] | filter [OPTION ...] CHAIN",
    "Processes audio of WebSocket clients in real time.",
    "msr-audiod filter --help describes the filter. See msr-audiod(8) for protocol and chains.",
    opts,
};

struct daemon {
	struct loop *loop;
	struct metrics *metrics;
	struct events *events;
	struct recorder *recorder;
	struct sessions *sessions;
	struct pool *pool;
	struct web *web;
	struct exec_list execs;
	struct web_origins origins;
	struct loop_timer stop;
	int stop_turns;
	struct mono stop_by; /* then even the recording has to be over; set with `stopping` */
	bool stopping;
	size_t n_clients; /* that may connect */
};

/* ---- stop: answer what is under way, then say goodbye ---- */

static void on_closed(void *arg)
{
	struct daemon *d = arg;

	loop_stop(d->loop, 0);
}

static void on_stop_turn(void *arg)
{
	struct daemon *d = arg;

	if (!sessions_idle(d->sessions) && d->stop_turns++ < STOP_TURNS)
		loop_timer_in_us(&d->stop, STOP_TURN_US);
	else
		web_close(d->web, "shutdown", STOP_US, on_closed, d);
}

static void on_stop(void *arg)
{
	struct daemon *d = arg;

	log_info("stopping");
	d->stopping = true;
	d->stop_by = mono_add_us(mono_now(), STOP_ALL_US);
	sessions_stop(d->sessions);
	on_stop_turn(d);
}

/* ---- the turn ---- */

/*
 * A client that sent more than a slice gets it processed now, round by round, instead of a slice a
 * turn: the answers then leave the socket together, and what the client sends for them comes in
 * together.
 */
static void on_turn(void *arg)
{
	struct daemon *d = arg;

	pool_flush(d->pool);
	if (sessions_backlog(d->sessions)) {
		struct mono end = mono_add_us(mono_now(), ROUNDS_US);
		while (pool_round(d->pool, ROUND_US) && sessions_backlog(d->sessions) &&
		       mono_diff_us(end, mono_now()) > 0)
			;
		pool_flush(d->pool);
	}
	recorder_flush(d->recorder);
}

/* ---- start: each step says what went wrong; none runs after one that failed ---- */

static int start_loop(struct daemon *d)
{
	int ret = loop_new(&d->loop);

	if (!ret)
		ret = metrics_new(&d->metrics);
	if (!ret)
		ret = loop_stop_signals(d->loop, on_stop, d);
	if (ret < 0)
		log_error("cannot make the event loop: %s", strerror(-ret));
	else
		loop_timer_init(&d->stop, d->loop, on_stop_turn, d);
	return ret;
}

static int start_recorder(struct daemon *d)
{
	struct recorder_opts o = {
	    .loop = d->loop,
	    .metrics = d->metrics,
	    .events = d->events,
	    .sink = set.sink,
	    .room = set.room,
	    .side = strcmp(set.record, "input") ? RECORD_OUTPUT : RECORD_INPUT,
	};
	int ret = set.sink ? recorder_new(&d->recorder, &o) : 0;

	if (ret < 0)
		log_error("cannot open sink '%s': %s", set.sink, strerror(-ret));
	return ret;
}

static int start_sessions(struct daemon *d)
{
	struct sessions_opts so = {
	    .loop = d->loop,
	    .events = d->events,
	    .metrics = d->metrics,
	    .recorder = d->recorder,
	    .execs = &d->execs,
	    .origins = &d->origins,
	    .buffer = (uint32_t)set.buffer,
	    .max_message = (size_t)set.max_message,
	    .max_queue = (size_t)set.max_queue,
	    .max_memory = (size_t)set.max_memory,
	    .session_timeout_us = set.session_timeout_us,
	};
	int ret = sessions_new(&d->sessions, &so);

	if (ret < 0)
		log_error("cannot make the sessions: %s", strerror(-ret));
	return ret;
}

static int start_pool(struct daemon *d)
{
	struct pool_opts po = {
	    .loop = d->loop,
	    .metrics = d->metrics,
	    .events = d->events,
	    .workers = (unsigned)set.workers,
	    .seats = (uint32_t)set.max_sessions,
	    .buffer = (uint32_t)set.buffer,
	    .data_timeout_us = set.data_timeout_us,
	    .execs = &d->execs,
	    .data = session_data,
	    .event = session_event,
	};
	int ret = pool_new(&d->pool, &po);

	if (!ret)
		sessions_use(d->sessions, d->pool);
	return ret;
}

static int listen_on(struct daemon *d, int64_t port, const char *name, size_t reserve,
		     struct web_server **server)
{
	struct web_listen_opts lo = {
	    .address = set.address,
	    .port = (int)port,
	    .tls_cert = set.tls_cert,
	    .tls_key = set.tls_key,
	    .server_name = name,
	    .reserve = reserve,
	};
	int ret = web_listen(server, d->web, &lo);

	if (ret < 0)
		log_error("cannot listen on %s port %d for %s: %s%s", set.address, (int)port, name,
			  web_error(d->web),
			  ret == -EINVAL ? "" : "; choose another with -p or --health-port");
	return ret;
}

/* Descriptors besides the clients'. */
static size_t own_fds(void)
{
	return FDS_OWN + (size_t)set.workers * FDS_A_WORKER;
}

/* The first thing: what is started later, workers and their programs, has the same limit. */
static int raise_limit(struct daemon *d)
{
	size_t fds = proc_raise_nofile(), own = own_fds();

	d->n_clients = (size_t)set.max_connections;
	if (own + FDS_A_SESSION > fds) {
		log_error("the limit of open files, %zu, is too low for %d workers, which need "
			  "%zu; raise it with ulimit -n",
			  fds, (int)set.workers, own);
		return -EMFILE;
	}
	if (d->n_clients * FDS_A_SESSION + own > fds) {
		d->n_clients = (fds - own) / FDS_A_SESSION;
		log_warn(
		    "the limit of open files, %zu, lets %zu clients in; raise it with ulimit -n",
		    fds, d->n_clients);
	}
	return 0;
}

static int start_web(struct daemon *d)
{
	struct web_server *ws, *health;
	struct web_opts wo = {
	    .loop = d->loop,
	    .metrics = d->metrics,
	    .max_connections = d->n_clients,
	    .other_fds = own_fds(),
	    .max_held = (size_t)set.max_memory,
	    .batch_wait_us = BATCH_WAIT_US,
	    .turn = on_turn,
	    .arg = d,
	};
	int ret = web_new(&d->web, &wo);

	if (ret < 0) {
		log_error("cannot start the web server: %s", strerror(-ret));
		return ret;
	}
	if ((ret = listen_on(d, set.port, "sound", 0, &ws)) ||
	    (ret = listen_on(d, set.health_port, "health", HEALTH_CONNS, &health)))
		return ret;
	sessions_route(d->sessions, d->web, ws);
	metrics_process(d->metrics);
	events_metrics(d->events, d->metrics);
	log_info("listening on %s://%s:%d/ws with %d workers; up to %d receivers and %zu clients",
		 set.tls_cert ? "wss" : "ws", set.address, web_port(ws), (int)set.workers,
		 (int)set.max_sessions, d->n_clients);
	return 0;
}

static int start(struct daemon *d)
{
	int ret;

	d->execs = (struct exec_list){set.execs.v, set.execs.n};
	d->origins = (struct web_origins){
	    .list = set.origins.v, .n = set.origins.n, .localhost = true, .same = true};
	if ((ret = raise_limit(d)) || (ret = start_loop(d)) ||
	    (ret = events_open(&d->events, set.events, "msr-audiod")) ||
	    (ret = start_recorder(d)) || (ret = start_sessions(d)) || (ret = start_pool(d)))
		return ret;
	return start_web(d);
}

static int check_options(void)
{
	struct exec_list execs = {set.execs.v, set.execs.n};
	char why[192];

	if (strcmp(set.record, "input") != 0 && strcmp(set.record, "output") != 0)
		return opt_usage(&program, "--record is input or output, not '%s'", set.record);
	if (!id_valid(set.room, strlen(set.room)))
		return opt_usage(&program, "--room: " ID_RULE);
	if (web_origins_check(&program, &set.origins) ||
	    opt_pair(&program, "--tls-cert", set.tls_cert, "--tls-key", set.tls_key))
		return 2;
	if (exec_check(&execs, why, sizeof(why)) < 0)
		return opt_usage(&program, "%s", why);
	if (!set.max_connections)
		set.max_connections = 2 * set.max_sessions;
	if (!set.workers) {
		long cores = sysconf(_SC_NPROCESSORS_ONLN);
		set.workers = cores < 1 ? 1 : cores > POOL_WORKERS_MAX ? POOL_WORKERS_MAX : cores;
	}
	return 0;
}

/* What the reader of a recording's pipe still gets. */
static int recording_ms(const struct daemon *d)
{
	int64_t left = d->stopping ? mono_diff_us(d->stop_by, mono_now()) : STOP_ALL_US;

	return left > 0 ? (int)(left / 1000) : 0;
}

static int serve(void)
{
	struct daemon d = {0};

	/* Messages come and go in bursts: memory given back after each would be faulted in again.
	 */
	mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
	mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
	int ret = start(&d);

	if (!ret) {
		ret = web_run(d.web);
		if (ret < 0)
			log_error("the event loop failed: %s", strerror(-ret));
	}
	web_free(d.web);
	pool_free(d.pool);
	sessions_free(d.sessions);
	recorder_free(d.recorder, recording_ms(&d));
	events_close(d.events);
	metrics_free(d.metrics);
	loop_free(d.loop);
	return ret ? 1 : 0;
}

int main(int argc, char **argv)
{
	int next;

	if (argc > 2 && !strcmp(argv[1], "worker")) {
		struct exec_list execs = {(const char *const *)argv + 3, (size_t)argc - 3};
		return worker_main(argv[2], &execs);
	}
	if (argc > 1 && !strcmp(argv[1], "filter"))
		return filter_main(argc - 1, argv + 1);
	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	if (next < argc)
		return opt_usage(&program, "'%s' is not an option; there is one command, filter",
				 argv[next]);
	return check_options() ? 2 : serve();
}
