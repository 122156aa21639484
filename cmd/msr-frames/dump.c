/* msr-frames dump: a line a frame, for people. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "command.h"
#include "text.h"

#define INFO_MAX 200 /* bytes shown of what a session says at its beginning and end */

static void print_flag(void *arg, const char *name)
{
	const char **before = arg;

	printf("%s%s", *before, name);
	*before = ",";
}

/* Bodies of open and close are short words; nothing of them may reach the terminal raw. */
static void print_info(const struct frame *f)
{
	uint32_t n = f->body_len < INFO_MAX ? f->body_len : INFO_MAX;

	putchar(' ');
	for (uint32_t i = 0; i < n; i++)
		putchar(isprint(f->body[i]) ? f->body[i] : '?');
	if (n < f->body_len)
		fputs("...", stdout);
}

static void print(const struct frame *f)
{
	char ts[CLOCK_RFC3339_SIZE];
	const char *before = " ";

	clock_rfc3339(f->time_us, ts);
	printf("%s %-5s %.*s/%.*s", ts, frame_kind_name(f->kind), f->room_len, f->room,
	       f->session_len, f->session);
	if (f->storage_len)
		printf("/%.*s", f->storage_len, f->storage);
	if (f->kind != FRAME_OPEN && f->kind != FRAME_CLOSE)
		printf(" %s part %" PRIu64 " %" PRIu32 " B", frame_codec_name(f->codec), f->part,
		       f->body_len);
	if (f->rate)
		printf(" %" PRIu32 " Hz", f->rate);
	if (f->channels)
		printf(" x%d", f->channels);
	if (f->source)
		printf(" %s", frame_source_name(f->source));
	text_flags(f->flags, print_flag, &before);
	if ((f->kind == FRAME_OPEN || f->kind == FRAME_CLOSE) && f->body_len)
		print_info(f);
	putchar('\n');
}

static int run(int argc, char **argv)
{
	return text_run(argc, argv, print);
}

static const struct opt opts[] = {OPTS_INPUT, {0}};

const struct command cmd_dump = {"dump", "[option ...] [CONDITION ...]", "a line for each frame",
				 opts, run};
