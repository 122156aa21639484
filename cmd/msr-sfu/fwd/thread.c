/*
 * A media thread: see thread.h.
 *
 *	on_wake   commands ──> table ──> objects
 *	on_rtp .. on_batch_end   peer ──> endpoint
 *	on_tick   every 20 ms: feedback, what to send to whom; now and then: speakers, counters
 *	on_pad    while somebody is probed: padding
 */
#include "thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "endpoint.h"
#include "loop/loop.h"
#include "speaker.h"
#include "sub.h"
#include "track.h"

#define STATS_US  1000000
#define TOLD_PART 10	  /* the API is told of an estimate that differs by more than a tenth */
#define STOP_US	  3000000 /* for goodbyes and for libnice; then the process ends anyway */

struct thread_room {
	struct map_node node;
	media_id id;
	struct list members;
	struct speaker speaker;
};

struct member {
	struct map_node node; /* by id */
	struct list link;     /* in thread.members */
	struct list room_link;
	struct list probed; /* in thread.probed */
	struct thread *thread;
	media_id id;
	struct thread_room *room;
	struct peer *peer;
	struct endpoint endpoint;
	unsigned n_tracks;
	uint64_t told_bps; /* the estimate that the API knows */
};

struct thread {
	pthread_t id;
	struct loop *loop;
	struct peer_io *io;
	thread_event *event;
	void *arg;

	pthread_mutex_t lock; /* of the four below */
	struct list queue;
	unsigned queued;
	bool stop; /* is wanted */
	struct media_stats published;

	struct map members, rooms, tracks, subs;
	struct list all;	  /* members */
	struct list probed;	  /* those whose paths are: what `pad` is for */
	struct media_stats stats; /* what endpoints and the tap count */
	struct tap_sink tap;
	struct loop_timer tick, pad;
	int64_t speaker_us, stats_us;
	bool stopping;
	struct mono stop_by;
};

/* ---- events from peers ---- */

static bool emit(struct thread *t, struct media_event e)
{
	return t->event(t->arg, &e);
}

static void on_state(void *arg, enum peer_state state, enum peer_end why)
{
	struct member *m = arg;
	struct media_event e = {.room = m->room->id, .peer = m->id, .why = why};

	if (state == PEER_CONNECTED) {
		endpoint_connected(&m->endpoint, mono_now().us);
		e.kind = MEDIA_CONNECTED;
		emit(m->thread, e);
	} else if (state == PEER_ENDED) {
		m->endpoint.connected = false;
		e.kind = MEDIA_ENDED;
		emit(m->thread, e);
	}
}

static void on_layer(void *arg, const struct sub *s)
{
	struct member *m = arg;
	const struct layer *l = &s->layer;
	struct media_event e = {.kind = MEDIA_LAYER,
				.room = m->room->id,
				.peer = m->id,
				.track = s->track->id,
				.reason = l->reason};

	if (l->current != LAYER_NONE) {
		const struct stream *from = &s->track->stream[l->current];
		e.layer = (uint8_t)layers_of(&s->track->layers, l->current);
		e.n_layers = s->track->layers.n;
		e.stream = (uint8_t)l->current;
		e.width = from->width;
		e.height = from->height;
	}
	emit(m->thread, e);
}

static void on_gap(void *arg, const struct track *of, uint64_t left_out, bool open)
{
	struct member *m = container_of(of->from, struct member, endpoint);

	emit(arg, (struct media_event){.kind = MEDIA_GAP,
				       .room = m->room->id,
				       .peer = m->id,
				       .track = of->id,
				       .left_out = left_out,
				       .open = open});
}

static void on_rtp(void *arg, uint8_t *p, size_t n, int64_t now_us)
{
	endpoint_rtp(&((struct member *)arg)->endpoint, p, n, now_us);
}

static void on_rtcp(void *arg, const uint8_t *p, size_t n, int64_t now_us)
{
	endpoint_rtcp(&((struct member *)arg)->endpoint, p, n, now_us);
}

static void on_batch_end(void *arg, int64_t now_us)
{
	endpoint_batch_end(&((struct member *)arg)->endpoint, now_us);
}

static const struct peer_handler handler = {on_state, on_rtp, on_rtcp, on_batch_end};

static uint8_t *wire_out(void *arg)
{
	return peer_out(arg);
}

