/*
 * The journal's bytes, and its file. What is read may be damaged and is believed only as checked.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crc32c.h"

#define HEAD_MAGIC "MSRJOUR1"
#define SLOT_MAGIC 0x544f4c53u /* "SLOT" */
#define MAGIC_LEN  8
#define MAKES	   100 /* of a file that others were the first to lock */

/* Sizes within a slot; the sum is checked below. */
#define SLOT_FIXED  24 /* magic, crc, number, phase, gaps */
#define SOURCE_SIZE 16
#define STREAM_SIZE 96
#define GAP_SIZE    32

_Static_assert(SLOT_FIXED + JOURNAL_SOURCES * SOURCE_SIZE + STREAMS * STREAM_SIZE +
		       JOURNAL_GAPS * GAP_SIZE <=
		   JOURNAL_SLOT,
	       "a state fits its slot");
_Static_assert(MAGIC_LEN + 4 + 3 * ID_SIZE <= JOURNAL_HEAD, "the ids fit the head");

const char *const stream_names[STREAMS] = {"audio", "video", "rtp", "list"};

/* ---- bytes ---- */

void journal_render_head(const struct journal_head *h, uint8_t out[static JOURNAL_HEAD])
{
	memset(out, 0, JOURNAL_HEAD);
	memcpy(out, HEAD_MAGIC, MAGIC_LEN);
	uint8_t *p = out + MAGIC_LEN + 4;
	memcpy(p, h->room, ID_SIZE);
	memcpy(p + ID_SIZE, h->session, ID_SIZE);
	memcpy(p + 2 * ID_SIZE, h->storage, ID_SIZE);
	put_le32(out + MAGIC_LEN, crc32c(0, p, JOURNAL_HEAD - MAGIC_LEN - 4));
}

static bool get_id(const uint8_t *p, bool may_be_empty, char out[ID_SIZE])
{
	size_t len = strnlen((const char *)p, ID_SIZE);

	if (len == ID_SIZE || !(id_valid((const char *)p, len) || (may_be_empty && !len)))
		return false;
	memcpy(out, p, len + 1);
	return true;
}

static int parse_head(const uint8_t *p, struct journal_head *h)
{
	const uint8_t *ids = p + MAGIC_LEN + 4;

	if (memcmp(p, HEAD_MAGIC, MAGIC_LEN) != 0 ||
	    get_le32(p + MAGIC_LEN) != crc32c(0, ids, JOURNAL_HEAD - MAGIC_LEN - 4))
		return -EBADMSG;
	if (!get_id(ids, false, h->room) || !get_id(ids + ID_SIZE, false, h->session) ||
	    !get_id(ids + 2 * ID_SIZE, true, h->storage))
		return -EBADMSG;
	return 0;
}

static void render_stream(const struct journal_stream *s, uint8_t *p)
{
	p[0] = s->present;
	p[1] = s->codec;
	p[2] = s->channels;
	put_le32(p + 4, s->rate);
	put_le64(p + 8, s->bytes);
	put_le64(p + 16, s->base);
	put_le64(p + 24, s->first_part);
	put_le64(p + 32, s->next_part);
	put_le64(p + 40, s->parts);
	put_le64(p + 48, s->missing);
	put_le64(p + 56, s->duplicates);
	put_le64(p + 64, (uint64_t)s->first_us);
	put_le64(p + 72, (uint64_t)s->last_us);
	put_le32(p + 80, s->first_len);
	put_le32(p + 84, s->first_crc);
	put_le32(p + 88, s->chunk_bytes);
}

static void parse_stream(const uint8_t *p, struct journal_stream *s)
{
	*s = (struct journal_stream){
	    .present = p[0],
	    .codec = p[1],
	    .channels = p[2],
	    .rate = get_le32(p + 4),
	    .bytes = get_le64(p + 8),
	    .base = get_le64(p + 16),
	    .first_part = get_le64(p + 24),
	    .next_part = get_le64(p + 32),
	    .parts = get_le64(p + 40),
	    .missing = get_le64(p + 48),
	    .duplicates = get_le64(p + 56),
	    .first_us = (int64_t)get_le64(p + 64),
	    .last_us = (int64_t)get_le64(p + 72),
	    .first_len = get_le32(p + 80),
	    .first_crc = get_le32(p + 84),
	    .chunk_bytes = get_le32(p + 88),
	};
}

void journal_render_slot(const struct journal_state *s, uint8_t out[static JOURNAL_SLOT])
{
	uint8_t *p = out + SLOT_FIXED;

	memset(out, 0, JOURNAL_SLOT);
	put_le32(out, SLOT_MAGIC);
	put_le64(out + 8, s->number);
	put_le32(out + 16, s->phase);
	put_le32(out + 20, s->n_gaps);
	for (int i = 0; i < JOURNAL_SOURCES; i++, p += SOURCE_SIZE) {
		put_le64(p, s->sources[i].ring_id);
		put_le64(p + 8, s->sources[i].pos);
	}
	for (int i = 0; i < STREAM_LIST; i++, p += STREAM_SIZE)
		render_stream(&s->streams[i], p);
	for (int i = 0; i < JOURNAL_GAPS; i++, p += GAP_SIZE) {
		p[0] = s->gaps[i].stream;
		put_le64(p + 8, s->gaps[i].part);
		put_le64(p + 16, s->gaps[i].missing);
		put_le64(p + 24, (uint64_t)s->gaps[i].at_us);
	}
	/* Behind the gaps, where older journals have zeros. */
	render_stream(&s->streams[STREAM_LIST], p);
	put_le32(out + 4, crc32c(0, out + 8, JOURNAL_SLOT - 8));
}

