/*
 * EBML (RFC 8794): element = id, size, content. Ids are written as they stand in the tables, with
 * their length marker; sizes of masters in the header take four bytes, so that they can be filled
 * in behind.
 */
#include "mkv.h"

#include <errno.h>
#include <string.h>

#define CLUSTER_MS     5000  /* a cluster lasts no longer */
#define CLUSTER_KEY_MS 1000  /* and from that age on ends before a key frame */
#define RELATIVE_MAX   30000 /* ms: block times are 16 bits, signed, against their cluster */
#define EPOCH_2001_US  978307200000000LL /* DateUTC counts from there */
#define DURATION_MAX_US \
	(1ll << 52)	      /* more is nonsense, and no double tells it to the microsecond */
#define OPUS_PREROLL 80000000 /* ns that a decoder needs after a seek, RFC 7845 */

enum id {
	ID_EBML = 0x1a45dfa3,
	ID_EBML_VERSION = 0x4286,
	ID_EBML_READ_VERSION = 0x42f7,
	ID_EBML_MAX_ID = 0x42f2,
	ID_EBML_MAX_SIZE = 0x42f3,
	ID_DOC_TYPE = 0x4282,
	ID_DOC_TYPE_VERSION = 0x4287,
	ID_DOC_TYPE_READ_VERSION = 0x4285,
	ID_VOID = 0xec,
	ID_SEGMENT = 0x18538067,
	ID_INFO = 0x1549a966,
	ID_TIMESTAMP_SCALE = 0x2ad7b1,
	ID_DURATION = 0x4489,
	ID_DATE = 0x4461,
	ID_MUXING_APP = 0x4d80,
	ID_WRITING_APP = 0x5741,
	ID_TRACKS = 0x1654ae6b,
	ID_TRACK_ENTRY = 0xae,
	ID_TRACK_NUMBER = 0xd7,
	ID_TRACK_UID = 0x73c5,
	ID_TRACK_TYPE = 0x83,
	ID_FLAG_LACING = 0x9c,
	ID_CODEC_ID = 0x86,
	ID_CODEC_PRIVATE = 0x63a2,
	ID_SEEK_PREROLL = 0x56bb,
	ID_VIDEO = 0xe0,
	ID_PIXEL_WIDTH = 0xb0,
	ID_PIXEL_HEIGHT = 0xba,
	ID_AUDIO = 0xe1,
	ID_SAMPLING_FREQUENCY = 0xb5,
	ID_CHANNELS = 0x9f,
	ID_CLUSTER = 0x1f43b675,
	ID_TIMESTAMP = 0xe7,
	ID_SIMPLE_BLOCK = 0xa3,
};

static const char *const codec_ids[MKV_CODECS] = {
    [MKV_OPUS] = "A_OPUS",	    [MKV_VP8] = "V_VP8", [MKV_VP9] = "V_VP9", [MKV_AV1] = "V_AV1",
    [MKV_H264] = "V_MPEG4/ISO/AVC",
};

/* ---- writing elements of the header; there is room for all that fits into the limits ---- */

struct pen {
	uint8_t *p, *end;
};

static void put_bytes(struct pen *w, const void *data, size_t n)
{
	/* MKV_TRACKS_MAX and MKV_PRIVATE_MAX make sure of it; see the assertion in mkv_head. */
	if ((size_t)(w->end - w->p) < n)
		return;
	memcpy(w->p, data, n);
	w->p += n;
}

static void put_id(struct pen *w, uint32_t id)
{
	uint8_t b[4];
	unsigned n = id > 0xffffff ? 4 : id > 0xffff ? 3 : id > 0xff ? 2 : 1;

	put_be32(b, id);
	put_bytes(w, b + 4 - n, n);
}

static void put_data(struct pen *w, uint32_t id, const void *data, size_t n)
{
	uint8_t size[2];

	put_id(w, id);
	put_be16(size, (uint16_t)(0x4000 | n));
	put_bytes(w, size, 2);
	put_bytes(w, data, n);
}

static void put_uint(struct pen *w, uint32_t id, uint64_t v)
{
	uint8_t b[8];
	unsigned n = 1;

	while (n < 8 && v >> (8 * n))
		n++;
	put_be64(b, v);
	put_data(w, id, b + 8 - n, n);
}

static void put_double(struct pen *w, uint32_t id, double v)
{
	uint64_t bits;
	uint8_t b[8];

	memcpy(&bits, &v, 8);
	put_be64(b, bits);
	put_data(w, id, b, 8);
}

