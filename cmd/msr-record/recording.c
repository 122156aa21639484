/* Recordings: parts in order and once, gaps noted, journal behind the files. */
#include "recording.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "event/event.h"
#include "frame/frame.h"
#include "mixer.h"
#include "recorder.h"

#define LOSS_APART_US 1000000	  /* losses that far apart are two gaps */
#define RESENT_US     10000000	  /* senders keep some seconds of what is not acknowledged */
#define LIMIT_SPARE   (16u << 20) /* bytes: frames held by the tracks of a call, and more */

static struct recording *recording_new(struct recorder *r)
{
	struct recording *rec = calloc(1, sizeof(*rec));

	if (!rec)
		return NULL;
	rec->recorder = r;
	rec->journal = -1;
	rec->begins_at = 1;
	rec->state.phase = PHASE_OPEN;
	list_init(&rec->dirty);
	list_init(&rec->link);
	metric_add(&r->n.open, 1);
	return rec;
}

void recording_receives(struct recording *rec)
{
	metric_add(&rec->recorder->n.receiving, !rec->receives);
	rec->receives = true;
}

static void receives_no_more(struct recording *rec)
{
	metric_add(&rec->recorder->n.receiving, -(int64_t)rec->receives);
	rec->receives = false;
}

void recording_free(struct recording *rec)
{
	if (!rec)
		return;
	receives_no_more(rec);
	metric_add(&rec->recorder->n.open, -1);
	list_remove(&rec->dirty);
	list_remove(&rec->link);
	for (int i = 0; i < STREAMS; i++)
		writer_close(rec->writers[i]);
	if (rec->journal >= 0)
		close(rec->journal);
	mixer_leave(rec->mix);
	free(rec);
}

void recording_leave(struct recording *rec, int err)
{
	log_error("recovering '%s': %s; it is left for the next start", rec->name.stem,
		  strerror(-err));
	metric_add(&rec->recorder->n.failed, 1);
	recording_free(rec);
}

static void mark_dirty(struct recording *rec)
{
	rec->rested = false;
	if (list_empty(&rec->dirty))
		list_push(&rec->recorder->dirty, &rec->dirty);
}

/* ---- beginning and taking over ---- */

int recording_open(struct recording **rp, struct recorder *r, const struct journal_head *h)
{
	struct recording *rec = recording_new(r);
	struct event ev;

	if (!rec)
		return -ENOMEM;
	rec->head = *h;
	int ret = store_reserve(&r->store, h, &rec->state, &rec->name, &rec->journal);
	if (ret) {
		recording_free(rec);
		return ret;
	}
	metric_add(&r->n.started, 1);
	event_start(&ev, r->events, "recording-start", h->room, h->session);
	if (*h->storage)
		json_str(&ev.json, "storage", h->storage);
	json_str(&ev.json, "name", rec->name.stem);
	event_send(&ev, r->events);
	*rp = rec;
	return 0;
}

/* A part that was made, but of which nothing had reached the journal when the end came. */
static void remove_unknown(struct recording *rec, const char *path)
{
	struct store *store = &rec->recorder->store;

	if (unlinkat(store->dirfd, path, 0) == 0)
		log_info("'%s/%s' had only begun; it is removed", store->path, path);
}

/*
 * Opens the part files as long as the journal says. Only one that is gone is done without: of one
 * that cannot be opened now the next start may know more.
 */
static int resume_streams(struct recording *rec)
{
	struct store *store = &rec->recorder->store;
	char path[STORE_PATH_MAX];

	for (int i = 0; i < STREAMS; i++) {
		struct journal_stream *s = &rec->state.streams[i];
		store_part(&rec->name, i, path);
		if (!s->present) {
			remove_unknown(rec, path);
			continue;
		}
		int ret = writer_open(&rec->writers[i], s, i, NULL, store->dirfd, path);
		if (ret && ret != -ENOENT)
			return ret;
		if (ret) {
			log_error("cannot continue '%s/%s': %s", store->path, path, strerror(-ret));
			s->present = false;
			continue;
		}
		if (part_length(&rec->writers[i]->part) < s->bytes) {
			log_warn(
			    "'%s/%s' is shorter than its journal says: the machine must have lost "
			    "power; it ends there",
			    store->path, path);
			/* The journal counts parts as stored that are not; nobody got an ack. */
			rec->torn = true;
		}
		recording_rest(rec);
		rec->rested = false;
	}
	return 0;
}