static void wire_send_rtp(void *arg, size_t header_len, const uint8_t *payload, size_t len,
			  uint64_t index)
{
	peer_send_rtp(arg, header_len, payload, len, index);
}

static void wire_flush(void *arg)
{
	peer_flush(arg);
}

static void wire_send_rtcp(void *arg, const uint8_t *packet, size_t len)
{
	peer_send_rtcp(arg, packet, len);
}

static const struct wire peer_wire = {wire_out, wire_send_rtp, wire_flush, wire_send_rtcp};

/* ---- objects ---- */

static struct member *find_member(struct thread *t, media_id id)
{
	struct map_node *n = map_get(&t->members, &id, sizeof(id));
	return n ? container_of(n, struct member, node) : NULL;
}

static struct track *find_track(struct thread *t, media_id id)
{
	struct map_node *n = map_get(&t->tracks, &id, sizeof(id));
	return n ? container_of(n, struct track, node) : NULL;
}

static struct sub *find_sub(struct thread *t, media_id id)
{
	struct map_node *n = map_get(&t->subs, &id, sizeof(id));
	return n ? container_of(n, struct sub, node) : NULL;
}

static struct thread_room *join_room(struct thread *t, media_id id)
{
	struct map_node *n = map_get(&t->rooms, &id, sizeof(id));

	if (n)
		return container_of(n, struct thread_room, node);
	struct thread_room *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->id = id;
	list_init(&r->members);
	if (map_put(&t->rooms, &r->node, &r->id, sizeof(r->id)) < 0) {
		free(r);
		return NULL;
	}
	return r;
}

static void leave_room(struct thread *t, struct thread_room *r)
{
	if (!list_empty(&r->members))
		return;
	map_remove(&t->rooms, &r->node);
	free(r);
}

static void free_member(struct thread *t, struct member *m)
{
	struct thread_room *r = m->room;

	endpoint_done(&m->endpoint);
	peer_close(m->peer);
	map_remove(&t->members, &m->node);
	list_remove(&m->link);
	list_remove(&m->room_link);
	list_remove(&m->probed);
	leave_room(t, r);
	free(m);
}

/* Where nobody is there is nothing to do but to count. */
static void tick_again(struct thread *t)
{
	loop_timer_in_us(&t->tick, t->members.n || t->stopping ? FWD_TICK_US : STATS_US);
}

/* ---- commands ---- */

static const struct command_full *full_of(struct command *c)
{
	return container_of(c, struct command_full, command);
}

static void do_peer(struct thread *t, struct command *c)
{
	const struct command_full *full = full_of(c);
	struct member *m = calloc(1, sizeof(*m));
	struct thread_room *r = m ? join_room(t, full->peer.room) : NULL;

	if (!r)
		goto fail;
	m->thread = t;
	m->id = c->id;
	m->room = r;
	m->peer = full->peer.peer;
	endpoint_init(&m->endpoint, &peer_wire, m->peer, &t->stats);
	memcpy(m->endpoint.cname, full->peer.cname, sizeof(full->peer.cname));
	m->endpoint.layer = on_layer;
	m->endpoint.layer_arg = m;
	m->endpoint.track_map = &t->tracks;
	m->endpoint.sub_map = &t->subs;
	list_init(&m->link);
	list_init(&m->room_link);
	list_init(&m->probed);
	list_push(&r->members, &m->room_link);
	if (map_put(&t->members, &m->node, &m->id, sizeof(m->id)) < 0 ||
	    peer_attach(m->peer, t->io, &handler, m) < 0)
		goto fail;
	list_push(&t->all, &m->link);
	if (t->members.n == 1)
		tick_again(t);
	return;
fail:
	/* Out of memory for one peer fails this one. */
	peer_free(full->peer.peer);
	if (r) {
		list_remove(&m->room_link);
		if (m->node.key)
			map_remove(&t->members, &m->node);
		leave_room(t, r);
	}
	free(m);
	emit(t, (struct media_event){.kind = MEDIA_ENDED,
				     .why = PEER_END_MEMORY,
				     .room = full->peer.room,
				     .peer = c->id});
}