static void put_string(struct pen *w, uint32_t id, const char *s)
{
	put_data(w, id, s, strlen(s));
}

/* Begins a master element; its size is filled in by end_master. */
static uint8_t *begin_master(struct pen *w, uint32_t id)
{
	static const uint8_t unknown[4] = {0x1f, 0xff, 0xff, 0xff};

	put_id(w, id);
	uint8_t *at = w->p;
	put_bytes(w, unknown, 4);
	return at;
}

static void end_master(struct pen *w, uint8_t *at)
{
	put_be32(at, 0x10000000u | (uint32_t)(w->p - at - 4));
}

/* ---- the header ---- */

static void put_ebml(struct pen *w, bool webm)
{
	uint8_t *at = begin_master(w, ID_EBML);

	put_uint(w, ID_EBML_VERSION, 1);
	put_uint(w, ID_EBML_READ_VERSION, 1);
	put_uint(w, ID_EBML_MAX_ID, 4);
	put_uint(w, ID_EBML_MAX_SIZE, 8);
	put_string(w, ID_DOC_TYPE, webm ? "webm" : "matroska");
	put_uint(w, ID_DOC_TYPE_VERSION, 4);
	put_uint(w, ID_DOC_TYPE_READ_VERSION, 2);
	end_master(w, at);
}

static void put_info(struct pen *w, const struct mkv *m)
{
	uint8_t date[8], *at = begin_master(w, ID_INFO);

	put_uint(w, ID_TIMESTAMP_SCALE, 1000000); /* ns: times are in ms */
	put_string(w, ID_MUXING_APP, "msr " MSR_VERSION);
	put_string(w, ID_WRITING_APP, "msr " MSR_VERSION);
	put_be64(date, (uint64_t)(m->start_wall_us - EPOCH_2001_US) * 1000);
	put_data(w, ID_DATE, date, 8);
	if (m->duration_us)
		put_double(w, ID_DURATION, (double)m->duration_us / 1000);
	end_master(w, at);
}

static void put_track(struct pen *w, const struct mkv_track *t, unsigned number)
{
	uint8_t *at = begin_master(w, ID_TRACK_ENTRY), *part;

	put_uint(w, ID_TRACK_NUMBER, number);
	put_uint(w, ID_TRACK_UID, number);
	put_uint(w, ID_TRACK_TYPE, t->codec == MKV_OPUS ? 2 : 1);
	put_uint(w, ID_FLAG_LACING, 0);
	put_string(w, ID_CODEC_ID, codec_ids[t->codec]);
	if (t->private_len)
		put_data(w, ID_CODEC_PRIVATE, t->private, t->private_len);
	if (t->codec == MKV_OPUS) {
		put_uint(w, ID_SEEK_PREROLL, OPUS_PREROLL);
		part = begin_master(w, ID_AUDIO);
		put_double(w, ID_SAMPLING_FREQUENCY, 48000);
		put_uint(w, ID_CHANNELS, t->channels);
	} else {
		part = begin_master(w, ID_VIDEO);
		put_uint(w, ID_PIXEL_WIDTH, t->width);
		put_uint(w, ID_PIXEL_HEIGHT, t->height);
	}
	end_master(w, part);
	end_master(w, at);
}

