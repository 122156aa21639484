/* From parts to the sink. */
#include "ingest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ack.h"
#include "app.h"
#include "base/clock.h"
#include "base/log.h"
#include "conn.h"
#include "event/event.h"
#include "frame/sink.h"
#include "room.h"
#include "web/web.h"

#define ACKS_WAIT_US 10000000 /* that a session which ends waits for its acknowledgements */
#define RESUME_ROOM \
	(1u << 20) /* bytes of room before sockets are read again, so they do not flap */

static int lane_kind(const struct session *s, const struct lane *l)
{
	return l == &s->lanes[0] ? FRAME_AUDIO : FRAME_VIDEO;
}

static void hold_bytes(struct session *s, int64_t n)
{
	metric_add(&s->app->count.ordered_bytes, n);
	web_hold(s->app->web, n);
}

/* ---- to the sink ---- */

static void fill_ids(const struct session *s, struct frame *f)
{
	f->room = s->key;
	f->room_len = (uint8_t)s->room_len;
	f->session = s->id;
	f->session_len = (uint8_t)s->id_len;
}

static void set_full(struct app *a)
{
	if (a->full)
		return;
	a->full = true;
	metric_add(&a->count.pauses, 1);
	log_debug("the sink is full; sockets are not read");
	map_each (n, &a->sessions) {
		struct session *s = container_of(n, struct session, node);
		if (s->client && s->media)
			client_sink_full(s->client, true);
	}
}

static int put(struct session *s, struct frame *f, uint64_t *pos)
{
	fill_ids(s, f);
	int ret = sink_put(s->app->sink, f, pos);
	if (ret == -EAGAIN)
		set_full(s->app);
	else if (!ret)
		s->app->last_pos = *pos;
	return ret;
}

/* Open and close frames carry nothing but their time and, in the end, the reason. */
static int put_mark(struct session *s, int kind, const char *body)
{
	struct frame f = {.kind = (uint8_t)kind, .time_us = clock_wall_us(), .storage = ""};
	uint64_t pos;

	f.body = (const uint8_t *)body;
	f.body_len = (uint32_t)strlen(body);
	return put(s, &f, &pos);
}

static int put_part(struct session *s, struct lane *l, struct frame *f)
{
	struct app *a = s->app;
	int i = l == &s->lanes[1];

	int ret = put(s, f, &s->last_pos[i]);
	if (ret)
		return ret;
	metric_add(&a->count.frames[i], 1);
	metric_add(&a->count.bytes[i], f->body_len);
	s->bytes += f->body_len;
	if (s->client && s->client->query.ack)
		acks_add(a->acks, s, f->kind, f->part, s->last_pos[i]);
	return 0;
}

/* A part that the sink will never take leaves a gap. */
static void give_up_part(struct session *s, const struct frame *f, int err)
{
	client_error(s->client, err == -EMSGSIZE ? "too_large" : "sink_lost",
		     err == -EMSGSIZE ? "the part is larger than the ring of this server takes"
				      : "the reader of the frames is gone",
		     &f->part);
	metric_add(&s->app->count.lost, 1);
}

/* ---- lanes ---- */

/* Passes on what is ready. -EAGAIN when the sink is full. */
static int drain_lane(struct session *s, struct lane *l)
{
	struct part *p;

	while ((p = order_ready(l))) {
		size_t cost = order_cost(&p->frame);
		int ret = put_part(s, l, &p->frame);
		if (ret == -EAGAIN)
			return ret;
		if (ret)
			give_up_part(s, &p->frame, ret);
		order_pop(l);
		if (ret)
			order_lost(l);
		hold_bytes(s, -(int64_t)cost);
	}
	return 0;
}

static void note_lost(struct session *s, struct lane *l, uint64_t before)
{
	if (l->lost == before)
		return;
	metric_add(&s->app->count.lost, (int64_t)(l->lost - before));
	log_debug("%s: %llu %s parts never came", s->key, (unsigned long long)(l->lost - before),
		  frame_kind_name(lane_kind(s, l)));
}

