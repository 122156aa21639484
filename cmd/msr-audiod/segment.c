/* The shared segment: a head with its sizes, then slots with their buffers on whole pages' lines.
 */
#include "segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frame/ring.h"

#define SEGMENT_MAGIC 0x3174756473727361ull /* "asrsdut1" in memory */
#define LINE	      64		    /* bytes of a cache line: slots share none */
#define EVENT_BURST   64		    /* events of a session between two turns of the front */
#define BUFFER_MAX    (1u << 20)
#define SLOTS_MAX     (1u << 20)
#define OWN_NAME_SIZE 64	 /* "audiod-PID-N", */
#define NAME_SIZE     96	 /* and what is made of it */
#define SHM_DIR	      "/dev/shm" /* of shm_open(3); rings may be elsewhere */

struct head {
	uint64_t magic;
	uint32_t n_slots, buffer;
};

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static size_t slot_size(uint32_t buffer)
{
	return round_up(sizeof(struct slot), LINE) + 2 * round_up(buffer, LINE);
}

static size_t head_size(void)
{
	return round_up(sizeof(struct head), LINE);
}

static void shm_path(char out[NAME_SIZE], const char *name)
{
	snprintf(out, NAME_SIZE, "/msr-%s", name);
}

static void ring_name(char out[NAME_SIZE], const char *name, const char *way)
{
	snprintf(out, NAME_SIZE, "%s-%s", name, way);
}

static int map(struct segment *s, int fd, size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		return -errno;
	s->mem = mem;
	s->size = size;
	return 0;
}

static int open_rings(struct segment *s, const char *name, bool front)
{
	/* Jobs: one a slot. Results: one a slot and a burst of events; a worker waits when full. */
	size_t jobs = (size_t)s->n_slots * sizeof(struct job) * 4 + 65536;
	size_t results = (size_t)s->n_slots * sizeof(struct result) * 4 +
			 EVENT_BURST * (EVENT_TEXT_MAX + sizeof(struct result)) * 16;
	char in[NAME_SIZE], out[NAME_SIZE];

	ring_name(in, name, "in");
	ring_name(out, name, "out");
	int ret = ring_open(&s->in, in, front ? RING_PRODUCER : RING_CONSUMER, jobs);
	return ret < 0 ? ret
		       : ring_open(&s->out, out, front ? RING_CONSUMER : RING_PRODUCER, results);
}

int segment_guard(void)
{
	int fd = open(SHM_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR) {
			int err = errno;
			close(fd);
			return -err;
		}
	return fd;
}

int segment_renew_rings(struct segment *s, const char *name)
{
	char in[NAME_SIZE], out[NAME_SIZE];
	int guard = segment_guard();

	if (guard < 0)
		return guard;
	ring_close(s->in);
	ring_close(s->out);
	s->in = s->out = NULL;
	ring_name(in, name, "in");
	ring_unlink(in);
	ring_name(out, name, "out");
	ring_unlink(out);
	int ret = open_rings(s, name, true);
	close(guard);
	return ret;
}

void segment_restore(struct segment *s)
{
	*(struct head *)s->mem = (struct head){SEGMENT_MAGIC, s->n_slots, s->buffer};
}

/*
 * Whether the front of these rings lives: 1, 0, or -errno where they are not there. By their lock:
 * its process id tells nothing to other containers, where another process may have the same.
 */
static int is_live(const char *name)
{
	char in[NAME_SIZE];
	struct ring_stats st;

	ring_name(in, name, "in");
	int ret = ring_inspect(in, &st);
	return ret ? ret : st.producer_live;
}

int segment_make(struct segment *s, const char *name, uint32_t n_slots, uint32_t buffer)
{
	size_t size = head_size() + n_slots * slot_size(buffer);
	char path[NAME_SIZE];

	*s = (struct segment){.n_slots = n_slots, .buffer = buffer};
	if (is_live(name) > 0)
		return -EBUSY;
	segment_unlink(name);
	shm_path(path, name);
	int fd = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return -errno;
	/* Allocated now: a full /dev/shm is an error here, not a SIGBUS later. */
	int ret = -posix_fallocate(fd, 0, (off_t)size);
	if (!ret)
		ret = map(s, fd, size);
	close(fd);
	if (!ret) {
		segment_restore(s);
		ret = open_rings(s, name, true);
	}
	if (ret < 0) {
		segment_done(s);
		segment_unlink(name);
	}
	return ret;
}

int segment_join(struct segment *s, const char *name)
{
	char path[NAME_SIZE];
	struct stat st;

	*s = (struct segment){0};
	shm_path(path, name);
	int fd = shm_open(path, O_RDWR, 0);
	if (fd < 0)
		return -errno;
	int ret = fstat(fd, &st) < 0 ? -errno : 0;
	if (!ret && (size_t)st.st_size < head_size())
		ret = -EBADMSG;
	if (!ret)
		ret = map(s, fd, (size_t)st.st_size);
	close(fd);
	if (!ret) {
		const struct head *h = (const struct head *)s->mem;
		s->n_slots = h->n_slots;
		s->buffer = h->buffer;
		if (h->magic != SEGMENT_MAGIC || s->n_slots > SLOTS_MAX || s->buffer > BUFFER_MAX ||
		    head_size() + s->n_slots * slot_size(s->buffer) > s->size)
			ret = -EBADMSG;
	}
	if (!ret)
		ret = open_rings(s, name, false);
	if (ret < 0)
		segment_done(s);
	return ret;
}

void segment_done(struct segment *s)
{
	ring_close(s->in);
	ring_close(s->out);
	if (s->mem)
		munmap(s->mem, s->size);
	*s = (struct segment){0};
}

void segment_unlink(const char *name)
{
	char text[NAME_SIZE];

	shm_path(text, name);
	shm_unlink(text);
	ring_name(text, name, "in");
	ring_unlink(text);
	ring_name(text, name, "out");
	ring_unlink(text);
}

/* Something of "msr-audiod-PID-N", the segment or a ring, of a process that is gone. */
static bool is_leftover(const char *file, char name[OWN_NAME_SIZE])
{
	int pid, n, end = 0;

	if (sscanf(file, "msr-audiod-%d-%d%n", &pid, &n, &end) != 2 || pid <= 0 ||
	    (file[end] && file[end] != '-'))
		return false;
	snprintf(name, OWN_NAME_SIZE, "audiod-%d-%d", pid, n);
	/* Both: a server may be about to make its rings anew, and one in another container has a
	 * process id that nobody has here. */
	return is_live(name) <= 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

static void sweep(const char *dir)
{
	char name[OWN_NAME_SIZE];
	DIR *d = opendir(dir);

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));)
		if (is_leftover(e->d_name, name))
			segment_unlink(name);
	closedir(d);
}

void segment_sweep(void)
{
	sweep(SHM_DIR);
	/* Rings whose segment is gone, as when another program swept with other rings in mind. */
	if (strcmp(ring_dir(), SHM_DIR) != 0)
		sweep(ring_dir());
}

struct slot *segment_slot(const struct segment *s, uint32_t i)
{
	return (struct slot *)(s->mem + head_size() + i * slot_size(s->buffer));
}

uint8_t *slot_in(const struct segment *s, uint32_t i)
{
	return (uint8_t *)segment_slot(s, i) + round_up(sizeof(struct slot), LINE);
}

uint8_t *slot_out(const struct segment *s, uint32_t i)
{
	return slot_in(s, i) + round_up(s->buffer, LINE);
}
