/* msr-frames replay: passes a capture on at the pace in which it came about. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "command.h"
#include "loop/loop.h"
#include "out.h"

#define SPEED_MAX 1000.0

static const char *speed_text, *room, *session;
static bool restamp;
static int64_t max_gap_us;

struct replay {
	struct out out;
	double speed;
	bool begun;
	struct mono start; /* when the first frame went out */
	int64_t played_us; /* time of the stream since then */
	int64_t last_us;   /* latest time seen in the stream */
	struct loop_timer due;
};

static void on_due(void *arg)
{
	struct replay *r = arg;

	pump_resume(r->out.pump);
}

/* Where in the playing the frame belongs. Times that go back (streams are mixed) play at once. */
static int64_t place(struct replay *r, int64_t time_us)
{
	int64_t step = time_us - r->last_us;

	if (!r->begun || step <= 0)
		return r->played_us;
	return r->played_us + (max_gap_us && step > max_gap_us ? max_gap_us : step);
}

static int on_frame(void *arg, const struct frame *f)
{
	struct replay *r = arg;
	struct frame g = *f;
	int64_t at = place(r, f->time_us);
	struct mono due = mono_add_us(r->start, (int64_t)((double)at / r->speed));

	if (!r->begun) {
		r->start = mono_now();
	} else if (mono_diff_us(due, mono_now()) > 0) {
		loop_timer_at(&r->due, due);
		return -EAGAIN;
	}
	if (room) {
		g.room = room;
		g.room_len = (uint8_t)strlen(room);
	}
	if (session) {
		g.session = session;
		g.session_len = (uint8_t)strlen(session);
	}
	if (restamp)
		g.time_us = clock_wall_us();
	int ret = out_frame(&r->out, &g);
	if (ret)
		return ret;
	if (!r->begun || f->time_us > r->last_us)
		r->last_us = f->time_us;
	r->played_us = at;
	r->begun = true;
	return 0;
}

static int on_settle(void *arg)
{
	struct replay *r = arg;

	return out_settle(&r->out);
}

static int check_options(struct replay *r)
{
	char *end = NULL;

	r->speed = speed_text ? strtod(speed_text, &end) : 1;
	if (speed_text && (end == speed_text || *end || !(r->speed > 0) || r->speed > SPEED_MAX))
		return command_usage("--speed is a number above 0 and up to %g, not '%s'",
				     SPEED_MAX, speed_text);
	if ((room && !id_valid(room, strlen(room))) ||
	    (session && !id_valid(session, strlen(session))))
		return command_usage(ID_RULE);
	return 0;
}

static int run(int argc, char **argv)
{
	struct replay r = {.speed = 1};
	struct match match;
	struct pump *p;

	if (match_parse(&match, argc, argv) || check_options(&r))
		return 2;
	if (pump_open(&p, &match, &(struct pump_handler){on_frame, on_settle, &r}))
		return 1;
	loop_timer_init(&r.due, pump_loop(p), on_due, &r);
	int status = out_open(&r.out, p);
	if (!status)
		status = out_close(&r.out, pump_run(p));
	loop_timer_stop(&r.due);
	pump_close(p);
	return status;
}

static const struct opt opts[] = {
    OPTS_INPUT,
    OPT_OUTPUT,
    OPT_RING_SIZE,
    {'x', "speed", OPT_STR, &speed_text, NULL, "X", "playback speed as a multiple of real time (1)",
     0, 0},
    {0, "max-gap", OPT_TIME, &max_gap_us, NULL, "TIME", "longest pause between two frames (0: any)",
     0, 86400000000},
    {0, "restamp", OPT_FLAG, &restamp, NULL, NULL, "frames get the time of the replay", 0, 0},
    {'r', "room", OPT_STR, &room, NULL, "ROOM", "frames get this room", 0, 0},
    {'s', "session", OPT_STR, &session, NULL, "SESSION", "frames get this session", 0, 0},
    {0}};

const struct command cmd_replay = {"replay", "[option ...] [CONDITION ...]",
				   "passes a capture on in real time", opts, run};
