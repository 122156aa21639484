/*
 * Positions: what is published, read and safe, and which side sleeps for what.
 *
 *   tail ............ cursor ............ head ............ tail + capacity
 *        read, not yet safe    published         free
 *
 * Each side keeps the position that it owns in private memory and only ever stores it to the page;
 * the other's is loaded, checked against its own, and kept only when it makes sense.
 *
 * Sleeping: the sleeper stores what it waits for and then looks once more; the waker stores its
 * position and then looks whether anybody waits. Both pairs are sequentially consistent, so at
 * least one of the two sees the other.
 */
#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bell.h"
#include "ring_shm.h"

#define OPEN_TRIES 16 /* a ring that is removed while it is being opened is made again */

struct ring {
	struct ring_shm shm;
	enum ring_role role;
	struct bell mine;   /* wakes us */
	struct bell theirs; /* wakes the other side */
	uint64_t head;	    /* producer: published; consumer: last seen, checked */
	uint64_t tail;	    /* consumer: committed; producer: last seen, checked */
	uint64_t cursor;    /* consumer: read */
	uint64_t reserved;  /* producer: bytes last reserved */
	uint64_t want_tail; /* producer: what a full ring waits for; 0: any movement */
	uint64_t published; /* producer: records, high water as in the page */
	uint64_t high_water;
	int error;
};

static uint64_t load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

/* For counters with one writer: no locked instruction needed. */
static void add(_Atomic uint64_t *p, uint64_t n)
{
	atomic_store_explicit(p, load(p) + n, memory_order_relaxed);
}

/* ---- opening ---- */

const char *ring_name_in(const char *spec)
{
	return strncmp(spec, "shm:", 4) == 0 ? spec + 4 : NULL;
}

/* The role's lock: one byte of the file a role, by open file description. */
static struct flock role_lock(enum ring_role role)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = role, .l_len = 1};
}

static int take_role(const struct ring *r)
{
	struct flock lock = role_lock(r->role);

	if (fcntl(r->shm.fd, F_OFD_SETLK, &lock) < 0)
		return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	return 0;
}

static int open_bells(struct ring *r, const char *name)
{
	bool producer = r->role == RING_PRODUCER;
	char bell[PATH_MAX], room[PATH_MAX];
	int ret = ring_path(bell, name, ".bell");

	if (!ret)
		ret = ring_path(room, name, ".room");
	if (!ret)
		ret = bell_open(&r->mine, producer ? room : bell, BELL_LISTENER);
	if (!ret)
		ret = bell_open(&r->theirs, producer ? bell : room, BELL_RINGER);
	return ret;
}

/* Goes on where the last of this role stopped. */
static int take_over(struct ring *r)
{
	struct ring_control *c = r->shm.ctl;

	r->tail = atomic_load_explicit(&c->tail, memory_order_acquire);
	r->head = atomic_load_explicit(&c->head, memory_order_acquire);
	/* The tail first: whichever of the two moves meanwhile, they still fit. */
	if (!ring_positions_valid(r->tail, r->head, r->shm.capacity))
		return -EBADMSG;
	r->cursor = r->tail;
	if (r->role == RING_PRODUCER) {
		r->published = load(&c->records);
		r->high_water = load(&c->high_water);
		atomic_store(&c->producer_waits, 0);
		add(&c->producer_starts, 1);
		ring_shm_begin(&r->shm, r->head);
	} else {
		atomic_store(&c->consumer_waits, 0);
		add(&c->consumer_starts, 1);
		ring_shm_begin(&r->shm, r->tail);
	}
	/* Whoever had this role before may have died between storing and ringing. */
	bell_ring(&r->theirs);
	return 0;
}

static int try_open(struct ring *r, const char *name, size_t size)
{
	char path[PATH_MAX];
	int ret = ring_path(path, name, "");

	if (!ret)
		ret = ring_shm_open(&r->shm, path, size);
	if (!ret)
		ret = take_role(r);
	if (!ret)
		ret = open_bells(r, name);
	/* Removed meanwhile: the other side would never find this memory, or these bells. */
	if (!ret && !ring_shm_current(&r->shm, path))
		ret = -ESTALE;
	if (!ret)
		ret = take_over(r);
	return ret;
}

static void release(struct ring *r)
{
	bell_close(&r->mine);
	bell_close(&r->theirs);
	ring_shm_close(&r->shm);
}

