/*
 * inotify(7): a descriptor a tree, a watch a folder.
 *
 * A folder may be filled before its watch stands, so each new one is scanned once. Where the
 * kernel gives no more watches, the tree is scanned every few seconds instead.
 */
#include "watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "loop/loop.h"

#define EVENTS_SIZE 65536     /* bytes a read(2) */
#define POLL_US	    5000000   /* between scans when watches are short */
#define SAFETY_US   600000000 /* between scans anyway: network file systems do not notify */

#define ROOT_US 2000000 /* between looks whether the root is still there */

#define FILE_EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE)
#define SELF_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK)

struct folder {
	struct map_node node; /* in watch.folders, by wd */
	int wd;
	char name[ID_SIZE]; /* "" at the top */
};

struct watch {
	struct watch_opts o;
	int fd;
	struct loop_io *io;
	struct map folders;
	struct loop_timer timer; /* the next scan of everything */
	struct loop_timer root_timer;
	struct stat root; /* which folder it was when the watch began */
	bool short_of_watches;
};

static int add_folder(struct watch *w, const char *name)
{
	char path[4096 + ID_SIZE];
	struct folder *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(path, sizeof(path), "%s%s%s", w->o.root, name[0] ? "/" : "", name);
	f->wd =
	    inotify_add_watch(w->fd, path, FILE_EVENTS | SELF_EVENTS | (name[0] ? 0 : IN_ATTRIB));
	int ret = f->wd < 0 ? -errno : map_put(&w->folders, &f->node, &f->wd, sizeof(f->wd));
	if (ret < 0) /* -EEXIST: watched already, perhaps under its old name */
		free(f);
	return ret == -EEXIST ? 0 : ret;
}

static void remove_folder(struct watch *w, struct folder *f)
{
	inotify_rm_watch(w->fd, f->wd);
	map_remove(&w->folders, &f->node);
	free(f);
}

static void watch_subfolder(struct watch *w, const char *name)
{
	if (!id_valid(name, strlen(name)))
		return;
	int ret = add_folder(w, name);
	if (ret == -ENOSPC && !w->short_of_watches) {
		w->short_of_watches = true;
		log_warn("the kernel gives no more watches for '%s'; scanning every %d s instead "
			 "(raise fs.inotify.max_user_watches)",
			 w->o.root, POLL_US / 1000000);
		loop_timer_in_us(&w->timer, POLL_US);
	}
}

static void watch_subfolders(struct watch *w)
{
	DIR *dir = opendir(w->o.root);

	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));)
		if (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN)
			watch_subfolder(w, e->d_name);
	closedir(dir);
}

/*
 * While somebody has a removed folder open, as we do, the kernel says nothing about it; and a new
 * one of the same name is another.
 */
static void on_root_timer(void *arg)
{
	struct watch *w = arg;
	struct stat st;

	if (stat(w->o.root, &st) == 0 && st.st_ino == w->root.st_ino && st.st_dev == w->root.st_dev)
		loop_timer_in_us(&w->root_timer, ROOT_US);
	else
		w->o.gone(w->o.arg);
}

static void on_timer(void *arg)
{
	struct watch *w = arg;

	loop_timer_in_us(&w->timer, w->short_of_watches ? POLL_US : SAFETY_US);
	w->o.rescan(w->o.arg, NULL);
}

/* False when the watch may not be used any more. */
static bool on_event(struct watch *w, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW) {
		log_warn("'%s' changed faster than it could be followed; scanning all of it",
			 w->o.root);
		watch_subfolders(w);
		w->o.rescan(w->o.arg, NULL);
		return true;
	}
	struct map_node *n = map_get(&w->folders, &e->wd, sizeof(e->wd));
	if (!n)
		return true;
	struct folder *f = container_of(n, struct folder, node);
	if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
		if (!f->name[0]) {
			w->o.gone(w->o.arg);
			return false;
		}
		remove_folder(w, f);
		if (e->mask & IN_MOVE_SELF) { /* perhaps to another name in the same root */
			watch_subfolders(w);
			w->o.rescan(w->o.arg, NULL);
		}
		return true;
	}
	if (!e->len)
		return true;
	if (!(e->mask & IN_ISDIR)) {
		w->o.file(w->o.arg, f->name[0] ? f->name : NULL, e->name);
	} else if (!f->name[0] && id_valid(e->name, strlen(e->name))) {
		watch_subfolder(w, e->name);
		w->o.rescan(w->o.arg, e->name);
	}
	return true;
}

static void on_readable(void *arg, int events)
{
	static char mem[EVENTS_SIZE] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct watch *w = arg;
	ssize_t n = read(w->fd, mem, sizeof(mem));

	(void)events;
	for (char *p = mem; n > 0 && p < mem + n;) {
		const struct inotify_event *e = (const void *)p;
		if (!on_event(w, e))
			return;
		p += sizeof(*e) + e->len;
	}
}

int watch_new(struct watch **wp, const struct watch_opts *opts)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->o = *opts;
	map_init(&w->folders);
	loop_timer_init(&w->timer, opts->loop, on_timer, w);
	loop_timer_init(&w->root_timer, opts->loop, on_root_timer, w);
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int ret = w->fd < 0 ? -errno : add_folder(w, "");
	if (!ret)
		ret = loop_io_new(&w->io, opts->loop, w->fd, LOOP_IN, on_readable, w);
	if (!ret && stat(opts->root, &w->root) < 0)
		ret = -errno;
	if (!ret)
		ret = loop_timer_in_us(&w->timer, SAFETY_US);
	if (!ret)
		ret = loop_timer_in_us(&w->root_timer, ROOT_US);
	if (ret) {
		watch_free(w);
		return ret;
	}
	watch_subfolders(w);
	*wp = w;
	return 0;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	loop_timer_stop(&w->timer);
	loop_timer_stop(&w->root_timer);
	loop_io_free(w->io);
	if (w->fd >= 0)
		close(w->fd);
	map_each (i, &w->folders) {
		map_remove(&w->folders, i);
		free(container_of(i, struct folder, node));
	}
	map_done(&w->folders);
	free(w);
}
