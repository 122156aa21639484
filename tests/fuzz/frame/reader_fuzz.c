/*
 * The reader of frames over arbitrary bytes: decoding and resynchronising in memory, a source on a
 * pipe, and a source on a ring whose producer publishes those bytes.
 *
 * The three must agree on what is a record. What they find must hold the format's promises, and
 * encoding it again must give a record that decodes to the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/id.h"
#include "frame/frame.h"
#include "frame/ring.h"
#include "frame/source.h"
#include "loop/loop.h"

#define INPUT_MAX 60000 /* bytes: fits a pipe, so that one thread can do both ends */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check(const struct frame *f)
{
	struct frame g;
	size_t size = frame_size(f);
	uint8_t *rec = malloc(size);

	must(f->kind > 0 && f->kind < FRAME_KINDS && f->body_len <= FRAME_BODY_MAX);
	must(id_valid(f->room, f->room_len) && id_valid(f->session, f->session_len));
	must(!f->storage_len || id_valid(f->storage, f->storage_len));
	must(rec && frame_encode(f, rec) == 0);
	must(frame_decode(rec, size, &g, NULL) == (long)size);
	must(g.part == f->part && g.time_us == f->time_us && g.flags == f->flags);
	must(g.body_len == f->body_len && !memcmp(g.body, f->body, g.body_len));
	free(rec);
}

/* Records in memory, the way a source finds them. */
static uint64_t in_memory(const uint8_t *p, size_t n)
{
	uint64_t found = 0;

	while (n) {
		struct frame f;
		size_t need = 0;
		long size = frame_decode(p, n, &f, &need);
		if (size > 0) {
			must((size_t)size <= n && size % 8 == 0);
			check(&f);
			found++;
		} else {
			must(size != -EAGAIN || (need > n && need <= FRAME_RECORD_MAX));
			size = (long)frame_resync(p, n);
			must(size >= 1 && (size_t)size <= n);
		}
		p += size;
		n -= (size_t)size;
	}
	return found;
}

/* Everything that is there now; every byte is in a frame or was skipped. */
static uint64_t drain(struct source *s)
{
	struct source_stats st;
	struct frame f;

	while (source_next(s, &f) == 1) {
		check(&f);
		source_commit(s, source_pos(s));
	}
	source_stats(s, &st);
	must(st.bytes + st.skipped == source_pos(s));
	return st.frames;
}

static uint64_t on_pipe(const uint8_t *data, size_t size)
{
	struct source_opts o = {0};
	struct source *s;
	char path[32];
	int p[2];

	must(pipe2(p, O_CLOEXEC) == 0);
	must(write(p[1], data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	must(source_open(&s, path, &o) == 0);
	close(p[0]);
	close(p[1]);
	uint64_t found = drain(s);
	must(source_pos(s) == size);
	source_close(s);
	return found;
}

static void on_ring(const uint8_t *data, size_t size)
{
	static struct loop *loop;
	static struct source *s;
	static struct ring *r;
	size_t n = (size + 7) & ~(size_t)7;

	if (!r) {
		char name[32];
		snprintf(name, sizeof(name), "fuzz-%d", (int)getpid());
		struct source_opts o = {.ring_size = 4 * INPUT_MAX};
		must(loop_new(&loop) == 0);
		o.loop = loop; /* never turned: only so that nothing waits */
		char spec[40];
		snprintf(spec, sizeof(spec), "shm:%s", name);
		must(source_open(&s, spec, &o) == 0);
		must(ring_open(&r, name, RING_PRODUCER, 0) == 0);
		ring_unlink(name);
	}
	if (!n)
		return;
	uint8_t *p = ring_reserve(r, n);
	must(p); /* what is damaged does not stay in the ring */
	memset(p + n - 8, 0, 8);
	memcpy(p, data, size);
	ring_publish(r, n);
	drain(s);
	must(ring_room(r) >= n);
}

/* Makes a record's head right, so that mutations get past the checksum: see msr-frame(5). */
static void repair(uint8_t *p, size_t n)
{
	if (n < FRAME_HEAD)
		return;
	size_t ids = (size_t)p[12] + p[13] + p[14];
	memcpy(p, "MSRF\1", 5);
	if (FRAME_HEAD + ids <= n)
		put_le32(p + 40, crc32c(crc32c(0, p, 40), p + FRAME_HEAD, ids));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > INPUT_MAX)
		return 0;
	uint8_t *copy = malloc(size ? size : 1);
	must(copy);
	if (size)
		memcpy(copy, data, size);
	for (int i = 0; i < 2; i++) {
		must(in_memory(copy, size) == on_pipe(copy, size));
		on_ring(copy, size);
		repair(copy, size);
	}
	free(copy);
	return 0;
}