int ring_open(struct ring **rp, const char *name, enum ring_role role, size_t size)
{
	struct ring *r = malloc(sizeof(*r));
	int ret = -ESTALE;

	if (!r)
		return -ENOMEM;
	for (int i = 0; i < OPEN_TRIES && ret == -ESTALE; i++) {
		*r = (struct ring){
		    .shm.fd = -1, .role = role, .mine = BELL_CLOSED, .theirs = BELL_CLOSED};
		ret = try_open(r, name, size ? size : RING_DEFAULT_SIZE);
		if (ret < 0)
			release(r);
	}
	if (ret < 0)
		free(r);
	else
		*rp = r;
	return ret;
}

void ring_close(struct ring *r)
{
	if (!r)
		return;
	release(r);
	free(r);
}

int ring_unlink(const char *name)
{
	/* The memory first: what is left by a crash in between are bells, which fit any ring. */
	static const char *const suffix[] = {"", ".bell", ".room"};
	char path[PATH_MAX];
	int ret = -ENOENT;

	for (size_t i = 0; i < sizeof(suffix) / sizeof(*suffix); i++) {
		int bad = ring_path(path, name, suffix[i]);
		if (bad < 0)
			return bad;
		if (unlink(path) == 0)
			ret = ret == -ENOENT ? 0 : ret;
		else if (errno != ENOENT)
			ret = -errno;
	}
	return ret;
}

/* ---- producer ---- */

static void damaged(struct ring *r)
{
	r->error = -EBADMSG;
}

uint64_t ring_tail(struct ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->shm.ctl->tail, memory_order_acquire);

	if (tail == r->tail)
		return tail;
	if (tail < r->tail || tail > r->head || tail % 8)
		damaged(r);
	else
		r->tail = tail;
	return r->tail;
}

uint64_t ring_head(const struct ring *r)
{
	return r->head;
}

size_t ring_record_max(const struct ring *r)
{
	return r->shm.capacity / 2;
}

static size_t room(const struct ring *r)
{
	return r->shm.capacity - (size_t)(r->head - r->tail);
}

size_t ring_room(struct ring *r)
{
	ring_tail(r);
	return room(r);
}

uint8_t *ring_reserve(struct ring *r, size_t n)
{
	if (n > ring_record_max(r) || r->error)
		return NULL;
	if (n > room(r)) {
		ring_tail(r);
		if (n > room(r) || r->error) {
			/* Sleep until there is room for this and an eighth of the ring. */
			uint64_t fits = r->head + n - r->shm.capacity;
			uint64_t good = r->tail + r->shm.capacity / 8;
			r->want_tail = good > fits ? good : fits;
			if (r->want_tail > r->head)
				r->want_tail = r->head;
			add(&r->shm.ctl->full, 1);
			return NULL;
		}
	}
	r->want_tail = 0;
	r->reserved = n;
	ring_shm_warm(&r->shm, r->head + n);
	return r->shm.data + r->head % r->shm.capacity;
}

uint64_t ring_publish_more(struct ring *r, size_t n)
{
	struct ring_control *c = r->shm.ctl;

	assert(n && n % 8 == 0 && n <= r->reserved);
	r->reserved = 0;
	r->head += n;
	atomic_store_explicit(&c->head, r->head, memory_order_release);
	atomic_store_explicit(&c->records, ++r->published, memory_order_relaxed);
	if (r->head - r->tail > r->high_water) {
		/* The tail last seen may be old. */
		ring_tail(r);
		if (r->head - r->tail > r->high_water) {
			r->high_water = r->head - r->tail;
			atomic_store_explicit(&c->high_water, r->high_water, memory_order_relaxed);
		}
	}
	return r->head;
}

/* Rings the other side's bell if it sleeps and waits for what `pos` has reached. */
static void wake(const struct ring *r, _Atomic uint64_t *waits, uint64_t pos,
		 _Atomic uint64_t *count)
{
	uint64_t want = atomic_load(waits);

	if (!want || want > pos || !atomic_exchange(waits, 0))
		return;
	bell_ring(&r->theirs);
	add(count, 1);
}

void ring_flush(struct ring *r)
{
	struct ring_control *c = r->shm.ctl;

	atomic_store(&c->head, r->head);
	wake(r, &c->consumer_waits, r->head, &c->bells_rung);
}

uint64_t ring_publish(struct ring *r, size_t n)
{
	uint64_t pos = ring_publish_more(r, n);

	ring_flush(r);
	return pos;
}

/* ---- consumer ---- */

long ring_peek(struct ring *r, const uint8_t **data)
{
	uint64_t head = atomic_load_explicit(&r->shm.ctl->head, memory_order_acquire);

	if (r->error)
		return r->error;
	if (head < r->head || !ring_positions_valid(r->tail, head, r->shm.capacity)) {
		damaged(r);
		return r->error;
	}
	r->head = head;
	ring_shm_warm(&r->shm, head);
	*data = r->shm.data + r->cursor % r->shm.capacity;
	return (long)(head - r->cursor);
}

