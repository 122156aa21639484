/* The queue and the jobs. Each step starts a child or has nothing to do; the last one publishes. */
#include "finish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "child.h"
#include "event/event.h"
#include "ffmpeg.h"
#include "loop/loop.h"
#include "meta.h"
#include "recorder.h"
#include "recording.h"

#define TRIES	       5	  /* after children that were killed */
#define RETRY_US       1000000	  /* until the next try */
#define SPACE_RETRY_US 5000000	  /* when the disk is full */
#define STALL_US       600000000  /* a child that gets nowhere for so long is ended */
#define FREE_MIN       (1u << 20) /* bytes; with less, a failure is put down to the full disk */
#define FULL_PATH_MAX  (PATH_MAX + STORE_PATH_MAX)
#define SHA256_HEX     64

struct job {
	struct finisher *f;
	struct list link; /* in finisher.running */
	struct recording *rec;
	struct child *child;
	struct loop_timer timer; /* stall, or the next try */
	bool waiting;		 /* the timer is for the next try */
	int step, tries;
	bool disk_full; /* said so already */
	bool plain;	/* the conversion failed: without what it does in passing */
	struct input in[STREAMS];
	char in_path[STREAMS][FULL_PATH_MAX];
	struct plan plan;
	double done; /* seconds of media converted */
	char out[FULL_PATH_MAX];
	struct probe probe; /* of the result */
	char sha256[SHA256_HEX + 1];
	bool wave, poster;
	bool claimed; /* the media has its final name; only the rest is missing */
};

struct finisher {
	struct recorder *r;
	struct list waiting; /* recordings */
	struct list running; /* jobs */
	int64_t n_running;
	bool starting; /* start_jobs is at work: a job that ends at once needs no second one */
	void (*idle)(void *arg);
	void *arg;
};

/*
 * A step. `start` gives a child its command line in *a (0), or has nothing to do (1), or fails
 * (-errno). `done` looks at what the child printed: 0, or -errno to fail.
 */
struct step {
	const char *what; /* for messages: "could not ..." */
	int (*start)(struct job *j, struct args *a);
	int (*done)(struct job *j, struct buf *out);
	bool optional; /* go on without */
};

static void job_run(struct job *j);
static void start_jobs(struct finisher *f);

static void full_path(struct job *j, const char *suffix, char out[static FULL_PATH_MAX])
{
	char path[STORE_PATH_MAX];

	store_hidden(&j->rec->name, suffix, path);
	snprintf(out, FULL_PATH_MAX, "%s/%s", j->f->r->store.path, path);
}

/* ---- steps ---- */

static int start_probe(struct job *j, struct args *a)
{
	struct input *in = &j->in[j->step];
	const struct journal_stream *s = &j->rec->state.streams[j->step];
	char suffix[32];

	*in = (struct input){
	    .codec = s->codec, .first_us = s->first_us, .last_us = s->last_us, .bytes = s->bytes};
	if (!s->present || !s->bytes)
		return 1;
	snprintf(suffix, sizeof(suffix), ".%s.part", stream_names[j->step]);
	full_path(j, suffix, j->in_path[j->step]);
	in->path = j->in_path[j->step];
	if (probe_pcm(s->codec, s->rate, s->channels, s->bytes, &in->probe) ||
	    (s->codec == CODEC_WEBM && probe_file(in->path, s->codec, &in->probe)))
		return 1;
	ffmpeg_probe(a, in->path, in->codec);
	return 0;
}

static int done_probe(struct job *j, struct buf *out)
{
	return probe_parse((const char *)buf_data(out), buf_len(out), &j->in[j->step].probe);
}

static void picture_path(struct job *j, char out[static FULL_PATH_MAX])
{
	full_path(j, j->plan.video ? ".poster.jpg" : ".wave.png", out);
}

