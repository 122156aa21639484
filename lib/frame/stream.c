/* Opening standard input and output, FIFOs and files. */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* The most that an unprivileged process may ask for; fewer and larger reads and writes. */
#define PIPE_SIZE (1 << 20)

static int classify(struct stream *st)
{
	struct stat sb;

	if (fstat(st->fd, &sb) < 0)
		return -errno;
	if (S_ISDIR(sb.st_mode))
		return -EISDIR;
	st->type = S_ISFIFO(sb.st_mode) || S_ISSOCK(sb.st_mode) ? STREAM_PIPE
		   : S_ISREG(sb.st_mode)			? STREAM_FILE
								: STREAM_OTHER;
	if (S_ISFIFO(sb.st_mode))
		fcntl(st->fd, F_SETPIPE_SZ, PIPE_SIZE); /* better when it works, fine when not */
	return 0;
}

/*
 * Makes an inherited descriptor non-blocking. O_NONBLOCK belongs to the open file description,
 * which others (the shell, a neighbour in the pipeline) may share; so a pipe gets one of its own
 * under the same number where that is allowed.
 */
static int make_nonblock(int fd, int mode)
{
	struct stat sb;

	if (fstat(fd, &sb) == 0 && S_ISFIFO(sb.st_mode)) {
		int own = file_reopen(fd, mode | O_NONBLOCK);
		if (own >= 0) {
			int ret = dup3(own, fd, 0) < 0 ? -errno : 0;
			close(own);
			return ret;
		}
	}
	return file_set_nonblock(fd);
}

static int open_std(struct stream *st, int fd, int mode, bool nonblock)
{
	st->fd = fd;
	int ret = classify(st);
	if (!ret && nonblock && st->type == STREAM_PIPE)
		ret = make_nonblock(fd, mode);
	return ret;
}

static bool is_fifo(const char *path)
{
	struct stat sb;

	return stat(path, &sb) == 0 && S_ISFIFO(sb.st_mode);
}

static int open_path(struct stream *st, const char *path, int flags, bool nonblock)
{
	st->fd = open(path, flags | O_CLOEXEC | (nonblock ? O_NONBLOCK : 0), 0666);
	if (st->fd < 0)
		return -errno;
	st->owned = true;
	int ret = classify(st);
	if (ret < 0)
		stream_close(st);
	return ret;
}

int stream_open_in(struct stream *st, const char *spec, bool nonblock, bool hold)
{
	*st = (struct stream){.fd = -1};
	if (!strcmp(spec, "-"))
		return open_std(st, STDIN_FILENO, O_RDONLY, nonblock);
	st->held = hold && is_fifo(spec);
	return open_path(st, spec, st->held ? O_RDWR : O_RDONLY, nonblock);
}

int stream_open_out(struct stream *st, const char *spec, bool nonblock)
{
	*st = (struct stream){.fd = -1};
	if (!strcmp(spec, "-"))
		return open_std(st, STDOUT_FILENO, O_WRONLY, nonblock);
	bool fifo = is_fifo(spec);
	st->held = fifo && nonblock;
	int flags = st->held ? O_RDWR : fifo ? O_WRONLY : O_WRONLY | O_CREAT | O_APPEND;
	return open_path(st, spec, flags, nonblock);
}

void stream_close(struct stream *st)
{
	if (st->owned && st->fd >= 0)
		close(st->fd);
	st->fd = -1;
}
