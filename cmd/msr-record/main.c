/*
 * msr-record: media frames into files that play. Options, wiring, start and stop; see recorder.h
 * for the way of a frame.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/opt.h"
#include "base/proc.h"
#include "event/event.h"
#include "ffmpeg.h"
#include "finish.h"
#include "intake.h"
#include "loop/loop.h"
#include "mixer.h"
#include "recorder.h"
#include "recording.h"
#include "recover.h"
#include "session.h"

#define FDS_OWN	      64 /* sources, events, children and the like */
#define SESSIONS_MAX  20000
#define DAY_US	      86400000000
#define TICK_US	      1000000
#define METRICS_TICKS 5
#define FAT_FILE_MAX  0xffffffffu /* bytes */

static struct {
	struct opt_list inputs;
	const char *storage, *events, *metrics;
	bool follow, recover;
	struct settings set;
} opts = {
    .storage = ".",
    .set = {.audio = "mp3",
	    .video = "webm",
	    .pictures = true,
	    .finishers = 2,
	    .idle_us = 60 * 1000000ll,
	    .max_pause_us = 3600 * 1000000ll,
	    .grace_us = 10 * 1000000ll,
	    .mix_wait_us = 10 * 1000000ll},
};

static const struct opt table[] = {
    {'i', "input", OPT_LIST, &opts.inputs, NULL, "SOURCE", "-, path or shm:NAME; repeatable", 0, 0},
    {'d', "storage", OPT_STR, &opts.storage, "MSR_STORAGE", "DIR", "folder for recordings (.)", 0,
     0},
    {'e', "events", OPT_STR, &opts.events, NULL, "PATH", "write events there (stderr)", 0, 0},
    {0, "audio", OPT_STR, &opts.set.audio, "MSR_AUDIO", "FORMAT", "mp3, opus, flac, wav, m4a (mp3)",
     0, 0},
    {0, "video", OPT_STR, &opts.set.video, "MSR_VIDEO", "FORMAT", "webm, mkv, mp4 (webm)", 0, 0},
    {0, "finishers", OPT_INT, &opts.set.finishers, NULL, "N", "finished at once (2)", 1, 64},
    {0, "pictures", OPT_FLAG, &opts.set.pictures, NULL, NULL, "waveforms, posters; --no-pictures",
     0, 0},
    {0, "idle", OPT_TIME, &opts.set.idle_us, NULL, "TIME", "end abandoned sessions after (60s)",
     100000, DAY_US},
    {0, "max-pause", OPT_TIME, &opts.set.max_pause_us, NULL, "TIME",
     "end silent sessions after (1h)", 100000, 365 * DAY_US},
    {0, "sync", OPT_INT, &opts.set.sync_ms, NULL, "MS",
     "make safe against power loss that often; 0: never (0)", 0, 60000},
    {0, "max-sessions", OPT_INT, &opts.set.max_sessions, NULL, "N", "recordings at once", 1,
     1000000},
    {0, "max-bytes", OPT_SIZE, &opts.set.max_bytes, NULL, "SIZE", "of a recording; 0: no bound (0)",
     0, INT64_MAX},
    {0, "follow", OPT_FLAG, &opts.follow, NULL, NULL, "a FIFO: wait for the next writer", 0, 0},
    {0, "grace", OPT_TIME, &opts.set.grace_us, NULL, "TIME", "time to finish after SIGTERM (10s)",
     0, DAY_US},
    {0, "record-mix", OPT_LIST, &opts.set.mix, NULL, "ROOM",
     "one file of everybody when the room is over, or all; repeatable", 0, 0},
    {0, "mix-wait", OPT_TIME, &opts.set.mix_wait_us, NULL, "TIME",
     "a room is over when nobody is recorded for (10s)", 0, DAY_US},
    {0, "metrics", OPT_STR, &opts.metrics, NULL, "FILE", "write Prometheus text there", 0, 0},
    {0, "recover", OPT_FLAG, &opts.recover, NULL, NULL, "finish what was interrupted, and exit", 0,
     0},
    {0, NULL, OPT_FLAG, NULL, NULL, NULL, NULL, 0, 0},
};

