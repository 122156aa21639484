/* Encoding and decoding of records. No allocation, no I/O. */
#include "frame.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/id.h"

static const uint8_t magic[4] = {'M', 'S', 'R', 'F'};

enum { /* offsets in the head */
       AT_VERSION = 4,
       AT_KIND = 5,
       AT_FLAGS = 6,
       AT_CODEC = 7,
       AT_BODY_LEN = 8,
       AT_ROOM_LEN = 12,
       AT_SESSION_LEN = 13,
       AT_STORAGE_LEN = 14,
       AT_CHANNELS = 15,
       AT_TIME = 16,
       AT_PART = 24,
       AT_RATE = 32,
       AT_SOURCE = 36,
       AT_HEAD_CRC = 40,
       AT_BODY_CRC = 44,
};

static size_t ids_len(const struct frame *f)
{
	return (size_t)f->room_len + f->session_len + f->storage_len;
}

size_t frame_padding(const struct frame *f)
{
	return -(FRAME_HEAD + ids_len(f) + f->body_len) & 7;
}

size_t frame_size(const struct frame *f)
{
	return (FRAME_HEAD + ids_len(f) + f->body_len + 7) & ~(size_t)7;
}

static bool ids_valid(const struct frame *f)
{
	return id_valid(f->room, f->room_len) && id_valid(f->session, f->session_len) &&
	       (!f->storage_len || id_valid(f->storage, f->storage_len));
}

static bool fields_valid(const struct frame *f)
{
	return f->kind > 0 && f->kind < FRAME_KINDS && f->body_len <= FRAME_BODY_MAX &&
	       (f->ids_checked || ids_valid(f));
}

void frame_check_ids(struct frame *f)
{
	f->ids_checked = ids_valid(f);
}

/* Writes FRAME_HEAD bytes and the ids, and returns how many bytes these are. */
static size_t put_head(const struct frame *f, uint8_t *out)
{
	uint8_t *p = out + FRAME_HEAD;

	memset(out, 0, FRAME_HEAD);
	memcpy(out, magic, sizeof(magic));
	out[AT_VERSION] = FRAME_VERSION;
	out[AT_KIND] = f->kind;
	out[AT_FLAGS] = f->flags;
	out[AT_CODEC] = f->codec;
	put_le32(out + AT_BODY_LEN, f->body_len);
	out[AT_ROOM_LEN] = f->room_len;
	out[AT_SESSION_LEN] = f->session_len;
	out[AT_STORAGE_LEN] = f->storage_len;
	out[AT_CHANNELS] = f->channels;
	put_le64(out + AT_TIME, (uint64_t)f->time_us);
	put_le64(out + AT_PART, f->part);
	put_le32(out + AT_RATE, f->rate);
	out[AT_SOURCE] = f->source;
	memcpy(p, f->room, f->room_len);
	p += f->room_len;
	memcpy(p, f->session, f->session_len);
	p += f->session_len;
	if (f->storage_len)
		memcpy(p, f->storage, f->storage_len);
	p += f->storage_len;
	uint32_t crc = crc32c(0, out, AT_HEAD_CRC);
	put_le32(out + AT_HEAD_CRC, crc32c(crc, out + FRAME_HEAD, ids_len(f)));
	if (!(f->flags & FRAME_NO_BODY_CRC))
		put_le32(out + AT_BODY_CRC, crc32c(0, f->body, f->body_len));
	return (size_t)(p - out);
}

int frame_encode_head(const struct frame *f, uint8_t out[static FRAME_PREFIX_MAX], size_t *head_len)
{
	if (!fields_valid(f))
		return -EINVAL;
	*head_len = put_head(f, out);
	return 0;
}

int frame_encode(const struct frame *f, uint8_t *out)
{
	if (!fields_valid(f))
		return -EINVAL;
	size_t n = put_head(f, out);
	if (f->body_len)
		memcpy(out + n, f->body, f->body_len);
	memset(out + n + f->body_len, 0, frame_padding(f));
	return 0;
}

/* Compares the bytes of the magic that have arrived. */
static bool magic_at(const uint8_t *p, size_t n)
{
	return memcmp(p, magic, n < sizeof(magic) ? n : sizeof(magic)) == 0;
}

static long need_more(size_t *need, size_t n)
{
	if (need)
		*need = n;
	return -EAGAIN;
}

