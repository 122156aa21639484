/* Walks the storage and feeds recordings to task.c, a small step each turn of the loop. */
#include "scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "event/event.h"
#include "ledger.h"
#include "loop/loop.h"
#include "name.h"

#define QUEUE_MAX   1024       /* recordings that wait */
#define PASSED_MAX  65536      /* and of those that were looked at and have no task */
#define SLICE	    (8u << 20) /* bytes digested in a turn, about 10 ms */
#define LOCKED_US   2000       /* until another look at a locked ledger */
#define RETRY_US    10000000   /* until what failed is tried again */
#define MIN_LOOK_US 200000     /* between two looks at what is not finished */
#define CHAT_FOLDER "chat"     /* in which msr-chat keeps what people send each other */
#define WARN_MAX    20	       /* badly named files that get a line each */

struct queued {
	struct list link;     /* in scan.queue, or alone */
	struct map_node node; /* in scan.queued or scan.passed */
	char key[KEY_SIZE];
};

struct scan {
	struct scan_opts o;
	struct list queue; /* of struct queued, owned */
	struct map queued; /* the same by key */
	/*
	 * Of struct queued, owned: looked at since a scan was last asked for, and still without a
	 * task. They would be found, and fill the queue, again and again, and what comes behind
	 * them would never have its turn.
	 */
	struct map passed;
	struct task *task; /* the first of the queue, being digested; owned */
	bool overflow;	   /* something did not fit: scan again when the queue is empty */
	bool recovered;	   /* publications cut off earlier were ended */
	bool stopped;
	struct loop_timer work; /* armed while the queue is not empty */
	struct loop_timer look; /* next look at what was not finished */
	struct scan_stats st;
};

static void on_work(void *arg);
static void on_look(void *arg);

int scan_new(struct scan **sp, const struct scan_opts *opts)
{
	struct scan *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->o = *opts;
	list_init(&s->queue);
	map_init(&s->queued);
	map_init(&s->passed);
	loop_timer_init(&s->work, opts->loop, on_work, s);
	loop_timer_init(&s->look, opts->loop, on_look, s);
	*sp = s;
	return 0;
}

/* The first of the queue, for the caller to free. */
static struct queued *take_first(struct scan *s)
{
	struct queued *q = container_of(list_first(&s->queue), struct queued, link);

	list_remove(&q->link);
	map_remove(&s->queued, &q->node);
	task_free(s->task);
	s->task = NULL;
	return q;
}

/* It is not looked at again before a scan is asked for, or it changes. Takes it. */
static void pass(struct scan *s, struct queued *q)
{
	if (s->passed.n >= PASSED_MAX || map_put(&s->passed, &q->node, q->key, strlen(q->key)) < 0)
		free(q);
}

static void forget(struct scan *s, struct map_node *passed)
{
	map_remove(&s->passed, passed);
	free(container_of(passed, struct queued, node));
}

static void forget_passed(struct scan *s)
{
	map_each (i, &s->passed)
		forget(s, i);
}

void scan_free(struct scan *s)
{
	if (!s)
		return;
	while (!list_empty(&s->queue))
		free(take_first(s));
	forget_passed(s);
	map_done(&s->queued);
	map_done(&s->passed);
	loop_timer_stop(&s->work);
	loop_timer_stop(&s->look);
	free(s);
}

bool scan_busy(const struct scan *s)
{
	return loop_timer_armed(&s->work);
}

void scan_stop(struct scan *s)
{
	s->stopped = true;
	loop_timer_stop(&s->look);
	loop_timer_stop(&s->work);
}

void scan_stats(const struct scan *s, struct scan_stats *out)
{
	*out = s->st;
}

/* ---- the queue ---- */

static void work_in(struct scan *s, int64_t us)
{
	if (!s->stopped && loop_timer_in_us(&s->work, us) < 0)
		log_error("out of memory; what waits is found by the next scan");
}

