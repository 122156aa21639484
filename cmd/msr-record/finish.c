/* The queue and the jobs. */
#include "finish.h"

#include <errno.h>
#include <signal.h>
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
#include "loop/loop.h"
#include "job.h"
#include "meta.h"
#include "recorder.h"
#include "recording.h"

#define TRIES	 5	    /* after children that were killed */
#define RETRY_US 1000000    /* until the next try */
#define LOOK_US	 250000	    /* when the disk is full, between two looks for space */
#define LOOKS	 20	    /* then it is tried anyway: of a quota no look tells */
#define STALL_US 600000000  /* a child that gets nowhere for this long is ended */
#define SLOWEST	 1	    /* byte a microsecond: a child that says nothing meanwhile */
#define FREE_MIN (1u << 20) /* bytes; with less, a failure is put down to the full disk */

struct finisher {
	struct recorder *r;
	struct list waiting; /* recordings */
	struct list running; /* jobs */
	int64_t n_running, n_mixing;
	bool starting; /* start_jobs is at work: a job that ends at once needs no second one */
	bool stopping; /* nothing waits for space any more */
	void (*idle)(void *arg);
	void *arg;
};

static bool is_mix(const struct recording *rec)
{
	return rec->state.streams[STREAM_LIST].present;
}

static void job_run(struct job *j);
static void start_jobs(struct finisher *f);

/* ---- jobs ---- */

/* Takes the job off; what waits comes next. */
static void job_end(struct job *j)
{
	struct finisher *f = j->f;

	loop_timer_stop(&j->timer);
	child_free(j->child);
	list_remove(&j->link);
	f->n_mixing -= is_mix(j->rec);
	recording_free(j->rec);
	free(j->mix);
	free(j);
	f->n_running--;
	metric_add(&f->r->n.queued, -1);
	start_jobs(f);
}

static void job_fail(struct job *j, const char *what, const char *why)
{
	struct recorder *r = j->r;
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

static bool publish_again(struct job *j);

static void job_restart(struct job *j)
{
	if (publish_again(j))
		return;
	store_remove_results(&j->r->store, &j->rec->name);
	j->step = 0;
	j->wave = j->poster = false;
	job_run(j);
}

static void job_retry_in(struct job *j, int64_t us)
{
	j->waiting = true;
	loop_timer_in_us(&j->timer, us);
}

/* A stop does not wait for space, of which nobody knows when it comes. */
static void job_leave(struct job *j)
{
	log_warn("'%s' still waits for space: it is left to the next start or --recover",
		 j->rec->name.stem);
	job_end(j);
}

static void say_disk(struct job *j, bool full)
{
	struct event ev;

	j->disk_full = full;
	event_start(&ev, j->r->events, full ? "disk-full" : "disk-ok", j->rec->head.room,
		    j->rec->head.session);
	json_str(&ev.json, "name", j->rec->name.stem);
	json_str(&ev.json, "message",
		 full ? "finishing waits for space" : "finishing has the space it waited for");
	event_send(&ev, j->r->events);
}

static void say_disk_full(struct job *j)
{
	if (j->disk_full)
		return;
	log_error("disk full while finishing '%s'; trying again until there is space",
		  j->rec->name.stem);
	j->full_step = j->step;
	say_disk(j, true);
}

/* What there was no space for is done: a try alone may fail again. */
static void say_disk_ok(struct job *j)
{
	if (j->disk_full)
		say_disk(j, false);
}

static void wait_for_space(struct job *j)
{
	say_disk_full(j);
	if (!j->claimed)
		store_remove_results(&j->r->store, &j->rec->name);
	if (j->f->stopping) {
		job_leave(j);
		return;
	}
	j->looks = LOOKS;
	j->room = store_free_bytes(&j->r->store);
	job_retry_in(j, LOOK_US);
}

/* Whether it is worth a try; a try costs an FFmpeg, and perhaps an hour's conversion. */
static bool has_space(struct job *j)
{
	unsigned long long room = store_free_bytes(&j->r->store);

	if (room < j->room)
		j->room = room;
	if (room - j->room < FREE_MIN)
		return --j->looks <= 0;
	log_info("there is space again; finishing '%s'", j->rec->name.stem);
	j->looks = 0;
	return true;
}

static bool is_disk_full(struct job *j, int err, const char *errors)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG ||
	       strstr(errors, strerror(ENOSPC)) || strstr(errors, strerror(EDQUOT)) ||
	       strstr(errors, strerror(EFBIG)) || store_free_bytes(&j->r->store) < FREE_MIN;
}

