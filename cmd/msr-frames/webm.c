/*
 * msr-frames webm: the sound of somebody in a call, live, as a stream that ffmpeg and players read.
 *
 *   RTP of the first track of Opus that matches ── jitter ──> in order ── depack ──> WebM, a block
 *   for each packet, at its RTP time
 *
 * A packet that is missing is waited for as long as a listener would not mind. When another stream
 * takes the track's place (a page that was reloaded), time continues as it did in the call.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "command.h"
#include "media/mkv.h"
#include "pump.h"
#include "rtp/depack.h"
#include "rtp/jitter.h"
#include "rtp/packet.h"
#include "rtp/unwrap.h"

#define REORDER_PACKETS 64
#define REORDER_US	100000
#define OPUS_HZ		48000

struct listener {
	FILE *to;
	bool begun;			      /* the header is written; the ids are known */
	char room[ID_SIZE], session[ID_SIZE]; /* whose track it is */
	char storage[ID_SIZE];
	uint32_t ssrc;
	int64_t start_us;	  /* arrival of the first packet, since 1970 */
	int64_t at_us, base_ts;	  /* this RTP time is at that time of the stream */
	int64_t end_us;		  /* of what is written */
	struct rtp_unwrap unwrap; /* of RTP time */
	struct mkv mkv;
	struct jitter *jitter; /* owned */
	struct depack *depack; /* owned */
	struct buf out;
};

static bool same(const char *id, const char *text, size_t len)
{
	return strlen(id) == len && !memcmp(id, text, len);
}

static int write_out(struct listener *l, const void *data, size_t n)
{
	return fwrite(data, 1, n, l->to) == n ? 0 : -errno;
}

static int begin(struct listener *l, const struct frame *f)
{
	struct mkv_track track = {.codec = MKV_OPUS, .channels = 2};
	uint8_t head[MKV_HEAD];

	frame_id(f->room, f->room_len, l->room);
	frame_id(f->session, f->session_len, l->session);
	frame_id(f->storage, f->storage_len, l->storage);
	l->start_us = f->time_us;
	mkv_init(&l->mkv, f->time_us);
	mkv_add_track(&l->mkv, &track);
	mkv_head(&l->mkv, head);
	l->begun = true;
	return write_out(l, head, sizeof(head));
}

/* The packet's time in the stream, never before what is written. */
static int64_t time_of(struct listener *l, uint32_t ts)
{
	int64_t ticks = rtp_unwrap32(&l->unwrap, ts) - l->base_ts;
	int64_t at_us = l->at_us + ticks * 1000000 / OPUS_HZ;

	return at_us > l->end_us ? at_us : l->end_us;
}

static int take(struct listener *l, const struct jitter_packet *jp)
{
	struct depack_frame f;
	struct rtp_packet p;
	int ret = 0;

	if (rtp_parse(&p, jp->data, jp->len, NULL) < 0)
		return 0;
	if (p.ssrc != l->ssrc || jp->reset || !l->end_us) {
		l->ssrc = p.ssrc;
		l->unwrap = (struct rtp_unwrap){0};
		l->base_ts = rtp_unwrap32(&l->unwrap, p.ts);
		l->at_us = jp->arrival_us - l->start_us;
	}
	if (depack_push(l->depack, &p, jp->lost) == -ENOMEM)
		return -ENOMEM;
	while (!ret && depack_next(l->depack, &f)) {
		int64_t at_us = time_of(l, f.ts);
		ret = mkv_block(&l->mkv, &l->out, 1, at_us, true, f.data, f.len);
		l->end_us = at_us + (int64_t)f.samples * 1000000 / OPUS_HZ;
		if (!ret)
			ret = write_out(l, buf_data(&l->out), buf_len(&l->out));
		buf_consume(&l->out, buf_len(&l->out));
	}
	return ret;
}

static int on_frame(void *arg, const struct frame *f)
{
	struct listener *l = arg;
	struct jitter_packet jp;
	struct rtp_packet p;
	int ret = 0;

	if (f->kind != FRAME_RTP || f->codec != CODEC_OPUS ||
	    rtp_parse(&p, f->body, f->body_len, NULL) < 0)
		return 0;
	if (!l->begun)
		ret = begin(l, f);
	else if (!same(l->room, f->room, f->room_len) ||
		 !same(l->session, f->session, f->session_len) ||
		 !same(l->storage, f->storage, f->storage_len))
		return 0;
	if (!ret && jitter_put(l->jitter, p.seq, f->body, f->body_len, f->time_us) == -ENOMEM)
		return -ENOMEM;
	while (!ret && jitter_get(l->jitter, f->time_us, &jp))
		ret = take(l, &jp);
	return ret;
}

static int on_settle(void *arg)
{
	struct listener *l = arg;

	return fflush(l->to) ? -errno : 0;
}

static int run(int argc, char **argv)
{
	const struct jitter_limits limits = {REORDER_PACKETS, REORDER_US, 0};
	struct listener l = {.to = stdout};
	struct jitter_packet jp;
	struct match match;
	struct pump *p;

	if (match_parse(&match, argc, argv))
		return 2;
	buf_init(&l.out, 0);
	int status = 1, ret = jitter_new(&l.jitter, &limits);
	if (!ret)
		ret = depack_new(&l.depack, RTP_CODEC_OPUS);
	if (ret)
		command_fail("cannot start: %s", strerror(-ret));
	else if (pump_open(&p, &match, &(struct pump_handler){on_frame, on_settle, &l}) == 0) {
		status = pump_run(p);
		while (!status && !ret && jitter_drain(l.jitter, &jp))
			ret = take(&l, &jp);
		fflush(stdout);
		pump_close(p);
	}
	jitter_free(l.jitter);
	depack_free(l.depack);
	buf_done(&l.out);
	return status;
}

static const struct opt opts[] = {OPTS_INPUT, {0}};

const struct command cmd_webm = {"webm", "[option ...] [CONDITION ...]",
				 "the sound of a call as a WebM stream", opts, run};
