/* What comes in: texts to the screen, files to the save folder, presence to the list of names. */
#ifndef MSR_CHAT_INBOX_H
#define MSR_CHAT_INBOX_H

#include "../proto.h"

struct client;
struct inbox;

/* 0 or -ENOMEM. */
int inbox_new(struct inbox **ip, struct client *c);
/* Accepts NULL. */
void inbox_free(struct inbox *i);

/* One step of the parser. */
void inbox_step(struct inbox *i, struct proto_parser *p, enum proto_step step);
/* The connection is gone: what came in part is dropped. */
void inbox_reset(struct inbox *i);

#endif
