/* Event streams of rooms and users: listeners (room.h) whose ears are server-sent events. */
#include "api.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* Offers of large rooms are long; a client that lets this much pile up is not reading. */
#define QUEUE_MAX (2u << 20) /* bytes */

struct ear {
	struct listener listener;
	struct web_stream *stream;
	bool ended; /* by the room: the listener is unlinked already */
};

static void on_event(void *arg, const char *name, const char *json, size_t len)
{
	struct ear *e = arg;

	web_stream_send(e->stream, name, json, len); /* too slow: on_gone follows */
}

static void on_closed(void *arg, const char *reason)
{
	struct ear *e = arg;
	char text[256];
	struct json j;

	json_start(&j, text, sizeof(text));
	json_obj(&j, NULL);
	json_str(&j, "reason", reason);
	json_obj_end(&j);
	int len = json_end(&j);
	e->ended = true;
	if (len > 0)
		web_stream_send(e->stream, "closed", text, (size_t)len);
	web_stream_end(e->stream);
}

static void on_gone(void *arg)
{
	struct ear *e = arg;

	if (!e->ended)
		listen_end(&e->listener);
	free(e);
}

static struct ear *ear_new(struct web_req *req)
{
	struct ear *e = calloc(1, sizeof(*e));

	if (!e) {
		web_reply_error(req, 503, "no_memory", "out of memory");
		return NULL;
	}
	e->listener = (struct listener){.event = on_event, .closed = on_closed, .arg = e};
	struct web_stream_opts o = {.queue_max = QUEUE_MAX, .closed = on_gone, .arg = e};
	e->stream = web_stream_new(req, &o);
	if (!e->stream) {
		free(e);
		return NULL;
	}
	return e;
}

static void user_events(void *arg, struct web_req *req)
{
	struct user *u = path_user(arg, req);
	struct ear *e = u ? ear_new(req) : NULL;

	if (e)
		listen_user(u, &e->listener);
}

static void room_events(void *arg, struct web_req *req)
{
	struct room *r = path_room(arg, req);
	struct ear *e = r ? ear_new(req) : NULL;

	if (e)
		listen_room(r, &e->listener);
}

void sse_routes(struct web_server *s, struct sfu *sfu)
{
	web_route(s, "GET", "/rooms/:room/users/:user/events", 0, user_events, sfu);
	web_route(s, "GET", "/rooms/:room/events", 0, room_events, sfu);
}
