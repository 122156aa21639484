/* Events of the server, msr-events(5): join, leave, message, transfer, slow. */
#ifndef MSR_CHAT_REPORT_H
#define MSR_CHAT_REPORT_H

#include <stddef.h>
#include <stdint.h>

struct conn;
struct post;
struct server;

void report_start(struct server *s, const char *address, int port);
void report_join(const struct conn *c);
void report_leave(const struct conn *c, const char *reason);
void report_slow(const struct conn *c);
/* Meta data of a message that was passed on. */
void report_message(struct server *s, const struct post *p, uint64_t bytes, size_t receivers);
/* A large content is coming in: how far it is. */
void report_progress(struct conn *c);
/* It is complete, or was given up because of `error` (NULL: complete). */
void report_received(struct conn *c, const char *error);
/* `n` large messages arrived at this receiver. */
void report_delivered(struct conn *c, uint64_t n);

#endif