static int parse_slot(const uint8_t *data, struct journal_state *s)
{
	const uint8_t *p = data + SLOT_FIXED;

	if (get_le32(data) != SLOT_MAGIC ||
	    get_le32(data + 4) != crc32c(0, data + 8, JOURNAL_SLOT - 8))
		return -EBADMSG;
	*s = (struct journal_state){.number = get_le64(data + 8),
				    .phase = get_le32(data + 16),
				    .n_gaps = get_le32(data + 20)};
	if (s->phase != PHASE_OPEN && s->phase != PHASE_ENDED)
		return -EBADMSG;
	for (int i = 0; i < JOURNAL_SOURCES; i++, p += SOURCE_SIZE)
		s->sources[i] = (struct journal_source){get_le64(p), get_le64(p + 8)};
	for (int i = 0; i < STREAM_LIST; i++, p += STREAM_SIZE)
		parse_stream(p, &s->streams[i]);
	for (int i = 0; i < JOURNAL_GAPS; i++, p += GAP_SIZE) {
		s->gaps[i] = (struct journal_gap){p[0], get_le64(p + 8), get_le64(p + 16),
						  (int64_t)get_le64(p + 24)};
		if (p[0] >= STREAMS)
			return -EBADMSG;
	}
	parse_stream(p, &s->streams[STREAM_LIST]);
	for (int i = 0; i < STREAMS; i++)
		if (s->streams[i].bytes > INT64_MAX)
			return -EBADMSG;
	return 0;
}

int journal_parse(const uint8_t *data, size_t n, struct journal_head *h, struct journal_state *s)
{
	struct journal_state slot[2];
	bool good[2];

	if (n != JOURNAL_SIZE || parse_head(data, h) < 0)
		return -EBADMSG;
	for (int i = 0; i < 2; i++)
		good[i] = parse_slot(data + JOURNAL_HEAD + i * JOURNAL_SLOT, &slot[i]) == 0;
	if (!good[0] && !good[1])
		return -EBADMSG;
	*s = slot[good[1] && (!good[0] || slot[1].number > slot[0].number)];
	return 0;
}

/* ---- the file ---- */

/* 0, -EBUSY or -errno. */
static int lock(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int write_at(int fd, const uint8_t *data, size_t n, off_t at)
{
	while (n) {
		ssize_t w = pwrite(fd, data, n, at);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		data += w;
		n -= (size_t)w;
		at += w;
	}
	return 0;
}

/* 0, -EBUSY when somebody else locked it before us, or -errno; on an error nothing is left. */
static int make(int *fd, int dirfd, const char *path, const uint8_t bytes[static JOURNAL_SIZE])
{
	int made = openat(dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);

	if (made < 0)
		return -errno;
	int ret = lock(made);
	if (!ret)
		ret = write_at(made, bytes, JOURNAL_SIZE, 0);
	if (ret) {
		unlinkat(dirfd, path, 0);
		close(made);
		return ret;
	}
	*fd = made;
	return 0;
}

int journal_create(int *fd, int dirfd, const char *path, const struct journal_head *h,
		   struct journal_state *s)
{
	uint8_t bytes[JOURNAL_SIZE] = {0};
	int ret = -EBUSY;

	s->number = 1;
	journal_render_head(h, bytes);
	/* All of it, so that later states never need space that a full disk does not have. */
	journal_render_slot(s, bytes + JOURNAL_HEAD + JOURNAL_SLOT);
	/* Who looks through the storage locks for a moment what has just been made. */
	for (int i = 0; i < MAKES && ret == -EBUSY; i++)
		ret = make(fd, dirfd, path, bytes);
	return ret;
}

int journal_open(int *fd, int dirfd, const char *path, struct journal_head *h,
		 struct journal_state *s)
{
	uint8_t bytes[JOURNAL_SIZE + 1];
	struct stat st;
	int opened = openat(dirfd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (opened < 0)
		return -errno;
	int ret = lock(opened);
	/* It may have been finished and removed between open and lock. */
	if (!ret && (fstat(opened, &st) < 0 || st.st_nlink == 0))
		ret = -ENOENT;
	if (!ret) {
		ssize_t n = pread(opened, bytes, sizeof(bytes), 0);
		ret = n < 0 ? -errno : journal_parse(bytes, (size_t)n, h, s);
	}
	if (ret) {
		close(opened);
		return ret;
	}
	*fd = opened;
	return 0;
}

int journal_write(int fd, struct journal_state *s)
{
	uint8_t bytes[JOURNAL_SLOT];

	s->number++;
	journal_render_slot(s, bytes);
	int ret = write_at(fd, bytes, sizeof(bytes),
			   JOURNAL_HEAD + (off_t)(s->number & 1) * JOURNAL_SLOT);
	if (ret)
		s->number--; /* the same slot again: the other one is good */
	return ret;
}

/* ---- positions ---- */

uint64_t journal_position(const struct journal_state *s, uint64_t ring_id)
{
	for (int i = 0; ring_id && i < JOURNAL_SOURCES; i++)
		if (s->sources[i].ring_id == ring_id)
			return s->sources[i].pos;
	return 0;
}

bool journal_set_position(struct journal_state *s, uint64_t ring_id, uint64_t pos)
{
	struct journal_source *free_one = NULL;

	if (!ring_id)
		return true;
	for (int i = JOURNAL_SOURCES - 1; i >= 0; i--) {
		if (s->sources[i].ring_id == ring_id) {
			s->sources[i].pos = pos;
			return true;
		}
		if (!s->sources[i].ring_id)
			free_one = &s->sources[i];
	}
	if (!free_one)
		return false;
	*free_one = (struct journal_source){ring_id, pos};
	return true;
}
