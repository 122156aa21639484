/* Rooms and users: see room.h. */
#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "publish.h"
#include "receive.h"

void rooms_init(struct rooms *r, const struct rooms_config *c)
{
	*r = (struct rooms){.config = *c};
	map_init(&r->by_id);
	map_init(&r->by_peer);
}

void rooms_done(struct rooms *r)
{
	map_each (i, &r->by_id)
		room_free(container_of(i, struct room, node));
	map_done(&r->by_id);
	map_done(&r->by_peer);
}

struct room *room_find(const struct rooms *r, const char *id)
{
	struct map_node *n = map_get(&r->by_id, id, strlen(id));
	return n ? container_of(n, struct room, node) : NULL;
}

int room_new(struct room **out, struct rooms *rooms, const char *id)
{
	if (room_find(rooms, id))
		return -EEXIST;
	if (rooms->by_id.n >= rooms->config.max_rooms)
		return -ENOSPC;
	struct room *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->rooms = rooms;
	snprintf(r->id, sizeof(r->id), "%s", id);
	r->created_us = clock_wall_us();
	r->thread = media_place(rooms->config.media);
	r->number = media_new_id(rooms->config.media);
	list_init(&r->users);
	if (map_put(&rooms->by_id, &r->node, r->id, strlen(r->id)) < 0) {
		free(r);
		return -ENOMEM;
	}
	*out = r;
	return 0;
}

void room_free(struct room *r)
{
	list_each_safe (i, &r->users)
		user_free(container_of(i, struct user, link));
	map_remove(&r->rooms->by_id, &r->node);
	free(r);
}

struct user *user_find(const struct room *r, const char *id)
{
	list_each (i, &r->users) {
		struct user *u = container_of(i, struct user, link);
		if (!strcmp(u->id, id))
			return u;
	}
	return NULL;
}

/* Everything that is published already. */
static int receive_all(struct user *u)
{
	list_each (i, &u->room->users) {
		struct user *from = container_of(i, struct user, link);
		if (from == u)
			continue;
		list_each (k, &from->pubs) {
			int ret = receive_add(u, container_of(k, struct pub, link));
			if (ret < 0 && ret != -ENOSPC)
				return ret;
		}
	}
	return 0;
}

int user_new(struct user **out, struct room *r, const char *id)
{
	if (user_find(r, id))
		return -EEXIST;
	if (r->n_users >= r->rooms->config.max_users)
		return -ENOSPC;
	struct user *u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->room = r;
	snprintf(u->id, sizeof(u->id), "%s", id);
	list_init(&u->pubs);
	list_init(&u->wants);
	list_init(&u->link);
	list_push(&r->users, &u->link);
	r->n_users++;
	int ret = sections_new(&u->sections);
	if (!ret)
		ret = line_open(&u->out, u, true);
	if (!ret)
		ret = receive_all(u);
	if (!ret)
		ret = receive_offer(u, true);
	if (ret < 0) {
		user_free(u);
		return ret;
	}
	*out = u;
	return 0;
}

void user_free(struct user *u)
{
	list_each_safe (i, &u->pubs)
		pub_free(container_of(i, struct pub, link));
	list_each_safe (i, &u->wants)
		receive_remove(container_of(i, struct want, user_link));
	line_close(&u->in);
	line_close(&u->out);
	sections_free(u->sections);
	free(u->offer);
	list_remove(&u->link);
	u->room->n_users--;
	free(u);
}