long frame_decode_head(const uint8_t *p, size_t n, struct frame *out, size_t *need)
{
	if (!magic_at(p, n))
		return -EBADMSG;
	if (n < FRAME_HEAD)
		return need_more(need, FRAME_HEAD);
	struct frame f = {
	    .kind = p[AT_KIND],
	    .flags = p[AT_FLAGS],
	    .codec = p[AT_CODEC],
	    .channels = p[AT_CHANNELS],
	    .source = p[AT_SOURCE],
	    .rate = get_le32(p + AT_RATE),
	    .time_us = (int64_t)get_le64(p + AT_TIME),
	    .part = get_le64(p + AT_PART),
	    .room_len = p[AT_ROOM_LEN],
	    .session_len = p[AT_SESSION_LEN],
	    .storage_len = p[AT_STORAGE_LEN],
	    .body_len = get_le32(p + AT_BODY_LEN),
	};
	/* Lengths first: a damaged one must not make the reader wait for bytes that never come. */
	if (p[AT_VERSION] != FRAME_VERSION || f.body_len > FRAME_BODY_MAX || f.room_len > ID_MAX ||
	    f.session_len > ID_MAX || f.storage_len > ID_MAX)
		return -EBADMSG;
	size_t ids = ids_len(&f);
	if (n < FRAME_HEAD + ids)
		return need_more(need, FRAME_HEAD + ids);
	uint32_t crc = crc32c(crc32c(0, p, AT_HEAD_CRC), p + FRAME_HEAD, ids);
	if (crc != get_le32(p + AT_HEAD_CRC))
		return -EBADMSG;
	f.room = (const char *)p + FRAME_HEAD;
	f.session = f.room + f.room_len;
	f.storage = f.session + f.session_len;
	f.body = p + FRAME_HEAD + ids;
	if (!fields_valid(&f))
		return -EBADMSG;
	*out = f;
	return (long)frame_size(&f);
}

bool frame_body_ok(const uint8_t *p, const struct frame *f)
{
	return f->flags & FRAME_NO_BODY_CRC ||
	       crc32c(0, f->body, f->body_len) == get_le32(p + AT_BODY_CRC);
}

long frame_decode(const uint8_t *p, size_t n, struct frame *out, size_t *need)
{
	struct frame f;
	long size = frame_decode_head(p, n, &f, need);

	if (size < 0)
		return size;
	if (n < (size_t)size)
		return need_more(need, (size_t)size);
	if (!frame_body_ok(p, &f))
		return -EBADMSG;
	*out = f;
	return size;
}

size_t frame_resync(const uint8_t *p, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		const uint8_t *m = memchr(p + i, magic[0], n - i);
		if (!m)
			return n;
		i = (size_t)(m - p);
		if (magic_at(m, n - i))
			return i;
	}
	return n;
}

/* ---- names ---- */

struct name {
	int number;
	const char *name;
};

static const struct name kinds[] = {
    {FRAME_OPEN, "open"}, {FRAME_CLOSE, "close"}, {FRAME_AUDIO, "audio"}, {FRAME_VIDEO, "video"},
    {FRAME_RTP, "rtp"},	  {FRAME_RTCP, "rtcp"},	  {FRAME_TEXT, "text"},	  {0, NULL},
};

static const struct name codecs[] = {
    {CODEC_NONE, "none"},   {CODEC_WEBM, "webm"},   {CODEC_OGG, "ogg"},
    {CODEC_WAV, "wav"},	    {CODEC_MP4, "mp4"},	    {CODEC_U8, "u8"},
    {CODEC_S16LE, "s16le"}, {CODEC_S24LE, "s24le"}, {CODEC_S32LE, "s32le"},
    {CODEC_F32LE, "f32le"}, {CODEC_OPUS, "opus"},   {CODEC_VP8, "vp8"},
    {CODEC_VP9, "vp9"},	    {CODEC_H264, "h264"},   {CODEC_AV1, "av1"},
    {CODEC_PCMU, "pcmu"},   {CODEC_PCMA, "pcma"},   {0, NULL},
};

static const struct name sources[] = {
    {SOURCE_NONE, "none"},
    {SOURCE_MICROPHONE, "microphone"},
    {SOURCE_CAMERA, "camera"},
    {SOURCE_SCREEN, "screen"},
    {0, NULL},
};

static const char *name_of(const struct name *t, int number)
{
	for (; t->name; t++)
		if (t->number == number)
			return t->name;
	return "?";
}

static int number_of(const struct name *t, const char *name)
{
	for (; t->name; t++)
		if (!strcmp(t->name, name))
			return t->number;
	return -1;
}

const char *frame_kind_name(int kind)
{
	return name_of(kinds, kind);
}

const char *frame_codec_name(int codec)
{
	return name_of(codecs, codec);
}

const char *frame_source_name(int source)
{
	return name_of(sources, source);
}

int frame_kind_of(const char *name)
{
	return number_of(kinds, name);
}

int frame_codec_of(const char *name)
{
	return number_of(codecs, name);
}

int frame_source_of(const char *name)
{
	return number_of(sources, name);
}

unsigned frame_pcm_bytes(int codec)
{
	switch (codec) {
	case CODEC_U8:
		return 1;
	case CODEC_S16LE:
		return 2;
	case CODEC_S24LE:
		return 3;
	case CODEC_S32LE:
	case CODEC_F32LE:
		return 4;
	default:
		return 0;
	}
}

void frame_id(const char *id, uint8_t len, char *out)
{
	memcpy(out, id, len);
	out[len] = '\0';
}
