/* Sessions, targets, and the choice of the recording for each frame. */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "event/event.h"
#include "frame/frame.h"
#include "mixer.h"
#include "recorder.h"
#include "recording.h"

#define TARGETS_MAX 64 /* storage ids of one session: peers choose them */
#define REST_US	    1000000
#define REST_RTP_US 3000000 /* of a call: longer than a lost packet is waited for */
#define KEY_SIZE    (2 * ID_SIZE)
#define SILENT_US   2000000 /* of a picture's codec in a call: an earlier one may come back */

struct target {
	struct list link; /* in session.targets */
	char storage[ID_SIZE];
	uint64_t begins_at[STREAMS]; /* part with which a stream's next recording continues, or 0 */
	struct recording *recs[STREAMS]; /* current ones; the same may stand there several times */
	struct journal_source seen[JOURNAL_SOURCES]; /* frames up to there are in recordings */
	uint32_t source;			     /* of its latest media; 0: an earlier run */
	bool refused;				     /* drop its media until the session ends */
	uint8_t codec;				     /* of the latest picture's packet in a call */
	int64_t heard_us;			     /* when that came, by its own time */
	uint64_t replaced; /* set of codecs whose place another one took */
};

struct session {
	struct map_node node; /* in recorder.sessions */
	char key[KEY_SIZE];   /* "room/session" */
	char room[ID_SIZE], id[ID_SIZE];
	struct list targets;
	size_t n_targets;
	struct mono last;   /* when its last frame came */
	uint32_t source;    /* where that was from */
	bool orphan;	    /* its producer may be gone: --idle applies */
	bool told_too_many; /* it has been said that it has too many storage ids */
};

/* ---- finding and making ---- */

/* Whose a session is. The ids are lent and need not end with a NUL: frames have them so. */
struct who {
	const char *room, *id;
	uint8_t room_len, id_len;
};

static struct who who_of_frame(const struct frame *f)
{
	return (struct who){f->room, f->session, f->room_len, f->session_len};
}

static struct who who_of_journal(const struct journal_head *h)
{
	return (struct who){h->room, h->session, (uint8_t)strlen(h->room),
			    (uint8_t)strlen(h->session)};
}

/* Its length. By hand, as every frame needs it. */
static size_t make_key(const struct who *who, char key[static KEY_SIZE])
{
	memcpy(key, who->room, who->room_len);
	key[who->room_len] = '/';
	memcpy(key + who->room_len + 1, who->id, who->id_len);
	return (size_t)who->room_len + 1 + who->id_len;
}

static struct session *session_find(struct recorder *r, struct who who)
{
	char key[KEY_SIZE];
	struct map_node *node = map_get(&r->sessions, key, make_key(&who, key));

	return node ? container_of(node, struct session, node) : NULL;
}

