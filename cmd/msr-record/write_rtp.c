/*
 * RTP of a call: the audio and the video track of a user become one Matroska file, in sync by
 * their sender reports, with silence where nothing came.
 *
 *	RTP ──> rtp_track (audio) ──┐
 *	RTP ──> rtp_track (video) ──┼─> mkv_block ──> `out` ──> part file
 *	RTCP ── sender reports ─────┘
 *
 * A frame that the disk has no room for stays in `out`, which is written before anything else is
 * taken. What waits for a lost packet, some seconds at most, is in memory alone.
 */
#include "write.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "media/mkv.h"
#include "rtp/depack.h"
#include "rtp/rtcp.h"
#include "rtp_track.h"

#define SILENCE_US	20000
#define SILENCE_FROM_US 15000		   /* shorter gaps are rounding */
#define MUTED_US	500000		   /* at the end: less is the delay of the network */
#define SILENCE_MAX_US	(4 * 3600000000LL) /* longer ones stay gaps */
#define SPILL_BYTES	(256u << 10)	   /* of `out` that are written at once */

enum { AUDIO, VIDEO, KINDS };

struct rtp_writer;

/* What the sink of a track gets. */
struct rtp_stream {
	struct rtp_writer *w;
	struct rtp_track track;
	bool open;	 /* track exists */
	unsigned number; /* of the file's track; 0: not yet */
	uint64_t told;	 /* how many of track.lost */
};

struct rtp_writer {
	struct writer w;
	struct mkv mkv;
	struct rtp_stream streams[KINDS];
	struct buf out;	 /* blocks that are not in the part file yet */
	bool begun;	 /* the part file has a header */
	bool head_stale; /* it is not the one to be */
	bool placed;	 /* the first block is in the file, and with it the recording's start */
	bool foreign;	 /* the file that was found is not ours: begin another */
};

static struct rtp_writer *writer_of(struct writer *w)
{
	return container_of(w, struct rtp_writer, w);
}

/* ---- to the file ---- */

static int write_head(struct rtp_writer *rw)
{
	uint8_t head[MKV_HEAD];
	int r;

	mkv_head(&rw->mkv, head);
	if (!rw->begun) {
		r = part_append(&rw->w.part, head, sizeof(head));
	} else {
		r = part_flush(&rw->w.part);
		if (!r)
			r = part_patch(&rw->w.part, head, sizeof(head));
	}
	if (r)
		return r;
	rw->begun = true;
	rw->head_stale = false;
	return 0;
}

/* Everything in `out` goes to the part file; header first, as blocks need their track. */
static int spill(struct rtp_writer *rw)
{
	int r = rw->head_stale ? write_head(rw) : 0;

	if (!r && buf_len(&rw->out))
		r = part_append(&rw->w.part, buf_data(&rw->out), buf_len(&rw->out));
	if (!r)
		buf_consume(&rw->out, buf_len(&rw->out));
	return r;
}

static int block(struct rtp_writer *rw, unsigned number, int64_t time_us, bool key,
		 const uint8_t *data, size_t len)
{
	if (buf_len(&rw->out) >= SPILL_BYTES)
		spill(rw); /* where that fails, `out` grows: it is bounded by what tracks hold */
	/* What came before and could not be decoded is not in it; players begin with this one. */
	if (!rw->placed)
		rw->w.state->first_us = rw->mkv.start_wall_us + time_us;
	rw->placed = true;
	return mkv_block(&rw->mkv, &rw->out, number, time_us, key, data, len);
}

/* ---- tracks of the file ---- */

static int add_file_track(struct rtp_writer *rw, struct rtp_stream *s, const struct depack_frame *f)
{
	static const enum mkv_codec codecs[RTP_CODECS] = {
	    [RTP_CODEC_OPUS] = MKV_OPUS, [RTP_CODEC_VP8] = MKV_VP8,   [RTP_CODEC_VP9] = MKV_VP9,
	    [RTP_CODEC_AV1] = MKV_AV1,	 [RTP_CODEC_H264] = MKV_H264,
	};
	struct mkv_track t = {
	    .codec = codecs[s->track.codec], .width = f->width, .height = f->height, .channels = 2};
	size_t len;
	const uint8_t *private = depack_private(s->track.depack, &len);

	if (private && len <= MKV_PRIVATE_MAX) {
		memcpy(t.private, private, len);
		t.private_len = (uint16_t)len;
	}
	int number = mkv_add_track(&rw->mkv, &t);
	if (number < 0)
		return number;
	s->number = (unsigned)number;
	rw->head_stale = true;
	return 0;
}

/* The header tells the largest picture: players make their window of it. */
static void note_size(struct rtp_writer *rw, unsigned number, const struct depack_frame *f)
{
	struct mkv_track *t = &rw->mkv.tracks[number - 1];

	if ((uint32_t)f->width * f->height <= (uint32_t)t->width * t->height)
		return;
	t->width = f->width;
	t->height = f->height;
	rw->head_stale = true;
}

