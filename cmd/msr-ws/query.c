/* The query of a connection. */
#include "query.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "frame/frame.h"

#define RATE_MAX     768000
#define CHANNELS_MAX 32

/* Where a setter says what is wrong. */
struct reason {
	char *text;
	size_t cap;
};

static int wrong(const struct reason *why, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int wrong(const struct reason *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, why->cap, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 18)
		return false;
	uint64_t n = strtoull(text, &end, 10);
	if (*end || n > max)
		return false;
	*out = n;
	return true;
}

static bool flag(const char *text, bool *out)
{
	if (strcmp(text, "1") == 0 || strcmp(text, "true") == 0 || !*text)
		*out = true;
	else if (strcmp(text, "0") == 0 || strcmp(text, "false") == 0)
		*out = false;
	else
		return false;
	return true;
}

/* ---- one for each parameter: 0 or -EINVAL ---- */

static int set_media(struct query *q, const char *value, const struct reason *why)
{
	q->kind = strcmp(value, "audio") == 0	? FRAME_AUDIO
		  : strcmp(value, "video") == 0 ? FRAME_VIDEO
						: 0;
	return q->kind ? 0 : wrong(why, "media is audio or video");
}

static int set_codec(struct query *q, const char *value, const struct reason *why)
{
	q->codec = frame_codec_of(value);
	return q->codec > CODEC_NONE ? 0
				     : wrong(why, "codec is a name of msr-frame(5), such as s16le");
}

static int set_rate(struct query *q, const char *value, const struct reason *why)
{
	uint64_t n;

	if (!number(value, RATE_MAX, &n) || !n)
		return wrong(why, "rate is Hz, 1 to %d", RATE_MAX);
	q->rate = (uint32_t)n;
	return 0;
}

static int set_channels(struct query *q, const char *value, const struct reason *why)
{
	uint64_t n;

	if (!number(value, CHANNELS_MAX, &n) || !n)
		return wrong(why, "channels is 1 to %d", CHANNELS_MAX);
	q->channels = (uint8_t)n;
	return 0;
}

static int set_storage(struct query *q, const char *value, const struct reason *why)
{
	if (!id_valid(value, strlen(value)))
		return wrong(why, "storage: " ID_RULE);
	snprintf(q->storage, sizeof(q->storage), "%s", value);
	return 0;
}

static int set_part(struct query *q, const char *value, const struct reason *why)
{
	uint64_t n;

	if (!number(value, PART_MAX, &n))
		return wrong(why, "part is a whole number, 0 or more");
	q->part = n;
	q->has_part = true;
	return 0;
}

static int set_ack(struct query *q, const char *value, const struct reason *why)
{
	return flag(value, &q->ack) ? 0 : wrong(why, "ack is 1 or 0");
}

static int set_resume(struct query *q, const char *value, const struct reason *why)
{
	return flag(value, &q->resume) ? 0 : wrong(why, "resume is 1 or 0");
}

static const struct {
	const char *name;
	int (*set)(struct query *q, const char *value, const struct reason *why);
} parameters[] = {
    {"media", set_media},     {"codec", set_codec}, {"rate", set_rate}, {"channels", set_channels},
    {"storage", set_storage}, {"part", set_part},   {"ack", set_ack},	{"resume", set_resume},
};
#define N_PARAMETERS (sizeof(parameters) / sizeof(*parameters))

const char *query_name(size_t i)
{
	return i < N_PARAMETERS ? parameters[i].name : NULL;
}

int query_set(struct query *q, const char *name, const char *value, char *why, size_t cap)
{
	const struct reason reason = {why, cap};

	for (size_t i = 0; i < N_PARAMETERS; i++)
		if (strcmp(parameters[i].name, name) == 0)
			return parameters[i].set(q, value, &reason);
	return wrong(&reason, "unknown parameter");
}

int query_check(struct query *q, char *why, size_t cap)
{
	const struct reason reason = {why, cap};

	if (frame_pcm_bytes(q->codec)) {
		if (q->kind == FRAME_VIDEO)
			return wrong(&reason, "%s is audio", frame_codec_name(q->codec));
		q->kind = FRAME_AUDIO;
		if (!q->rate)
			q->rate = 48000;
		if (!q->channels)
			q->channels = 1;
	}
	if (q->codec == CODEC_WAV || q->codec == CODEC_OPUS || q->codec == CODEC_PCMU ||
	    q->codec == CODEC_PCMA)
		q->kind = q->kind ? q->kind : FRAME_AUDIO;
	if (q->codec == CODEC_VP8 || q->codec == CODEC_VP9 || q->codec == CODEC_H264 ||
	    q->codec == CODEC_AV1)
		q->kind = q->kind ? q->kind : FRAME_VIDEO;
	return 0;
}
