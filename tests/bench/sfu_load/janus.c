/*
 * Janus' VideoRoom over its HTTP transport: a session, and a handle for each client. A message is
 * answered by "ack", and by an event that a GET brings.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define ROOM	  1000
#define ROOMS_MAX 200

static json_int_t session, control, up;
static json_int_t feed[ROOMS_MAX];
static unsigned n_transactions;

static json_int_t id_of(json_t *reply)
{
	json_int_t id = json_integer_value(json_object_get(json_object_get(reply, "data"), "id"));

	if (!id)
		fail("Janus gives no id", json_dumps(reply, 0));
	json_decref(reply);
	return id;
}

static json_int_t attach(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/janus/%" JSON_INTEGER_FORMAT, session);
	return id_of(http(path, json_pack("{ssssss}", "janus", "attach", "plugin",
					  "janus.plugin.videoroom", "transaction", "attach")));
}

static void create(void)
{
	session =
	    id_of(http("/janus", json_pack("{ssss}", "janus", "create", "transaction", "create")));
	control = attach();
}

/* The next event of the session. */
static json_t *event(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/janus/%" JSON_INTEGER_FORMAT "?maxev=1", session);
	json_t *e = http(path, NULL);
	const char *kind = json_string_value(json_object_get(e, "janus"));
	if (kind && !strcmp(kind, "webrtcup"))
		up = json_integer_value(json_object_get(e, "sender"));
	return e;
}

/* `body` and `jsep` are taken. The event or reply that answers. */
static json_t *message(json_int_t handle, json_t *body, json_t *jsep)
{
	char path[64], transaction[16];

	snprintf(transaction, sizeof(transaction), "m%u", n_transactions++);
	snprintf(path, sizeof(path), "/janus/%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
		 session, handle);
	json_t *r = http(path, json_pack("{sssssoso*}", "janus", "message", "transaction",
					 transaction, "body", body, "jsep", jsep));
	while (strcmp(text_at(r, "janus"), "ack") == 0 || !json_object_get(r, "transaction") ||
	       strcmp(text_at(r, "transaction"), transaction) != 0) {
		json_decref(r);
		r = event();
	}
	json_t *data = json_object_get(json_object_get(r, "plugindata"), "data");
	if (!data || json_object_get(data, "error"))
		fail("Janus refuses", json_dumps(r, 0));
	return r;
}

static json_t *jsep(const char *type, const char *sdp)
{
	return json_pack("{sssssb}", "type", type, "sdp", sdp, "trickle", 0);
}

static void publish(struct client *c, unsigned room)
{
	char *offer = publisher_offer(c);

	if (!session)
		create();
	json_decref(
	    message(control,
		    json_pack("{sssisisisssb}", "request", "create", "room", ROOM, "publishers", 2,
			      "bitrate", 0, "videocodec", "vp8", "is_private", 1),
		    NULL));
	json_int_t handle = attach();
	json_t *r = message(
	    handle,
	    json_pack("{sssssi}", "request", "join", "ptype", "publisher", "room", ROOM + room),
	    NULL);
	feed[room] = json_integer_value(
	    json_object_get(json_object_get(json_object_get(r, "plugindata"), "data"), "id"));
	json_decref(r);
	r = message(handle, json_pack("{ss}", "request", "publish"), jsep("offer", offer));
	connect_to(c, text_at(r, "jsep.sdp"));
	json_decref(r);
	free(offer);
	/* Its feed exists once Janus sees it connected. */
	while (up != handle)
		json_decref(event());
}

static void receive(struct client *c, unsigned n, unsigned room)
{
	json_int_t handle = attach();
	json_t *r = message(handle,
			    json_pack("{sssssis[{sI}]}", "request", "join", "ptype", "subscriber",
				      "room", ROOM + room, "streams", "feed", feed[room]),
			    NULL);
	const char *offer = text_at(r, "jsep.sdp");
	char *sdp = answer(c, offer, n);

	connect_to(c, offer);
	json_decref(message(handle, json_pack("{ss}", "request", "start"), jsep("answer", sdp)));
	json_decref(r);
	free(sdp);
}

const struct target janus = {"Janus", true, publish, receive};
