/* The listening socket: accepts, counts addresses, turns away those that are too many. */
#ifndef MSR_CHAT_LISTEN_H
#define MSR_CHAT_LISTEN_H

struct listener;
struct server;

/* Binds set.address and set.port ("host", "host:port", "[v6]:port"). 0 or -errno, logged. */
int listener_open(struct listener **lp, struct server *s);
/* Accepts NULL. */
void listener_close(struct listener *l);

#endif