void ring_advance(struct ring *r, size_t n)
{
	assert(n <= r->head - r->cursor);
	r->cursor += n;
}

uint64_t ring_cursor(const struct ring *r)
{
	return r->cursor;
}

void ring_commit(struct ring *r, uint64_t pos)
{
	struct ring_control *c = r->shm.ctl;

	assert(pos <= r->cursor);
	if (pos <= r->tail || r->error)
		return;
	r->tail = pos;
	atomic_store(&c->tail, pos);
	wake(r, &c->producer_waits, pos, &c->rooms_rung);
}

uint64_t ring_consumer_starts(const struct ring *r)
{
	return load(&r->shm.ctl->consumer_starts);
}

/* ---- both ---- */

uint64_t ring_id(const struct ring *r)
{
	return r->shm.id;
}

int ring_error(const struct ring *r)
{
	return r->error;
}

int ring_fd(const struct ring *r)
{
	return r->mine.fd;
}

bool ring_arm(struct ring *r)
{
	bool producer = r->role == RING_PRODUCER;
	struct ring_control *c = r->shm.ctl;
	_Atomic uint64_t *waits = producer ? &c->producer_waits : &c->consumer_waits;
	uint64_t want = !producer ? r->cursor + 1 : r->want_tail ? r->want_tail : r->tail + 1;

	if (r->error)
		return false;
	atomic_store(waits, want);
	if (atomic_load(producer ? &c->tail : &c->head) < want)
		return false;
	atomic_store_explicit(waits, 0, memory_order_relaxed);
	/* Reported once: a caller that leaves the room unused waits for the next change. */
	r->want_tail = 0;
	return true;
}

void ring_disarm(struct ring *r)
{
	struct ring_control *c = r->shm.ctl;

	atomic_store_explicit(r->role == RING_PRODUCER ? &c->producer_waits : &c->consumer_waits, 0,
			      memory_order_relaxed);
	bell_drain(&r->mine);
}

int ring_wait(struct ring *r, int timeout_ms)
{
	struct pollfd p = {.fd = r->mine.fd, .events = POLLIN};
	struct mono end = mono_add_us(mono_now(), (int64_t)timeout_ms * 1000);

	while (!r->error && !ring_arm(r)) {
		int64_t left = mono_diff_us(end, mono_now());
		int ms = timeout_ms < 0 ? -1 : left > 0 ? (int)((left + 999) / 1000) : 0;
		int n = poll(&p, 1, ms);
		int err = errno;
		ring_disarm(r);
		if (n < 0)
			return -err;
		if (n == 0)
			return 0;
	}
	return r->error ? r->error : 1;
}

static void read_stats(const struct ring_shm *m, struct ring_stats *out)
{
	const struct ring_control *c = m->ctl;

	*out = (struct ring_stats){
	    .id = m->id,
	    .tail = load(&c->tail),
	    .head = load(&c->head),
	    .capacity = m->capacity,
	    .records = load(&c->records),
	    .full = load(&c->full),
	    .high_water = load(&c->high_water),
	    .wakeups = load(&c->bells_rung) + load(&c->rooms_rung),
	    .producer_starts = load(&c->producer_starts),
	    .consumer_starts = load(&c->consumer_starts),
	};
}

void ring_stats(const struct ring *r, struct ring_stats *out)
{
	read_stats(&r->shm, out);
}

static bool role_taken(int fd, enum ring_role role)
{
	struct flock lock = role_lock(role);

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool ring_has_producer(const struct ring *r)
{
	return role_taken(r->shm.fd, RING_PRODUCER);
}

int ring_inspect(const char *name, struct ring_stats *out)
{
	struct ring_shm m;
	char path[PATH_MAX];
	int ret = ring_path(path, name, "");

	if (!ret)
		ret = ring_shm_open(&m, path, 0);
	if (ret < 0)
		return ret;
	bool producer = role_taken(m.fd, RING_PRODUCER), consumer = role_taken(m.fd, RING_CONSUMER);
	read_stats(&m, out);
	out->producer_live = producer;
	out->consumer_live = consumer;
	/* Positions that move between two looks need not fit each other. */
	out->damaged =
	    !producer && !consumer && !ring_positions_valid(out->tail, out->head, m.capacity);
	ring_shm_close(&m);
	return 0;
}

bool ring_is_other(const char *name)
{
	char path[PATH_MAX], magic[sizeof(RING_MAGIC)];

	if (ring_path(path, name, "") < 0)
		return false;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = pread(fd, magic, sizeof(magic), 0);
	close(fd);
	return n > 0 && memcmp(magic, RING_MAGIC, (size_t)n) != 0;
}
