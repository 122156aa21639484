/*
 * msr-sfu: a WebRTC selective forwarding unit.
 *
 *	api/   REST ──> room/ rooms, users, what they publish and are offered
 *	                  └──> fwd/ media threads: packets
 *
 * The interface has this thread, with libwebsockets' loop; media threads have theirs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "api/rest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/opt.h"
#include "fwd/media.h"
#include "loop/loop.h"
#include "room/room.h"
#include "web/web.h"

#define CLOSE_US 5000000 /* at shutdown, for replies under way */
#define STATS_US 1000000 /* between samples of the media threads' counters */

static const char *address = "127.0.0.1", *public_ip, *tls_cert, *tls_key;
static int64_t port = 5000, min_port = 10000, max_port = 59999, threads, max_rooms = 10000,
	       max_users = 500;
static struct opt_list origins, rtc_addresses;

static const struct opt opts[] = {
    {'a', "address", OPT_STR, &address, "ADDRESS", "ADDRESS", "listen there (127.0.0.1)", 0, 0},
    {'p', "port", OPT_INT, &port, "PORT", "PORT", "and there; 0: any (5000)", 0, 65535},
    {0, "public-ip", OPT_STR, &public_ip, "PUBLIC_IP", "IP", "announce this address too", 0, 0},
    {0, "rtc-address", OPT_LIST, &rtc_addresses, NULL, "IP",
     "use only this local address for media; repeatable", 0, 0},
    {0, "rtc-min-port", OPT_INT, &min_port, "RTC_MIN_PORT", "PORT", "media ports from (10000)", 1,
     65535},
    {0, "rtc-max-port", OPT_INT, &max_port, "RTC_MAX_PORT", "PORT", "to (59999)", 1, 65535},
    {0, "threads", OPT_INT, &threads, NULL, "N", "media threads (as many as cores)", 0, 64},
    {0, "allow-origin", OPT_LIST, &origins, NULL, "ORIGIN",
     "pages from there may use the interface too, or *; repeatable", 0, 0},
    {0, "max-rooms", OPT_INT, &max_rooms, NULL, "N", "rooms in all (10000)", 1, 1000000},
    {0, "max-users", OPT_INT, &max_users, NULL, "N", "users in a room (500)", 1, 100000},
    {0, "tls-cert", OPT_STR, &tls_cert, NULL, "FILE", "certificate chain, PEM", 0, 0},
    {0, "tls-key", OPT_STR, &tls_key, NULL, "FILE", "its key, PEM", 0, 0},
    {0},
};

static const struct opt_program program = {
    .name = "msr-sfu",
    .usage = "[-a ADDRESS] [-p PORT] [--public-ip IP] [option ...]",
    .summary = "WebRTC calls in rooms, forwarded packet by packet.",
    .opts = opts,
};

struct app {
	struct loop *loop;
	struct web *web;
	struct metrics *metrics;
	struct peer_env *env;
	struct media *media;
	struct rooms rooms;
	struct loop_timer sample;
	metric_t value[19];
};

/* ---- counters ---- */

static const struct {
	const char *name, *help;
	bool gauge;
} counters[] = {
    {"msr_sfu_peers", "Transports", true},
    {"msr_sfu_tracks", "Published tracks", true},
    {"msr_sfu_subscriptions", "Tracks on their way to a receiver", true},
    {"msr_sfu_received_packets_total", "Datagrams that came", false},
    {"msr_sfu_received_bytes_total", "Bytes of them", false},
    {"msr_sfu_sent_packets_total", "Datagrams sent", false},
    {"msr_sfu_sent_bytes_total", "Bytes of them", false},
    {"msr_sfu_send_calls_total", "System calls for them", false},
    {"msr_sfu_send_dropped_total", "Packets that the socket did not take", false},
    {"msr_sfu_unauthentic_total", "SRTP packets refused, replays too", false},
    {"msr_sfu_stray_total", "Datagrams from strangers, too early, or of no kind", false},
    {"msr_sfu_unknown_total", "RTP of no track, and malformed RTP and RTCP", false},
    {"msr_sfu_nacks_sent_total", "NACKs to publishers", false},
    {"msr_sfu_nacks_received_total", "NACKs from receivers", false},
    {"msr_sfu_retransmitted_total", "Packets sent again", false},
    {"msr_sfu_not_kept_total", "Packets asked for that were gone, or asked for too often", false},
    {"msr_sfu_key_requests_sent_total", "PLI and FIR to publishers", false},
    {"msr_sfu_key_requests_received_total", "PLI and FIR from receivers", false},
    {"msr_sfu_events_lost_total", "Events that the interface did not keep up with", false},
};
#define N_COUNTERS (sizeof(counters) / sizeof(counters[0]))
_Static_assert(sizeof(struct media_stats) == N_COUNTERS * sizeof(uint64_t), "one row, one table");
_Static_assert(sizeof(((struct app *)0)->value) == N_COUNTERS * sizeof(metric_t), "a place each");