static int start_convert(struct job *j, struct args *a)
{
	char suffix[32], picture[FULL_PATH_MAX];
	bool lost = false;

	for (int i = 0; i < STREAMS; i++)
		lost |= j->rec->state.streams[i].missing > 0;
	if (!ffmpeg_plan(j->in, &j->f->r->set, lost, &j->plan))
		return -ENODATA;
	if (j->plan.seconds <= 0)
		j->plan.seconds =
		    (double)(recording_end_us(j->rec) - recording_start_us(j->rec)) / 1e6;
	snprintf(suffix, sizeof(suffix), ".out.%s", j->plan.ext);
	full_path(j, suffix, j->out);
	j->done = 0;
	picture_path(j, picture);
	ffmpeg_convert(a, j->in, &j->plan, j->out,
		       j->f->r->set.pictures && !j->plain ? picture : NULL);
	return 0;
}

static int start_probe_result(struct job *j, struct args *a)
{
	int codec = CODEC_NONE;

	if (!strcmp(j->plan.ext, "webm") || !strcmp(j->plan.ext, "mkv"))
		codec = CODEC_WEBM;
	if (probe_file(j->out, codec, &j->probe) && j->probe.duration > 0)
		return 1;
	ffmpeg_probe(a, j->out, codec);
	return 0;
}

static int done_probe_result(struct job *j, struct buf *out)
{
	int ret = probe_parse((const char *)buf_data(out), buf_len(out), &j->probe);

	return ret ? ret : j->probe.n ? 0 : -ENODATA;
}

/* False, and nothing left of it, when it is empty. */
static bool has_picture(struct job *j)
{
	struct stat st;
	char path[FULL_PATH_MAX];

	picture_path(j, path);
	bool there = stat(path, &st) == 0 && st.st_size;
	if (!there)
		remove(path);
	*(j->plan.video ? &j->poster : &j->wave) = there;
	return there;
}

/* Where the conversion has not made it in passing. */
static int start_picture(struct job *j, struct args *a)
{
	char out[FULL_PATH_MAX];

	if (!j->f->r->set.pictures || has_picture(j))
		return 1;
	picture_path(j, out);
	if (j->plan.video)
		ffmpeg_poster(a, j->out, j->probe.duration, out);
	else
		ffmpeg_wave(a, j->out, j->probe.duration, out);
	return 0;
}

static int done_picture(struct job *j, struct buf *out)
{
	(void)out;
	return has_picture(j) ? 0 : -ENODATA;
}

static int start_hash(struct job *j, struct args *a)
{
	args_start(a, "sha256sum");
	args_add(a, "--");
	args_add(a, "%s", j->out);
	return 0;
}

static int done_hash(struct job *j, struct buf *out)
{
	const char *text = (const char *)buf_data(out);
	size_t n = buf_len(out);

	if (n && *text == '\\') { /* so it marks names with odd characters */
		text++;
		n--;
	}
	if (n < SHA256_HEX || strspn(text, "0123456789abcdef") != SHA256_HEX)
		return -EBADMSG;
	memcpy(j->sha256, text, SHA256_HEX);
	return 0;
}

static int start_sync(struct job *j, struct args *a)
{
	char path[FULL_PATH_MAX];

	args_start(a, "sync");
	args_add(a, "--");
	args_add(a, "%s", j->out);
	if (j->wave || j->poster) {
		full_path(j, j->poster ? ".poster.jpg" : ".wave.png", path);
		args_add(a, "%s", path);
	}
	return 0;
}

static int describe(void *arg, const struct store_name *final)
{
	struct job *j = arg;
	struct stat st;
	char text[META_MAX];

	if (stat(j->out, &st) < 0)
		return -errno;
	struct meta m = {j->plan.ext, (uint64_t)st.st_size, j->sha256, &j->probe, j->wave,
			 j->poster};
	int len = meta_write(text, j->rec, final, &m);
	return len < 0 ? len : store_write_json(&j->f->r->store, &j->rec->name, text, (size_t)len);
}