/* Out of memory for one of its tracks fails a peer: it knows then, and may come again. */
static void fail_member(struct thread *t, struct member *m)
{
	emit(t,
	     (struct media_event){
		 .kind = MEDIA_ENDED, .why = PEER_END_MEMORY, .room = m->room->id, .peer = m->id});
	free_member(t, m);
}

static void do_peer_close(struct thread *t, struct command *c)
{
	struct member *m = find_member(t, c->id);

	if (m)
		free_member(t, m);
}

static void do_remote(struct thread *t, struct command *c)
{
	const struct command_full *full = full_of(c);
	struct member *m = find_member(t, c->id);

	if (!m)
		return;
	if (full->remote.have_remote)
		peer_set_remote(m->peer, &full->remote.remote);
	for (unsigned i = 0; i < full->remote.n; i++)
		peer_add_candidate(m->peer, &full->remote.candidate[i]);
	if (full->remote.end)
		peer_end_of_candidates(m->peer);
}

static void do_restart(struct thread *t, struct command *c)
{
	const struct command_full *full = full_of(c);
	struct member *m = find_member(t, c->id);

	if (m)
		peer_restart(m->peer, full->restart.ufrag, full->restart.pwd);
}

static void do_extensions(struct thread *t, struct command *c)
{
	struct member *m = find_member(t, c->id);

	if (!m)
		return;
	m->endpoint.extmap = full_of(c)->extmap;
	list_each (i, &m->endpoint.subs) {
		struct sub *s = container_of(i, struct sub, link);
		struct media_sub_config same = s->config;
		sub_change(s, &same);
	}
}

static void do_track(struct thread *t, struct command *c)
{
	const struct command_full *full = full_of(c);
	struct member *m = find_member(t, full->track.peer);
	struct track *track;

	if (!m || m->n_tracks == MEDIA_TRACKS_MAX)
		return;
	if (track_new(&track, &m->endpoint, c->id, &full->track.config) < 0)
		fail_member(t, m);
	else
		m->n_tracks++;
}

static void do_track_change(struct thread *t, struct command *c)
{
	struct track *track = find_track(t, c->id);

	if (track)
		endpoint_change_track(track->from, track, &full_of(c)->track.config);
}

static void do_track_close(struct thread *t, struct command *c)
{
	struct track *track = find_track(t, c->id);

	if (!track)
		return;
	container_of(track->from, struct member, endpoint)->n_tracks--;
	endpoint_drop_track(track->from, track);
}

static void do_record(struct thread *t, struct command *c)
{
	const struct command_full *full = full_of(c);
	struct track *track = find_track(t, c->id);

	if (track && !track->tap && t->tap.sink &&
	    tap_open(&track->tap, &t->tap, &full->record, track) < 0)
		log_warn("out of memory: a track of %s is not recorded", full->record.user);
}

static void do_sub(struct thread *t, struct command *c)
{
	const struct command_full *full = full_of(c);
	struct member *m = find_member(t, full->sub.peer);
	struct track *track = find_track(t, full->sub.track);
	struct sub *s;

	if (!m || !track)
		return;
	if (sub_new(&s, track, &m->endpoint, c->id, &full->sub) < 0)
		fail_member(t, m);
	else if (m->endpoint.connected)
		sub_wake(s, mono_now().us);
}

static void do_sub_close(struct thread *t, struct command *c)
{
	sub_free(find_sub(t, c->id));
}

static void do_want(struct thread *t, struct command *c)
{
	struct sub *s = find_sub(t, c->id);

	if (s)
		sub_want(s, full_of(c)->want, mono_now().us);
}

static void do_limit(struct thread *t, struct command *c)
{
	struct member *m = find_member(t, c->id);

	if (m)
		m->endpoint.max_bps = full_of(c)->max_bps;
}

static void begin_stop(struct thread *t)
{
	list_each_safe (i, &t->all)
		free_member(t, container_of(i, struct member, link));
	t->stopping = true;
	t->stop_by = mono_add_us(mono_now(), STOP_US);
	tick_again(t);
}