static struct session *session_get(struct recorder *r, struct who who)
{
	struct session *s = session_find(r, who);

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	frame_id(who.room, who.room_len, s->room);
	frame_id(who.id, who.id_len, s->id);
	list_init(&s->targets);
	s->last = mono_now();
	if (map_put(&r->sessions, &s->node, s->key, make_key(&who, s->key)) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

static struct target *target_find(struct session *s, const char *storage)
{
	list_each (i, &s->targets) {
		struct target *t = container_of(i, struct target, link);
		if (!strcmp(t->storage, storage))
			return t;
	}
	return NULL;
}

static struct target *target_get(struct session *s, const char *storage)
{
	struct target *t = target_find(s, storage);

	if (t || s->n_targets >= TARGETS_MAX || !(t = calloc(1, sizeof(*t))))
		return t;
	snprintf(t->storage, sizeof(t->storage), "%s", storage);
	list_init(&t->link);
	list_push(&s->targets, &t->link);
	s->n_targets++;
	return t;
}

static void target_free(struct session *s, struct target *t)
{
	list_remove(&t->link);
	s->n_targets--;
	free(t);
}

static void session_free(struct recorder *r, struct session *s)
{
	list_each_safe (i, &s->targets)
		target_free(s, container_of(i, struct target, link));
	map_remove(&r->sessions, &s->node);
	free(s);
}

/* ---- positions ---- */

static uint64_t position_of(const struct target *t, uint64_t ring_id)
{
	for (int i = 0; ring_id && i < JOURNAL_SOURCES; i++)
		if (t->seen[i].ring_id == ring_id)
			return t->seen[i].pos;
	return 0;
}

/* False when there are too many rings. */
static bool note_position(struct target *t, uint64_t ring_id, uint64_t pos)
{
	for (int i = 0; ring_id && i < JOURNAL_SOURCES; i++) {
		if (t->seen[i].ring_id && t->seen[i].ring_id != ring_id)
			continue;
		t->seen[i].ring_id = ring_id;
		if (pos > t->seen[i].pos)
			t->seen[i].pos = pos;
		return true;
	}
	return !ring_id;
}

static bool note_positions(struct target *t, const struct journal_state *st)
{
	bool ok = true;

	for (int i = 0; i < JOURNAL_SOURCES; i++)
		if (st->sources[i].ring_id)
			ok &= note_position(t, st->sources[i].ring_id, st->sources[i].pos);
	return ok;
}

/* ---- refusing ---- */

static void announce(struct recorder *r, const struct session *s, const char *storage,
		     const char *why)
{
	struct event ev;

	metric_add(&r->n.refused, 1);
	log_error("not recording room %s session %s: %s", s->room, s->id, why);
	event_start(&ev, r->events, "refused", s->room, s->id);
	if (*storage)
		json_str(&ev.json, "storage", storage);
	json_str(&ev.json, "reason", why);
	event_send(&ev, r->events);
}

static void refuse(struct recorder *r, struct session *s, struct target *t, const char *why)
{
	t->refused = true;
	announce(r, s, t->storage, why);
}

/* A frame for a storage id beyond the bound: dropped, which is said once. */
static void refuse_crowd(struct recorder *r, struct session *s, const char *storage)
{
	metric_add(&r->n.dropped, 1);
	if (!s->told_too_many)
		announce(r, s, storage, "too many storage ids in one session");
	s->told_too_many = true;
}

/*
 * Errors that are over when somebody makes room, or repairs the file system, and until then stop
 * everything. A folder that is read-only by itself, which peers may name, stops nobody.
 */
static bool is_temporary(const struct recorder *r, int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EIO || err == -ENOMEM ||
	       (err == -EROFS && store_is_readonly(&r->store));
}

/*
 * Why no other recording can begin now, or NULL. What waits to be finished lies on disk, and is
 * none of --max-sessions; but it keeps its journal open, by which its name is locked.
 */
static const char *why_full(const struct recorder *r)
{
	int64_t receiving = metric_get(&r->n.receiving),
		waiting = metric_get(&r->n.open) - receiving;

	if (receiving >= r->set.max_sessions)
		return "too many recordings at once; see --max-sessions";
	if (waiting >= RECORDINGS_WAIT_MAX)
		return "too many recordings wait to be finished; see --finishers";
	if ((receiving + 1) * RECORDING_FDS + waiting > r->set.max_fds)
		return "too many recordings for the limit of open descriptors; see ulimit -n";
	return NULL;
}

/* ---- recordings of a target ---- */

/* Ends `rec` for all streams of the target. */
static int end_recording(struct target *t, struct recording *rec, const char *reason)
{
	int ret = recording_end(rec, reason);

	if (ret)
		return ret;
	for (int i = 0; i < STREAMS; i++)
		if (t->recs[i] == rec)
			t->recs[i] = NULL;
	return 0;
}

static int end_target(struct target *t, const struct origin *from, const char *reason)
{
	for (int i = 0; i < STREAMS; i++) {
		struct recording *rec = t->recs[i];
		if (!rec)
			continue;
		if (from)
			journal_set_position(&rec->state, from->ring_id, from->pos);
		int ret = end_recording(t, rec, reason);
		if (ret)
			return ret;
	}
	return 0;
}

static int end_session(struct recorder *r, struct session *s, const struct origin *from,
		       const char *reason)
{
	list_each (i, &s->targets) {
		int ret = end_target(container_of(i, struct target, link), from, reason);
		if (ret)
			return ret;
	}
	session_free(r, s);
	return 0;
}

/* The stream leaves its recording, which ends when it was the last one there. */
static int leave_recording(struct target *t, enum stream stream, const char *reason)
{
	struct recording *rec = t->recs[stream];

	for (int i = 0; i < STREAMS; i++)
		if (i != (int)stream && t->recs[i] == rec && rec->state.streams[i].present) {
			t->recs[stream] = NULL;
			return 0;
		}
	return end_recording(t, rec, reason);
}

/* The recording for a stream that has none: another stream's that lacks this one, or a new one. */
static int join_recording(struct recorder *r, struct session *s, struct target *t,
			  enum stream stream)
{
	struct journal_head head = {0};

	for (int i = STREAMS - 1; i >= 0; i--)
		if (t->recs[i] && !t->recs[i]->state.streams[stream].present) {
			t->recs[stream] = t->recs[i];
			return 0;
		}
	snprintf(head.room, sizeof(head.room), "%s", s->room);
	snprintf(head.session, sizeof(head.session), "%s", s->id);
	snprintf(head.storage, sizeof(head.storage), "%s", t->storage);
	/* The session's own is no folder: nothing can be mistaken for a file of another session. */
	if (strcmp(t->storage, s->id) != 0 && !store_folder_valid(t->storage)) {
		refuse(r, s, t, "the storage id looks like a file name; leave out its extension");
		return 0;
	}
	const char *full = why_full(r);
	if (full) {
		refuse(r, s, t, full);
		return 0;
	}
	int ret = recording_open(&t->recs[stream], r, &head);
	if (ret && !is_temporary(r, ret)) {
		refuse(r, s, t, strerror(-ret));
		return 0;
	}
	if (ret)
		return ret;
	recording_receives(t->recs[stream]);
	t->recs[stream]->mix = mixer_join(r->mixer, s->room);
	if (t->begins_at[stream])
		t->recs[stream]->begins_at = t->begins_at[stream];
	t->begins_at[stream] = 0;
	return 0;
}

static enum stream stream_of(const struct frame *f)
{
	return f->kind == FRAME_AUDIO	? STREAM_AUDIO
	       : f->kind == FRAME_VIDEO ? STREAM_VIDEO
					: STREAM_RTP;
}

/* ---- codecs of a call ---- */

static bool is_picture(const struct frame *f)
{
	return f->kind == FRAME_RTP && f->codec != CODEC_OPUS;
}

static uint64_t codec_bit(uint8_t codec)
{
	return codec < 64 ? 1ull << codec : 0;
}

static void note_codec(struct target *t, const struct frame *f)
{
	if (!is_picture(f))
		return;
	t->replaced &= ~codec_bit(f->codec);
	if (t->codec && t->codec != f->codec)
		t->replaced |= codec_bit(t->codec);
	t->codec = f->codec;
	t->heard_us = f->time_us;
}

/*
 * Whether this is of a codec that another one has replaced and that is still sent. Two pictures
 * with different codecs would otherwise begin a recording with every packet.
 */
static bool is_replaced(const struct target *t, const struct frame *f)
{
	return is_picture(f) && t->replaced & codec_bit(f->codec) &&
	       f->time_us - t->heard_us < SILENT_US;
}

/*
 * The file may not become larger. Samples and packets continue in another recording; the middle of
 * a container cannot, and one that is empty would not help. As try_put.
 */
static int go_beyond(struct recorder *r, struct session *s, struct target *t,
		     const struct origin *from, enum stream stream)
{
	const struct recording *rec = t->recs[stream];
	const struct journal_stream *js = &rec->state.streams[stream];
	bool again = js->parts && rec->writers[stream]->type != &write_chunk;

	if (again)
		t->begins_at[stream] = js->next_part - js->base;
	int ret =
	    again ? leave_recording(t, stream, "file-limit") : end_target(t, from, "file-limit");

	if (ret || again)
		return ret ? ret : 1;
	refuse(r, s, t, "the file is as large as it may be here");
	metric_add(&r->n.dropped, 1);
	return 0;
}

/* 0 when the frame is dealt with, 1 to try with another recording, or -errno. */
static int try_put(struct recorder *r, struct session *s, struct target *t,
		   const struct origin *from, const struct frame *f)
{
	enum stream stream = stream_of(f);

	if (f->kind == FRAME_RTCP && !t->recs[stream]) /* reports alone make no recording */
		return 0;
	int ret = t->recs[stream] || t->refused ? 0 : join_recording(r, s, t, stream);

	if (ret)
		return ret;
	if (t->refused || is_replaced(t, f)) { /* just now, or before */
		metric_add(&r->n.dropped, 1);
		return 0;
	}
	struct recording *rec = t->recs[stream];
	ret = recording_put(rec, stream, f);
	switch (ret) {
	case PUT_STORED:
		note_codec(t, f);
		journal_set_position(&rec->state, from->ring_id, from->pos);
		return 0;
	case PUT_NEW:
		ret = leave_recording(t, stream, "new-stream");
		return ret ? ret : 1;
	case PUT_FULL:
		ret = end_target(t, from, "max-bytes");
		if (!ret)
			refuse(r, s, t, "the recording is as long as --max-bytes allows");
		return ret;
	case PUT_LIMIT:
		return go_beyond(r, s, t, from, stream);
	}
	if (is_temporary(r, ret))
		return ret;
	/* An empty recording that cannot take even its first frame: bad format, no descriptors. */
	ret = end_target(t, from, "error");
	if (!ret)
		refuse(r, s, t, "its data cannot be stored; look at its codec, rate and channels");
	return ret;
}

static int put_media(struct recorder *r, struct session *s, struct target *t,
		     const struct origin *from, const struct frame *f)
{
	int ret = 1;

	t->source = from->source;
	if (!note_position(t, from->ring_id, 0)) {
		if (!t->refused)
			refuse(r, s, t, "it comes from more rings than a journal can hold");
		metric_add(&r->n.dropped, 1);
		return 0;
	}
	/* At most: leave the current recording, find another without room for it, make one. */
	for (int tries = 0; ret == 1 && tries < STREAMS + 1; tries++)
		ret = try_put(r, s, t, from, f);
	if (ret < 0)
		return ret;
	note_position(t, from->ring_id, from->pos);
	return 0;
}

/* ---- frames ---- */

static int on_media(struct recorder *r, const struct origin *from, const struct frame *f)
{
	char storage[ID_SIZE];

	frame_id(f->storage, f->storage_len, storage);
	struct session *s = session_get(r, who_of_frame(f));
	struct target *t = s ? target_get(s, storage) : NULL;
	if (!s)
		return -ENOMEM;
	if (!t) {
		if (s->n_targets < TARGETS_MAX)
			return -ENOMEM;
		refuse_crowd(r, s, storage);
		return 0;
	}
	if (from->ring_id && from->pos <= position_of(t, from->ring_id)) {
		metric_add(&r->n.replayed, 1);
		return 0;
	}
	s->last = mono_now();
	s->source = from->source;
	s->orphan = from->left;
	return put_media(r, s, t, from, f);
}

/*
 * A close that names a storage ends that recording only; otherwise the whole session. What another
 * source feeds is none of its business: somebody in a call who ends a recording of their own, or
 * who has returned by another media thread before the end of their first visit was read.
 */
static int on_close(struct recorder *r, const struct origin *from, const struct frame *f)
{
	char storage[ID_SIZE];

	frame_id(f->storage, f->storage_len, storage);
	struct session *s = session_find(r, who_of_frame(f));
	if (!s)
		return 0;
	list_each_safe (i, &s->targets) {
		struct target *t = container_of(i, struct target, link);
		if (*storage && strcmp(t->storage, storage) != 0)
			continue;
		if (t->source && t->source != from->source)
			continue;
		/* Read again after a crash: what it ended is over, and what is open is younger. */
		if (from->ring_id && from->pos <= position_of(t, from->ring_id))
			continue;
		int ret = end_target(t, from, "close");
		if (ret)
			return ret;
		target_free(s, t);
	}
	if (list_empty(&s->targets))
		session_free(r, s);
	return 0;
}

int session_frame(struct recorder *r, const struct origin *from, const struct frame *f)
{
	switch (f->kind) {
	case FRAME_AUDIO:
	case FRAME_VIDEO:
	case FRAME_RTP:
	case FRAME_RTCP:
		return on_media(r, from, f);
	case FRAME_CLOSE:
		return on_close(r, from, f);
	case FRAME_OPEN: /* recordings begin with their first media */
		return 0;
	}
	metric_add(&r->n.ignored, 1);
	return 0;
}

/* ---- taking over ---- */

int session_remember(struct recorder *r, const struct recording *rec)
{
	struct session *s = session_get(r, who_of_journal(&rec->head));
	struct target *t = s ? target_get(s, rec->head.storage) : NULL;

	if (!t)
		return -ENOMEM;
	s->orphan = true;
	if (!note_positions(t, &rec->state))
		log_warn("'%s' comes from too many rings; a part may be stored twice",
			 rec->name.stem);
	return 0;
}

static bool is_current(const struct target *t, const struct recording *rec)
{
	for (int i = 0; i < STREAMS; i++)
		if (t->recs[i] == rec)
			return true;
	return false;
}

void session_adopt(struct recorder *r, struct recording *rec)
{
	int ret = session_remember(r, rec);

	if (ret) {
		recording_leave(rec, ret);
		return;
	}
	recording_receives(rec);
	struct session *s = session_find(r, who_of_journal(&rec->head));
	struct target *t = target_find(s, rec->head.storage);
	for (int i = 0; i < STREAMS; i++) {
		const struct journal_stream *mine = &rec->state.streams[i];
		struct recording *other = t->recs[i];
		/* Of two recordings with this stream the later one continues. */
		if (!mine->present || (other && other->state.streams[i].first_us > mine->first_us))
			continue;
		t->recs[i] = rec;
		if (other && !is_current(t, other) && (ret = recording_end(other, "new-stream")))
			recording_leave(other, ret);
	}
	if (!is_current(t, rec) && (ret = recording_end(rec, "recover")))
		recording_leave(rec, ret);
}

/* ---- time and ends ---- */

void sessions_orphan(struct recorder *r, uint32_t source)
{
	map_each (i, &r->sessions) {
		struct session *s = container_of(i, struct session, node);
		if (s->source == source)
			s->orphan = true;
	}
}

static void rest(struct session *s, int64_t quiet_us)
{
	list_each (i, &s->targets) {
		struct target *t = container_of(i, struct target, link);
		for (int k = 0; k < STREAMS; k++) {
			struct recording *rec = t->recs[k];
			bool call = rec && rec->state.streams[STREAM_RTP].present;
			if (rec && quiet_us >= (call ? REST_RTP_US : REST_US))
				recording_rest(rec);
		}
	}
}

int sessions_sweep(struct recorder *r)
{
	struct mono now = mono_now();

	map_each (i, &r->sessions) {
		struct session *s = container_of(i, struct session, node);
		int64_t quiet_us = mono_diff_us(now, s->last);
		int64_t max = s->orphan && r->set.idle_us < r->set.max_pause_us
				  ? r->set.idle_us
				  : r->set.max_pause_us;
		if (quiet_us >= max) {
			int ret = end_session(r, s, NULL, "idle");
			if (ret)
				return ret;
		} else if (quiet_us >= REST_US) {
			rest(s, quiet_us);
		}
	}
	return 0;
}

int sessions_end_of(struct recorder *r, uint32_t source, const char *reason)
{
	map_each (i, &r->sessions) {
		struct session *s = container_of(i, struct session, node);
		list_each_safe (k, &s->targets) {
			struct target *t = container_of(k, struct target, link);
			int ret = t->source == source ? end_target(t, NULL, reason) : 0;
			if (ret)
				return ret;
			if (t->source == source)
				target_free(s, t);
		}
		if (list_empty(&s->targets))
			session_free(r, s);
	}
	return 0;
}

int sessions_end_all(struct recorder *r, const char *reason)
{
	map_each (i, &r->sessions) {
		struct session *s = container_of(i, struct session, node);
		int ret = end_session(r, s, NULL, reason);
		if (ret)
			return ret;
	}
	return 0;
}

void sessions_free(struct recorder *r)
{
	map_each (i, &r->sessions) {
		struct session *s = container_of(i, struct session, node);
		list_each (k, &s->targets) {
			struct target *t = container_of(k, struct target, link);
			for (int n = 0; n < STREAMS; n++) {
				struct recording *rec = t->recs[n];
				for (int m = n; m < STREAMS; m++)
					if (t->recs[m] == rec)
						t->recs[m] = NULL;
				recording_free(rec);
			}
		}
		session_free(r, s);
	}
}