static void say_finished(struct job *j, const struct store_name *final, const char *ext)
{
	struct recorder *r = j->f->r;
	char suffix[16], file[STORE_PATH_MAX];
	struct event ev;
	struct stat st;

	snprintf(suffix, sizeof(suffix), ".%s", ext);
	store_visible(final, suffix, file);
	event_start(&ev, r->events, "finished", j->rec->head.room, j->rec->head.session);
	if (*j->rec->head.storage)
		json_str(&ev.json, "storage", j->rec->head.storage);
	json_str(&ev.json, "name", final->stem);
	json_str(&ev.json, "file", file);
	if (*j->sha256) {
		json_num(&ev.json, "duration", j->probe.duration, 3);
		json_str(&ev.json, "sha256", j->sha256);
	}
	if (fstatat(r->store.dirfd, file, &st, 0) == 0)
		json_uint(&ev.json, "bytes", (uint64_t)st.st_size);
	event_send(&ev, r->events);
	log_info("finished room %s session %s: %s", j->rec->head.room, j->rec->head.session, file);
	metric_add(&r->n.finished, 1);
}

static int start_publish(struct job *j, struct args *a)
{
	struct store *s = &j->f->r->store;
	struct store_name final;
	int ret = store_claim(s, &j->rec->name, j->plan.ext, describe, j, &final);

	(void)a;
	if (ret)
		return ret;
	j->claimed = true;
	if ((ret = store_publish(s, &j->rec->name, &final)))
		return ret;
	say_finished(j, &final, j->plan.ext);
	return 1;
}

static const struct step steps[] = {
    /* one for each stream of a recording, in their order */
    {"read what was received", start_probe, done_probe, true},
    {"read what was received", start_probe, done_probe, true},
    {"read what was received", start_probe, done_probe, true},
    {"convert it", start_convert, NULL, false},
    {"read the result", start_probe_result, done_probe_result, false},
    {"make the picture", start_picture, done_picture, true},
    {"compute the checksum", start_hash, done_hash, false},
    {"make it safe on disk", start_sync, NULL, true},
    {"give it its name", start_publish, NULL, false},
};
#define N_STEPS ((int)(sizeof(steps) / sizeof(steps[0])))
_Static_assert(STREAMS == 3, "the first steps are one for each stream");

#define STEP_CONVERT STREAMS

/* ---- jobs ---- */

/* Takes the job off; what waits comes next. */
static void job_end(struct job *j)
{
	struct finisher *f = j->f;

	loop_timer_stop(&j->timer);
	child_free(j->child);
	list_remove(&j->link);
	recording_free(j->rec);
	free(j);
	f->n_running--;
	metric_add(&f->r->n.queued, -1);
	start_jobs(f);
}

static void job_fail(struct job *j, const char *what, const char *why)
{
	struct recorder *r = j->f->r;
	char files[STORE_PATH_MAX];
	struct event ev;

	if (!j->claimed)
		store_remove_results(&r->store, &j->rec->name);
	store_hidden(&j->rec->name, ".*.part", files);
	log_error(
	    "could not finish room %s session %s: could not %s: %s; what was received stays as "
	    "'%s/%s' and is tried again by the next start or --recover",
	    j->rec->head.room, j->rec->head.session, what, why, r->store.path, files);
	event_start(&ev, r->events, "finish-failed", j->rec->head.room, j->rec->head.session);
	json_str(&ev.json, "name", j->rec->name.stem);
	json_str(&ev.json, "message", why);
	json_str(&ev.json, "files", files);
	event_send(&ev, r->events);
	metric_add(&r->n.failed, 1);
	job_end(j);
}

static bool resume_publishing(struct job *j);

static void job_restart(struct job *j)
{
	if (j->claimed) {
		if (resume_publishing(j))
			job_end(j);
		else
			job_fail(j, "give it its name", "its files cannot be renamed");
		return;
	}
	store_remove_results(&j->f->r->store, &j->rec->name);
	j->step = 0;
	j->wave = j->poster = false;
	job_run(j);
}

static void job_retry_in(struct job *j, int64_t us)
{
	j->waiting = true;
	loop_timer_in_us(&j->timer, us);
}

static bool is_disk_full(struct job *j, int err, const char *errors)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG ||
	       strstr(errors, strerror(ENOSPC)) || strstr(errors, strerror(EDQUOT)) ||
	       strstr(errors, strerror(EFBIG)) || store_free_bytes(&j->f->r->store) < FREE_MIN;
}