static void (*const commands[COMMANDS])(struct thread *t, struct command *c) = {
    [COMMAND_PEER] = do_peer,
    [COMMAND_PEER_CLOSE] = do_peer_close,
    [COMMAND_REMOTE] = do_remote,
    [COMMAND_RESTART] = do_restart,
    [COMMAND_EXTENSIONS] = do_extensions,
    [COMMAND_TRACK] = do_track,
    [COMMAND_TRACK_CHANGE] = do_track_change,
    [COMMAND_TRACK_CLOSE] = do_track_close,
    [COMMAND_RECORD] = do_record,
    [COMMAND_SUB] = do_sub,
    [COMMAND_SUB_CLOSE] = do_sub_close,
    [COMMAND_WANT] = do_want,
    [COMMAND_LIMIT] = do_limit,
};

static void on_wake(void *arg)
{
	struct thread *t = arg;
	struct list todo;

	list_init(&todo);
	pthread_mutex_lock(&t->lock);
	while (!list_empty(&t->queue)) {
		struct list *n = t->queue.next;
		list_remove(n);
		list_push(&todo, n);
	}
	t->queued = 0;
	bool stop = t->stop && !t->stopping;
	pthread_mutex_unlock(&t->lock);
	while (!list_empty(&todo)) {
		struct command *c = container_of(todo.next, struct command, link);
		list_remove(&c->link);
		commands[c->kind](t, c);
		free(c);
	}
	if (stop)
		begin_stop(t);
}

int thread_post(struct thread *t, struct command *c)
{
	list_init(&c->link);
	pthread_mutex_lock(&t->lock);
	/* What ends things is never refused. */
	bool closes = c->kind == COMMAND_PEER_CLOSE || c->kind == COMMAND_TRACK_CLOSE ||
		      c->kind == COMMAND_SUB_CLOSE;
	bool full = t->queued >= MEDIA_QUEUE_MAX && !closes;
	if (!full) {
		list_push(&t->queue, &c->link);
		t->queued++;
	}
	pthread_mutex_unlock(&t->lock);
	if (full)
		return -EAGAIN;
	loop_wake(t->loop);
	return 0;
}

/* ---- time ---- */

static void find_speaker(struct thread *t, struct thread_room *r, int64_t now_us)
{
	speaker_begin(&r->speaker);
	list_each (i, &r->members) {
		struct member *m = container_of(i, struct member, room_link);
		list_each (k, &m->endpoint.tracks) {
			struct track *track = container_of(k, struct track, link);
			bool fresh =
			    track->level_at_us && now_us - track->level_at_us < SPEAKER_US * 3;
			if (fresh)
				speaker_level(&r->speaker, track->id, track->level / 16);
		}
	}
	if (!speaker_end(&r->speaker, now_us))
		return;
	struct track *track = find_track(t, r->speaker.now);
	list_each (i, &r->members) {
		struct member *m = container_of(i, struct member, room_link);
		m->endpoint.speaks = track && track->from == &m->endpoint;
	}
	struct media_event e = {.kind = MEDIA_SPEAKER, .room = r->id, .track = r->speaker.now};
	if (track) {
		e.peer = container_of(track->from, struct member, endpoint)->id;
		e.level = (uint8_t)(track->level / 16);
	}
	emit(t, e);
}

/* Adds up what receivers' paths carry, and tells the API where that has changed. */
static void add_estimates(struct thread *t, struct media_stats *s, int64_t now_us)
{
	list_each (i, &t->all) {
		struct member *m = container_of(i, struct member, link);
		uint64_t bps = congest_bps(&m->endpoint.congest, now_us);
		uint64_t change = bps > m->told_bps ? bps - m->told_bps : m->told_bps - bps;
		s->estimated += bps > 0;
		s->estimate_bps += bps;
		s->paused += m->endpoint.congest.paused;
		if (change <= m->told_bps / TOLD_PART)
			continue;
		struct media_event e = {
		    .kind = MEDIA_ESTIMATE, .room = m->room->id, .peer = m->id, .bps = bps};
		if (emit(t, e))
			m->told_bps = bps;
	}
}

static void publish(struct thread *t, int64_t now_us)
{
	const struct peer_stats *p = peer_io_stats(t->io);
	struct media_stats s = t->stats;

	s.peers = t->members.n;
	s.subs = t->subs.n;
#define COPY(field, metric, help) s.field = p->field;
	MEDIA_PEER_COUNTERS(COPY)
#undef COPY
	add_estimates(t, &s, now_us);
	pthread_mutex_lock(&t->lock);
	t->published = s;
	pthread_mutex_unlock(&t->lock);
}