static const struct opt_program program = {
    .name = "msr-record",
    .usage = "[-d DIR] [-e EVENTS] [--audio FORMAT] [--video FORMAT] [-i SOURCE ...]\n"
	     "       msr-record --recover [-d DIR]",
    .summary = "Write media frames into files that play.",
    .footer = "Sources are read until they end; a ring (shm:NAME) has no end. See msr-record(8).",
    .opts = table,
};

struct program {
	struct recorder r;
	struct intake *intake;
	struct metrics *metrics;
	struct loop_timer tick, grace;
	unsigned ticks;
	bool input_ended, stopping;
};

/* 0, or the exit status where there is no such format. */
static int check_format(const char *option, const char *format, bool video)
{
	char list[64];

	if (ffmpeg_has_format(format, video))
		return 0;
	ffmpeg_list_formats(video, list, sizeof(list));
	return opt_usage(&program, "%s is %s, not '%s'", option, list, format);
}

/* An exit status, or -1 to start. */
static int check_options(int argc, char **argv)
{
	int next, status;

	enum opt_result parsed = opt_parse(&program, argc, argv, &next);
	if (parsed != OPT_OK)
		return (int)parsed;
	if (next < argc)
		return opt_usage(&program, "'%s' is not expected; sources are given with -i",
				 argv[next]);
	if ((status = check_format("--audio", opts.set.audio, false)) ||
	    (status = check_format("--video", opts.set.video, true)))
		return status;
	for (size_t i = 0; i < opts.set.mix.n; i++)
		if (!id_valid(opts.set.mix.v[i], strlen(opts.set.mix.v[i])))
			return opt_usage(&program, "--record-mix is the name of a room, not '%s'",
					 opts.set.mix.v[i]);
	if (opts.recover && opts.inputs.n)
		return opt_usage(&program, "--recover reads no input");
	return -1;
}

/* ---- metrics ---- */

static void list_metrics(struct metrics *m, const struct counters *n)
{
	metrics_counter(m, "msr_record_frames_total", NULL, "Frames read", &n->frames);
	metrics_counter(m, "msr_record_bytes_total", NULL, "Bytes of frames read", &n->bytes);
	metrics_counter(m, "msr_record_parts_total", NULL, "Parts stored", &n->parts);
	metrics_counter(m, "msr_record_duplicates_total", NULL, "Parts left out as repetitions",
			&n->duplicates);
	metrics_counter(m, "msr_record_missing_total", NULL, "Parts that never came", &n->missing);
	metrics_counter(m, "msr_record_replayed_total", NULL,
			"Frames skipped after a restart because they are stored", &n->replayed);
	metrics_counter(m, "msr_record_ignored_total", NULL, "Frames that are not recorded",
			&n->ignored);
	metrics_counter(m, "msr_record_dropped_total", NULL, "Media of refused sessions",
			&n->dropped);
	metrics_counter(m, "msr_record_refused_total", NULL, "Sessions refused", &n->refused);
	metrics_counter(m, "msr_record_started_total", NULL, "Recordings begun", &n->started);
	metrics_counter(m, "msr_record_finished_total", NULL, "Recordings finished", &n->finished);
	metrics_counter(m, "msr_record_failed_total", NULL, "Recordings that could not be finished",
			&n->failed);
	metrics_counter(m, "msr_record_recovered_total", NULL, "Recordings taken over at start",
			&n->recovered);
	metrics_counter(m, "msr_record_batches_total", NULL, "Batches written", &n->batches);
	metrics_counter(m, "msr_record_disk_full_total", NULL, "Times that writing stood still",
			&n->disk_full);
	metrics_counter(m, "msr_record_resyncs_total", NULL, "Times that input was damaged",
			&n->resyncs);
	metrics_counter(m, "msr_record_skipped_bytes_total", NULL, "Bytes of damaged input",
			&n->skipped);
	metrics_gauge(m, "msr_record_open", NULL, "Recordings open or to be finished", &n->open);
	metrics_gauge(m, "msr_record_receiving", NULL, "Recordings that have not ended",
		      &n->receiving);
	metrics_gauge(m, "msr_record_queued", NULL, "Recordings to be finished", &n->queued);
	metrics_gauge(m, "msr_record_paused", NULL, "1 while the disk is full", &n->paused);
	metrics_process(m);
}

