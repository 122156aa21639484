/* The command parser: JSON in, a checked command out. */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#define VALUES_MAX  8	  /* members of a chain's object that are looked at */
#define COMMAND_MAX 16384 /* bytes; unlike sound it is parsed while all clients wait */

static int fail(struct command_error *e, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct command_error *e, const char *code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}

/* A whole number within bounds, or 0. Python's 96000 / 2 is 48000.0, which is one as well. */
static uint32_t read_whole(const json_t *v, uint32_t min, uint32_t max)
{
	double d = json_number_value(v); /* 0 for what is none */

	return d >= min && d <= max && d == (uint32_t)d ? (uint32_t)d : 0;
}

static int read_format(struct chain_spec *s, json_t *obj, struct command_error *e)
{
	json_t *format = json_object_get(obj, "format"), *rate = json_object_get(obj, "rate"),
	       *channels = json_object_get(obj, "channels");

	*s = (struct chain_spec){.format = SAMPLE_U8, .rate = 48000, .channels = 1};
	if (format) {
		int f = json_is_string(format) ? sample_format_of(json_string_value(format)) : -1;
		if (f < 0)
			return fail(e, "bad_format", "'format' is u8, s16le or f32le");
		s->format = (uint8_t)f;
	}
	if (rate) {
		s->rate = read_whole(rate, PROC_RATE_MIN, PROC_RATE_MAX);
		if (!s->rate)
			return fail(e, "bad_format", "'rate' is a whole number from %d to %d",
				    PROC_RATE_MIN, PROC_RATE_MAX);
	}
	if (channels) {
		s->channels = (uint8_t)read_whole(channels, 1, PROC_CHANNELS_MAX);
		if (!s->channels)
			return fail(e, "bad_format", "'channels' is 1 or 2");
	}
	return 0;
}

/* An element of the chain: "name", "name=value" as on the command line, or an object. */
static int read_step(struct chain_spec *s, json_t *v, const struct exec_list *execs,
		     struct command_error *e)
{
	struct chain_value values[VALUES_MAX];
	size_t n = 0;
	const char *key, *name;
	json_t *value;

	e->code = "bad_chain";
	if (json_is_string(v))
		return chain_parse(s, json_string_value(v), execs, e->text, sizeof(e->text));
	name = json_string_value(json_object_get(v, "name"));
	if (!name)
		return fail(e, "bad_chain", "a processor is a name or an object with a 'name'");
	json_object_foreach(v, key, value)
	{
		if (!strcmp(key, "name"))
			continue;
		if (!json_is_number(value))
			return fail(e, "bad_chain", "'%.40s' of '%.40s' is a number", key, name);
		if (n == VALUES_MAX)
			return fail(e, "bad_chain", "'%.40s' does not take that many parameters",
				    name);
		values[n++] = (struct chain_value){key, json_number_value(value)};
	}
	return chain_add(s, name, values, n, execs, e->text, sizeof(e->text));
}

static int read_chain(struct chain_spec *s, json_t *chain, const struct exec_list *execs,
		      struct command_error *e)
{
	json_t *v;
	size_t i;

	if (!chain)
		return 0;
	if (json_is_string(chain))
		return read_step(s, chain, execs, e) < 0 ? -1 : 0;
	if (!json_is_array(chain))
		return fail(e, "bad_chain", "'chain' is an array of names or objects");
	json_array_foreach(chain, i, v) if (read_step(s, v, execs, e) < 0) return -1;
	return 0;
}

static int read_command(struct command *out, json_t *obj, const struct exec_list *execs,
			struct command_error *e)
{
	const char *name = json_string_value(json_object_get(obj, "command"));

	if (!name)
		return fail(e, "unknown_command", "'command' is missing");
	if (!strcmp(name, "stop_audio_receiver")) {
		out->kind = COMMAND_STOP;
		return 0;
	}
	if (!strcmp(name, "stats")) {
		out->kind = COMMAND_STATS;
		return 0;
	}
	if (strcmp(name, "start_audio_receiver") != 0)
		return fail(
		    e, "unknown_command",
		    "'%.40s'; there are start_audio_receiver, stop_audio_receiver and stats", name);
	out->kind = COMMAND_START;
	if (read_format(&out->chain, obj, e) < 0)
		return -1;
	return read_chain(&out->chain, json_object_get(obj, "chain"), execs, e);
}

int command_parse(struct command *out, const char *text, size_t len, const struct exec_list *execs,
		  struct command_error *err)
{
	json_error_t je;
	json_t *obj;
	int ret;

	if (len > COMMAND_MAX)
		return fail(err, "bad_json", "a command has at most %d bytes", COMMAND_MAX);
	obj = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (json_is_object(obj))
		ret = read_command(out, obj, execs, err);
	else if (obj)
		ret = fail(err, "bad_json", "a command is a JSON object");
	else
		ret = fail(err, "bad_json", "%s", je.text);
	json_decref(obj);
	return ret;
}