int recording_resume(struct recording **rp, struct recorder *r, const struct store_name *name)
{
	struct recording *rec = recording_new(r);
	char path[STORE_PATH_MAX];

	if (!rec)
		return -ENOMEM;
	rec->name = *name;
	store_hidden(name, ".journal", path);
	int ret = journal_open(&rec->journal, r->store.dirfd, path, &rec->head, &rec->state);
	if (!ret && !store_has_parts(&r->store, name) && !store_has(&r->store, name, ".json")) {
		/* Reserved, and killed before the first part; or finished but for the journal. */
		unlinkat(r->store.dirfd, path, 0);
		ret = -ENODATA;
	}
	if (!ret && rec->state.phase == PHASE_OPEN)
		ret = resume_streams(rec);
	if (ret) {
		recording_free(rec);
		return ret;
	}
	*rp = rec;
	return 0;
}

/* ---- parts ---- */

static bool same_as_first(const struct journal_stream *s, const struct frame *f)
{
	return s->first_len == f->body_len && s->first_crc == crc32c(0, f->body, f->body_len);
}

static void note_duplicate(struct recording *rec, struct journal_stream *s)
{
	s->duplicates++;
	metric_add(&rec->recorder->n.duplicates, 1);
}

/* Numbers are the peer's: sums stay within their types whatever it says. */
static void add_up(uint64_t *sum, uint64_t n)
{
	*sum = *sum + n < *sum ? UINT64_MAX : *sum + n;
}

static void count_missing(struct recording *rec, enum stream stream, uint64_t missing)
{
	add_up(&rec->state.streams[stream].missing, missing);
	metric_add(&rec->recorder->n.missing, missing < UINT32_MAX ? (int64_t)missing : UINT32_MAX);
}

/* `kind` tells what is missing; a call has both in one stream, and no part numbers. */
static void note_gap(struct recording *rec, enum stream kind, uint64_t part, uint64_t missing,
		     int64_t time_us)
{
	struct journal_state *st = &rec->state;
	struct recorder *r = rec->recorder;
	struct event ev;
	int64_t at_us;

	/* Times are the peer's as well. */
	if (__builtin_sub_overflow(time_us, recording_start_us(rec), &at_us))
		at_us = 0;
	if (st->n_gaps < JOURNAL_GAPS)
		st->gaps[st->n_gaps] = (struct journal_gap){
		    .stream = (uint8_t)kind,
		    .part = part,
		    .missing = missing,
		    .at_us = at_us,
		};
	st->n_gaps++;
	event_start(&ev, r->events, "gap", rec->head.room, rec->head.session);
	json_str(&ev.json, "name", rec->name.stem);
	json_str(&ev.json, "kind", stream_names[kind]);
	if (!st->streams[STREAM_RTP].present)
		json_uint(&ev.json, "part", part);
	json_uint(&ev.json, "missing", missing);
	event_send(&ev, r->events);
}

/* What a call lost: on a bad network that is a packet every now and then, for minutes. */
static void note_losses(struct recording *rec, enum stream stream)
{
	struct journal_state *st = &rec->state;
	struct writer *w = rec->writers[stream];

	for (int kind = 0; w->type->lost && kind < STREAM_RTP; kind++) {
		struct recording_loss *l = &rec->loss[kind];
		int64_t at_us;
		uint64_t n = w->type->lost(w, (enum stream)kind, &at_us);
		if (!n)
			continue;
		mark_dirty(rec);
		count_missing(rec, stream, n);
		if (!l->last_us || at_us - l->last_us > LOSS_APART_US) {
			l->gap = st->n_gaps;
			note_gap(rec, (enum stream)kind, 0, n, at_us);
		} else if (l->gap < JOURNAL_GAPS) {
			add_up(&st->gaps[l->gap].missing, n);
		}
		l->last_us = at_us;
	}
}

static void lacks_parts(struct recording *rec, enum stream stream, uint64_t part, uint64_t missing,
			const struct frame *next)
{
	count_missing(rec, stream, missing);
	note_gap(rec, stream, part, missing, next->time_us);
}