static void write_metrics(struct program *p)
{
	int ret = metrics_write(p->metrics, opts.metrics);

	if (ret)
		log_warn("cannot write '%s': %s", opts.metrics, strerror(-ret));
}

static void on_tick(void *arg)
{
	struct program *p = arg;

	intake_tick(p->intake);
	if (opts.metrics && p->ticks++ % METRICS_TICKS == 0)
		write_metrics(p);
	loop_timer_in_us(&p->tick, TICK_US);
}

/* ---- ends ---- */

/* When all is finished, and nobody can come back, rooms are over without waiting for it. */
static void end_mixes(struct program *p)
{
	if (!p->input_ended || intake_has_rings(p->intake) || !finisher_is_idle(p->r.finisher))
		return;
	int ret = mixer_end_all(p->r.mixer);
	if (ret)
		log_error("cannot start to mix: %s; it is left to the next start", strerror(-ret));
	list_each_safe (i, &p->r.ended)
		finisher_add(p->r.finisher, container_of(i, struct recording, link));
}

static void stop_when_done(struct program *p)
{
	end_mixes(p);
	if (p->input_ended && finisher_is_idle(p->r.finisher))
		loop_stop(p->r.loop, 0);
}

static void on_input_end(void *arg)
{
	struct program *p = arg;

	p->input_ended = true;
	stop_when_done(p);
}

static void on_finisher_idle(void *arg)
{
	stop_when_done(arg);
}

static void on_grace(void *arg)
{
	struct program *p = arg;
	int64_t left = metric_get(&p->r.n.queued);

	if (left)
		log_warn("%lld recordings are left to the next start or --recover",
			 (long long)left);
	loop_stop(p->r.loop, 0);
}

static void on_stop(void *arg)
{
	struct program *p = arg;

	log_info("stopping; send the signal again to quit at once");
	p->stopping = true;
	loop_timer_in_us(&p->grace, opts.set.grace_us);
	finisher_stop(p->r.finisher);
	if (!p->input_ended)
		intake_stop(p->intake, opts.set.grace_us / 2);
}

/* ---- start ---- */

static int open_inputs(struct program *p)
{
	static const char *const standard[] = {"-"};
	const char *const *specs = opts.inputs.n ? opts.inputs.v : standard;
	size_t n = opts.inputs.n ? opts.inputs.n : 1;

	for (size_t i = 0; i < n; i++) {
		unsigned looks = LOCK_LOOKS;
		int ret;

		do
			ret = intake_add(p->intake, specs[i], opts.follow);
		while (ret == -EBUSY && recover_waits(&looks));
		if (ret == -EBUSY)
			log_error("'%s' is being read by another process", specs[i]);
		else if (ret == -ENOENT)
			log_error("cannot open '%s': %s; create it with mkfifo", specs[i],
				  strerror(-ret));
		else if (ret)
			log_error("cannot open '%s': %s", specs[i], strerror(-ret));
		if (ret)
			return ret;
	}
	return 0;
}

static void set_limits(struct settings *set)
{
	size_t fds = proc_raise_nofile();

	set->max_fds = fds > FDS_OWN + RECORDING_FDS ? (int64_t)fds - FDS_OWN : RECORDING_FDS;
	if (!set->max_sessions) {
		set->max_sessions = set->max_fds / RECORDING_FDS;
		if (set->max_sessions > SESSIONS_MAX)
			set->max_sessions = SESSIONS_MAX;
	}
	/* The answer to it is another file. */
	signal(SIGXFSZ, SIG_IGN);
}

