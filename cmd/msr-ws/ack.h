/*
 * Acknowledgements: one queue for all sessions, in the order of sink positions, so that a moved
 * safe position costs only what it makes safe.
 */
#ifndef MSR_WS_ACK_H
#define MSR_WS_ACK_H

#include <stdbool.h>
#include <stdint.h>

struct acks;
struct app;
struct session;

int acks_new(struct acks **ap, struct app *app);
/* Frees it; the sessions in it lose their references. Accepts NULL. */
void acks_free(struct acks *a);

/*
 * Part `part` of `kind` lies before `pos`: tell the session's client once that is safe. Parts that
 * come again and again lie before the same position, and are told of together: an acknowledgement
 * holds for all parts up to its own. Out of memory drops it; the client sends the part again and is
 * told then.
 */
void acks_add(struct acks *a, struct session *s, int kind, uint64_t part, uint64_t pos);

/* Whether everything is acknowledged. */
bool acks_empty(const struct acks *a);

/* Tells everybody what is safe up to sink_safe(). */
void acks_run(struct acks *a);

#endif
