/* The interface of msr-sfu(8). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "load.h"

static void publish(struct client *c, unsigned room)
{
	char path[128], name[32], *offer = publisher_offer(c);

	snprintf(name, sizeof(name), "bench-%d-%u", (int)getpid(), room);
	json_decref(http("/rooms", json_pack("{ss}", "room_id", name)));
	snprintf(path, sizeof(path), "/rooms/%s/users/publisher", name);
	json_decref(http(path, json_object()));
	snprintf(path, sizeof(path), "/rooms/%s/users/publisher/produce", name);
	json_t *r = http(path, json_pack("{ss}", "offer", offer));
	connect_to(c, text_at(r, "answer"));
	json_decref(r);
	free(offer);
}

static void receive(struct client *c, unsigned n, unsigned room)
{
	char path[128];

	snprintf(path, sizeof(path), "/rooms/bench-%d-%u/users/r%u", (int)getpid(), room, n);
	json_t *r = http(path, json_object());
	const char *offer = text_at(r, "offer");
	char *sdp = answer(c, offer, n);
	snprintf(path, sizeof(path), "/rooms/bench-%d-%u/users/r%u/consume", (int)getpid(), room,
		 n);
	json_decref(http(path, json_pack("{ss}", "answer", sdp)));
	connect_to(c, offer);
	json_decref(r);
	free(sdp);
}

const struct target msr = {"msr-sfu", false, publish, receive};
