/*
 * msr-frames make: wraps a file or standard input as the frames of a session.
 *
 *   bytes → chunks (whole samples, or as they come) → open, parts, close → sink
 *
 * It blocks where it reads, writes and keeps time; a signal ends it with a proper close.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "command.h"
#include "frame/sink.h"
#include "media/sniff.h"
#include "out.h"

#define PCM_CHUNK_US  20000 /* of sound in a chunk of raw PCM */
#define DEFAULT_CHUNK 65536 /* bytes otherwise */

static const char *kind_name = "audio", *codec_name, *source_name, *room, *session, *storage;
static int64_t rate, channels, chunk, first_part, every_us;
static bool realtime, with_open = true, with_close = true;

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

struct maker {
	struct sink *sink;
	struct frame f;
	uint8_t *buf; /* of `chunk` bytes */
	bool fill;    /* chunks are of exactly that size */
	int64_t start_us;
	struct mono start;
	uint64_t bytes; /* so far */
	int64_t n;	/* chunks so far */
};

/* ---- options ---- */

static int set_id(const char *option, const char *id, const char **to, uint8_t *len, bool needed)
{
	if (!id && needed)
		return command_usage("--%s is needed", option);
	if (id && !id_valid(id, strlen(id)))
		return command_usage("--%s '%s': " ID_RULE, option, id);
	*to = id ? id : "";
	*len = (uint8_t)strlen(*to);
	return 0;
}

static int set_fields(struct frame *f)
{
	int kind = frame_kind_of(kind_name), codec = codec_name ? frame_codec_of(codec_name) : 0;
	int source = source_name ? frame_source_of(source_name) : 0;

	if (set_id("room", room, &f->room, &f->room_len, true) ||
	    set_id("session", session, &f->session, &f->session_len, true) ||
	    set_id("storage", storage, &f->storage, &f->storage_len, false))
		return 2;
	if (kind < 0 || kind == FRAME_OPEN || kind == FRAME_CLOSE)
		return command_usage("--kind is audio, video, rtp, rtcp or text, not '%s'",
				     kind_name);
	if (codec < 0)
		return command_usage("no such codec: '%s'; msr-frame(5) lists them", codec_name);
	if (source < 0)
		return command_usage("--source is microphone, camera or screen, not '%s'",
				     source_name);
	f->kind = (uint8_t)kind;
	f->codec = (uint8_t)codec;
	f->source = (uint8_t)source;
	if (frame_pcm_bytes(codec)) {
		rate = rate ? rate : 48000;
		channels = channels ? channels : 1;
	}
	f->rate = (uint32_t)rate;
	f->channels = (uint8_t)channels;
	f->part = (uint64_t)first_part;
	return 0;
}

/* Whole sample frames for raw PCM: 20 ms of them unless told otherwise. */
static int set_chunk(struct maker *m)
{
	int64_t unit = (int64_t)frame_pcm_bytes(m->f.codec) * channels;

	m->fill = chunk || unit;
	if (!chunk)
		chunk = unit ? rate * PCM_CHUNK_US / 1000000 * unit : DEFAULT_CHUNK;
	if (!chunk) /* a sample is longer */
		chunk = unit;
	if (unit && (chunk < unit || chunk % unit))
		return command_usage(
		    "--chunk is a multiple of %lld bytes with this codec and channels",
		    (long long)unit);
	m->buf = malloc((size_t)chunk);
	return m->buf ? 0 : command_fail("out of memory");
}

/* ---- reading ---- */

