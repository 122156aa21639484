/*
 * Passwords: a file of name:hash lines with hashes of crypt(5), checked in a thread of its own
 * because such a hash takes tens of milliseconds by design.
 */
#ifndef MSR_CHAT_AUTH_H
#define MSR_CHAT_AUTH_H

#include <stdbool.h>
#include <stdint.h>

struct auth;
struct look;

/*
 * Reads `path`, which is lent, and starts the thread; `wake` is called from it when results are
 * there. `guests`: names that are not in the file need no password, unless by `look`, which is
 * lent, they could be taken for one that is. 0 or -errno (-EINVAL after logging the line that is
 * wrong).
 */
int auth_open(struct auth **ap, const char *path, bool guests, const struct look *look,
	      void (*wake)(void *arg), void *arg);
/* Accepts NULL. */
void auth_close(struct auth *a);

/* Reads the file again; on an error (logged) the old users stay. */
void auth_reload(struct auth *a);

/* Queues a check. 0, -ENOBUFS when too many wait, or -ENOMEM. `serial` names it in the result. */
int auth_check(struct auth *a, uint64_t serial, const char *name, const char *password);
/* The next result; false when there is none. */
bool auth_result(struct auth *a, uint64_t *serial, bool *ok);

/* `msr-chat password NAME`: prints a line for the file. The exit status for main. */
int auth_make_line(const char *name);

#endif
