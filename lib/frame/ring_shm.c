/*
 * Making, opening and mapping a ring's file.
 *
 * A new ring gets its name only when it is complete: it is made as an unnamed file and linked, so
 * nobody ever opens half a ring, a crash leaves nothing, and of two that make it at once one wins.
 */
#include "ring_shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/id.h"
#include "ring.h"

#define DEFAULT_DIR  "/dev/shm"
#define WARM_STEP    ((uint64_t)256 << 10) /* bytes that are mapped at once */
#define CAPACITY_MAX ((uint64_t)1 << 40)   /* bytes; far from where sums could overflow */

const char *ring_dir(void)
{
	const char *dir = secure_getenv("MSR_RING_DIR");

	return dir && *dir ? dir : DEFAULT_DIR;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

int ring_path(char out[static PATH_MAX], const char *name, const char *suffix)
{
	/* The FIFOs' names must not be those of another ring. */
	if (!id_valid(name, strlen(name)) || ends_with(name, ".bell") || ends_with(name, ".room"))
		return -EINVAL;
	int n = snprintf(out, PATH_MAX, "%s/msr-%s%s", ring_dir(), name, suffix);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* An unnamed file with everything in place. Returns its descriptor or -errno. */
static int make_file(const char *path, size_t size)
{
	char dir[PATH_MAX];
	size_t page = page_size();
	uint64_t capacity = ((uint64_t)size + page - 1) / page * page;
	struct ring_control c = {.magic = RING_MAGIC,
				 .version = RING_VERSION,
				 .control_size = (uint32_t)page,
				 .capacity = capacity};

	if (capacity > CAPACITY_MAX)
		return -EFBIG;
	if (getrandom(&c.id, sizeof(c.id), 0) != (ssize_t)sizeof(c.id))
		return -errno;
	c.id += !c.id;
	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* Real memory now: a full /dev/shm is an error here and not SIGBUS later. */
	int err = posix_fallocate(fd, 0, (off_t)(page + capacity));
	if (!err && pwrite(fd, &c, sizeof(c), 0) != (ssize_t)sizeof(c))
		err = EIO;
	if (err) {
		close(fd);
		return -err;
	}
	return fd;
}

/* Opens the ring of that name, or makes it. */
static int open_file(const char *path, size_t size)
{
	for (int tries = 0; tries < 100; tries++) {
		int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT || !size)
			return errno == ELOOP ? -EBADMSG : -errno;
		fd = make_file(path, size);
		if (fd < 0)
			return fd;
		int err = file_link(fd, AT_FDCWD, path);
		if (!err)
			return fd;
		close(fd);
		if (err != -EEXIST)
			return err;
	}
	return -EEXIST; /* somebody makes and removes it all the time */
}

/* What the file says it is must fit what it is. */
static int check_file(struct ring_shm *m)
{
	struct ring_control c;
	struct stat st;

	if (fstat(m->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	/* /dev/shm belongs to everybody: never hand media to a ring that another user laid out. */
	if (st.st_uid != geteuid() && geteuid() != 0)
		return -EPERM;
	ssize_t n = pread(m->fd, &c, sizeof(c), 0);
	if (n < 0)
		return -errno;
	if (n != (ssize_t)sizeof(c) || memcmp(c.magic, RING_MAGIC, sizeof(c.magic)) != 0 ||
	    c.version != RING_VERSION || !c.id || c.control_size != page_size() || !c.capacity ||
	    c.capacity > CAPACITY_MAX || c.capacity % c.control_size ||
	    (uint64_t)st.st_size != c.control_size + c.capacity)
		return -EBADMSG;
	m->control_size = c.control_size;
	m->capacity = (size_t)c.capacity;
	m->id = c.id;
	return 0;
}

static int map_file(struct ring_shm *m)
{
	const int prot = PROT_READ | PROT_WRITE;
	size_t once = m->control_size + m->capacity, all = once + m->capacity;
	/* Reserve the addresses first, so that both mappings fit side by side. */
	uint8_t *base = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	if (mmap(base, once, prot, MAP_SHARED | MAP_FIXED, m->fd, 0) == MAP_FAILED ||
	    mmap(base + once, m->capacity, prot, MAP_SHARED | MAP_FIXED, m->fd,
		 (off_t)m->control_size) == MAP_FAILED) {
		int err = -errno;
		munmap(base, all);
		return err;
	}
	m->ctl = (struct ring_control *)(void *)base;
	m->data = base + m->control_size;
	return 0;
}

int ring_shm_open(struct ring_shm *m, const char *path, size_t size)
{
	struct ring_shm new = {.fd = open_file(path, size)};

	if (new.fd < 0)
		return new.fd;
	int ret = check_file(&new);
	if (!ret)
		ret = map_file(&new);
	if (ret < 0)
		close(new.fd);
	else
		*m = new;
	return ret;
}

void ring_shm_begin(struct ring_shm *m, uint64_t pos)
{
	m->warm = pos / WARM_STEP * WARM_STEP;
	m->warm_end = m->warm + m->capacity;
}

void ring_shm_warm_more(struct ring_shm *m, uint64_t pos)
{
	while (m->warm < pos && m->warm < m->warm_end) {
		size_t at = (size_t)(m->warm % m->capacity); /* both are whole pages */
		size_t n = m->capacity - at < WARM_STEP ? m->capacity - at : WARM_STEP;
		/* Without the call (before Linux 5.14) faults do the same, page by page. */
		if (madvise(m->data + at, n, MADV_POPULATE_WRITE) < 0) {
			m->warm_end = m->warm;
			return;
		}
		m->warm += n;
	}
}

void ring_shm_close(struct ring_shm *m)
{
	if (m->ctl)
		munmap(m->ctl, m->control_size + 2 * m->capacity);
	if (m->fd >= 0)
		close(m->fd);
	*m = (struct ring_shm){.fd = -1};
}

bool ring_shm_current(const struct ring_shm *m, const char *path)
{
	struct stat there, here;

	return stat(path, &there) == 0 && fstat(m->fd, &here) == 0 && there.st_dev == here.st_dev &&
	       there.st_ino == here.st_ino;
}