/*
 * Where no sound came there is silence, for players and programs that do not heed gaps. It is in
 * the file then: an end that is tried again does not write it twice.
 */
static int fill_silence(struct rtp_writer *rw, struct rtp_stream *s, int64_t until_us)
{
	static const uint8_t silence[] = {0xf8, 0xff, 0xfe}; /* 20 ms, RFC 6716 */
	int64_t at_us = s->track.time.end_us;
	int r = 0;

	if (until_us - at_us > SILENCE_MAX_US)
		return 0;
	for (; r == 0 && until_us - at_us >= SILENCE_FROM_US; at_us += SILENCE_US)
		r = block(rw, s->number, at_us, true, silence, sizeof(silence));
	s->track.time.end_us = at_us;
	return r;
}

static int take_audio(void *arg, int64_t time_us, const struct depack_frame *f)
{
	struct rtp_stream *s = arg;
	int r = s->number ? fill_silence(s->w, s, time_us) : add_file_track(s->w, s, f);

	return r ? r : block(s->w, s->number, time_us, true, f->data, f->len);
}

static int take_video(void *arg, int64_t time_us, const struct depack_frame *f)
{
	struct rtp_stream *s = arg;

	/* Tracks of pictures have a size; a key frame without one is not a key frame. */
	if (!s->number && !f->width)
		return 0;
	int r = s->number ? 0 : add_file_track(s->w, s, f);
	if (r)
		return r;
	if (f->key)
		note_size(s->w, s->number, f);
	return block(s->w, s->number, time_us, f->key, f->data, f->len);
}

static rtp_track_sink sink_of(int kind)
{
	return kind == AUDIO ? take_audio : take_video;
}

/* ---- the writer ---- */

static int kind_of(const struct frame *f)
{
	return f->codec == CODEC_OPUS ? AUDIO : VIDEO;
}

static enum rtp_codec codec_of(const struct frame *f)
{
	return rtp_codec_of(frame_codec_name(f->codec));
}

