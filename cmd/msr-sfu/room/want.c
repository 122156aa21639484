/*
 * What a user wants to receive of whom: kept by the publisher's id, so that it also counts for what
 * is published later, and handed to the media threads for what flows already.
 */
#include "room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"

#define WANTS_MAX 1024 /* publishers that a user says something about */

static struct want *want_get(const struct user *u, const char *id)
{
	struct map_node *n = map_get(&u->wants, id, strlen(id));

	return n ? container_of(n, struct want, node) : NULL;
}

enum media_level want_of(const struct user *u, const struct track *t)
{
	const struct want *w = want_get(u, t->user->id);

	if (!w)
		return MEDIA_AUTO;
	if (t->kind == SDP_AUDIO)
		return w->mute ? MEDIA_OFF : MEDIA_AUTO;
	return w->video;
}

static struct want *want_new(struct user *u, const char *id)
{
	struct want *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	snprintf(w->id, sizeof(w->id), "%s", id);
	if (map_put(&u->wants, &w->node, w->id, strlen(w->id)) < 0) {
		free(w);
		return NULL;
	}
	return w;
}

static void want_free(struct user *u, struct want *w)
{
	map_remove(&u->wants, &w->node);
	free(w);
}

static int apply(const struct user *u, const char *publisher, struct fail *f)
{
	for (unsigned i = 0; u->sections && i < sections_count(u->sections); i++) {
		const struct slot *s = &u->slots[i];
		if (s->out && s->track && !strcmp(s->track->user->id, publisher) &&
		    link_out_want(s->out, offer_wants(u, s), f) < 0)
			return -1;
	}
	return 0;
}

static int take_wish(struct user *u, const struct wish *wish, struct fail *f)
{
	struct want *w = want_get(u, wish->user);

	if (!w && u->wants.n >= WANTS_MAX)
		return fail_set(f, FAIL_LIMIT, "a user has wishes about at most %d others",
				WANTS_MAX);
	if (!w && !(w = want_new(u, wish->user)))
		return fail_set(f, FAIL_NO_MEMORY, NULL);
	if (wish->audio)
		w->mute = *wish->audio == MEDIA_OFF;
	if (wish->video)
		w->video = *wish->video;
	/* What everybody gets anyway need not be kept. */
	if (!w->mute && w->video == MEDIA_AUTO)
		want_free(u, w);
	return apply(u, wish->user, f);
}

int user_subscribe(struct user *u, const struct wish *wishes, size_t n, const uint64_t *max_kbps,
		   struct fail *f)
{
	user_touch(u);
	if (!u->sub)
		return fail_set(f, FAIL_NO_OFFER, "the user only publishes (WHIP)");
	if (max_kbps) {
		u->max_kbps = *max_kbps;
		if (link_limit(u->sub, *max_kbps * 1000, f) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (take_wish(u, &wishes[i], f) < 0)
			return -1;
	return 0;
}

void wants_free(struct user *u)
{
	map_each (n, &u->wants)
		want_free(u, container_of(n, struct want, node));
	map_done(&u->wants);
}