/* The step went wrong: wait for space, leave it out, or give up. */
static void step_failed(struct job *j, int err, const char *errors)
{
	struct recorder *r = j->f->r;
	const struct step *s = &steps[j->step];
	struct event ev;

	if (is_disk_full(j, err, errors)) {
		if (!j->disk_full) {
			log_error(
			    "disk full while finishing '%s'; trying again until there is space",
			    j->rec->name.stem);
			event_start(&ev, r->events, "disk-full", j->rec->head.room,
				    j->rec->head.session);
			json_str(&ev.json, "message", "finishing waits for space");
			event_send(&ev, r->events);
		}
		j->disk_full = true;
		if (!j->claimed)
			store_remove_results(&r->store, &j->rec->name);
		job_retry_in(j, SPACE_RETRY_US);
		return;
	}
	if ((err == -EMFILE || err == -ENFILE || err == -EAGAIN || err == -ENOMEM) &&
	    j->tries++ < TRIES) {
		job_retry_in(j, RETRY_US);
		return;
	}
	if (s->start == start_convert && !j->plain) {
		j->plain = true;
		job_run(j);
		return;
	}
	if (s->optional) {
		log_warn("'%s': could not %s: %s", j->rec->name.stem, s->what,
			 *errors ? errors : strerror(-err));
		j->step++;
		job_run(j);
		return;
	}
	job_fail(j, s->what,
		 *errors	   ? errors
		 : err == -ENODATA ? "there is nothing to play in it"
				   : strerror(-err));
}

static void on_output(void *arg, struct buf *out)
{
	struct job *j = arg;
	struct event ev;

	if (j->step != STEP_CONVERT)
		return;
	double done = ffmpeg_progress((const char *)buf_data(out), buf_len(out));
	buf_consume(out, buf_len(out));
	if (done <= j->done)
		return;
	j->done = done;
	loop_timer_in_us(&j->timer, STALL_US);
	double percent = j->plan.seconds > 0 ? 100 * done / j->plan.seconds : 0;
	event_start(&ev, j->f->r->events, "progress", j->rec->head.room, j->rec->head.session);
	json_str(&ev.json, "name", j->rec->name.stem);
	json_num(&ev.json, "percent", percent < 100 ? percent : 100, 1);
	event_send(&ev, j->f->r->events);
}

static void on_child(void *arg, int status, struct buf *out, const char *errors)
{
	struct job *j = arg;
	const struct step *s = &steps[j->step];

	j->child = NULL;
	loop_timer_stop(&j->timer);
	if (WIFSIGNALED(status)) {
		log_warn("'%s': child that was to %s was ended by signal %d (%s)",
			 j->rec->name.stem, s->what, WTERMSIG(status), strsignal(WTERMSIG(status)));
		if (j->tries++ < TRIES)
			job_retry_in(j, RETRY_US);
		else
			job_fail(j, s->what, "its child is ended by a signal each time");
		return;
	}
	int ret = WEXITSTATUS(status) ? -EPROTO : s->done ? s->done(j, out) : 0;
	if (ret) {
		step_failed(j, ret, errors);
		return;
	}
	j->step++;
	job_run(j);
}

static void on_timer(void *arg)
{
	struct job *j = arg;

	if (j->waiting) {
		j->waiting = false;
		job_restart(j);
	} else if (j->child) {
		log_error("'%s': could not %s: no progress for %d s", j->rec->name.stem,
			  steps[j->step].what, (int)(STALL_US / 1000000));
		j->tries = TRIES; /* it would stall again */
		child_kill(j->child);
	}
}

