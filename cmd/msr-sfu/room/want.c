/*
 * What a user wants to receive of whom: kept by the publisher's id, so that it also counts for what
 * is published later, and handed to the media threads for what flows already.
 */
#include "room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"

#define WANTS_MAX 1024 /* publishers of whom a user wants something special */

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
	list_init(&w->by_age);
	list_push(&u->wants_by_age, &w->by_age);
	return w;
}

static void want_free(struct user *u, struct want *w)
{
	map_remove(&u->wants, &w->node);
	list_remove(&w->by_age);
	free(w);
}

static int apply(const struct user *u, const char *publisher, struct fail *f)
{
	for (unsigned i = 0; i < u->n_slots; i++) {
		const struct slot *s = &u->slots[i];
		if (s->out && s->track && !strcmp(s->track->user->id, publisher) &&
		    link_out_want(s->out, offer_wants(u, s), f) < 0)
			return -1;
	}
	return 0;
}

/* Whether there is something special to keep once `wish` is granted; `w` is NULL before. */
static bool keeps(const struct want *w, const struct wish *wish)
{
	bool mute = wish->audio ? *wish->audio == MEDIA_OFF : w && w->mute;
	enum media_level video = wish->video ? *wish->video : w ? w->video : MEDIA_AUTO;

	return mute || video != MEDIA_AUTO;
}

/* Forgets the oldest `n` of the first `among` that are about people who are not there. */
static int forget(struct user *u, size_t n, size_t among, struct fail *f)
{
	size_t gone = 0, left = among;

	list_each (i, &u->wants_by_age) {
		if (!left--)
			break;
		gone += !user_get(u->room, container_of(i, struct want, by_age)->id);
	}
	if (gone < n)
		return fail_set(f, FAIL_LIMIT, "a user has wishes about at most %d others",
				WANTS_MAX);
	list_each_safe (i, &u->wants_by_age) {
		struct want *w = container_of(i, struct want, by_age);
		if (!n)
			break;
		if (!user_get(u->room, w->id)) {
			want_free(u, w);
			n--;
		}
	}
	return 0;
}

/* Space for the wishes, so that either all are granted or none. */
static int make_space(struct user *u, const struct wish *wishes, size_t n, struct fail *f)
{
	size_t after = u->wants.n, named = 0;

	for (size_t i = 0; i < n; i++) {
		struct want *w = want_get(u, wishes[i].user);
		after += keeps(w, &wishes[i]);
		if (!w)
			continue;
		after--;
		named++;
		list_remove(&w->by_age);
		list_push(&u->wants_by_age, &w->by_age);
	}
	return after > WANTS_MAX ? forget(u, after - WANTS_MAX, u->wants.n - named, f) : 0;
}

static int take_wish(struct user *u, const struct wish *wish, struct fail *f)
{
	struct want *w = want_get(u, wish->user);

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
	if (!u->sub)
		return fail_set(f, FAIL_NO_OFFER, "the user only publishes (WHIP)");
	if (make_space(u, wishes, n, f) < 0)
		return -1;
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
