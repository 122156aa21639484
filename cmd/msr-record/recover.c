/* Recovery: journals found in the storage become sessions and finishing jobs again. */
#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "event/event.h"
#include "mixer.h"
#include "recorder.h"
#include "recording.h"
#include "session.h"

#define LOCK_LOOK_NS 20000000 /* between two looks */
#define BROKEN_AGE_S 60	      /* younger ones may just be being made by another process */

struct recovery {
	struct recorder *r;
	bool finish;
	bool mixes; /* this time those in the folder of mixes, or all others */
	unsigned n_open, n_ended, n_busy;
	unsigned looks; /* left, for all that is locked */
};

bool recover_waits(unsigned *looks)
{
	if (!*looks)
		return false;
	--*looks;
	nanosleep(&(struct timespec){.tv_nsec = LOCK_LOOK_NS}, NULL);
	return true;
}

static void say(struct recorder *r, const struct recording *rec, const char *state)
{
	struct event ev;

	log_info("recovered room %s session %s: '%s', %llu bytes, %s", rec->head.room,
		 rec->head.session, rec->name.stem, (unsigned long long)recording_bytes(rec),
		 state);
	event_start(&ev, r->events, "recovered", rec->head.room, rec->head.session);
	if (*rec->head.storage)
		json_str(&ev.json, "storage", rec->head.storage);
	json_str(&ev.json, "name", rec->name.stem);
	json_str(&ev.json, "state", state);
	json_uint(&ev.json, "bytes", recording_bytes(rec));
	event_send(&ev, r->events);
	metric_add(&r->n.recovered, 1);
}

/* A journal cut short by a crash while it was made reserves a name for nobody. */
static void on_broken(struct recorder *r, const struct store_name *name)
{
	char path[STORE_PATH_MAX];
	struct stat st;

	store_hidden(name, ".journal", path);
	if (store_has_parts(&r->store, name)) {
		log_error(
		    "'%s/%s' is damaged; its part files stay where they are, play them with any "
		    "player or give them to ffmpeg",
		    r->store.path, path);
		return;
	}
	if (fstatat(r->store.dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    time(NULL) - st.st_mtime > BROKEN_AGE_S)
		unlinkat(r->store.dirfd, path, 0);
}

/* The list of a mix: it stays open until its room is over, which may be so already. */
static void found_list(struct recovery *v, struct recording *list)
{
	bool ended = list->state.phase == PHASE_ENDED;

	say(v->r, list, ended ? "finishing" : "open");
	v->n_ended += ended;
	v->n_open += !ended;
	int ret = ended ? 0 : mixer_adopt(v->r->mixer, list);
	if (ended)
		list_push(&v->r->ended, &list->link);
	if (ret)
		recording_leave(list, ret);
}

static void found(void *arg, const struct store_name *name)
{
	struct recovery *v = arg;
	struct recorder *r = v->r;
	struct recording *rec;

	if (v->mixes != !strcmp(name->folder, MIX_FOLDER))
		return;
	int ret;

	do
		ret = recording_resume(&rec, r, name);
	while (ret == -EBUSY && recover_waits(&v->looks));
	if (ret == -EBADMSG)
		on_broken(r, name);
	v->n_busy += ret == -EBUSY;
	if (ret) {
		if (ret != -EBADMSG && ret != -EBUSY && ret != -ENODATA && ret != -ENOENT) {
			log_error("cannot recover '%s': %s; it is left for the next start",
				  name->stem, strerror(-ret));
			metric_add(&r->n.failed, 1);
		}
		return;
	}
	bool ended = rec->state.phase == PHASE_ENDED;
	if (rec->state.streams[STREAM_LIST].present) {
		found_list(v, rec);
		return;
	}
	bool over = ended || v->finish || rec->torn;
	rec->mix = mixer_join(r->mixer, rec->head.room);
	say(r, rec, over ? "finishing" : "open");
	v->n_ended += over;
	v->n_open += !over;
	if (ended) {
		ret = v->finish ? 0 : session_remember(r, rec);
		list_push(&r->ended, &rec->link);
		if (ret)
			log_error("'%s': %s; what comes of it again is stored twice", name->stem,
				  strerror(-ret));
	} else if (!over) {
		session_adopt(r, rec);
	} else if ((ret = recording_end(rec, "recover"))) {
		recording_leave(rec, ret);
	}
}

int recover_all(struct recorder *r, bool finish)
{
	struct recovery v = {.r = r, .finish = finish, .looks = LOCK_LOOKS};
	int ret;

	/* Lists first: what is recovered then may belong to them. */
	v.mixes = true;
	ret = store_scan(&r->store, found, &v);
	v.mixes = false;
	if (!ret)
		ret = store_scan(&r->store, found, &v);

	if (v.n_open || v.n_ended || finish)
		log_info("recovered %u recordings: %u to be continued, %u to be finished",
			 v.n_open + v.n_ended, v.n_open, v.n_ended);
	if (v.n_busy)
		log_info("%u recordings are open in another process and left alone", v.n_busy);
	return ret;
}
