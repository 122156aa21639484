/* The recorder's tap: see tap.h. */
#include "tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "frame/sink.h"
#include "rtp/codec/vp8.h"
#include "rtp/rtcp.h"
#include "endpoint.h"
#include "track.h"

#define CLOSE_MS    2000    /* that the reader of a pipe gets at the end */
#define GAP_TOLD_US 1000000 /* between reports of a gap that lasts */
/* Between wishes for a key frame: doubled where none comes of it that can be recorded, as of a
 * sink that fills again at once, or where key frames cannot be told. */
#define ASK_US	    1000000
#define ASK_MAX_US  32000000
#define KEY_ROOM    32768 /* bytes in the sink, for much of a key frame */
#define SCREEN_NAME "screen"
#define CAMERA_NAME "camera" /* of a user who is called SCREEN_NAME */
#define TAP_FIRST   1	     /* number of simulcast's first packet */
#define MARK_MAX    1024     /* bytes of a record without a body, and more */
#define OVER_MAX    1000     /* sessions whose end waits for room */

/* A recording: all tracks of a user but its screen, or the screen. */
struct tap_session {
	struct list link; /* in tap_sink.sessions */
	char room[ID_SIZE], user[ID_SIZE];
	bool screen;
	unsigned n_taps;  /* 0 if it is over, and its end has not fitted yet */
	int64_t wall_us;  /* wall clock minus the loop's, as when its room was first recorded */
	struct frame ids; /* what all its frames have in common */
};

/* ---- frames ---- */

/* `f` began as a copy of the session's ids. */
static int put(struct tap_sink *s, const struct tap_session *ss, struct frame *f, int64_t now_us)
{
	f->time_us = now_us + ss->wall_us;
	int ret = sink_put(s->sink, f, NULL);
	if (ret < 0)
		s->stats->record_dropped++;
	else
		s->stats->recorded++;
	return ret;
}

static int put_mark(struct tap_sink *s, const struct tap_session *ss, enum frame_kind kind)
{
	struct frame f = ss->ids;

	f.kind = (uint8_t)kind;
	return put(s, ss, &f, mono_now().us);
}

static void on_lost(void *arg, int err)
{
	(void)arg;
	log_warn("the reader of a recording sink is gone: %s; calls continue unrecorded until "
		 "one comes",
		 strerror(-err));
}

int tap_sink_open(struct tap_sink *s, const char *spec, struct loop *loop,
		  struct media_stats *stats)
{
	struct sink_opts o = {.loop = loop, .lost = on_lost};

	*s = (struct tap_sink){.stats = stats};
	list_init(&s->sessions);
	return spec ? sink_open(&s->sink, spec, &o) : 0;
}

static void session_free(struct tap_session *ss)
{
	list_remove(&ss->link);
	free(ss);
}

void tap_sink_close(struct tap_sink *s)
{
	if (!s->sink)
		return;
	list_each_safe (i, &s->sessions) {
		struct tap_session *ss = container_of(i, struct tap_session, link);
		put_mark(s, ss, FRAME_CLOSE);
		session_free(ss);
	}
	sink_flush(s->sink);
	sink_close(s->sink, CLOSE_MS);
	s->sink = NULL;
}

/*
 * Ends a session. An end that does not fit waits for room: without it the recording would stay open
 * until it is given up, and its task would come hours late.
 */
static void session_end(struct tap_sink *s, struct tap_session *ss)
{
	if (put_mark(s, ss, FRAME_CLOSE) != -EAGAIN || s->n_over == OVER_MAX)
		session_free(ss);
	else
		s->n_over++;
}

/* The ends that wait, as far as there is room now. */
static void put_ends(struct tap_sink *s)
{
	list_each_safe (i, &s->sessions) {
		struct tap_session *ss = container_of(i, struct tap_session, link);
		if (!s->n_over || !sink_has_room(s->sink, MARK_MAX))
			return;
		if (ss->n_taps)
			continue;
		s->n_over--;
		session_end(s, ss);
	}
}

void tap_sink_flush(struct tap_sink *s)
{
	if (!s->sink)
		return;
	put_ends(s);
	sink_flush(s->sink);
}

/* ---- sessions ---- */

/*
 * A wall clock that is set while people talk must not tear them apart, nor make hours of silence:
 * what is recorded of a room goes by one clock, until nothing of it is.
 */
static int64_t wall_of(const struct tap_sink *s, const char *room)
{
	list_each (i, &s->sessions) {
		const struct tap_session *ss = container_of(i, struct tap_session, link);
		if (!strcmp(ss->room, room))
			return ss->wall_us;
	}
	return clock_wall_us() - mono_now().us;
}

/*
 * Named always, so that the end of one does not end the other; a user's own id needs no folder, and
 * is not the screen's.
 */