static void look_in(struct scan *s, int64_t us)
{
	struct mono at = mono_add_us(mono_now(), us < MIN_LOOK_US ? MIN_LOOK_US : us);

	if (!s->o.again || s->stopped)
		return;
	if (!loop_timer_armed(&s->look) || mono_diff_us(at, s->look.at) < 0)
		loop_timer_at(&s->look, at);
}

static void push(struct scan *s, const char *key)
{
	size_t len = strlen(key);

	if (s->stopped || map_get(&s->queued, key, len) || map_get(&s->passed, key, len) ||
	    task_had(s->o.dirs, s->o.ledger, key))
		return;
	struct queued *q = s->queued.n < QUEUE_MAX ? calloc(1, sizeof(*q)) : NULL;
	if (!q) {
		s->overflow = true;
		return;
	}
	memcpy(q->key, key, len + 1);
	if (map_put(&s->queued, &q->node, q->key, len) < 0) {
		s->overflow = true;
		free(q);
		return;
	}
	list_push(&s->queue, &q->link);
	if (!loop_timer_armed(&s->work))
		work_in(s, 0);
}

/* ---- finding ---- */

/* The printable form of a hostile file name is left to the log, which replaces control bytes. */
static void badly_named(struct scan *s, const char *folder, const char *file)
{
	if (s->st.badly_named++ < WARN_MAX)
		log_warn("skipping '%s%s%s': not named after a session; " ID_RULE,
			 folder ? folder : "", folder ? "/" : "", file);
}