static void list_metrics(struct app *a)
{
	for (unsigned i = 0; i < N_COUNTERS; i++)
		(counters[i].gauge ? metrics_gauge : metrics_counter)(
		    a->metrics, counters[i].name, NULL, counters[i].help, &a->value[i]);
	metrics_process(a->metrics);
}

static void on_sample(void *arg)
{
	struct app *a = arg;
	struct media_stats s;
	uint64_t row[N_COUNTERS];

	media_stats(a->media, &s);
	memcpy(row, &s, sizeof(row));
	for (unsigned i = 0; i < N_COUNTERS; i++)
		metric_set(&a->value[i], (int64_t)row[i]);
	loop_timer_in_us(&a->sample, STATS_US);
}

/* ---- events of the media threads ---- */

static void on_event(void *arg, const struct media_event *e)
{
	struct app *a = arg;
	struct line *l = e->peer ? line_find(&a->rooms, e->peer) : NULL;

	if (!l)
		return;
	if (e->kind == MEDIA_CONNECTED) {
		l->connected = true;
	} else if (e->kind == MEDIA_ENDED) {
		l->connected = false;
		log_info("room %s: user %s: transport ended (%s)", l->user->room->id, l->user->id,
			 peer_end_name(e->why));
	}
}

/* ---- life ---- */

static void on_closed(void *arg)
{
	loop_stop(((struct app *)arg)->loop, 0);
}

static void on_stop(void *arg)
{
	struct app *a = arg;

	log_info("stopping");
	web_close(a->web, "shutdown", CLOSE_US, on_closed, a);
}

static int fail(const char *what, int err)
{
	log_error("%s: %s", what, strerror(-err));
	return err;
}

static int open_media(struct app *a)
{
	struct peer_env_config env = {.public_ip = public_ip,
				      .min_port = (uint16_t)min_port,
				      .max_port = (uint16_t)max_port,
				      .tcp = true};
	const char *list[OPT_LIST_MAX + 1] = {0};

	memcpy(list, rtc_addresses.v, rtc_addresses.n * sizeof(list[0]));
	if (rtc_addresses.n)
		env.addresses = list;
	int ret = peer_env_new(&a->env, &env);
	if (ret == -EINVAL)
		return fail("--public-ip, --rtc-address or the port range", ret);
	if (ret < 0)
		return fail("cannot prepare media", ret);
	struct media_config c = {.threads = (unsigned)threads,
				 .env = a->env,
				 .loop = a->loop,
				 .event = on_event,
				 .arg = a};
	ret = media_start(&a->media, &c);
	if (ret < 0)
		return fail("cannot start the media threads", ret);
	struct rooms_config rooms = {.max_rooms = (unsigned)max_rooms,
				     .max_users = (unsigned)max_users,
				     .media = a->media,
				     .env = a->env};
	rooms_init(&a->rooms, &rooms);
	loop_timer_init(&a->sample, a->loop, on_sample, a);
	on_sample(a);
	return 0;
}

static int open_api(struct app *a)
{
	static struct web_origins allowed = {.localhost = true, .same = true};
	struct web_listen_opts o = {.address = address,
				    .port = (int)port,
				    .tls_cert = tls_cert,
				    .tls_key = tls_key,
				    .cors = &allowed,
				    .server_name = "msr-sfu"};
	struct web_server *s;

	allowed.list = origins.v;
	allowed.n = origins.n;
	int ret = web_listen(&s, a->web, &o);
	if (ret) {
		log_error("cannot listen on %s port %d: %s", address, (int)port, strerror(-ret));
		return ret;
	}
	rest_route(s, &a->rooms);
	log_info("listening on %s://%s:%d/, media ports %d to %d", tls_cert ? "https" : "http",
		 address, web_port(s), (int)min_port, (int)max_port);
	return 0;
}

static int run(struct app *a)
{
	struct web_opts web = {.loop = a->loop, .metrics = a->metrics};
	struct rlimit files;

	int ret = loop_stop_signals(a->loop, on_stop, a);
	if (!ret)
		ret = web_new(&a->web, &web);
	/* Media has descriptors by the thousand; lib/web has sized itself to its own by now. */
	if (!ret && !getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (!ret)
		ret = open_media(a);
	if (!ret)
		ret = open_api(a);
	return ret ? ret : web_run(a->web);
}

int main(int argc, char **argv)
{
	struct app a = {0};
	int next, ret = 1;

	switch (opt_parse(&program, argc, argv, &next)) {
	case OPT_DONE:
		return 0;
	case OPT_USAGE:
		return 2;
	case OPT_OK:
		break;
	}
	if (next < argc)
		return opt_usage(&program, "there is nothing to do with '%s'", argv[next]);
	if (min_port > max_port)
		return opt_usage(&program, "--rtc-min-port is above --rtc-max-port");
	if (!loop_new(&a.loop) && !metrics_new(&a.metrics)) {
		list_metrics(&a);
		ret = run(&a) ? 1 : 0;
	}
	if (a.media)
		rooms_done(&a.rooms);
	media_stop(a.media);
	peer_env_free(a.env);
	web_free(a.web);
	metrics_free(a.metrics);
	loop_free(a.loop);
	return ret;
}