static void give_up(struct session *s, struct lane *l)
{
	uint64_t before = l->lost;

	order_give_up(l);
	note_lost(s, l, before);
}

/* Each part has its own time, from when it is the first that is missing. */
static void wait_for_missing(struct session *s, int lane)
{
	const struct lane *l = &s->lanes[lane];
	struct loop_timer *t = &s->wait[lane];

	if (!order_waits(l)) {
		loop_timer_stop(t);
	} else if (!loop_timer_armed(t) || s->missing[lane] != l->next) {
		s->missing[lane] = l->next;
		loop_timer_in_us(t, ORDER_WAIT_US);
	}
}

static void finish(struct session *s);

/* Passes on all that can be, and says what the session waits for then. */
static void drain(struct session *s)
{
	int ret = s->opened ? 0 : put_mark(s, FRAME_OPEN, "");

	if (ret != -EAGAIN)
		s->opened = true;
	for (int i = 0; i < 2 && ret != -EAGAIN; i++) {
		ret = drain_lane(s, &s->lanes[i]);
		while (ret == 0 && s->state == SESSION_ENDING && order_waits(&s->lanes[i])) {
			give_up(s, &s->lanes[i]);
			ret = drain_lane(s, &s->lanes[i]);
		}
	}
	if (ret == -EAGAIN) {
		if (list_empty(&s->blocked))
			list_push(&s->app->blocked, &s->blocked);
		return;
	}
	if (s->state == SESSION_ENDING) {
		finish(s);
		return;
	}
	for (int i = 0; i < 2; i++)
		wait_for_missing(s, i);
}

static void wait_over(struct session *s, int lane)
{
	give_up(s, &s->lanes[lane]);
	drain(s);
}

static void on_audio_over(void *arg)
{
	wait_over(arg, 0);
}

static void on_video_over(void *arg)
{
	wait_over(arg, 1);
}

void ingest_init(struct session *s)
{
	loop_timer_init(&s->wait[0], s->app->loop, on_audio_over, s);
	loop_timer_init(&s->wait[1], s->app->loop, on_video_over, s);
}

void ingest_done(struct session *s)
{
	for (int i = 0; i < 2; i++) {
		hold_bytes(s, -(int64_t)s->lanes[i].bytes);
		order_free(&s->lanes[i]);
	}
}

void ingest_open(struct session *s)
{
	drain(s);
}

static int hold(struct session *s, struct lane *l, const struct frame *f)
{
	int ret = order_hold(l, f);

	if (ret == -EEXIST) {
		metric_add(&s->app->count.repeated, 1);
		return 0;
	}
	if (ret)
		return ret;
	hold_bytes(s, (int64_t)order_cost(f));
	/* The memory of a session: wait no longer where most of it lies. */
	while (s->lanes[0].bytes + s->lanes[1].bytes > ORDER_BYTES) {
		l = &s->lanes[s->lanes[1].bytes > s->lanes[0].bytes];
		if (!order_waits(l))
			break; /* the sink is full: bounded by what one read brings */
		give_up(s, l);
		drain_lane(s, l);
	}
	drain(s);
	return 0;
}

/* It is here already, perhaps not yet safe: its client is told when it is. */
static void acknowledge_again(struct session *s, const struct frame *f)
{
	metric_add(&s->app->count.repeated, 1);
	if (s->client && s->client->query.ack)
		acks_add(s->app->acks, s, f->kind, f->part, s->last_pos[f->kind == FRAME_VIDEO]);
}

/* It is in no recording, and will not be: its client must not believe that it is. */
static void refuse_late(struct session *s, const struct frame *f)
{
	metric_add(&s->app->count.repeated, 1);
	client_error(s->client, "given_up",
		     "the part came too late; the recording went on without it", &f->part);
}

