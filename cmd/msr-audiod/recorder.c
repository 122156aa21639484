/*
 * Recording. The sink never delays a client: when it is full, parts are left out, counted, told in
 * one event a gap, and the next part carries FRAME_GAP; its number says how many are missing. So
 * are those of a message that was lost on its way.
 */
#include "recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/metrics.h"
#include "event/event.h"
#include "frame/frame.h"
#include "frame/sink.h"

#define PART_MAX (1u << 20) /* bytes of a part; whole samples of any format */

struct recorder {
	struct recorder_opts opts;
	struct sink *sink;
	metric_t n_frames, n_dropped, n_lost;
};

struct record {
	struct recorder *recorder;
	char session[ID_SIZE];
	uint8_t codec, channels;
	uint32_t rate;
	uint64_t part;
	uint64_t dropped; /* in the gap that is open */
};

static void on_lost(void *arg, int err)
{
	(void)arg;
	log_warn("the reader of the sink is gone: %s; sound is not recorded until one comes",
		 strerror(-err));
}

int recorder_new(struct recorder **out, const struct recorder_opts *opts)
{
	struct recorder *r = calloc(1, sizeof(*r));
	struct sink_opts so = {.loop = opts->loop, .lost = on_lost};
	int ret;

	if (!r)
		return -ENOMEM;
	r->opts = *opts;
	ret = sink_open(&r->sink, opts->sink, &so);
	if (ret < 0) {
		free(r);
		return ret;
	}
	metrics_counter(opts->metrics, "msr_audiod_recorded_frames_total", NULL,
			"Frames given to the sink", &r->n_frames);
	metrics_counter(opts->metrics, "msr_audiod_recorded_dropped_total", NULL,
			"Frames that a full sink refused", &r->n_dropped);
	metrics_counter(opts->metrics, "msr_audiod_recorded_lost_total", NULL,
			"Frames whose sound was lost with a worker or a program", &r->n_lost);
	*out = r;
	return 0;
}

void recorder_free(struct recorder *r, int timeout_ms)
{
	if (!r)
		return;
	sink_close(r->sink, timeout_ms);
	free(r);
}

void recorder_flush(struct recorder *r)
{
	if (r)
		sink_flush(r->sink);
}

static int put(struct record *rec, enum frame_kind kind, const uint8_t *body, size_t len)
{
	struct recorder *r = rec->recorder;
	struct frame f = {
	    .kind = (uint8_t)kind,
	    .flags = rec->dropped ? FRAME_GAP : 0,
	    .codec = rec->codec,
	    .channels = rec->channels,
	    .source = SOURCE_MICROPHONE,
	    .rate = rec->rate,
	    .time_us = clock_wall_us(),
	    .part = rec->part,
	    .room = r->opts.room,
	    .room_len = (uint8_t)strlen(r->opts.room),
	    .session = rec->session,
	    .session_len = (uint8_t)strlen(rec->session),
	    .body = body,
	    .body_len = (uint32_t)len,
	};
	int ret = sink_put(r->sink, &f, NULL);

	metric_add(ret < 0 ? &r->n_dropped : &r->n_frames, 1);
	return ret;
}

struct record *record_open(struct recorder *r, const char *session, const struct chain_spec *chain)
{
	static const uint8_t codecs[SAMPLE_FORMATS] = {
	    [SAMPLE_U8] = CODEC_U8, [SAMPLE_S16LE] = CODEC_S16LE, [SAMPLE_F32LE] = CODEC_F32LE};
	struct record *rec = r ? calloc(1, sizeof(*rec)) : NULL;

	if (!rec)
		return NULL;
	rec->recorder = r;
	memcpy(rec->session, session, strlen(session) + 1);
	rec->codec = codecs[chain->format];
	rec->channels = chain->channels;
	rec->rate = chain->rate;
	put(rec, FRAME_OPEN, NULL, 0);
	return rec;
}

static void put_part(struct record *rec, const uint8_t *data, size_t len)
{
	if (!data)
		metric_add(&rec->recorder->n_lost, 1);
	if (data && put(rec, FRAME_AUDIO, data, len) == 0) {
		rec->dropped = 0;
	} else if (rec->dropped++ == 0) {
		struct event ev;
		event_start(&ev, rec->recorder->opts.events, "record-gap", rec->recorder->opts.room,
			    rec->session);
		json_uint(&ev.json, "part", rec->part);
		event_send(&ev, rec->recorder->opts.events);
	}
	rec->part++;
}

void record_put(struct record *rec, enum record_side side, const uint8_t *data, size_t len)
{
	if (!rec || rec->recorder->opts.side != side)
		return;
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < PART_MAX ? len - at : PART_MAX;
		put_part(rec, data ? data + at : NULL, n);
	}
}

void record_close(struct record *rec)
{
	if (!rec)
		return;
	/* If even this is lost, msr-record ends the session when it has been silent for long. */
	put(rec, FRAME_CLOSE, NULL, 0);
	free(rec);
}
