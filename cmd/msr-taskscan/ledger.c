/*
 * The ledger in memory is a set of keys, brought up to date from the file's end on every lock:
 *
 *	.ledger ──read from `at`──▶ whole lines ──parse──▶ set
 */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "name.h"

#define LINE_MAX_LEN \
	512 /* bytes; an entry has at most CLOCK_RFC3339_SIZE + KEY_SIZE + LEDGER_START + 16 */
#define READ_STEP  65536 /* bytes a pread(2) */
#define CRC_DIGITS 8

static const char *const op_names[] = {[LEDGER_MAKE] = "make", [LEDGER_AGAIN] = "again"};

struct entry {
	struct map_node node;
	char start[LEDGER_START];      /* "" where unknown */
	char seen[CLOCK_RFC3339_SIZE]; /* a NAME.json not changed after it is this recording's */
	char key[];		       /* NUL-terminated */
};

struct ledger {
	int dirfd;	/* lent */
	int fd;		/* O_APPEND */
	off_t at;	/* up to here whole lines were read */
	bool torn;	/* the file does not end with a line end */
	bool too_long;	/* inside a line that is longer than LINE_MAX_LEN */
	struct map set; /* of struct entry */
	uint64_t damaged;
};

/* The descriptor or -errno. */
static int open_file(int dirfd)
{
	int fd =
	    openat(dirfd, LEDGER_FILE, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);

	return fd < 0 ? -errno : fd;
}

int ledger_open(struct ledger **lp, int dirfd)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->dirfd = dirfd;
	map_init(&l->set);
	l->fd = open_file(dirfd);
	if (l->fd < 0) {
		int err = l->fd;
		free(l);
		return err;
	}
	*lp = l;
	return 0;
}

static void forget_all(struct ledger *l)
{
	map_each (i, &l->set) {
		map_remove(&l->set, i);
		free(container_of(i, struct entry, node));
	}
	l->at = 0;
	l->torn = l->too_long = false;
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	forget_all(l);
	map_done(&l->set);
	close(l->fd);
	free(l);
}

/* ---- lines ---- */

static bool parse_crc(const char *hex, uint32_t *out)
{
	uint32_t v = 0;

	for (int i = 0; i < CRC_DIGITS; i++) {
		const char *digits = "0123456789abcdef", *at = strchr(digits, hex[i]);
		if (!hex[i] || !at)
			return false;
		v = v << 4 | (uint32_t)(at - digits);
	}
	*out = v;
	return true;
}

/* The text up to the next blank, which *at is moved behind. */
static const char *word(const char **at, const char *end, size_t *len)
{
	const char *from = *at;
	const char *blank = memchr(from, ' ', (size_t)(end - from));

	*len = (size_t)((blank ? blank : end) - from);
	*at = blank ? blank + 1 : end;
	return from;
}

bool ledger_parse(const char *line, size_t len, struct ledger_line *out)
{
	struct ledger_line l;
	uint32_t crc;

	if (len < CRC_DIGITS + 1 || line[len - CRC_DIGITS - 1] != ' ' ||
	    !parse_crc(line + len - CRC_DIGITS, &crc))
		return false;
	len -= CRC_DIGITS + 1;
	if (crc32c(0, line, len) != crc)
		return false;
	const char *at = line, *end = line + len;
	size_t op_len;
	l.time = word(&at, end, &l.time_len);
	const char *op = word(&at, end, &op_len);
	l.key = word(&at, end, &l.key_len);
	l.start = word(&at, end, &l.start_len);
	if (at != end || l.start_len >= LEDGER_START || !name_key_valid(l.key, l.key_len))
		return false;
	for (int i = LEDGER_MAKE; i <= LEDGER_AGAIN; i++)
		if (strlen(op_names[i]) == op_len && !memcmp(op_names[i], op, op_len)) {
			l.op = (enum ledger_op)i;
			*out = l;
			return true;
		}
	return false;
}

static struct entry *find(const struct ledger *l, const char *key, size_t len)
{
	struct map_node *n = map_get(&l->set, key, len);

	return n ? container_of(n, struct entry, node) : NULL;
}

static void note_line(struct entry *e, const struct ledger_line *line)
{
	snprintf(e->start, sizeof(e->start), "%.*s", (int)line->start_len, line->start);
	snprintf(e->seen, sizeof(e->seen), "%.*s", (int)line->time_len, line->time);
}

static int apply(struct ledger *l, const struct ledger_line *line)
{
	struct entry *old = find(l, line->key, line->key_len);

	if (line->op == LEDGER_AGAIN) {
		if (old) {
			map_remove(&l->set, &old->node);
			free(old);
		}
		return 0;
	}
	if (old) {
		note_line(old, line);
		return 0;
	}
	struct entry *e = malloc(sizeof(*e) + line->key_len + 1);
	if (!e)
		return -ENOMEM;
	memcpy(e->key, line->key, line->key_len);
	e->key[line->key_len] = '\0';
	note_line(e, line);
	int ret = map_put(&l->set, &e->node, e->key, line->key_len);
	if (ret < 0)
		free(e);
	return ret;
}

