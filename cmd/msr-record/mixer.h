/*
 * Which recordings of calls become one: a room is mixed when it is over.
 *
 *   recording opens ── mixer_join ──▶ its room continues
 *   recording finished ── mixer_note ──▶ its name, in the list of the room
 *   all of them freed ── mixer_leave, --mix-wait ──▶ the list ends ──▶ finisher: a mix
 *
 * The list is a recording itself, mix/ROOM, whose one part file holds names (STREAM_LIST): its
 * journal makes it survive whatever happens, its end makes it a job of the finisher like any other,
 * and a room that is used again gets mix/ROOM~2.
 */
#ifndef MSR_RECORD_MIXER_H
#define MSR_RECORD_MIXER_H

#include <stdbool.h>

#define MIX_ALL	   "all"
#define MIX_FOLDER "mix"

struct mixer;
struct mix_room;
struct recorder;
struct recording;
struct store_name;

/* 0 or -ENOMEM. */
int mixer_new(struct mixer **mp, struct recorder *r);
/* Leaves the lists to the next start. Accepts NULL. */
void mixer_free(struct mixer *m);

/*
 * A recording in this room opens, or is taken over. NULL when the room is not mixed, or for want of
 * memory.
 */
struct mix_room *mixer_join(struct mixer *m, const char *room);
/* It is finished, or left to the next start. Accepts NULL. */
void mixer_leave(struct mix_room *room);
/*
 * The recording is about to appear as `final`: it will be in the mix, if it is one of a call. Noted
 * twice it is in it once. 0 or -errno of a write.
 */
int mixer_note(struct mix_room *room, const struct recording *rec, const struct store_name *final);

/* Takes over a list of an earlier run. 0 or -ENOMEM; takes `list` on success. */
int mixer_adopt(struct mixer *m, struct recording *list);

/* Once a second: ends the lists of rooms that are over. 0, or -errno of a write. */
int mixer_tick(struct mixer *m);
/* Nobody will come any more: ends all lists of rooms without an open recording. As mixer_tick. */
int mixer_end_all(struct mixer *m);

#endif