void mkv_head(const struct mkv *m, uint8_t out[static MKV_HEAD])
{
	static const uint8_t unknown[8] = {0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct pen w = {out, out + MKV_HEAD};

	_Static_assert(MKV_HEAD > MKV_TRACKS_MAX * (MKV_PRIVATE_MAX + 256) + 512, "room for all");
	put_ebml(&w, mkv_is_webm(m));
	put_id(&w, ID_SEGMENT);
	put_bytes(&w, unknown, 8);
	put_info(&w, m);
	uint8_t *at = begin_master(&w, ID_TRACKS);
	for (unsigned i = 0; i < m->n_tracks; i++)
		put_track(&w, &m->tracks[i], i + 1);
	end_master(&w, at);
	at = begin_master(&w, ID_VOID);
	memset(w.p, 0, (size_t)(w.end - w.p));
	w.p = w.end;
	end_master(&w, at);
}

/* ---- tracks ---- */

void mkv_init(struct mkv *m, int64_t start_wall_us)
{
	memset(m, 0, sizeof(*m));
	m->start_wall_us = start_wall_us;
}

/* RFC 7845 section 5.1. No samples are skipped: a call does not begin with its encoder's delay. */
static void opus_head(struct mkv_track *t)
{
	memset(t->private, 0, 19);
	memcpy(t->private, "OpusHead", 8);
	t->private[8] = 1;
	t->private[9] = t->channels;
	put_le32(t->private + 12, 48000);
	t->private_len = 19;
}

int mkv_add_track(struct mkv *m, const struct mkv_track *t)
{
	if (m->n_tracks == MKV_TRACKS_MAX)
		return -ENOSPC;
	if (t->private_len > MKV_PRIVATE_MAX || t->codec >= MKV_CODECS)
		return -EINVAL;
	m->tracks[m->n_tracks] = *t;
	if (t->codec == MKV_OPUS)
		opus_head(&m->tracks[m->n_tracks]);
	return (int)++m->n_tracks;
}

bool mkv_is_webm(const struct mkv *m)
{
	for (unsigned i = 0; i < m->n_tracks; i++)
		if (m->tracks[i].codec == MKV_H264)
			return false;
	return true;
}

/* ---- going on with a file ---- */

/* The next element: its id and content; false at the end or where it makes no sense. */
static bool next_element(struct rd *r, uint32_t *id, struct rd *content)
{
	if (!rd_left(r))
		return false;
	unsigned id_len = (unsigned)__builtin_clz((unsigned)*r->p << 24 | 1u << 20) + 1;
	const uint8_t *p = rd_bytes(r, id_len <= 4 ? id_len : 4);
	*id = 0;
	for (unsigned i = 0; p && i < id_len && i < 4; i++)
		*id = *id << 8 | p[i];
	if (!rd_left(r))
		return false;
	unsigned size_len = (unsigned)__builtin_clz((unsigned)*r->p << 24 | 1u << 16) + 1;
	const uint8_t *s = rd_bytes(r, size_len);
	if (!p || !s || size_len > 8)
		return false;
	uint64_t size = s[0] & (0xffu >> size_len);
	for (unsigned i = 1; i < size_len; i++)
		size = size << 8 | s[i];
	/* The segment's size is unknown: it is all that follows. */
	size_t n = *id == ID_SEGMENT || size > rd_left(r) ? rd_left(r) : (size_t)size;
	*content = rd_of(r->p, n);
	if (*id != ID_SEGMENT)
		rd_bytes(r, n);
	return true;
}

static uint64_t uint_of(const struct rd *r)
{
	uint64_t v = 0;

	for (size_t i = 0; i < rd_left(r) && i < 8; i++)
		v = v << 8 | r->p[i];
	return v;
}

static void read_track(struct mkv_track *t, struct rd r)
{
	struct rd c;

	t->codec = MKV_CODECS;
	for (uint32_t id; next_element(&r, &id, &c);) {
		size_t n = rd_left(&c);
		if (id == ID_CODEC_ID) {
			for (int i = 0; i < MKV_CODECS; i++)
				if (n == strlen(codec_ids[i]) && !memcmp(c.p, codec_ids[i], n))
					t->codec = (enum mkv_codec)i;
		} else if (id == ID_CODEC_PRIVATE && n <= MKV_PRIVATE_MAX) {
			memcpy(t->private, c.p, n);
			t->private_len = (uint16_t)n;
		} else if (id == ID_VIDEO || id == ID_AUDIO) {
			struct rd part = c;
			while (next_element(&part, &id, &c)) {
				if (id == ID_PIXEL_WIDTH)
					t->width = (uint16_t)uint_of(&c);
				else if (id == ID_PIXEL_HEIGHT)
					t->height = (uint16_t)uint_of(&c);
				else if (id == ID_CHANNELS)
					t->channels = (uint8_t)uint_of(&c);
			}
		}
	}
}

static double double_of(const struct rd *r)
{
	uint32_t bits32;
	uint64_t bits = uint_of(r);
	double d = 0;
	float f;

	if (rd_left(r) == sizeof(bits)) {
		memcpy(&d, &bits, sizeof(d));
	} else if (rd_left(r) == sizeof(bits32)) {
		bits32 = (uint32_t)bits;
		memcpy(&f, &bits32, sizeof(f));
		d = f;
	}
	return d;
}

static void read_info(struct mkv *m, struct rd r)
{
	double scale_ns = 1000000, ticks = 0;
	struct rd c;

	for (uint32_t id; next_element(&r, &id, &c);) {
		if (id == ID_DATE)
			m->start_wall_us = (int64_t)uint_of(&c) / 1000 + EPOCH_2001_US;
		else if (id == ID_TIMESTAMP_SCALE)
			scale_ns = (double)uint_of(&c);
		else if (id == ID_DURATION)
			ticks = double_of(&c);
	}
	double us = ticks * scale_ns / 1000;
	if (us > 0 && us < DURATION_MAX_US)
		m->duration_us = (int64_t)us;
}

static int read_tracks(struct mkv *m, struct rd r)
{
	struct rd c;

	for (uint32_t id; next_element(&r, &id, &c);) {
		if (id != ID_TRACK_ENTRY)
			continue;
		if (m->n_tracks == MKV_TRACKS_MAX)
			return -ENOTSUP;
		struct mkv_track *t = &m->tracks[m->n_tracks++];
		read_track(t, c);
		if (t->codec == MKV_CODECS)
			return -ENOTSUP;
	}
	return 0;
}

int mkv_read_head(struct mkv *m, const uint8_t *head, size_t len)
{
	struct rd r = rd_of(head, len), c;
	bool info = false;
	uint32_t id;
	int ret;

	mkv_init(m, 0);
	if (!next_element(&r, &id, &c) || id != ID_EBML || !next_element(&r, &id, &c) ||
	    id != ID_SEGMENT)
		return -EBADMSG;
	/* An element that is cut off reads as one that ends there: then what it says is not all. */
	while (rd_left(&r) && next_element(&r, &id, &c) && id != ID_CLUSTER) {
		if (id == ID_INFO)
			read_info(m, c);
		else if (id == ID_TRACKS && (ret = read_tracks(m, c)))
			return ret;
		info |= id == ID_INFO;
		if (info && m->n_tracks)
			return rd_left(&r) ? 0 : -EBADMSG;
	}
	return -EBADMSG;
}

int mkv_resume(struct mkv *m, const uint8_t *head, size_t len)
{
	if (len < MKV_HEAD || mkv_read_head(m, head, len) < 0)
		return -EBADMSG;
	m->duration_us = 0; /* of a header from before the last blocks */
	return m->start_wall_us ? 0 : -EBADMSG;
}

/* ---- blocks ---- */

static bool cluster_is_due(const struct mkv *m, int64_t time_ms, bool key_picture)
{
	int64_t age = time_ms - m->cluster_ms;

	return !m->open || age >= CLUSTER_MS || (key_picture && age >= CLUSTER_KEY_MS) ||
	       age < -RELATIVE_MAX;
}

int mkv_block(struct mkv *m, struct buf *out, unsigned track, int64_t time_us, bool key,
	      const uint8_t *data, size_t len)
{
	static const uint8_t cluster[] = {0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff,
					  0xff, 0xff, 0xff, 0xff, 0xff, 0xe7, 0x88};
	uint8_t head[sizeof(cluster) + 8 + 12];
	int64_t time_ms = time_us / 1000;
	size_t n = 0;

	if (!track || track > m->n_tracks || time_us < 0 || len > MKV_BLOCK_MAX)
		return -EINVAL;
	bool picture = m->tracks[track - 1].codec != MKV_OPUS;
	bool begin = cluster_is_due(m, time_ms, picture && key);
	int64_t cluster_ms = begin ? time_ms : m->cluster_ms;
	if (begin) {
		memcpy(head, cluster, sizeof(cluster));
		put_be64(head + sizeof(cluster), (uint64_t)time_ms);
		n = sizeof(cluster) + 8;
	}
	head[n++] = ID_SIMPLE_BLOCK;
	put_be32(head + n, 0x10000000u | (uint32_t)(len + 4));
	head[n + 4] = (uint8_t)(0x80 | track);
	put_be16(head + n + 5, (uint16_t)(int16_t)(time_ms - cluster_ms));
	head[n + 7] = key ? 0x80 : 0;
	n += 8;
	/* Both or nothing: a block must be whole. */
	uint8_t *room = buf_reserve(out, n + len);
	if (!room)
		return -ENOBUFS;
	memcpy(room, head, n);
	if (len)
		memcpy(room + n, data, len);
	buf_commit(out, n + len);
	m->open = true;
	m->cluster_ms = cluster_ms;
	if (time_us > m->duration_us)
		m->duration_us = time_us;
	return 0;
}