static int take_line(struct ledger *l, const char *line, size_t len)
{
	struct ledger_line parsed;

	if (!len)
		return 0;
	if (!ledger_parse(line, len, &parsed)) {
		l->damaged++;
		return 0;
	}
	return apply(l, &parsed);
}

/* ---- reading on from where we were ---- */

/* Takes the whole lines of `b`; what remains is the beginning of one. */
static int take_lines(struct ledger *l, struct buf *b)
{
	for (;;) {
		const char *p = (const char *)buf_data(b);
		size_t len = buf_len(b);
		const char *nl = len ? memchr(p, '\n', len) : NULL;

		if (!nl) {
			/* Nobody writes lines this long: skip to the end of it. */
			if (len > LINE_MAX_LEN) {
				l->too_long = true;
				l->at += (off_t)len;
				buf_consume(b, len);
			}
			return 0;
		}
		size_t line = (size_t)(nl - p);
		if (l->too_long)
			l->damaged++;
		int ret = l->too_long ? 0 : take_line(l, p, line);
		if (ret < 0)
			return ret;
		l->too_long = false;
		l->at += (off_t)line + 1;
		buf_consume(b, line + 1);
	}
}

static int refresh(struct ledger *l)
{
	uint64_t damaged = l->damaged;
	struct buf b;
	int ret = 0;

	buf_init(&b, 0);
	while (!ret) {
		uint8_t *p = buf_reserve(&b, READ_STEP);
		if (!p) {
			ret = -ENOMEM;
			break;
		}
		ssize_t n = pread(l->fd, p, READ_STEP, l->at + (off_t)buf_len(&b));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			ret = n < 0 ? -errno : 0;
			break;
		}
		buf_commit(&b, (size_t)n);
		ret = take_lines(l, &b);
	}
	l->torn = buf_len(&b) > 0 || l->too_long;
	buf_done(&b);
	if (l->damaged > damaged)
		log_warn("ledger: skipped %" PRIu64 " damaged lines; their recordings may get a "
			 "second task",
			 l->damaged - damaged);
	return ret;
}

/* ---- the lock ---- */

/* Whether the open file is still the one with the ledger's name. */
static bool is_current(const struct ledger *l)
{
	struct stat mine, named;

	return fstat(l->fd, &mine) == 0 &&
	       fstatat(l->dirfd, LEDGER_FILE, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

int ledger_lock(struct ledger *l)
{
	for (int i = 0; i < 3; i++) {
		if (flock(l->fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
		struct stat st;
		if (is_current(l) && fstat(l->fd, &st) == 0) {
			if (st.st_size < l->at) /* cut by hand: what is gone is forgotten */
				forget_all(l);
			int ret = refresh(l);
			if (ret < 0)
				ledger_unlock(l);
			return ret;
		}
		int fd = open_file(l->dirfd);
		if (fd < 0) {
			ledger_unlock(l);
			return fd;
		}
		log_warn("ledger: it was removed; beginning a new one");
		close(l->fd);
		l->fd = fd;
		forget_all(l);
	}
	return -EAGAIN;
}

void ledger_unlock(struct ledger *l)
{
	flock(l->fd, LOCK_UN);
}

bool ledger_has(const struct ledger *l, const char *key)
{
	return find(l, key, strlen(key));
}

bool ledger_has_this(const struct ledger *l, const char *key, const char *start)
{
	const struct entry *e = find(l, key, strlen(key));

	return e && (!start[0] || !e->start[0] || !strcmp(e->start, start));
}

bool ledger_has_since(const struct ledger *l, const char *key, const char *changed)
{
	const struct entry *e = find(l, key, strlen(key));

	/* Times of this form are in order as text. */
	return e && (!e->start[0] || strcmp(changed, e->seen) <= 0);
}

void ledger_seen(struct ledger *l, const char *key, const char *changed)
{
	struct entry *e = find(l, key, strlen(key));

	if (e)
		snprintf(e->seen, sizeof(e->seen), "%s", changed);
}

int ledger_add(struct ledger *l, enum ledger_op op, const char *key, const char *start)
{
	char line[LINE_MAX_LEN], ts[CLOCK_RFC3339_SIZE];

	clock_rfc3339(clock_wall_us(), ts);
	/* The line end first, after a torn line: it must not swallow this one. */
	int lead = l->torn ? 1 : 0;
	int n = snprintf(line, sizeof(line), "%s%s %s %s%s%s", lead ? "\n" : "", ts, op_names[op],
			 key, start[0] ? " " : "", start);
	uint32_t crc = crc32c(0, line + lead, (size_t)(n - lead));
	n += snprintf(line + n, sizeof(line) - (size_t)n, " %08x\n", crc);
	int ret = file_write_all(l->fd, line, (size_t)n);
	if (!ret && fdatasync(l->fd) < 0)
		ret = -errno;
	/* Also after a failure: what did get written is read back from the file. */
	int read_back = refresh(l);
	return ret ? ret : read_back;
}

void ledger_stats(const struct ledger *l, struct ledger_stats *out)
{
	*out = (struct ledger_stats){.entries = l->set.n, .damaged = l->damaged};
}
