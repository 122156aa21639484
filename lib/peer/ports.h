/*
 * The media ports of a process: a range from which every peer takes one number, used on all
 * addresses and for both transports. Safe from any thread; a bit a port, no lock.
 */
#ifndef MSR_PEER_PORTS_H
#define MSR_PEER_PORTS_H

#include <stdint.h>

struct ports;

/* Inclusive; 0, 0 means that the system chooses. 0, -EINVAL or -ENOMEM. */
int ports_new(struct ports **out, uint16_t min, uint16_t max);
/* Accepts NULL. */
void ports_free(struct ports *p);
/* Takes a free port, each time a later one. 0 or -EADDRINUSE. */
int ports_take(struct ports *p, uint16_t *port);
void ports_give(struct ports *p, uint16_t port);
void ports_count(const struct ports *p, unsigned *used, unsigned *total);

#endif
