/* msr-frames json: a JSON object a line, for programs such as jq(1). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "command.h"
#include "text.h"

#define INFO_MAX     8192 /* bytes of an open or close body that are passed on */
#define LINE_MAX_LEN (INFO_MAX + 4096)

static void add_flag(void *arg, const char *name)
{
	json_str(arg, NULL, name);
}

/* What open and close carry, when it is JSON: made compact, so that it stays on the line. */
static void add_info(struct json *j, const struct frame *f)
{
	if (!f->body_len || f->body_len > INFO_MAX)
		return;
	json_t *info = json_loadb((const char *)f->body, f->body_len, 0, NULL);
	char *text = info ? json_dumps(info, JSON_COMPACT) : NULL;
	if (text)
		json_raw(j, "info", text);
	free(text);
	json_decref(info);
}

static void print(const struct frame *f)
{
	char line[LINE_MAX_LEN], ts[CLOCK_RFC3339_SIZE];
	struct json j;

	clock_rfc3339(f->time_us, ts);
	json_start(&j, line, sizeof(line));
	json_obj(&j, NULL);
	json_strn(&j, "room", f->room, f->room_len);
	json_strn(&j, "session", f->session, f->session_len);
	json_strn(&j, "storage", f->storage, f->storage_len);
	json_str(&j, "kind", frame_kind_name(f->kind));
	json_str(&j, "codec", frame_codec_name(f->codec));
	json_uint(&j, "part", f->part);
	json_str(&j, "ts", ts);
	json_uint(&j, "bytes", f->body_len);
	json_uint(&j, "rate", f->rate);
	json_uint(&j, "channels", f->channels);
	json_str(&j, "source", frame_source_name(f->source));
	json_arr(&j, "flags");
	text_flags(f->flags, add_flag, &j);
	json_arr_end(&j);
	if (f->kind == FRAME_OPEN || f->kind == FRAME_CLOSE)
		add_info(&j, f);
	json_obj_end(&j);
	if (json_end(&j) >= 0)
		puts(line);
}

static int run(int argc, char **argv)
{
	return text_run(argc, argv, print);
}

static const struct opt opts[] = {OPTS_INPUT, {0}};

const struct command cmd_json = {"json", "[option ...] [CONDITION ...]",
				 "a JSON object for each frame", opts, run};
