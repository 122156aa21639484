/* Doorbells on FIFOs; see fifo(7) for what opening one end or both means. */
#include "bell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

int bell_open(struct bell *b, const char *path, enum bell_end end)
{
	/* Read and write: opens without a listener, and ringing never gives EPIPE. */
	int mode = end == BELL_RINGER ? O_RDWR : O_RDONLY;
	struct stat st;

	if (mkfifo(path, 0600) < 0 && errno != EEXIST)
		return -errno;
	int fd = open(path, mode | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? -EEXIST : -errno;
	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) ||
	    (st.st_uid != geteuid() && geteuid() != 0)) {
		close(fd);
		return -EEXIST;
	}
	*b = (struct bell){fd, -1};
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void bell_close(struct bell *b)
{
	close_fd(&b->plug);
	close_fd(&b->fd);
}

void bell_ring(const struct bell *b)
{
	/* A full FIFO has woken the listener already; there is no other error to act on. */
	while (write(b->fd, "", 1) < 0 && errno == EINTR)
		;
}

/* By its descriptor, because the name may by now lead to another FIFO. */
static void plug(struct bell *b)
{
	int fd = file_reopen(b->fd, O_WRONLY | O_NONBLOCK);

	/* Out of descriptors: the end of file stays, and the next drain tries again. */
	b->plug = fd < 0 ? -1 : fd;
}

void bell_drain(struct bell *b)
{
	uint8_t rung[64];
	ssize_t n = read(b->fd, rung, sizeof(rung));

	/* Fewer bytes than asked for: it is empty now. A byte that comes later wakes again. */
	while (n == (ssize_t)sizeof(rung) || (n < 0 && errno == EINTR))
		n = read(b->fd, rung, sizeof(rung));
	if (n == 0)
		plug(b);
	else if (n > 0)
		close_fd(&b->plug); /* a ringer is here: notice when it goes */
}
