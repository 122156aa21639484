/*
 * A GLib main context driven by a struct loop, so that libnice's sockets and timers wait in epoll
 * with everything else. Each agent has a context of its own: GLib looks at every descriptor and
 * source of a context on each turn, which is nothing for the ten of one agent and everything for
 * the ten thousand of a server.
 *
 *	descriptor readable or timer due ── g_main_context_iteration ── descriptors and timer again
 */
#ifndef MSR_PEER_ICE_LOOP_H
#define MSR_PEER_ICE_LOOP_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct ice_loop;
struct loop;

/* Makes the context; nothing waits yet. 0, -EMFILE or -ENOMEM. */
int ice_loop_new(struct ice_loop **out);
/* Frees the context too, if nobody else holds it. Not from its own handlers. Accepts NULL. */
void ice_loop_free(struct ice_loop *g);
GMainContext *ice_loop_context(struct ice_loop *g);

/*
 * Starts waiting, on the calling thread. `before`, if not NULL, is called for each descriptor that
 * is readable before GLib reads from it; true when it took what was there itself.
 */
void ice_loop_attach(struct ice_loop *g, struct loop *loop, bool (*before)(void *arg, int fd),
		     void *arg);
/*
 * Whoever sent on `fd` knows the password. A TCP connection of which that is not said ends after
 * ten seconds, or sooner when there are many.
 */
void ice_loop_known(struct ice_loop *g, int fd);
/* The same of the connection that is from `remote`. */
void ice_loop_known_from(struct ice_loop *g, const struct sockaddr_storage *remote);
/*
 * A TCP connection of which nobody has said so yet: GLib does not read from it, so that a stranger
 * cannot disturb what libnice reads from others.
 */
bool ice_loop_stranger(struct ice_loop *g, int fd);
/* `before` is called again once `n` bytes are there; false: they will never be. */
bool ice_loop_await(struct ice_loop *g, int fd, size_t n);
/* Ends a stranger's connection. True when GLib may see that now. */
bool ice_loop_refuse(struct ice_loop *g, int fd);
/* To be called after everything that may have changed sources or timers from outside. */
void ice_loop_changed(struct ice_loop *g);
/*
 * Waits for no descriptor any more, before libnice closes them: a number that is closed may at once
 * be another thread's, of whom no epoll of this one must know.
 */
void ice_loop_unwatch(struct ice_loop *g);

#endif
