/*
 * The client's connection: connects, logs in, sends messages in their order, and hands what
 * comes in to the inbox. After a loss it tries again with growing pauses, and what was not sent
 * yet is sent then.
 */
#ifndef MSR_CHAT_NET_H
#define MSR_CHAT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct net;

/* 0 or -errno (logged): settings that cannot work. Connecting itself happens in the loop. */
int net_open(struct net **np, struct client *c);
/* Accepts NULL. */
void net_close(struct net *n);

/* Logged in, perhaps while it ends. */
bool net_connected(const struct net *n);
/* Messages that the server has not taken. */
bool net_has_unsent(struct net *n);
/* Messages that wait to be sent are bounded; false: wait before reading more input. */
bool net_takes(const struct net *n);

/* `to` NULL or "": everybody. 0 or -ENOMEM. */
int net_text(struct net *n, const char *to, const char *text, size_t len);
/* Takes `fd`, a regular file, also on failure. `name` is what the others see. */
int net_file(struct net *n, unsigned type, const char *to, const char *name, int fd);

/* Sends what is queued, then says good-bye and waits for the server's last messages; then
 * client_lost is called with `final`. */
void net_finish(struct net *n);

#endif