static const char *storage_of(const struct tap_session *ss)
{
	if (ss->screen)
		return SCREEN_NAME;
	return strcmp(ss->user, SCREEN_NAME) ? ss->user : CAMERA_NAME;
}

static void set_ids(struct tap_session *ss)
{
	struct frame *f = &ss->ids;

	f->room = ss->room;
	f->room_len = (uint8_t)strlen(ss->room);
	f->session = ss->user;
	f->session_len = (uint8_t)strlen(ss->user);
	f->storage = storage_of(ss);
	f->storage_len = (uint8_t)strlen(f->storage);
	frame_check_ids(f);
}

static struct tap_session *session_for(struct tap_sink *s, const struct tap_config *c)
{
	bool screen = c->source == SOURCE_SCREEN;

	list_each (i, &s->sessions) {
		struct tap_session *ss = container_of(i, struct tap_session, link);
		if (ss->screen == screen && !strcmp(ss->user, c->user) &&
		    !strcmp(ss->room, c->room)) {
			/* A user who returns before that continues the same session. */
			s->n_over -= !ss->n_taps;
			return ss;
		}
	}
	struct tap_session *ss = calloc(1, sizeof(*ss));
	if (!ss)
		return NULL;
	memcpy(ss->room, c->room, sizeof(ss->room));
	memcpy(ss->user, c->user, sizeof(ss->user));
	ss->screen = screen;
	ss->wall_us = wall_of(s, c->room);
	set_ids(ss);
	list_init(&ss->link);
	list_push(&s->sessions, &ss->link);
	put_mark(s, ss, FRAME_OPEN); /* where it does not fit, the first packet opens it */
	return ss;
}

int tap_open(struct tap **out, struct tap_sink *s, const struct tap_config *c, struct track *of)
{
	enum rtp_codec codec = of->config.codec;
	struct tap *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->session = session_for(s, c);
	if (!t->session) {
		free(t);
		return -ENOMEM;
	}
	t->session->n_taps++;
	t->sink = s;
	t->source = c->source;
	t->codec = (uint8_t)frame_codec_of(rtp_codec_name(codec));
	t->clock = rtp_codec_clock(codec);
	t->video = rtp_codec_is_video(codec);
	t->wait_key = t->video;
	t->readers = sink_reader_starts(s->sink);
	layer_init(&t->layer, MEDIA_AUTO, TAP_FIRST);
	layer_aim(&t->layer, of, MEDIA_WANTED);
	*out = t;
	return 0;
}

void tap_close(struct tap *t)
{
	if (!t)
		return;
	if (--t->session->n_taps == 0)
		session_end(t->sink, t->session);
	free(t);
}

/* ---- packets ---- */

static struct frame frame_of(const struct tap *t, enum frame_kind kind)
{
	struct frame f = t->session->ids;

	f.kind = (uint8_t)kind;
	f.codec = t->codec;
	f.source = (uint8_t)t->source;
	f.rate = t->clock;
	return f;
}

/* False when it did not fit. */
static bool put_packet(struct tap *t, const struct burst_packet *b, const uint8_t *bytes,
		       int64_t number, int64_t now_us)
{
	struct frame f = frame_of(t, FRAME_RTP);

	f.flags = (uint8_t)((b->key ? FRAME_KEY : 0) | (t->gap ? FRAME_GAP : 0));
	f.part = (uint64_t)number;
	f.body = bytes;
	f.body_len = b->p.len;
	return put(t->sink, t->session, &f, now_us) == 0;
}

static void tell_gap(const struct tap *t, const struct track *of, bool open)
{
	if (t->sink->gap)
		t->sink->gap(t->sink->gap_arg, of, t->left_out, open);
}

static void begin_gap(struct tap *t)
{
	t->sink->stats->record_gaps++;
	t->gap = true;
	t->left_out = 0;
	t->told_us = 0;
}

/* A packet that is to be recorded, with the number that it has there. */
static void take(struct tap *t, const struct track *of, const struct burst_packet *b,
		 const uint8_t *bytes, int64_t number, int64_t now_us)
{
	bool waits = t->wait_key && !b->key;

	if (!waits && put_packet(t, b, bytes, number, now_us)) {
		if (t->gap)
			tell_gap(t, of, false);
		t->gap = t->wait_key = false;
		return;
	}
	if (!waits && !t->gap)
		begin_gap(t);
	t->wait_key = t->video;
	/* At the start, before the first key frame, nothing is missing. */
	t->left_out += t->gap;
	t->sink->stats->record_dropped += t->gap && waits; /* others were counted when refused */
}