/* A chunk: full or, where that is all right, what there is. 0 at the end, or -errno. */
static ssize_t read_chunk(const struct maker *m, int fd)
{
	size_t n = 0;

	while (n < (size_t)chunk && !stopped) {
		ssize_t got = read(fd, m->buf + n, (size_t)chunk - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		n += (size_t)got;
		if (got == 0 || !m->fill)
			break;
	}
	return (ssize_t)n;
}

/* ---- writing ---- */

static int put(struct maker *m, uint8_t kind, const void *body, size_t n)
{
	struct frame g = m->f;

	g.kind = kind;
	g.body = body;
	g.body_len = (uint32_t)n;
	if (kind == FRAME_OPEN || kind == FRAME_CLOSE) {
		g.codec = 0;
		g.rate = 0;
		g.channels = 0;
		g.source = 0;
		g.part = 0;
		g.storage_len = 0;
	}
	return sink_put(m->sink, &g, NULL);
}

/* How much of the stream's time has gone by, where that can be known. */
static int64_t stream_us(const struct maker *m)
{
	int64_t unit = (int64_t)frame_pcm_bytes(m->f.codec) * channels;

	if (every_us)
		return m->n * every_us;
	return unit ? (int64_t)(m->bytes / (uint64_t)unit * 1000000 / (uint64_t)rate) : -1;
}

/* Sleeps until the stream's time has come; a signal ends that too. */
static void keep_time(const struct maker *m, int64_t at_us)
{
	int64_t us = mono_diff_us(mono_add_us(m->start, at_us), mono_now());

	if (us > 0)
		nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

static int put_part(struct maker *m, size_t n)
{
	int64_t at_us = stream_us(m);

	if (!m->n && !m->f.codec)
		m->f.codec = (uint8_t)sniff_container(m->buf, n, NULL);
	if (realtime && at_us >= 0)
		keep_time(m, at_us);
	/* Without a clock of its own the stream has that of its arrival. */
	m->f.time_us = at_us >= 0 ? m->start_us + at_us : clock_wall_us();
	int ret = put(m, m->f.kind, m->buf, n);
	m->f.part++;
	m->bytes += n;
	m->n++;
	return ret;
}

static int make_session(struct maker *m, int fd)
{
	static const char reason_end[] = "{\"reason\":\"end\"}";
	ssize_t n = 0;
	int ret = 0;

	m->start = mono_now();
	m->start_us = m->f.time_us = clock_wall_us();
	if (with_open)
		ret = put(m, FRAME_OPEN, NULL, 0);
	while (!ret && !stopped && (n = read_chunk(m, fd)) > 0)
		ret = put_part(m, (size_t)n);
	if (!ret && with_close)
		ret = put(m, FRAME_CLOSE, reason_end, sizeof(reason_end) - 1);
	if (ret == -EPIPE) /* the reader has seen enough */
		return 0;
	if (ret)
		return command_fail("cannot write to '%s': %s", output, command_why(ret));
	return n < 0 ? command_fail("cannot read: %s", strerror(-(int)n)) : 0;
}

static int run(int argc, char **argv)
{
	struct sink_opts opts = {.ring_size = (size_t)out_ring_size};
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct maker m = {0};
	int fd = STDIN_FILENO;

	if (argc > 1)
		return command_usage("one FILE, or none for standard input");
	int status = set_fields(&m.f);
	if (!status)
		status = set_chunk(&m);
	if (!status && argc && (fd = open(argv[0], O_RDONLY | O_CLOEXEC)) < 0)
		status = command_fail("cannot open '%s': %s", argv[0], strerror(errno));
	if (!status) {
		int ret = sink_open(&m.sink, output, &opts);
		if (ret < 0)
			status = command_fail("cannot write to '%s': %s", output, command_why(ret));
	}
	/* The second signal ends it at once. */
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if (!status)
		status = make_session(&m, fd);
	sink_close(m.sink, 0);
	free(m.buf);
	return status;
}

static const struct opt opts[] = {
    {'k', "kind", OPT_STR, &kind_name, NULL, "KIND", "audio, video, rtp, rtcp or text (audio)", 0,
     0},
    {'r', "room", OPT_STR, &room, NULL, "ROOM", "id of the room", 0, 0},
    {'s', "session", OPT_STR, &session, NULL, "SESSION", "id of the session", 0, 0},
    {0, "storage", OPT_STR, &storage, NULL, "ID", "storage id (none)", 0, 0},
    {'c', "codec", OPT_STR, &codec_name, NULL, "CODEC", "what the bytes are (by their own mark)", 0,
     0},
    {0, "rate", OPT_INT, &rate, NULL, "HZ", "samples a second (48000 for raw PCM)", 1, 768000},
    {0, "channels", OPT_INT, &channels, NULL, "N", "channels (1 for raw PCM)", 1, 255},
    {0, "source", OPT_STR, &source_name, NULL, "SOURCE", "microphone, camera or screen (none)", 0,
     0},
    {0, "chunk", OPT_SIZE, &chunk, NULL, "BYTES", "size of a part (20 ms of PCM, or 64K)", 1,
     FRAME_BODY_MAX},
    {0, "part", OPT_INT, &first_part, NULL, "N", "number of the first part (0)", 0, INT64_MAX},
    {0, "every", OPT_TIME, &every_us, NULL, "TIME", "time from one part to the next", 1,
     3600000000},
    {'R', "realtime", OPT_FLAG, &realtime, NULL, NULL, "at the pace of the sound, or of --every", 0,
     0},
    {0, "open", OPT_FLAG, &with_open, NULL, NULL, "begin with an open frame (default)", 0, 0},
    {0, "close", OPT_FLAG, &with_close, NULL, NULL, "end with a close frame (default)", 0, 0},
    OPT_OUTPUT,
    OPT_RING_SIZE,
    {0}};

const struct command cmd_make = {"make", "--room ROOM --session SESSION [option ...] [FILE]",
				 "wraps a file as the frames of a session", opts, run};