/* The step went wrong: wait for space, leave it out, or give up. */
static void step_failed(struct job *j, int err, const char *errors)
{
	const struct step *s = &j->steps[j->step];

	if (is_disk_full(j, err, errors)) {
		wait_for_space(j);
		return;
	}
	if ((err == -EMFILE || err == -ENFILE || err == -EAGAIN || err == -ENOMEM) &&
	    j->tries++ < TRIES) {
		job_retry_in(j, RETRY_US);
		return;
	}
	if (err == -ENODATA && is_mix(j->rec)) {
		log_warn("'%s': nothing is left that could be mixed", j->rec->name.stem);
		store_discard(&j->r->store, &j->rec->name);
		job_end(j);
		return;
	}
	if (step_converts(s) && !j->plain) {
		j->plain = true;
		j->tries = 0;
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

	if (!step_converts(&j->steps[j->step]))
		return;
	double done = ffmpeg_progress((const char *)buf_data(out), buf_len(out));
	buf_consume(out, buf_len(out));
	if (done <= j->done)
		return;
	j->done = done;
	loop_timer_in_us(&j->timer, STALL_US);
	double percent = j->plan.seconds > 0 ? 100 * done / j->plan.seconds : 0;
	event_start(&ev, j->r->events, "progress", j->rec->head.room, j->rec->head.session);
	json_str(&ev.json, "name", j->rec->name.stem);
	json_num(&ev.json, "percent", percent < 100 ? percent : 100, 1);
	event_send(&ev, j->r->events);
}

/* Signals a program causes itself, and would again; other signals come from outside. */
static bool is_crash(int sig)
{
	return sig == SIGSEGV || sig == SIGABRT || sig == SIGILL || sig == SIGFPE ||
	       sig == SIGBUS || sig == SIGSYS || sig == SIGTRAP;
}

static bool has_way_round(const struct job *j)
{
	const struct step *s = &j->steps[j->step];

	return s->optional || (step_converts(s) && !j->plain);
}

static void on_child(void *arg, int status, struct buf *out, const char *errors)
{
	struct job *j = arg;
	const struct step *s = &j->steps[j->step];

	j->child = NULL;
	loop_timer_stop(&j->timer);
	if (WIFSIGNALED(status)) {
		log_warn("'%s': the child process (%s) was killed by signal %d (%s)",
			 j->rec->name.stem, s->what, WTERMSIG(status), strsignal(WTERMSIG(status)));
		bool at_once = is_crash(WTERMSIG(status)) && has_way_round(j);
		if (!at_once && j->tries++ < TRIES)
			job_retry_in(j, RETRY_US);
		else
			step_failed(j, -EPROTO, "its child process was killed every time");
		return;
	}
	int ret = WEXITSTATUS(status) ? -EPROTO : s->done ? s->done(j, out) : 0;
	if (ret) {
		step_failed(j, ret, errors);
		return;
	}
	if (j->step++ >= j->full_step)
		say_disk_ok(j);
	job_run(j);
}

/* What reads a file through and says nothing meanwhile has time for its size. */
static int64_t stall_us(const struct job *j)
{
	struct stat st;

	if (step_converts(&j->steps[j->step]))
		return STALL_US;
	int64_t bytes = (int64_t)recording_bytes(j->rec);
	if (*j->out && stat(j->out, &st) == 0)
		bytes += st.st_size;
	return STALL_US + bytes / SLOWEST;
}

static void on_timer(void *arg)
{
	struct job *j = arg;

	if (j->waiting && j->looks && !has_space(j)) {
		job_retry_in(j, LOOK_US);
	} else if (j->waiting) {
		j->waiting = false;
		job_restart(j);
	} else if (j->child) {
		log_error("'%s': could not %s: no progress for %lld s", j->rec->name.stem,
			  j->steps[j->step].what, (long long)(stall_us(j) / 1000000));
		j->tries = TRIES; /* it would stall again */
		child_kill(j->child);
	}
}

/* Continues with the current step, until one has to wait for its child. */
static void job_run(struct job *j)
{
	struct child_opts o = {j->r->loop, on_output, on_child, j};
	struct args *a = malloc(sizeof(*a));
	char why[64] = "";
	int ret = a ? 1 : -ENOMEM;

	while (a && j->steps[j->step].what && (ret = j->steps[j->step].start(j, a)) == 1)
		j->step++;
	if (!ret && a->full)
		ret = -ENAMETOOLONG;
	if (!ret && (ret = child_start(&j->child, a->v, &o)) == -ENOENT)
		snprintf(why, sizeof(why), "there is no %.20s here; install it", a->v[0]);
	if (!ret)
		loop_timer_in_us(&j->timer, stall_us(j));
	free(a);
	if (ret < 0) {
		step_failed(j, ret, why);
	} else if (ret == 1) {
		say_disk_ok(j);
		job_end(j);
	}
}

/*
 * A run before this one may have got as far as giving the media its name. 1 when it had and all is
 * done now, 0 when it had not, or -errno of what cannot be done now.
 */
static int resume_publishing(struct job *j)
{
	struct store *s = &j->r->store;
	struct store_name final = j->rec->name;
	char path[STORE_PATH_MAX], suffix[32];
	struct meta_found found;
	struct buf b;

	buf_init(&b, 0);
	store_hidden(&j->rec->name, ".json", path);
	int ret = file_read(s->dirfd, path, META_MAX, &b);
	int named = ret ? ret : meta_read((const char *)buf_data(&b), buf_len(&b), &found);
	buf_done(&b);
	if (ret && ret != -ENOENT)
		return ret;
	if (named < 0)
		return 0;
	snprintf(suffix, sizeof(suffix), ".out.%s", found.ext);
	if (store_has(s, &j->rec->name, suffix))
		return 0;
	snprintf(final.stem, sizeof(final.stem), "%s", found.stem);
	snprintf(j->sha256, sizeof(j->sha256), "%s", found.sha256);
	j->unread = found.unread;
	j->probe.duration = found.duration;
	if ((ret = job_note_in_mix(j, &final)) || (ret = job_keep_unread(j, &final)) ||
	    (ret = store_publish(s, &j->rec->name, &final)))
		return ret;
	job_say_finished(j, &final, found.ext);
	return 1;
}

/*
 * False when the media has no name yet. What has one is not made again under another: while it
 * cannot be published it waits, for space or for the next start.
 */
static bool publish_again(struct job *j)
{
	int ret = resume_publishing(j);

	if (!ret && !j->claimed)
		return false;
	if (ret > 0) {
		say_disk_ok(j);
		job_end(j);
		return true;
	}
	j->claimed = true;
	while (j->steps[j->step + 1].what)
		j->step++;
	step_failed(j, ret ? ret : -EBADMSG, "");
	return true;
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
	j->r = f->r;
	j->rec = rec;
	j->steps = is_mix(rec) ? mix_steps : record_steps;
	list_init(&j->link);
	list_push(&f->running, &j->link);
	loop_timer_init(&j->timer, f->r->loop, on_timer, j);
	f->n_running++;
	f->n_mixing += is_mix(rec);
	if (publish_again(j))
		return;
	store_remove_results(&f->r->store, &rec->name);
	if (!has_media(rec)) {
		store_discard(&f->r->store, &rec->name);
		job_end(j);
		return;
	}
	job_run(j);
}

/* ---- the queue ---- */

/*
 * Mixes take long: they leave one place to recordings where there are several, and come after those
 * that wait.
 */
static struct recording *next_recording(struct finisher *f)
{
	int64_t places = f->r->set.finishers > 1 ? f->r->set.finishers - 1 : 1;
	struct recording *mix = NULL;

	list_each (i, &f->waiting) {
		struct recording *rec = container_of(i, struct recording, link);
		if (!is_mix(rec))
			return rec;
		mix = mix ? mix : rec;
	}
	return f->n_mixing < places ? mix : NULL;
}

static void start_jobs(struct finisher *f)
{
	struct recording *rec;

	if (f->starting)
		return;
	f->starting = true;
	while (f->n_running < f->r->set.finishers && (rec = next_recording(f))) {
		list_remove(&rec->link);
		job_begin(f, rec);
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
		if (!j->claimed)
			store_remove_results(&f->r->store, &j->rec->name);
		recording_free(j->rec);
		list_remove(i);
		free(j->mix);
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

void finisher_stop(struct finisher *f)
{
	f->stopping = f->starting = true; /* the next ones not in the middle of this */
	list_each_safe (i, &f->running) {
		struct job *j = container_of(i, struct job, link);
		if (j->waiting && j->looks)
			job_leave(j);
	}
	f->starting = false;
	start_jobs(f);
}

bool finisher_is_idle(const struct finisher *f)
{
	return list_empty(&f->waiting) && !f->n_running;
}
