/*
 * What a user receives: its wants, our offers to it, its answers. One offer is outstanding at a
 * time; what changes meanwhile is in the next one.
 */
#ifndef MSR_SFU_ROOM_RECEIVE_H
#define MSR_SFU_ROOM_RECEIVE_H

#include "room.h"

/* From now on `u` is sent `p`, as soon as an answer has taken it. 0, -ENOSPC or -ENOMEM. */
int receive_add(struct user *u, struct pub *p);
void receive_remove(struct want *w);

/*
 * A new offer in u->offer, where something changed since the last (or `force`) and that has been
 * answered. 1 when there is one, 0 when there is nothing new, -ENOMEM.
 */
int receive_offer(struct user *u, bool force);

/*
 * The user's answer to the last offer. 0; -ENOENT when none is open, -EBADMSG or -EPROTO with *err
 * filled, -ENOMEM.
 */
int receive_answer(struct user *u, const char *text, size_t len, struct sdp_error *err);

#endif
