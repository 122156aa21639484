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

const char *const query_names[] = {"media", "codec", "rate",   "channels", "storage",
				   "part",  "ack",   "resume", NULL};

static int wrong(char *why, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int wrong(char *why, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, cap, fmt, ap);
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

static int set_number(struct query *q, const char *name, const char *value, char *why, size_t cap)
{
	uint64_t n;

	if (strcmp(name, "rate") == 0) {
		if (!number(value, RATE_MAX, &n) || !n)
			return wrong(why, cap, "rate is Hz, 1 to %d", RATE_MAX);
		q->rate = (uint32_t)n;
	} else if (strcmp(name, "channels") == 0) {
		if (!number(value, CHANNELS_MAX, &n) || !n)
			return wrong(why, cap, "channels is 1 to %d", CHANNELS_MAX);
		q->channels = (uint8_t)n;
	} else {
		if (!number(value, PART_MAX, &n))
			return wrong(why, cap, "part is a whole number, 0 or more");
		q->part = n;
		q->has_part = true;
	}
	return 0;
}

int query_set(struct query *q, const char *name, const char *value, char *why, size_t cap)
{
	if (strcmp(name, "media") == 0) {
		q->kind = strcmp(value, "audio") == 0	? FRAME_AUDIO
			  : strcmp(value, "video") == 0 ? FRAME_VIDEO
							: 0;
		return q->kind ? 0 : wrong(why, cap, "media is audio or video");
	}
	if (strcmp(name, "codec") == 0) {
		q->codec = frame_codec_of(value);
		return q->codec > CODEC_NONE
			   ? 0
			   : wrong(why, cap, "codec is a name of msr-frame(5), such as s16le");
	}
	if (strcmp(name, "storage") == 0) {
		if (!id_valid(value, strlen(value)))
			return wrong(why, cap, "storage: " ID_RULE);
		snprintf(q->storage, sizeof(q->storage), "%s", value);
		return 0;
	}
	if (strcmp(name, "ack") == 0 || strcmp(name, "resume") == 0)
		return flag(value, *name == 'a' ? &q->ack : &q->resume)
			   ? 0
			   : wrong(why, cap, "%s is 1 or 0", name);
	if (strcmp(name, "rate") == 0 || strcmp(name, "channels") == 0 || strcmp(name, "part") == 0)
		return set_number(q, name, value, why, cap);
	return wrong(why, cap, "unknown parameter");
}

int query_check(struct query *q, char *why, size_t cap)
{
	if (frame_pcm_bytes(q->codec)) {
		if (q->kind == FRAME_VIDEO)
			return wrong(why, cap, "%s is audio", frame_codec_name(q->codec));
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
