/*
 * Watches a folder and the folders in it (one level, as the storage has) with inotify(7).
 * Folders whose name is not an id, and symbolic links, are not watched.
 */
#ifndef MSR_TASKSCAN_WATCH_H
#define MSR_TASKSCAN_WATCH_H

struct loop;
struct watch;

struct watch_opts {
	struct loop *loop;
	const char *root; /* lent */
	/* A file was completed, renamed to this or linked. `folder` is NULL at the top. */
	void (*file)(void *arg, const char *folder, const char *name);
	/* Look at all of `folder` (NULL: at everything): it is new, or notifications were lost. */
	void (*rescan)(void *arg, const char *folder);
	/* The root itself went away: nothing will be seen any more. */
	void (*gone)(void *arg);
	void *arg;
};

/* Watches from now on; scan once afterwards for what was there before. 0 or -errno. */
int watch_new(struct watch **wp, const struct watch_opts *opts);
/* Accepts NULL. */
void watch_free(struct watch *w);

#endif
