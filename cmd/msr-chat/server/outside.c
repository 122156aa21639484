/* The thread, its loop, and what it counts. */
#include "outside.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "bridge.h"
#include "event/event.h"
#include "loop/loop.h"
#include "server.h"
#include "web/web.h"

struct outside {
	struct server *server;
	struct loop *loop;
	struct metrics *metrics;
	struct web *web;
	pthread_t thread;
	bool running;
	_Atomic bool stop; /* set by the chat's thread */
};

static void list_metrics(struct metrics *m, struct server *s)
{
	const struct {
		const char *name, *help;
		const metric_t *value;
		bool gauge;
	} list[] = {
	    {"msr_chat_connections", "Connections now", &s->n.connections, true},
	    {"msr_chat_users", "Users in the room now", &s->n.users, true},
	    {"msr_chat_feed_bytes", "Small messages in memory", &s->n.feed_bytes, true},
	    {"msr_chat_spool_bytes", "Large contents on disk", &s->n.spool_bytes, true},
	    {"msr_chat_spool_files", "Large contents on disk", &s->n.spool_files, true},
	    {"msr_chat_logins_total", "Successful logins", &s->n.logins, false},
	    {"msr_chat_refused_total", "Connections and logins refused", &s->n.refused, false},
	    {"msr_chat_messages_total", "Messages passed on", &s->n.messages, false},
	    {"msr_chat_deliveries_total", "Messages times receivers", &s->n.deliveries, false},
	    {"msr_chat_received_bytes_total", "Bytes from users", &s->n.bytes_in, false},
	    {"msr_chat_sent_bytes_total", "Bytes to users", &s->n.bytes_out, false},
	    {"msr_chat_errors_total", "Error messages sent", &s->n.errors, false},
	    {"msr_chat_slow_total", "Receivers disconnected as too slow", &s->n.slow, false},
	    {"msr_chat_timeouts_total", "Users disconnected as silent", &s->n.timeouts, false},
	    {"msr_chat_floods_total", "Users disconnected for flooding", &s->n.floods, false},
	    {"msr_chat_large_delivered_total", "Large contents delivered", &s->n.transfers, false},
	    {"msr_chat_bridge_dropped_total", "Messages for or from the room that were dropped",
	     &s->n.bridge_dropped, false},
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		(list[i].gauge ? metrics_gauge : metrics_counter)(m, list[i].name, NULL,
								  list[i].help, list[i].value);
	events_metrics(s->events, m);
	metrics_process(m);
}

static void on_wake(void *arg)
{
	struct outside *o = arg;

	if (atomic_load(&o->stop))
		loop_stop(o->loop, 0);
	else
		bridge_send_queued(o->server->bridge);
}

static void *run(void *arg)
{
	struct outside *o = arg;
	int ret = web_run(o->web);

	if (ret < 0)
		log_error("metrics and room end: %s", strerror(-ret));
	return NULL;
}

static int listen_http(struct outside *o)
{
	struct server *s = o->server;
	struct web_server *server;

	if (!s->set.metrics_port)
		return 0;
	struct web_listen_opts opts = {.address = s->set.metrics_address,
				       .port = (int)s->set.metrics_port,
				       .server_name = "metrics"};
	int ret = web_listen(&server, o->web, &opts);
	if (ret)
		log_error("cannot listen on %s port %lld: %s; choose another with --metrics-port",
			  s->set.metrics_address, (long long)s->set.metrics_port,
			  web_error(o->web));
	return ret;
}

int outside_open(struct outside **op, struct server *s)
{
	if (!s->set.metrics_port && !s->set.room)
		return 0;
	struct outside *o = calloc(1, sizeof(*o));
	int ret = -ENOMEM;
	if (!o)
		return ret;
	o->server = s;
	if ((ret = loop_new(&o->loop))) {
		log_error("cannot make the event loop of metrics and room: %s", strerror(-ret));
		goto fail;
	}
	if ((ret = metrics_new(&o->metrics)))
		goto fail;
	list_metrics(o->metrics, s);
	loop_on_wake(o->loop, on_wake, o);
	/* libwebsockets knows descriptors by number, and the chat's count too: one for each user
	 * and one for each large content coming in. */
	struct web_opts opts = {.loop = o->loop,
				.metrics = o->metrics,
				.max_connections = 2 * (size_t)s->set.max_users + 1024};
	if ((ret = web_new(&o->web, &opts))) {
		log_error("cannot start the web server: %s", strerror(-ret));
		goto fail;
	}
	if ((ret = listen_http(o)))
		goto fail;
	if (s->set.room && (ret = bridge_new(&s->bridge, s, o->web, o->loop)))
		goto fail;
	ret = -pthread_create(&o->thread, NULL, run, o);
	if (ret) {
		log_error("cannot start the thread of metrics and room: %s", strerror(-ret));
		goto fail;
	}
	o->running = true;
	*op = o;
	return 0;
fail:
	outside_close(o);
	return ret;
}

void outside_close(struct outside *o)
{
	if (!o)
		return;
	if (o->running) {
		atomic_store(&o->stop, true);
		loop_wake(o->loop);
		pthread_join(o->thread, NULL);
	}
	web_free(o->web);
	bridge_free(o->server->bridge);
	o->server->bridge = NULL;
	metrics_free(o->metrics);
	loop_free(o->loop);
	free(o);
}