static bool has_json(const struct scan *s, const char *key)
{
	char json[PATH_ROOM];

	name_path(json, key, "", ".json");
	return faccessat(s->o.dirs->storage_fd, json, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void consider(struct scan *s, const char *folder, const char *file, size_t name_len)
{
	/* What people send each other is no recording, unless a .json says so. */
	bool sent = folder && strcmp(folder, CHAT_FOLDER) == 0;
	char key[KEY_SIZE];

	if (!name_len || file[0] == '.')
		return;
	if (!name_session(file, name_len)) {
		if (!sent)
			badly_named(s, folder, file);
		return;
	}
	name_key(key, folder, file, name_len);
	if (!sent || has_json(s, key))
		push(s, key);
}

void scan_file(struct scan *s, const char *folder, const char *file)
{
	size_t len = strlen(file), name_len = name_of_media(file);
	char key[KEY_SIZE];

	if (len > 5 && !strcmp(file + len - 5, ".json")) {
		/* Beside which media file it stands is for task_inspect to find out. */
		if (file[0] == '.' || !name_session(file, len - 5))
			return;
		name_len = len - 5;
	}
	name_key(key, folder, file, name_len);
	struct map_node *passed = map_get(&s->passed, key, strlen(key));
	if (passed)
		forget(s, passed);
	consider(s, folder, file, name_len);
}

/* Reads one folder, which is at `fd` (taken); at the top its folders too if `deep`. */
static void read_folder(struct scan *s, int fd, const char *folder, bool deep)
{
	DIR *dir = fdopendir(fd);

	if (!dir) {
		close(fd);
		return;
	}
	errno = 0;
	for (struct dirent *e; (e = readdir(dir));) {
		const char *name = e->d_name;
		consider(s, folder, name, name_of_media(name));
		if (!deep || name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
			continue;
		int sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0 && id_valid(name, strlen(name)))
			read_folder(s, sub, name, false);
		else if (sub >= 0)
			close(sub);
	}
	closedir(dir);
}

void scan_folder(struct scan *s, const char *folder)
{
	int fd = openat(s->o.dirs->storage_fd, folder ? folder : ".",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		read_folder(s, fd, folder, false);
}

static void look_through(struct scan *s)
{
	int fd = openat(s->o.dirs->storage_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		log_error("cannot read the storage '%s': %s", s->o.dirs->storage, strerror(errno));
		s->st.failed++;
		return;
	}
	s->st.scans++;
	s->overflow = false;
	read_folder(s, fd, NULL, true);
	/* Also with nothing found: recovery and the idle handler run from the loop. */
	if (!loop_timer_armed(&s->work))
		work_in(s, 0);
}

void scan_all(struct scan *s)
{
	forget_passed(s);
	look_through(s);
}

static void on_look(void *arg)
{
	scan_all(arg);
}

/* ---- working ---- */

static void announce(struct scan *s, const struct task *t)
{
	char path[PATH_ROOM];
	struct event ev;

	s->st.made++;
	name_path(path, task_key(t), "", ".task");
	log_info("task %s", path);
	event_start(&ev, s->o.events, "task", task_room(t)[0] ? task_room(t) : NULL,
		    task_session(t));
	json_str(&ev.json, "task", path);
	json_int(&ev.json, "files", task_n_files(t));
	json_int(&ev.json, "bytes", task_bytes(t));
	event_send(&ev, s->o.events);
	if (s->o.made)
		s->o.made(s->o.arg, task_key(t));
}

/*
 * One step for the first of the queue. 1: it has its task; 0: it can have none now; -EAGAIN:
 * continue in *wait_us; or -errno.
 */
static int step(struct scan *s, const char *key, int64_t *wait_us)
{
	int64_t unsettled = 0;

	*wait_us = 0;
	if (!s->task) {
		int ret = task_inspect(&s->task, s->o.dirs, key, s->o.settle_us, &unsettled);
		if (ret == -EAGAIN) {
			log_debug("%s: not finished yet", key);
			look_in(s, unsettled);
		}
		return ret == -EAGAIN || ret == -ENOENT ? 0 : ret ? ret : -EAGAIN;
	}
	int ret = task_digest(s->task, SLICE);
	if (ret == 0)
		return -EAGAIN;
	if (ret == -EAGAIN) {
		look_in(s, s->o.settle_us);
		return 0;
	}
	if (ret < 0)
		return ret;
	ret = task_publish(s->task, s->o.dirs, s->o.ledger);
	if (ret == -EAGAIN)
		*wait_us = LOCKED_US;
	if (ret == 1)
		announce(s, s->task);
	return ret < 0 ? ret : 1;
}

/* Once before anything else: what an earlier run left half done. False: not yet. */
static bool recovered(struct scan *s)
{
	if (s->recovered)
		return true;
	int ret = task_recover(s->o.dirs, s->o.ledger);
	if (ret == -EAGAIN) {
		work_in(s, LOCKED_US);
		return false;
	}
	if (ret < 0) {
		log_error("cannot look for unfinished publications in '%s': %s", s->o.dirs->tasks,
			  strerror(-ret));
		s->st.failed++;
	}
	return s->recovered = true;
}

static void failed(struct scan *s, const char *key, int err)
{
	log_error("cannot make the task of %s: %s", key, strerror(-err));
	s->st.failed++;
	/* The publication may have come half way. */
	s->recovered = false;
	look_in(s, RETRY_US);
}

/* What did not fit into the queue. */
static void next_part(struct scan *s)
{
	if (s->passed.n < PASSED_MAX) {
		look_through(s);
		return;
	}
	log_warn("%d recordings cannot have a task yet; what comes behind them is left to the next "
		 "scan",
		 PASSED_MAX);
	s->overflow = false;
	look_in(s, RETRY_US);
}

static void on_work(void *arg)
{
	struct scan *s = arg;
	int64_t wait_us;

	if (!recovered(s))
		return;
	struct list *first = list_first(&s->queue);
	if (first) {
		const char *key = container_of(first, struct queued, link)->key;
		int ret = step(s, key, &wait_us);
		if (ret == -EAGAIN) {
			work_in(s, wait_us);
			return;
		}
		if (ret < 0)
			failed(s, key, ret);
		if (ret > 0)
			free(take_first(s));
		else
			pass(s, take_first(s));
	}
	if (list_empty(&s->queue) && s->overflow)
		next_part(s);
	if (!list_empty(&s->queue))
		work_in(s, 0);
	else if (s->o.idle && !scan_busy(s))
		s->o.idle(s->o.arg);
}