static int add_stream(struct recording *rec, enum stream stream, const struct frame *f)
{
	struct journal_stream *s = &rec->state.streams[stream];
	char path[STORE_PATH_MAX];

	store_part(&rec->name, stream, path);
	int ret =
	    writer_open(&rec->writers[stream], s, stream, f, rec->recorder->store.dirfd, path);
	if (ret)
		return ret;
	s->first_len = f->body_len;
	s->first_crc = crc32c(0, f->body, f->body_len);
	mark_dirty(rec);
	/* Parts count from 0 or from 1: what begins later lacks a beginning. */
	if (rec->writers[stream]->type->numbered && f->part > rec->begins_at)
		lacks_parts(rec, stream, rec->begins_at, f->part - rec->begins_at, f);
	return 0;
}

static bool is_silence(const struct frame *f)
{
	return frame_pcm_bytes(f->codec) && !memcmp(f->body, f->body + 1, f->body_len - 1);
}

/* Whether it came too late to be what its sender has not seen acknowledged. */
static bool is_late(const struct journal_stream *s, const struct frame *f)
{
	int64_t after_us;

	return __builtin_sub_overflow(f->time_us, s->first_us, &after_us) || after_us > RESENT_US;
}

/*
 * Whether a part number not above the highest means that the producer counts afresh. Only the first
 * part tells, by its data; where that is silence, which begins every stream of a quiet microphone,
 * by its time.
 */
static bool counts_afresh(const struct journal_stream *s, const struct frame *f)
{
	return f->part == s->first_part && s->parts > 1 && f->body_len &&
	       (!same_as_first(s, f) || (is_silence(f) && is_late(s, f)));
}

/* The part's number in this recording; false when it is a repetition. */
static bool place_part(struct journal_stream *s, const struct frame *f, uint64_t *part)
{
	if (__builtin_add_overflow(f->part, s->base, part))
		return false;
	if (*part >= s->next_part)
		return true;
	if (!counts_afresh(s, f))
		return false;
	s->base = s->next_part - f->part;
	*part = s->next_part;
	return true;
}

/* The part's place: 1 to store it, 0 for a repetition, or -errno of a write. */
static int take_place(struct recording *rec, enum stream stream, const struct frame *f)
{
	struct journal_stream *s = &rec->state.streams[stream];
	struct writer *w = rec->writers[stream];
	uint64_t part;
	int ret;

	if (!place_part(s, f, &part)) {
		note_duplicate(rec, s);
		return 0;
	}
	if (part > s->next_part && s->parts) {
		uint64_t missing = part - s->next_part;
		if (w->type->gap && (ret = w->type->gap(w, missing, f)))
			return ret;
		lacks_parts(rec, stream, s->next_part, missing, f);
	}
	s->next_part = part; /* a gap is noted once, also when the disk is full now */
	return 1;
}

static int store_frame(struct recording *rec, enum stream stream, const struct frame *f)
{
	struct journal_stream *s = &rec->state.streams[stream];
	struct writer *w = rec->writers[stream];
	int ret = w->type->numbered ? take_place(rec, stream, f) : 1;

	if (ret <= 0)
		return ret; /* 0 is PUT_STORED */
	if ((ret = w->type->put(w, f)))
		return ret;
	s->next_part += w->type->numbered;
	s->parts++;
	s->chunk_bytes = f->body_len;
	s->last_us = f->time_us;
	metric_add(&rec->recorder->n.parts, 1);
	note_losses(rec, stream);
	return PUT_STORED;
}

/*
 * Whether the frame fits a file that may not become larger than it may. What a call has taken waits
 * in memory for what was lost, and a mute becomes silence later: that needs spare room.
 */
static bool fits_file(const struct recording *rec, enum stream stream, const struct frame *f)
{
	const struct writer *w = rec->writers[stream];
	uint64_t max = rec->recorder->set.max_file;
	uint64_t spare = w->type->numbered ? 0 : max / 8 < LIMIT_SPARE ? max / 8 : LIMIT_SPARE;

	return !max || part_length(&w->part) + f->body_len + spare <= max;
}

int recording_put(struct recording *rec, enum stream stream, const struct frame *f)
{
	struct journal_stream *s = &rec->state.streams[stream];
	int64_t max = rec->recorder->set.max_bytes;

	if (!rec->writers[stream]) {
		int ret = s->present ? PUT_NEW : add_stream(rec, stream, f);
		if (ret)
			return ret;
	}
	mark_dirty(rec);
	if (!rec->writers[stream]->type->continues(rec->writers[stream], f)) {
		/* Unless it is the first part once more. */
		if (!rec->writers[stream]->type->numbered || f->part + s->base >= s->next_part ||
		    !same_as_first(s, f))
			return PUT_NEW;
		note_duplicate(rec, s);
		return PUT_STORED;
	}
	if (max && recording_bytes(rec) + f->body_len > (uint64_t)max)
		return PUT_FULL;
	if (rec->at_limit || !fits_file(rec, stream, f))
		return PUT_LIMIT;
	int ret = store_frame(rec, stream, f);
	return ret == -EFBIG ? PUT_LIMIT : ret;
}

