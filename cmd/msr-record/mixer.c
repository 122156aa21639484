/* Rooms, and the lists that they leave behind. */
#include "mixer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "frame/frame.h"
#include "recorder.h"
#include "recording.h"

struct mix_room {
	struct mixer *mixer;
	struct map_node node; /* in mixer.rooms */
	char name[ID_SIZE];
	size_t n_joined;	/* recordings open or being finished */
	struct mono quiet;	/* since when there are none */
	struct recording *list; /* owned; NULL: nothing noted yet */
};

struct mixer {
	struct recorder *r;
	struct map rooms;
};

int mixer_new(struct mixer **mp, struct recorder *r)
{
	struct mixer *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->r = r;
	map_init(&m->rooms);
	*mp = m;
	return 0;
}

static void room_free(struct mix_room *room)
{
	map_remove(&room->mixer->rooms, &room->node);
	recording_free(room->list);
	free(room);
}

void mixer_free(struct mixer *m)
{
	if (!m)
		return;
	map_each (i, &m->rooms)
		room_free(container_of(i, struct mix_room, node));
	map_done(&m->rooms);
	free(m);
}

/* ---- rooms ---- */

static struct mix_room *room_find(struct mixer *m, const char *name)
{
	struct map_node *node = map_get(&m->rooms, name, strlen(name));

	return node ? container_of(node, struct mix_room, node) : NULL;
}

static struct mix_room *room_get(struct mixer *m, const char *name)
{
	struct mix_room *room = room_find(m, name);

	if (room || !(room = calloc(1, sizeof(*room))))
		return room;
	room->mixer = m;
	room->quiet = mono_now();
	snprintf(room->name, sizeof(room->name), "%s", name);
	if (map_put(&m->rooms, &room->node, room->name, strlen(room->name)) < 0) {
		free(room);
		return NULL;
	}
	return room;
}

static bool is_mixed(const struct mixer *m, const char *room)
{
	const struct opt_list *rooms = &m->r->set.mix;

	for (size_t i = 0; i < rooms->n; i++)
		if (!strcmp(rooms->v[i], MIX_ALL) || !strcmp(rooms->v[i], room))
			return true;
	return false;
}

struct mix_room *mixer_join(struct mixer *m, const char *name)
{
	/* One that was begun is completed, whatever the options say now. */
	struct mix_room *room = is_mixed(m, name) ? room_get(m, name) : room_find(m, name);

	if (room)
		room->n_joined++;
	return room;
}

void mixer_leave(struct mix_room *room)
{
	if (room && --room->n_joined == 0)
		room->quiet = mono_now();
}

/* ---- lists ---- */

static int list_open(struct mix_room *room)
{
	struct journal_head head = {.storage = MIX_FOLDER};

	if (room->list)
		return 0;
	snprintf(head.room, sizeof(head.room), "%s", room->name);
	snprintf(head.session, sizeof(head.session), "%s", room->name);
	return recording_open(&room->list, room->mixer->r, &head);
}

int mixer_note(struct mix_room *room, const struct recording *rec, const struct store_name *final)
{
	char line[STORE_PATH_MAX];

	if (!rec->state.streams[STREAM_RTP].present)
		return 0;
	int ret = list_open(room);
	if (ret)
		return ret;
	store_visible(final, ".json\n", line);
	struct frame f = {.kind = FRAME_TEXT,
			  .time_us = recording_start_us(rec),
			  .part = room->list->state.streams[STREAM_LIST].next_part,
			  .body = (const uint8_t *)line,
			  .body_len = (uint32_t)strlen(line)};
	ret = recording_put(room->list, STREAM_LIST, &f);
	return ret < 0 ? ret : recording_flush(room->list);
}

int mixer_adopt(struct mixer *m, struct recording *list)
{
	struct mix_room *room = room_get(m, list->head.room);

	if (!room)
		return -ENOMEM;
	if (room->list) /* two meetings, both interrupted: that found later is done as it is */
		return recording_end(list, "recover");
	room->list = list;
	return 0;
}

/* ---- ends ---- */

static int room_end(struct mix_room *room)
{
	int ret = room->list ? recording_end(room->list, "room-end") : 0;

	if (ret)
		return ret;
	room->list = NULL; /* it is the finisher's */
	room_free(room);
	return 0;
}

static int end_rooms(struct mixer *m, int64_t quiet_us)
{
	struct mono now = mono_now();

	map_each (i, &m->rooms) {
		struct mix_room *room = container_of(i, struct mix_room, node);
		if (room->n_joined || mono_diff_us(now, room->quiet) < quiet_us)
			continue;
		int ret = room_end(room);
		if (ret)
			return ret;
	}
	return 0;
}

int mixer_tick(struct mixer *m)
{
	return end_rooms(m, m->r->set.mix_wait_us);
}

int mixer_end_all(struct mixer *m)
{
	return end_rooms(m, 0);
}
