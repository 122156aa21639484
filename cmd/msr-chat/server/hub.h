/*
 * The room: who is in it, and how a message gets to them.
 */
#ifndef MSR_CHAT_HUB_H
#define MSR_CHAT_HUB_H

#include <stddef.h>
#include <stdint.h>

#include "../head.h"

struct conn;
struct server;
struct spool_file;

/* 0 or -ENOMEM. */
int hub_init(struct server *s);
void hub_done(struct server *s);

/* The login of c->name, whose password is right: answers LoginOk or UsernameExists, the latter also
 * for a name that looks like that of somebody here, or ends the connection where all are here. */
void hub_login(struct conn *c);
/* Takes a user out of the room and tells those who want to know. */
void hub_leave(struct conn *c, const char *reason);

/* NULL: nobody of that name. */
struct conn *hub_find(struct server *s, const char *name);

/* A message as it came from a user, or from the bridge. */
struct post {
	unsigned type;
	struct conn *sender;	 /* NULL: from the bridge */
	const char *from;	 /* name, NFC */
	const char *to;		 /* name, or "" for everybody */
	const char *filename;	 /* or "" */
	const uint8_t *data;	 /* small content; NULL with a file */
	size_t size;		 /* of data, up to SMALL_MAX */
	struct spool_file *file; /* taken; NULL with data */
};
/* Passes it on. CHAT_OK, CHAT_USER_NOT_FOUND, CHAT_BUSY, or CHAT_NO_SPACE when memory is out. */
enum chat_error hub_post(struct server *s, struct post *p);

#endif
