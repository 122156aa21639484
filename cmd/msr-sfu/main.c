/*
 * msr-sfu: WebRTC calls in rooms.
 *
 *	API thread:    lib/web → api/ → room/ → room/link → commands ─┐
 *	media threads: lib/peer → fwd/ (packets) ──────── reports ◄───┘
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/opt.h"
#include "base/proc.h"
#include "event/event.h"
#include "loop/loop.h"
#include "room/link.h"
#include "room/room.h"
#include "room/whep.h"
#include "web/http.h"
#include "web/web.h"

#define CONNECTIONS_MAX 10000	/* to the interface at once */
#define SPARE_FDS	512	/* descriptors of neither connections nor media */
#define STOP_US		2000000 /* µs that replies and event streams get at the end */

static const char *address = "127.0.0.1", *public_ip, *rtc_address, *events_path;
static const char *tls_cert, *tls_key;
static int64_t port = 5000, min_port = 10000, max_port = 59999, threads;
static int64_t max_rooms = 10000, max_users = 500, user_timeout_us = 120000000;
static bool record;
static struct opt_list origins, sinks;

static const struct opt opts[] = {
    {'a', "address", OPT_STR, &address, "ADDRESS", "ADDRESS", "listen here (127.0.0.1)", 0, 0},
    {'p', "port", OPT_INT, &port, "PORT", "PORT", "port of the interface (5000)", 0, 65535},
    {0, "public-ip", OPT_STR, &public_ip, "PUBLIC_IP", "IP", "announce this address too", 0, 0},
    {0, "rtc-address", OPT_STR, &rtc_address, NULL, "IP", "only this address for media", 0, 0},
    {0, "rtc-min-port", OPT_INT, &min_port, "RTC_MIN_PORT", "PORT", "first media port (10000)", 1,
     65535},
    {0, "rtc-max-port", OPT_INT, &max_port, "RTC_MAX_PORT", "PORT", "last media port (59999)", 1,
     65535},
    {0, "threads", OPT_INT, &threads, NULL, "N", "media threads (one a core)", 1, 64},
    {0, "allow-origin", OPT_LIST, &origins, NULL, "ORIGIN", "pages that may use the interface", 0,
     0},
    {0, "max-rooms", OPT_INT, &max_rooms, NULL, "N", "rooms in all (10000)", 1, 1000000},
    {0, "max-users", OPT_INT, &max_users, NULL, "N", "users in a room (500)", 1, 10000},
    {0, "user-timeout", OPT_TIME, &user_timeout_us, NULL, "TIME",
     "keep users that do not connect (120s)", 100000, 86400000000},
    {0, "record", OPT_FLAG, &record, NULL, NULL, "record what everybody publishes", 0, 0},
    {'o', "output", OPT_LIST, &sinks, NULL, "SINK", "to -, a path or shm:NAME; one a thread", 0, 0},
    {'e', "events", OPT_STR, &events_path, NULL, "PATH", "where events go (standard error)", 0, 0},
    {0, "tls-cert", OPT_STR, &tls_cert, NULL, "FILE", "certificate chain, PEM", 0, 0},
    {0, "tls-key", OPT_STR, &tls_key, NULL, "FILE", "its key, PEM", 0, 0},
    {0},
};

static const struct opt_program program = {
    "msr-sfu",
    "[-a ADDRESS] [-p PORT] [--public-ip IP] [--record -o SINK ...] [OPTION ...]",
    "WebRTC calls in rooms, forwarded packet by packet.",
    "See msr-sfu(8) for the interface.",
    opts,
};

/* Everything that lives as long as the program. */
struct daemon {
	struct loop *loop;
	struct metrics *metrics;
	struct events *events;
	struct links *links;
	struct web *web;
	struct sfu sfu;
};

/* ---- reports of the media threads ---- */

static void on_connected(struct owner *o, struct link *l)
{
	(void)l;
	if (o->user)
		user_link_connected(o->user);
}

static void on_ended(struct owner *o, struct link *l, const char *reason)
{
	if (o->user)
		user_link_ended(o->user, l, reason);
	else
		viewer_free(o->viewer);
}

static void on_speaker(void *arg, uint64_t room, struct track *t, int level)
{
	struct daemon *d = arg;
	struct room *r = room_by_number(&d->sfu, room);

	if (r)
		notify_speaker(r, t ? t->user : NULL, level);
}

static void on_layer(struct owner *o, const struct track *t, const struct link_layer *l)
{
	if (o->user)
		notify_layer(o->user, t, l);
}

/* ---- start and stop ---- */

static void on_closed(void *arg)
{
	struct daemon *d = arg;

	loop_stop(d->loop, 0);
}

static void on_stop(void *arg)
{
	struct daemon *d = arg;

	log_info("stopping: %zu rooms end", d->sfu.rooms.n);
	sfu_done(&d->sfu);
	web_close(d->web, "shutdown", STOP_US, on_closed, d);
}

static int start_links(struct daemon *d)
{
	struct links_opts o = {
	    .loop = d->loop,
	    .metrics = d->metrics,
	    .threads = (unsigned)threads,
	    .public_ip = public_ip,
	    .rtc_address = rtc_address,
	    .min_port = (uint16_t)min_port,
	    .max_port = (uint16_t)max_port,
	    .sinks = sinks.v,
	    .n_sinks = (unsigned)sinks.n,
	    .connected = on_connected,
	    .ended = on_ended,
	    .speaker = on_speaker,
	    .layer = on_layer,
	    .gap = notify_record_gap,
	    .arg = d,
	};

	return links_new(&d->links, &o);
}