int ingest_part(struct session *s, struct frame *f)
{
	struct lane *l = &s->lanes[f->kind == FRAME_VIDEO];
	uint64_t lost = l->lost;

	s->media = true;
	if (s->app->full && s->client)
		client_sink_full(s->client, true);
	enum order_verdict v = order_check(l, f->part);
	note_lost(s, l, lost);
	if (v == ORDER_REPEATED) {
		acknowledge_again(s, f);
		return 0;
	}
	if (v == ORDER_LATE) {
		refuse_late(s, f);
		return 0;
	}
	if (v == ORDER_HOLD || !s->opened || s->app->full)
		return hold(s, l, f);
	if (l->gap)
		f->flags |= FRAME_GAP;
	int ret = put_part(s, l, f);
	if (ret == -EAGAIN)
		return hold(s, l, f);
	order_passed(l);
	if (ret)
		order_lost(l);
	return ret;
}

/* ---- the end ---- */

static void send_event(struct session *s)
{
	struct app *a = s->app;
	struct event ev;

	event_start(&ev, a->events, "session-end", s->room->id, s->id);
	json_str(&ev.json, "reason", s->reason);
	json_uint(&ev.json, "audio", s->lanes[0].passed);
	json_uint(&ev.json, "video", s->lanes[1].passed);
	json_uint(&ev.json, "bytes", s->bytes);
	json_uint(&ev.json, "lost", s->lanes[0].lost + s->lanes[1].lost);
	json_uint(&ev.json, "repeated", s->lanes[0].repeated + s->lanes[1].repeated);
	event_send(&ev, a->events);
}

static void on_told(void *arg)
{
	struct session *s = arg;

	s->told = true;
	drain(s);
}

/*
 * A recording stays open until its client has been told that all of it is safe. If we are killed
 * before that, the client sends it again, and msr-record knows it again: from one that is over a
 * second recording would be made.
 */
static bool waits_for_acks(struct session *s)
{
	if (!s->client || !ingest_is_untold(s))
		return false;
	if (loop_timer_armed(&s->away))
		return true;
	loop_timer_init(&s->away, s->app->loop, on_told, s);
	return loop_timer_in_us(&s->away, ACKS_WAIT_US) == 0;
}

bool ingest_is_untold(const struct session *s)
{
	return s->state == SESSION_ENDING && s->n_acks && !s->told && !s->app->stopping;
}

/* Not from here: what its client is told goes out at the end of a turn. */
void ingest_acknowledged(struct session *s)
{
	if (s->state == SESSION_ENDING && loop_timer_armed(&s->away))
		loop_timer_in_us(&s->away, 0);
}

static void finish(struct session *s)
{
	char body[64];

	if (waits_for_acks(s))
		return;
	loop_timer_stop(&s->away);
	snprintf(body, sizeof(body), "{\"reason\":\"%s\"}", s->reason);
	if (put_mark(s, FRAME_CLOSE, body) == -EAGAIN) {
		if (list_empty(&s->blocked))
			list_push(&s->app->blocked, &s->blocked);
		return;
	}
	send_event(s);
	session_remove(s);
	if (s->client)
		client_session_gone(s->client);
	else
		session_unref(s);
}

void ingest_end(struct session *s, const char *reason)
{
	if (s->state < SESSION_ENDING) {
		s->state = SESSION_ENDING;
		s->reason = reason;
		loop_timer_stop(&s->away);
	}
	drain(s); /* at a shutdown also what waits for acknowledgements ends */
}

void ingest_resume(struct app *a)
{
	struct list batch = LIST_INIT(batch);

	/* In the order in which they came to a halt; whoever is halted again goes to the end. */
	while (!list_empty(&a->blocked)) {
		struct list *i = list_first(&a->blocked);
		list_remove(i);
		list_push(&batch, i);
	}
	while (!list_empty(&batch)) {
		struct session *s = container_of(list_first(&batch), struct session, blocked);
		list_remove(&s->blocked);
		drain(s);
	}
	/* Small rings never have that much room: they must be empty. */
	if (!a->full || !list_empty(&a->blocked) ||
	    !(sink_has_room(a->sink, RESUME_ROOM) || sink_safe(a->sink) >= a->last_pos))
		return;
	a->full = false;
	log_debug("the sink has room again");
	map_each (n, &a->sessions) {
		struct session *s = container_of(n, struct session, node);
		if (s->client)
			client_sink_full(s->client, false);
	}
}
