/* The file of a call on a disk that is full for a while. */
#include "../../../cmd/msr-record/write.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../support/test.h"
#include "rtp/packet.h"

#define ORIGIN	1750000000000000LL
#define OPUS_US 20000
#define MUTE_US 2000000

/* A call of one second of sound. */
static struct writer *open_call(struct journal_state *st, const char *path)
{
	struct journal_stream *s = &st->streams[STREAM_RTP];
	uint8_t packet[RTP_HEADER + 3] = {0x80, [RTP_HEADER] = 0xf8, 0xff, 0xfe};
	struct frame f = {.kind = FRAME_RTP,
			  .codec = CODEC_OPUS,
			  .body = packet,
			  .body_len = sizeof(packet),
			  .time_us = ORIGIN};
	struct writer *w;

	CHECK_INT(writer_open(&w, s, STREAM_RTP, &f, AT_FDCWD, path), 0);
	for (unsigned i = 0; i < 50; i++) {
		rtp_set_seq(packet, (uint16_t)i);
		rtp_set_ts(packet, i * 960);
		f.part = i;
		f.time_us = s->last_us = ORIGIN + i * OPUS_US;
		CHECK_INT(w->type->put(w, &f), 0);
	}
	CHECK_INT(w->type->flush(w), 0);
	return w;
}

/* The end as recording_end tries it. 0 or -errno. */
static int end_call(struct writer *w)
{
	int ret = w->type->flush(w);

	if (!ret)
		ret = w->type->rest(w, true);
	return ret ? ret : w->type->flush(w);
}

TEST(silence_at_the_end_is_written_once_however_often_ending_is_tried)
{
	struct journal_state good = {0}, tried = {0};
	struct rlimit old, small;
	char path[2][256];

	snprintf(path[0], sizeof(path[0]), "%s/good", test_dir());
	snprintf(path[1], sizeof(path[1]), "%s/tried", test_dir());
	struct writer *a = open_call(&good, path[0]), *b = open_call(&tried, path[1]);
	uint64_t before = good.streams[STREAM_RTP].bytes;
	good.streams[STREAM_RTP].last_us += MUTE_US;
	tried.streams[STREAM_RTP].last_us += MUTE_US;
	CHECK_INT(end_call(a), 0);
	signal(SIGXFSZ, SIG_IGN);
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){before, old.rlim_max};
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
	int ended = end_call(b);
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
	CHECK_INT(ended, -EFBIG);
	CHECK_INT(end_call(b), 0);
	/* Two seconds of 9 bytes each 20 ms, at least. */
	CHECK(good.streams[STREAM_RTP].bytes > before + 99 * 9);
	CHECK_INT(tried.streams[STREAM_RTP].bytes, good.streams[STREAM_RTP].bytes);
	writer_close(a);
	writer_close(b);
}