/* What a file may have: by our limits, and by the file system where it is known for that. */
static uint64_t max_file(const struct store *s)
{
	struct rlimit limit;
	struct statfs fs;
	uint64_t max = 0;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		max = limit.rlim_cur;
	if (fstatfs(s->dirfd, &fs) == 0 && fs.f_type == MSDOS_SUPER_MAGIC &&
	    (!max || max > FAT_FILE_MAX))
		max = FAT_FILE_MAX;
	return max;
}

static int open_files(struct program *p)
{
	struct recorder *r = &p->r;
	int ret = events_open(&r->events, opts.events, program.name);

	if (ret)
		return ret;
	ret = store_open(&r->store, opts.storage);
	if (ret)
		log_error("cannot open the storage '%s': %s; name it with -d", opts.storage,
			  strerror(-ret));
	return ret;
}

/* 0, or -errno of what failed, which is logged. */
static int start(struct program *p)
{
	struct recorder *r = &p->r;
	int ret;

	set_limits(&opts.set);
	r->set = opts.set;
	r->store.dirfd = -1;
	map_init(&r->sessions);
	list_init(&r->dirty);
	list_init(&r->ended);
	if ((ret = loop_new(&r->loop)) || (ret = loop_stop_signals(r->loop, on_stop, p)) ||
	    (ret = metrics_new(&p->metrics)))
		return log_failure("start", ret);
	loop_timer_init(&p->tick, r->loop, on_tick, p);
	loop_timer_init(&p->grace, r->loop, on_grace, p);
	if ((ret = open_files(p)))
		return ret;
	r->set.max_file = max_file(&r->store);
	if ((ret = mixer_new(&r->mixer, r)) ||
	    (ret = finisher_new(&r->finisher, r, on_finisher_idle, p)) ||
	    (ret = intake_new(&p->intake, r, on_input_end, p)))
		return log_failure("start", ret);
	list_metrics(p->metrics, &r->n);
	events_metrics(r->events, p->metrics);
	if (!opts.recover && (ret = open_inputs(p)))
		return ret;
	if ((ret = recover_all(r, opts.recover)))
		return log_failure("look for what an earlier run left behind", ret);
	return 0;
}

/* Whether anything that was to be recorded is not, which has been said where it happened. */
static bool left_out(const struct program *p)
{
	int64_t refused = metric_get(&p->r.n.refused);

	if (refused)
		log_error("%lld recordings were refused, in whole or in part: 'not recording' "
			  "above says why",
			  (long long)refused);
	return refused || metric_get(&p->r.n.failed);
}

/* The exit status. */
static int run(struct program *p)
{
	loop_timer_in_us(&p->tick, TICK_US);
	intake_start(p->intake);
	int ret = loop_run(p->r.loop);
	if (ret)
		log_error("the event loop failed: %s", strerror(-ret));
	if (opts.metrics)
		write_metrics(p);
	/* A daemon that is told to stop has done its job, also when a recording could not be
	 * finished: it has said so, and continues at the next start. */
	return ret || intake_failed(p->intake) || (!p->stopping && left_out(p));
}

/* Also after a start that failed. */
static void stop(struct program *p)
{
	intake_free(p->intake);
	sessions_free(&p->r);
	list_each_safe (i, &p->r.ended)
		recording_free(container_of(i, struct recording, link));
	finisher_free(p->r.finisher);
	mixer_free(p->r.mixer);
	map_done(&p->r.sessions);
	metrics_free(p->metrics);
	store_close(&p->r.store);
	events_close(p->r.events);
	loop_free(p->r.loop);
}

int main(int argc, char **argv)
{
	static struct program p;
	int status = check_options(argc, argv);

	if (status >= 0)
		return status;
	status = start(&p) ? 1 : run(&p);
	stop(&p);
	return status;
}
