/*
 * Messages of clients become frames.
 *
 *   text → message.c → audio, video → ingest · end → ingest · anything else → room
 *   binary → records (msr-frame(5)), or a bare chunk → ingest
 */
#include "media.h"

#include <errno.h>
#include <string.h>

#include "app.h"
#include "base/clock.h"
#include "conn.h"
#include "frame/frame.h"
#include "ingest.h"
#include "media/sniff.h"
#include "message.h"
#include "room.h"

static const char magic[] = "MSRF"; /* of msr-frame(5) records */

static void take_frame(struct client *c, struct frame *f)
{
	int ret = ingest_part(c->s, f);

	if (ret == -ENOMEM)
		client_error(c, "no_memory", "no memory to keep the part; send it again", &f->part);
	else if (ret == -EMSGSIZE)
		client_error(c, "too_large",
			     "the part is larger than the ring of this server takes", &f->part);
	else if (ret)
		client_error(c, "sink_lost", "the reader of the frames is gone", &f->part);
}

/* What the chunk is: raw samples as promised, else by its own mark, else as the last one. */
static int chunk_codec(struct client *c, int lane, const uint8_t *data, size_t len)
{
	struct session *s = c->s;

	if (frame_pcm_bytes(c->query.codec) && lane == 0)
		return c->query.codec;
	int found = sniff_container(data, len, NULL);
	if (found != CODEC_NONE)
		s->codec[lane] = (uint8_t)found;
	else if (!s->codec[lane])
		s->codec[lane] = (uint8_t)c->query.codec;
	return s->codec[lane];
}

static void set_storage(struct frame *f, const char *storage)
{
	f->storage = storage;
	f->storage_len = (uint8_t)strlen(storage);
}

static void describe(struct client *c, struct frame *f, const char *storage)
{
	int lane = f->kind == FRAME_VIDEO;

	f->codec = (uint8_t)chunk_codec(c, lane, f->body, f->body_len);
	if (frame_pcm_bytes(f->codec) || f->codec == CODEC_OPUS) {
		f->rate = c->query.rate;
		f->channels = c->query.channels;
	}
	set_storage(f, storage ? storage : c->query.storage);
	f->time_us = clock_wall_us();
}

static uint64_t next_number(struct client *c, int lane)
{
	/* The first chunk of a connection says where the lane begins. */
	order_start(&c->s->lanes[lane], c->bare_next[lane]);
	return c->bare_next[lane]++;
}

static void take_media_message(struct client *c, const struct message *m)
{
	int lane = m->type == MESSAGE_VIDEO;
	struct frame f = {.kind = lane ? FRAME_VIDEO : FRAME_AUDIO};

	f.body = m->body;
	f.body_len = (uint32_t)m->body_len;
	describe(c, &f, m->storage);
	if (m->has_part) {
		f.part = m->part;
		if (c->query.has_part && m->part >= c->query.part)
			order_start(&c->s->lanes[lane], c->query.part);
		if (m->part >= c->bare_next[lane])
			c->bare_next[lane] = m->part + 1;
	} else {
		f.part = next_number(c, lane);
	}
	take_frame(c, &f);
}

void media_text(struct client *c, char *text, size_t len)
{
	struct message m;

	message_parse(text, len, &m);
	switch (m.type) {
	case MESSAGE_TEXT:
		if (len > TEXT_MAX)
			client_error(c, "text_too_large", "room text is at most 256 KiB", NULL);
		else
			room_text(c->s, text, len);
		break;
	case MESSAGE_AUDIO:
	case MESSAGE_VIDEO:
		take_media_message(c, &m);
		break;
	case MESSAGE_END:
		ingest_end(c->s, "end");
		break;
	case MESSAGE_ERROR:
		client_error(c, m.error, m.why, m.has_part ? &m.part : NULL);
		break;
	}
}

/* Whether the record names this room and session. */
static bool is_ours(const struct session *s, const struct frame *f)
{
	return f->room_len == s->room_len && memcmp(f->room, s->key, s->room_len) == 0 &&
	       f->session_len == s->id_len && memcmp(f->session, s->id, s->id_len) == 0;
}

static void take_records(struct client *c, const uint8_t *data, size_t len)
{
	struct frame f;

	while (len && c->s && c->s->state == SESSION_LIVE) {
		long n = frame_decode(data, len, &f, NULL);
		if (n < 0) {
			client_error(c, "bad_frame",
				     "not a whole and undamaged msr-frame(5) record", NULL);
			return;
		}
		data += n;
		len -= (size_t)n;
		if (f.kind != FRAME_AUDIO && f.kind != FRAME_VIDEO) {
			client_error(c, "bad_frame", "records are of kind audio or video", &f.part);
			continue;
		}
		if (!is_ours(c->s, &f)) {
			client_error(c, "wrong_session", "the record names another room or session",
				     &f.part);
			continue;
		}
		if (f.part > PART_MAX) {
			client_error(c, "bad_part", "part is at most 2 to the power of 53", NULL);
			continue;
		}
		f.flags &= FRAME_KEY | FRAME_LAST;
		if (!f.storage_len)
			set_storage(&f, c->query.storage);
		take_frame(c, &f);
	}
}

static void take_chunk(struct client *c, const uint8_t *data, size_t len)
{
	struct session *s = c->s;
	int kind = c->query.kind;

	if (len > FRAME_BODY_MAX) {
		client_error(c, "too_large", "a chunk is at most 16 MiB", NULL);
		return;
	}
	if (!kind && !s->kind && sniff_container(data, len, NULL) != CODEC_NONE)
		s->kind = sniff_may_have_video(data, len) ? FRAME_VIDEO : FRAME_AUDIO;
	if (!kind && !(kind = s->kind)) {
		client_error(c, "unknown_media",
			     "the chunk has no mark; connect with ?media=audio&codec=...", NULL);
		return;
	}
	struct frame f = {.kind = (uint8_t)kind, .body = data, .body_len = (uint32_t)len};
	describe(c, &f, NULL);
	f.part = next_number(c, kind == FRAME_VIDEO);
	take_frame(c, &f);
}

void media_binary(struct client *c, const uint8_t *data, size_t len)
{
	if (len >= 4 && memcmp(data, magic, 4) == 0)
		take_records(c, data, len);
	else if (len)
		take_chunk(c, data, len);
}
