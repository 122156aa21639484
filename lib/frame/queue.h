/*
 * Records on their way to a pipe, FIFO, socket or file: the part of a sink that is not a ring.
 * Internal to lib/frame.
 */
#ifndef MSR_FRAME_QUEUE_H
#define MSR_FRAME_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame;
struct queue;
struct sink_opts;

/* All as the sink's function of that name says; `opts` is copied. */
int queue_open(struct queue **qp, const char *spec, const struct sink_opts *opts);
int queue_close(struct queue *q, int timeout_ms);
int queue_put(struct queue *q, const struct frame *f, uint64_t *pos);
bool queue_has_room(const struct queue *q, size_t n);
void queue_flush(struct queue *q);
/* Bytes that write(2) took since opening. */
uint64_t queue_written(const struct queue *q);

#endif