static void list_metrics(struct daemon *d)
{
	struct sfu *s = &d->sfu;

	metrics_gauge(d->metrics, "msr_sfu_rooms", NULL, "Rooms", &s->n_rooms);
	metrics_gauge(d->metrics, "msr_sfu_users", NULL, "Users in all rooms", &s->n_users);
	metrics_gauge(d->metrics, "msr_sfu_tracks", NULL, "Published tracks", &s->n_tracks);
	metrics_counter(d->metrics, "msr_sfu_joins_total", NULL, "Users that came", &s->n_joins);
	metrics_counter(d->metrics, "msr_sfu_expired_total", NULL, "Users that vanished",
			&s->n_expired);
	metrics_counter(d->metrics, "msr_sfu_offers_total", NULL, "Offers made", &s->n_offers);
	metrics_counter(d->metrics, "msr_sfu_answers_total", NULL, "Offers answered",
			&s->n_answers);
	metrics_counter(d->metrics, "msr_sfu_stale_answers_total", NULL,
			"Answers to offers that were replaced", &s->n_stale);
	metrics_process(d->metrics);
}

static int start_web(struct daemon *d)
{
	static struct web_origins cors;
	struct web_server *server;
	size_t fds = proc_raise_nofile();
	/* A quarter is for the interface: media has ten and more of each PeerConnection. */
	size_t connections = fds / 4 < CONNECTIONS_MAX ? fds / 4 : CONNECTIONS_MAX;
	struct web_opts o = {.loop = d->loop,
			     .metrics = d->metrics,
			     .max_connections = connections,
			     .other_fds =
				 fds - connections > SPARE_FDS ? fds - connections - SPARE_FDS : 0,
			     .trust_proxy = true};
	int ret = web_new(&d->web, &o);

	if (ret < 0) {
		log_error("cannot start the web server: %s", strerror(-ret));
		return ret;
	}
	cors = (struct web_origins){
	    .list = origins.v, .n = origins.n, .localhost = origins.n == 0, .same = true};
	struct web_listen_opts lo = {
	    .address = address,
	    .port = (int)port,
	    .tls_cert = tls_cert,
	    .tls_key = tls_key,
	    .max_body = BODY_MAX,
	    .cors = &cors,
	    .server_name = "interface",
	};
	ret = web_listen(&server, d->web, &lo);
	if (ret < 0) {
		log_error("cannot listen on %s port %d: %s%s", address, (int)port,
			  web_error(d->web),
			  ret == -EINVAL ? "" : "; choose another with -a and -p");
		return ret;
	}
	rest_routes(server, &d->sfu);
	subscription_routes(server, &d->sfu);
	sse_routes(server, &d->sfu);
	whip_routes(server, &d->sfu);
	bool v6 = strchr(address, ':'); /* RFC 3986, section 3.2.2 */
	log_info("listening on %s://%s%s%s:%d, media on ports %d to %d",
		 tls_cert ? "https" : "http", v6 ? "[" : "", address, v6 ? "]" : "",
		 web_port(server), (int)min_port, (int)max_port);
	return 0;
}

static int start(struct daemon *d)
{
	int ret = loop_new(&d->loop);

	if (!ret)
		ret = metrics_new(&d->metrics);
	if (!ret)
		ret = loop_stop_signals(d->loop, on_stop, d);
	if (ret < 0) {
		log_error("cannot set up the loop: %s", strerror(-ret));
		return ret;
	}
	if ((ret = events_open(&d->events, events_path, "msr-sfu")) < 0 ||
	    (ret = start_links(d)) < 0)
		return ret;
	struct sfu_opts so = {
	    .loop = d->loop,
	    .links = d->links,
	    .events = d->events,
	    .max_rooms = (size_t)max_rooms,
	    .max_users = (size_t)max_users,
	    .user_timeout_us = user_timeout_us,
	    .recording = record,
	};
	sfu_init(&d->sfu, &so);
	list_metrics(d);
	events_metrics(d->events, d->metrics);
	return start_web(d);
}

static bool is_address(const char *text)
{
	struct in6_addr a;

	return inet_pton(AF_INET, text, &a) == 1 || inet_pton(AF_INET6, text, &a) == 1;
}

/* What is wrong with the addresses for media; false: said. */
static bool check_addresses(void)
{
	const struct {
		const char *name, *text;
	} given[] = {{"--public-ip (PUBLIC_IP)", public_ip}, {"--rtc-address", rtc_address}};

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		if (!given[i].text || !*given[i].text || is_address(given[i].text))
			continue;
		opt_usage(&program, "%s wants an IP address such as 203.0.113.7, not '%s'",
			  given[i].name, given[i].text);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct daemon d = {0};
	int next, ret;

	threads = sysconf(_SC_NPROCESSORS_ONLN);
	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	if (next < argc)
		return opt_usage(&program, "'%s' is not an option", argv[next]);
	if (min_port > max_port)
		return opt_usage(&program, "--rtc-min-port is above --rtc-max-port");
	if (!check_addresses())
		return 2;
	if (record != (sinks.n > 0))
		return opt_usage(&program, "--record and -o SINK must be given together");
	/* A sink has one producer, so each thread needs its own. */
	if (sinks.n && threads > (int64_t)sinks.n)
		threads = (int64_t)sinks.n;
	if (web_origins_check(&program, &origins) ||
	    opt_pair(&program, "--tls-cert", tls_cert, "--tls-key", tls_key))
		return 2;
	proc_raise_nofile();
	ret = start(&d);
	if (!ret && (ret = web_run(d.web)) < 0)
		log_error("the loop failed: %s", strerror(-ret));
	web_free(d.web);
	links_free(d.links);
	events_close(d.events);
	metrics_free(d.metrics);
	loop_free(d.loop);
	return ret ? 1 : 0;
}