/* A packet of one of several streams, as one of the only stream that the recorder knows. */
static void take_layer(struct tap *t, const struct track *of, const struct burst_packet *b,
		       int64_t now_us)
{
	struct rewrite *w = &t->layer.rewrite;
	uint8_t copy[RTP_PACKET_MAX];
	struct vp8_desc d;
	int64_t number;

	if (!b->p.payload_len && rewrite_skip(w, b->seq))
		return;
	const struct rewrite_cut *c = rewrite_map(w, b->index, b->seq, &number);
	if (!c)
		return;
	uint32_t ts = b->p.ts + c->ts_distance;
	if (number == w->highest) {
		w->last_ts = ts;
		layer_note(&t->layer, b, c);
	}
	if (!t->ssrc)
		t->ssrc = b->p.ssrc;
	memcpy(copy, b->p.data, b->p.len);
	rtp_set_seq(copy, (uint16_t)number);
	rtp_set_ts(copy, ts);
	rtp_set_ssrc(copy, t->ssrc);
	if (t->codec == CODEC_VP8 && !vp8_parse(&d, rtp_payload(&b->p), b->p.payload_len))
		layer_rewrite_vp8(copy + b->p.payload_off, &d, c);
	take(t, of, b, copy, number, now_us);
}

/* Records it, if it is what is recorded. True where pictures begin with it. */
static bool record(struct tap *t, struct track *of, const struct burst_packet *b, int64_t now_us)
{
	bool waited = t->wait_key;
	int8_t before = t->layer.current;

	if (of->n_streams == 1) {
		take(t, of, b, b->p.data, b->seq, now_us);
	} else if (layer_take(&t->layer, of, b, now_us)) {
		take_layer(t, of, b, now_us);
		t->layer.last_us = now_us;
	}
	bool moved = t->layer.current != before && t->layer.current != LAYER_NONE;
	return moved || (waited && !t->wait_key);
}

/*
 * What came before the packet that began a key frame, and lies behind it: a viewer asks for it
 * again, the recorder cannot.
 */
static void catch_up(struct tap *t, struct track *of, const struct burst_packet *begun,
		     int64_t now_us)
{
	struct stream *s = begun->stream;
	struct burst_packet b = {.stream = s, .index = begun->index};
	struct rtp_payload_info info;

	for (b.seq = begun->seq + 1; b.seq <= s->nack.highest; b.seq++) {
		const struct rtp_kept *kept = rtp_history_get(&s->history, b.seq);
		if (!kept || rtp_parse(&b.p, kept->data, kept->len, &of->from->extmap) < 0)
			continue;
		track_look(of, &b, &info);
		record(t, of, &b, now_us);
	}
}

void tap_burst(struct tap *t, struct track *of, const struct burst_packet *b, unsigned n,
	       int64_t now_us)
{
	const struct stream *done = NULL; /* its packets of this burst are kept, too */

	for (unsigned i = 0; i < n; i++) {
		if (b[i].stream == done || !record(t, of, &b[i], now_us))
			continue;
		catch_up(t, of, &b[i], now_us);
		done = b[i].stream;
	}
}

/* A key frame costs the call something: not before it fits, and not for ever in vain. */
static void ask_key(struct tap *t, struct track *of, int64_t now_us)
{
	int64_t since_us = now_us - t->asked_us;

	if (since_us < t->ask_us || !sink_has_room(t->sink->sink, KEY_ROOM))
		return;
	if (since_us >= 2 * t->ask_us)
		t->ask_us = ASK_US;
	else if (t->ask_us < ASK_MAX_US)
		t->ask_us *= 2;
	t->asked_us = now_us;
	layer_want_key(&t->layer, of);
}

void tap_tick(struct tap *t, struct track *of, int64_t now_us)
{
	uint64_t readers = sink_reader_starts(t->sink->sink);

	if (t->gap && (!t->told_us || now_us - t->told_us >= GAP_TOLD_US)) {
		tell_gap(t, of, true);
		t->told_us = now_us;
	}
	if (readers != t->readers && t->video)
		layer_want_key(&t->layer, of);
	t->readers = readers;
	if (t->wait_key)
		ask_key(t, of, now_us);
}

void tap_update(struct tap *t, struct track *of)
{
	if (layer_aim(&t->layer, of, MEDIA_SOURCE))
		layer_ask(&t->layer, of);
}

void tap_report(struct tap *t, const struct track *of, const struct stream *s, int64_t now_us)
{
	uint8_t out[64];
	struct rtcp_writer w = rtcp_writer(out, sizeof(out));
	struct rtcp_sr sr = s->sr;
	struct frame f = frame_of(t, FRAME_RTCP);

	if (of->n_streams > 1) {
		if (t->layer.current == LAYER_NONE || s != &of->stream[t->layer.current])
			return;
		sr.ssrc = t->ssrc;
		sr.ts += t->layer.rewrite.cut[0].ts_distance;
	}
	if (rtcp_put_sr(&w, &sr, NULL, 0) < 0)
		return;
	f.body = out;
	f.body_len = (uint32_t)w.len;
	put(t->sink, t->session, &f, now_us);
}