/* Goes on with the current step, until one has to wait for its child. */
static void job_run(struct job *j)
{
	struct child_opts o = {j->f->r->loop, on_output, on_child, j};
	struct args *a = malloc(sizeof(*a));
	int ret = a ? 1 : -ENOMEM;

	while (a && j->step < N_STEPS && (ret = steps[j->step].start(j, a)) == 1)
		j->step++;
	if (!ret && a->full)
		ret = -ENAMETOOLONG;
	if (!ret)
		ret = child_start(&j->child, a->v, &o);
	if (!ret)
		loop_timer_in_us(&j->timer, STALL_US);
	char program[64] = "";
	if (ret == -ENOENT && j->step < N_STEPS - 1)
		snprintf(program, sizeof(program), "there is no %.20s here; install it", a->v[0]);
	free(a);
	if (ret < 0)
		step_failed(j, ret, program);
	else if (ret == 1)
		job_end(j);
}

/* A run before this one may have got as far as giving names. True when it had, and all is done. */
static bool resume_publishing(struct job *j)
{
	struct store *s = &j->f->r->store;
	struct store_name final = j->rec->name;
	char path[STORE_PATH_MAX], ext[8], suffix[32];
	struct buf b;
	bool done = false;

	buf_init(&b, 0);
	store_hidden(&j->rec->name, ".json", path);
	if (file_read(s->dirfd, path, META_MAX, &b) == 0 &&
	    meta_read_name((const char *)buf_data(&b), buf_len(&b), final.stem, ext) == 0) {
		snprintf(suffix, sizeof(suffix), ".out.%s", ext);
		done = !store_has(s, &j->rec->name, suffix) &&
		       store_publish(s, &j->rec->name, &final) == 0;
	}
	buf_done(&b);
	if (done)
		say_finished(j, &final, ext);
	return done;
}

static bool has_media(const struct recording *rec)
{
	for (int i = 0; i < STREAMS; i++)
		if (rec->state.streams[i].bytes)
			return true;
	return false;
}

static void job_begin(struct finisher *f, struct recording *rec)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j) {
		/* Its files stay for the next start. */
		log_error("no memory to finish '%s'", rec->name.stem);
		metric_add(&f->r->n.queued, -1);
		metric_add(&f->r->n.failed, 1);
		recording_free(rec);
		return;
	}
	j->f = f;
	j->rec = rec;
	list_init(&j->link);
	list_push(&f->running, &j->link);
	loop_timer_init(&j->timer, f->r->loop, on_timer, j);
	f->n_running++;
	if (store_has(&f->r->store, &rec->name, ".json") && resume_publishing(j)) {
		job_end(j);
		return;
	}
	store_remove_results(&f->r->store, &rec->name);
	if (!has_media(rec)) {
		store_discard(&f->r->store, &rec->name);
		job_end(j);
		return;
	}
	job_run(j);
}

/* ---- the queue ---- */

static void start_jobs(struct finisher *f)
{
	struct list *first;

	if (f->starting)
		return;
	f->starting = true;
	while (f->n_running < f->r->set.finishers && (first = list_first(&f->waiting))) {
		list_remove(first);
		job_begin(f, container_of(first, struct recording, link));
	}
	f->starting = false;
	if (finisher_is_idle(f))
		f->idle(f->arg);
}

int finisher_new(struct finisher **fp, struct recorder *r, void (*idle)(void *arg), void *arg)
{
	struct finisher *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	*f = (struct finisher){.r = r, .idle = idle, .arg = arg};
	list_init(&f->waiting);
	list_init(&f->running);
	*fp = f;
	return 0;
}

void finisher_free(struct finisher *f)
{
	if (!f)
		return;
	list_each_safe (i, &f->running) {
		struct job *j = container_of(i, struct job, link);
		loop_timer_stop(&j->timer);
		child_free(j->child);
		store_remove_results(&f->r->store, &j->rec->name);
		recording_free(j->rec);
		list_remove(i);
		free(j);
	}
	list_each_safe (i, &f->waiting)
		recording_free(container_of(i, struct recording, link));
	free(f);
}

void finisher_add(struct finisher *f, struct recording *rec)
{
	list_remove(&rec->link);
	list_push(&f->waiting, &rec->link);
	metric_add(&f->r->n.queued, 1);
	start_jobs(f);
}

bool finisher_is_idle(const struct finisher *f)
{
	return list_empty(&f->waiting) && !f->n_running;
}
