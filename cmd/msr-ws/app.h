/*
 * What the files of msr-ws share.
 *
 *   web → conn (who, limits) → media (bytes → frame) → ingest (order, lanes) → sink
 *                                                    → room (text to the others)
 *   back: sink full → ingest pauses sockets · sink safe → ack
 *
 *   main.c     options, wiring, shutdown       pages.c    the page, config.json
 *   conn.c     WebSocket connections           library.c  the list of recordings
 *   room.c     rooms and sessions              media.c    messages become frames
 *   ingest.c   frames to the sink              message.c  JSON messages · base64.c bodies
 *   order.c    parts in their order            query.c    ?media= and so on
 *   ack.c      what is safe
 */
#ifndef MSR_WS_APP_H
#define MSR_WS_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/list.h"
#include "base/metrics.h"
#include "loop/loop.h"

struct acks;
struct events;
struct library;
struct sink;
struct web;

#define PART_MAX       ((uint64_t)1 << 53)	  /* as far as JSON numbers are exact */
#define BODY_ARRAY_MAX (1u << 20)		  /* bytes of a body written as an array */
#define TEXT_MAX       (256u << 10)		  /* bytes of room text */
#define MESSAGE_MAX    ((22u << 20) + (1u << 19)) /* 16 MiB in base64, and the JSON around */
#define SEND_QUEUE_MAX (1u << 20)		  /* bytes waiting for one client */

struct limits {
	int64_t resume_window_us;
	int64_t max_sessions, max_room, max_rate;
};

struct counters {
	metric_t frames[2], bytes[2]; /* audio, video: put into the sink */
	metric_t repeated, lost;      /* parts left out, parts given up */
	metric_t errors;	      /* error messages to clients */
	metric_t texts, texts_delivered, texts_dropped;
	metric_t acks;
	metric_t pauses;	  /* times the sink was full */
	metric_t throttled;	  /* times a session was above its rate */
	metric_t sessions, rooms; /* now */
	metric_t resumed, taken_over;
	metric_t ordered_bytes; /* waiting for missing parts or for the sink */
};

struct app {
	struct loop *loop;
	struct web *web;
	struct sink *sink;
	struct events *events;
	struct acks *acks;
	struct limits limits;
	struct counters count;
	struct map rooms;    /* struct room */
	struct map sessions; /* struct session, by "room/session" */
	struct list blocked; /* sessions with something that the sink did not take */
	uint64_t last_pos;   /* in the sink: behind the last frame */
	bool full;	     /* the sink is; sockets with media are not read */
	bool sink_lost;	     /* the reader of the pipe is gone for good */
	bool stopping;
};

#endif