/* Continues an earlier file: its tracks, and its time. */
static int resume(struct rtp_writer *rw)
{
	uint8_t head[MKV_HEAD];
	int64_t end_us;

	if (pread(rw->w.part.fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    mkv_resume(&rw->mkv, head, sizeof(head)) < 0) {
		rw->foreign = true;
		return 0;
	}
	rw->begun = rw->placed = true;
	end_us = rw->w.state->last_us - rw->mkv.start_wall_us;
	/* By the clock of a sender whose first packets were late there is more than has arrived. */
	if ((int64_t)rw->w.state->next_part > end_us)
		end_us = (int64_t)rw->w.state->next_part;
	for (unsigned i = 0; i < rw->mkv.n_tracks; i++) {
		static const enum rtp_codec codecs[MKV_CODECS] = {
		    [MKV_OPUS] = RTP_CODEC_OPUS, [MKV_VP8] = RTP_CODEC_VP8,
		    [MKV_VP9] = RTP_CODEC_VP9,	 [MKV_AV1] = RTP_CODEC_AV1,
		    [MKV_H264] = RTP_CODEC_H264,
		};
		enum mkv_codec codec = rw->mkv.tracks[i].codec;
		struct rtp_stream *s = &rw->streams[codec == MKV_OPUS ? AUDIO : VIDEO];
		int r =
		    s->open ? 0 : rtp_track_init(&s->track, codecs[codec], rw->mkv.start_wall_us);
		if (r)
			return r;
		s->open = true;
		s->number = i + 1;
		s->track.time.end_us = end_us > 0 ? end_us : 0;
	}
	return 0;
}

static int rtp_start(struct writer *w)
{
	struct rtp_writer *rw = writer_of(w);

	/* Bounded by what the tracks can have in memory, and far below that in practice. */
	buf_init(&rw->out, 0);
	for (int i = 0; i < KINDS; i++)
		rw->streams[i].w = rw;
	w->state->codec = CODEC_WEBM; /* what the part file is */
	if (part_length(&w->part) > 0)
		return resume(rw);
	mkv_init(&rw->mkv, w->state->first_us);
	return 0;
}

static bool rtp_continues(const struct writer *w, const struct frame *f)
{
	const struct rtp_writer *rw = (const struct rtp_writer *)w; /* begins with it */

	if (rw->foreign)
		return false;
	const struct rtp_stream *s = &rw->streams[kind_of(f)];
	return f->kind == FRAME_RTCP || !s->open || s->track.codec == codec_of(f);
}

static void take_reports(struct rtp_writer *rw, const struct frame *f)
{
	struct rtcp_iter it = rtcp_begin(f->body, f->body_len);
	struct rtcp_msg m;
	struct rtcp_sr sr;

	if (rtcp_check(f->body, f->body_len) < 0)
		return;
	while (rtcp_next(&it, &m)) {
		/* 0: a sender that has no clock, RFC 3550 section 6.4.1 */
		if (rtcp_get_sr(&m, &sr) < 0 || !sr.ntp)
			continue;
		for (int i = 0; i < KINDS; i++) {
			struct rtp_stream *s = &rw->streams[i];
			if (s->open && s->track.started && s->track.ssrc == sr.ssrc)
				timeline_report(&s->track.time, sr.ts, rtcp_ntp_us(sr.ntp));
		}
	}
}

/* Sound is heard to jump, pictures are not seen to: they follow the sound. */
static void sync_tracks(struct rtp_writer *rw)
{
	if (rw->streams[AUDIO].open && rw->streams[VIDEO].open)
		timeline_follow(&rw->streams[VIDEO].track.time, &rw->streams[AUDIO].track.time);
}

static int take_packet(struct rtp_writer *rw, const struct frame *f)
{
	int kind = kind_of(f);
	struct rtp_stream *s = &rw->streams[kind];

	if (!s->open) {
		enum rtp_codec codec = codec_of(f);
		int r = codec ? rtp_track_init(&s->track, codec, rw->mkv.start_wall_us) : 0;
		if (r || !codec) /* one that no file here can hold is left out */
			return r;
		s->open = true;
	}
	return rtp_track_put(&s->track, f, sink_of(kind), s);
}

/* The other track waits no longer for what was lost, though nothing comes there any more. */
static int tick_other(struct rtp_writer *rw, const struct frame *f)
{
	int kind = kind_of(f) == AUDIO ? VIDEO : AUDIO;
	struct rtp_stream *s = &rw->streams[kind];

	return s->open ? rtp_track_tick(&s->track, f->time_us, sink_of(kind), s) : 0;
}

static uint64_t rtp_lost(struct writer *w, enum stream kind, int64_t *time_us)
{
	struct rtp_stream *s = &writer_of(w)->streams[kind == STREAM_AUDIO ? AUDIO : VIDEO];
	uint64_t n = s->track.lost - s->told;

	s->told = s->track.lost;
	*time_us = s->track.lost_us;
	return n;
}

static int rtp_put(struct writer *w, const struct frame *f)
{
	struct rtp_writer *rw = writer_of(w);
	int r = spill(rw);

	if (r) /* nothing is taken while the disk is full */
		return r;
	if (f->kind == FRAME_RTCP) {
		take_reports(rw, f);
		sync_tracks(rw);
		return 0;
	}
	r = take_packet(rw, f);
	sync_tracks(rw);
	int other = tick_other(rw, f);
	r = r ? r : other;
	spill(rw); /* what does not fit now is tried again with the next frame */
	/* Packets are hostile: a bad one is skipped, only memory stops the recording. */
	return r == -ENOMEM ? r : 0;
}

static int rtp_flush(struct writer *w)
{
	struct rtp_writer *rw = writer_of(w);
	int r = spill(rw);

	if (!r)
		r = part_flush(&w->part);
	if (r)
		return r;
	w->state->bytes = w->part.written;
	for (int i = 0; i < KINDS; i++) {
		const struct rtp_stream *s = &rw->streams[i];
		if (s->open && s->track.time.end_us > (int64_t)w->state->next_part)
			w->state->next_part = (uint64_t)s->track.time.end_us;
	}
	return 0;
}

static int rtp_rest(struct writer *w, bool ended)
{
	struct rtp_writer *rw = writer_of(w);
	int r = 0;

	for (int i = 0; i < KINDS; i++)
		if (rw->streams[i].open)
			rtp_track_drain(&rw->streams[i].track, sink_of(i), &rw->streams[i]);
	/* Muted up to the end: that was time as well. */
	struct rtp_stream *sound = &rw->streams[AUDIO];
	int64_t last_us =
	    timeline_arrival(&sound->track.time, w->state->last_us - rw->mkv.start_wall_us);
	if (ended && sound->number && last_us - sound->track.time.end_us > MUTED_US)
		fill_silence(rw, sound, last_us);
	rw->head_stale |= rw->begun; /* for the duration */
	r = spill(rw);
	if (!r)
		r = part_flush(&w->part);
	if (!r)
		part_rest(&w->part);
	return r;
}

static void rtp_cut(struct writer *w)
{
	struct rtp_writer *rw = writer_of(w);

	buf_consume(&rw->out, buf_len(&rw->out));
}

static void rtp_stop(struct writer *w)
{
	struct rtp_writer *rw = writer_of(w);

	for (int i = 0; i < KINDS; i++)
		if (rw->streams[i].open)
			rtp_track_done(&rw->streams[i].track);
	buf_done(&rw->out);
}

const struct writer_type write_rtp = {
    .size = sizeof(struct rtp_writer),
    .start = rtp_start,
    .continues = rtp_continues,
    .lost = rtp_lost,
    .put = rtp_put,
    .flush = rtp_flush,
    .rest = rtp_rest,
    .cut = rtp_cut,
    .stop = rtp_stop,
};