/* Probes are finer than ticks; most of the time there are none. */
static void on_pad(void *arg)
{
	struct thread *t = arg;
	int64_t now_us = mono_now().us;

	list_each_safe (i, &t->probed) {
		struct endpoint *e = &container_of(i, struct member, probed)->endpoint;
		if (!endpoint_probing(e) || !congest_pad(e, now_us))
			list_remove(i);
	}
	if (!list_empty(&t->probed))
		loop_timer_in_us(&t->pad, CONGEST_PAD_US);
}

static void on_tick(void *arg)
{
	struct thread *t = arg;
	struct mono now = mono_now();

	list_each (i, &t->all) {
		struct member *m = container_of(i, struct member, link);
		if (!endpoint_busy(&m->endpoint))
			continue;
		endpoint_tick(&m->endpoint, now.us);
		if (endpoint_probing(&m->endpoint) && list_empty(&m->probed))
			list_push(&t->probed, &m->probed);
	}
	if (!list_empty(&t->probed) && !loop_timer_armed(&t->pad))
		loop_timer_in_us(&t->pad, CONGEST_PAD_US);
	tap_sink_flush(&t->tap);
	if (now.us - t->speaker_us >= SPEAKER_US) {
		t->speaker_us = now.us;
		map_each (i, &t->rooms)
			find_speaker(t, container_of(i, struct thread_room, node), now.us);
	}
	if (now.us - t->stats_us >= STATS_US) {
		t->stats_us = now.us;
		publish(t, now.us);
	}
	if (t->stopping && (!peer_io_closing(t->io) || mono_diff_us(now, t->stop_by) > 0))
		loop_stop(t->loop, 0);
	tick_again(t);
}

void thread_add_stats(struct thread *t, struct media_stats *s)
{
	pthread_mutex_lock(&t->lock);
	const struct media_stats p = t->published;
	pthread_mutex_unlock(&t->lock);

#define ADD(field, metric, help) s->field += p.field;
	MEDIA_COUNTERS(ADD)
#undef ADD
}

/* ---- life ---- */

static void *run(void *arg)
{
	struct thread *t = arg;

	pthread_setname_np(pthread_self(), "msr-media");
	tick_again(t);
	int ret = loop_run(t->loop);
	if (ret < 0)
		log_error("a media thread stopped: %s", strerror(-ret));
	tap_sink_close(&t->tap); /* here: it may have to wait for a reader, as others do */
	return NULL;
}

static void release(struct thread *t)
{
	list_each_safe (i, &t->queue) {
		struct command *c = container_of(i, struct command, link);
		if (c->kind == COMMAND_PEER)
			peer_free(full_of(c)->peer.peer);
		free(c);
	}
	tap_sink_close(&t->tap);
	peer_io_free(t->io);
	loop_free(t->loop);
	map_done(&t->members);
	map_done(&t->rooms);
	map_done(&t->tracks);
	map_done(&t->subs);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int thread_new(struct thread **out, const char *sink, thread_event *event, void *arg)
{
	struct thread *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->event = event;
	t->arg = arg;
	list_init(&t->queue);
	list_init(&t->all);
	list_init(&t->probed);
	map_init(&t->members);
	map_init(&t->rooms);
	map_init(&t->tracks);
	map_init(&t->subs);
	pthread_mutex_init(&t->lock, NULL);
	int ret = loop_new(&t->loop);
	if (!ret)
		ret = peer_io_new(&t->io, t->loop);
	if (!ret)
		ret = tap_sink_open(&t->tap, sink, t->loop, &t->stats);
	if (!ret) {
		t->tap.gap = on_gap;
		t->tap.gap_arg = t;
		loop_timer_init(&t->tick, t->loop, on_tick, t);
		loop_timer_init(&t->pad, t->loop, on_pad, t);
		loop_on_wake(t->loop, on_wake, t);
		ret = -pthread_create(&t->id, NULL, run, t);
	}
	if (ret < 0) {
		release(t);
		return ret;
	}
	*out = t;
	return 0;
}

void thread_stop(struct thread *t)
{
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_mutex_unlock(&t->lock);
	loop_wake(t->loop);
}

void thread_free(struct thread *t)
{
	pthread_join(t->id, NULL);
	release(t);
}