/* ---- flushing and ending ---- */

/* All or, at a limit, what the file has. */
static int flush_stream(struct recording *rec, struct writer *w)
{
	int ret = w->type->flush(w);

	if (ret != -EFBIG)
		return ret;
	ret = part_flush(&w->part); /* without what was to come behind it */
	if (ret && ret != -EFBIG)
		return ret;
	log_error("'%s' may not become larger; what was to come to its end is lost",
		  rec->name.stem);
	if (w->type->cut)
		w->type->cut(w);
	part_cut(&w->part);
	rec->at_limit = true;
	return w->type->flush(w);
}

int recording_flush(struct recording *rec)
{
	for (int i = 0; i < STREAMS; i++) {
		int ret = rec->writers[i] ? flush_stream(rec, rec->writers[i]) : 0;
		if (ret)
			return ret;
	}
	int ret = journal_write(rec->journal, &rec->state);
	if (!ret)
		list_remove(&rec->dirty);
	return ret;
}

void recording_rest(struct recording *rec)
{
	if (rec->rested)
		return;
	rec->rested = true;
	for (int i = 0; i < STREAMS; i++) {
		if (!rec->writers[i])
			continue;
		rec->writers[i]->type->rest(rec->writers[i], false);
		note_losses(rec, (enum stream)i);
	}
}

static int end_streams(struct recording *rec)
{
	for (int i = 0; i < STREAMS; i++) {
		struct writer *w = rec->writers[i];
		int ret = w ? w->type->rest(w, true) : 0;
		if (w)
			note_losses(rec, (enum stream)i);
		if (w && (!ret || ret == -EFBIG))
			ret = flush_stream(rec, w);
		if (ret)
			return ret;
	}
	return 0;
}

int recording_end(struct recording *rec, const char *reason)
{
	struct recorder *r = rec->recorder;
	uint64_t parts = 0, missing = 0;
	struct event ev;
	int ret = recording_flush(rec);

	if (!ret)
		ret = end_streams(rec);
	if (ret)
		return ret;
	rec->state.phase = PHASE_ENDED;
	if ((ret = journal_write(rec->journal, &rec->state))) {
		rec->state.phase = PHASE_OPEN;
		return ret;
	}
	for (int i = 0; i < STREAMS; i++) {
		parts += rec->state.streams[i].parts;
		missing += rec->state.streams[i].missing;
		writer_close(rec->writers[i]);
		rec->writers[i] = NULL;
	}
	receives_no_more(rec);
	list_remove(&rec->dirty);
	list_push(&r->ended, &rec->link);
	event_start(&ev, r->events, "recording-stop", rec->head.room, rec->head.session);
	json_str(&ev.json, "name", rec->name.stem);
	json_str(&ev.json, "reason", reason);
	json_uint(&ev.json, "bytes", recording_bytes(rec));
	json_uint(&ev.json, "parts", parts);
	json_uint(&ev.json, "missing", missing);
	event_send(&ev, r->events);
	return 0;
}

/* ---- sums ---- */

int64_t recording_start_us(const struct recording *rec)
{
	int64_t first = INT64_MAX;

	for (int i = 0; i < STREAMS; i++)
		if (rec->state.streams[i].present && rec->state.streams[i].first_us < first)
			first = rec->state.streams[i].first_us;
	return first == INT64_MAX ? 0 : first;
}

int64_t recording_end_us(const struct recording *rec)
{
	int64_t last = recording_start_us(rec);

	for (int i = 0; i < STREAMS; i++)
		if (rec->state.streams[i].present && rec->state.streams[i].last_us > last)
			last = rec->state.streams[i].last_us;
	return last;
}

uint64_t recording_bytes(const struct recording *rec)
{
	uint64_t sum = 0;

	for (int i = 0; i < STREAMS; i++)
		sum += rec->writers[i] ? part_length(&rec->writers[i]->part)
				       : rec->state.streams[i].bytes;
	return sum;
}
